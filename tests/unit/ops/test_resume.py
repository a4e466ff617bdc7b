"""`ops resume` ends a pause by hand, and the table says who did."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

import pytest

from ops import resume, status
from ops.output import Refused
from skycore.table import pauses
from tests.unit.table.conftest import table

if TYPE_CHECKING:
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

__all__ = ["table"]
ANN = "arn:aws:sts::111122223333:assumed-role/Ops/ann"
NOW = 1_700_000_000


class Stack:
    ask = False
    operator = ANN


@pytest.fixture
def paused(table: FakeDynamoDB) -> None:
    seen = pauses.write(
        pauses.NO_PAUSES, "account", pauses.failed(pauses.NO_PAUSE, "E104", NOW, "m")
    )
    assert seen is not None
    pauses.write(seen, "sendMMS", pauses.failed(pauses.NO_PAUSE, "E107", NOW, "m"))


def resumed(action: str | None = None) -> Any:
    return resume.run(Stack(), Namespace(action=action, yes=True)).data  # type: ignore[arg-type]


@pytest.mark.usefixtures("paused")
def test_it_ends_all_pauses_and_records_who_did() -> None:
    assert resumed() == {"resumed": ["account", "sendMMS"], "by": ANN}
    after = pauses.read(consistent=True)
    for scope in ("account", "sendMMS"):
        assert (after.of(scope).paused, after.of(scope).ended_by) == (False, ANN)
        assert after.of(scope).ended_at > NOW


@pytest.mark.usefixtures("paused")
def test_it_ends_the_pause_of_one_action() -> None:
    assert resumed("sendMMS")["resumed"] == ["sendMMS"]
    assert pauses.read(consistent=True).of("account").paused


@pytest.mark.usefixtures("table")
def test_without_a_pause_it_refuses() -> None:
    with pytest.raises(Refused, match="not paused"):
        resumed()


@pytest.mark.usefixtures("paused")
def test_status_says_what_waits_and_why() -> None:
    paused = resume.current()
    assert paused["sendMMS"]["why"] == pauses.describe("E107")
    data: dict[str, Any] = {"alarms": {"ringing": []}, "dead_letters": {}, "paused": paused}
    data |= {"messages": {"by_kind": {}}, "api_key_set": True, "stack_status": "UPDATE_COMPLETE"}
    account, action = status.problems(data)
    assert "account" in account
    assert "E104" in account
    assert "sendMMS" in action


@pytest.mark.parametrize(
    "cause", ["E104", "no_connection", "no_key", "HTTP 403", "unknown_outcomes"]
)
def test_every_cause_is_told_in_words(cause: str) -> None:
    assert len(pauses.describe(cause).split()) >= 3
