"""`ops person` takes every number that a postback may have come from."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ops import person
from ops.output import UsageError

STACK: Any = SimpleNamespace(parameters={"DefaultRegion": "US"})


def test_a_number_that_no_numbering_plan_knows_can_be_erased() -> None:
    assert person._number(STACK, "+999 1234 5678") == "99912345678"
    assert person._number(STACK, "+1 (774) 319-9144") == "17743199144"


@pytest.mark.parametrize("text", ["7743199144", "order-1", "+", "", "+1 774 ext 5", "99912345678"])
def test_what_may_be_somebody_elses_number_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="the number"):
        person._number(STACK, text)
