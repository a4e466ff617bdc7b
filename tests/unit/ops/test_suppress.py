"""`ops suppress` says what is true once it is done."""

from __future__ import annotations

from argparse import Namespace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from ops import suppress
from skycore.table import opt_outs
from skycore.table.opt_outs import OptOutRow
from skycore.timestamps import to_key
from tests.unit.table.conftest import table

if TYPE_CHECKING:
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

__all__ = ["table"]

NUMBER, SENDER = "17743199144", "60856"
STACK: Any = Namespace(parameters={"DefaultRegion": "US"}, use_hash_secret=lambda: None)


@pytest.fixture(autouse=True)
def confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suppress, "confirm", lambda *_: None)


def asked(sender: str | None = None) -> Namespace:
    return Namespace(number="+1 774-319-9144", sender=sender)


def stop(stated: datetime, sender: str = SENDER) -> None:
    key = f"number#{NUMBER}", f"opt_out#{sender}"
    OptOutRow(*key, stopped_at=to_key(stated)).save()


@pytest.mark.parametrize("sender", [None, SENDER])
@pytest.mark.parametrize("ahead", [0, 3, 60 * 24 * 365 * 70], ids=["now", "minutes", "2099"])
def test_remove_lifts_a_stop_by_a_clock_that_is_ahead(
    table: FakeDynamoDB, sender: Any, ahead: int
) -> None:
    stop(datetime.now(UTC) + timedelta(minutes=ahead))
    answer = suppress.remove(STACK, asked(sender))
    assert answer.data["suppressed"] is False
    assert "not suppressed" in str(answer.shown[0])
    assert opt_outs.opted_out([(NUMBER, SENDER)]) == set()


@pytest.mark.parametrize("sender", [None, SENDER])
def test_add_holds_against_an_opt_in_by_a_clock_that_is_ahead(
    table: FakeDynamoDB, sender: Any
) -> None:
    opt_outs.record_opt_in(NUMBER, SENDER, datetime.now(UTC) + timedelta(seconds=90))
    answer = suppress.add(STACK, asked(sender))
    assert answer.data["suppressed"] is True
    assert "suppressed" in str(answer.shown[0])
    assert opt_outs.opted_out([(NUMBER, SENDER)]) == {(NUMBER, SENDER)}


def test_what_still_holds_is_said(table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another stop that comes while the command runs counts."""
    opt_outs.record_opt_out(NUMBER, "60857", datetime.now(UTC), "N211")
    real = opt_outs.lift_by_hand

    def late(number: str, sender: str | None, moment: datetime) -> None:
        real(number, sender, moment)
        opt_outs.record_opt_out(number, "60857", moment + timedelta(seconds=1), "N211")

    monkeypatch.setattr(opt_outs, "lift_by_hand", late)
    answer = suppress.remove(STACK, asked())
    assert answer.data["suppressed"] is False
    assert answer.shown == ["…44 from any sender: suppressed only for 60857"]
