"""Opt-outs hold under every form of a number, also those that the first release stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pynamodb.connection.base import Connection

from skycore.table import opt_outs
from skycore.table.opt_outs import OptOutRow
from skycore.timestamps import to_key
from tests.unit.table.tables import new_table

if TYPE_CHECKING:
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

NOW = datetime.now(UTC)
US, SENDER = "17743190001", "60856"


@pytest.fixture(autouse=True)
def new_environment() -> None:
    """Forget the senders that this execution environment knows."""
    opt_outs._known_senders.clear()


def first_release(number: str, sender: str = SENDER, **times: datetime) -> None:
    """Write a row as the first release did: under the digits that Skycore wrote."""
    values: dict[str, Any] = {name: to_key(moment) for name, moment in times.items()}
    OptOutRow(f"number#{number}", f"opt_out#{sender}", **values).save()


@pytest.mark.parametrize(
    ("region", "stored", "sent_to"),
    [
        ("US", US, US),
        ("US", "7743190001", US),
        ("US", "0017743190001", US),
        ("US", "01117743190001", US),
        ("GB", "07911123456", "447911123456"),
        ("GB", "7911123456", "447911123456"),
        ("GB", "00447911123456", "447911123456"),
        ("US", "5215562000000", "525562000000"),
        ("US", "525562000000", "5215562000000"),
        ("US", "5491112345678", "541112345678"),
        ("US", "541112345678", "5491112345678"),
        ("US", "551187654321", "5511987654321"),
        ("US", "5511987654321", "551187654321"),
    ],
)
def test_an_opt_out_of_the_first_release_holds(
    table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch, region: str, stored: Any, sent_to: Any
) -> None:
    monkeypatch.setenv("DEFAULT_REGION", region)
    first_release(stored, stopped_at=NOW)
    pairs = [(sent_to, SENDER), (sent_to, "60857")]
    assert opt_outs.opted_out(pairs) == {(sent_to, SENDER)}
    assert [row.number for row in opt_outs.list_opt_outs(sent_to)] == [stored]
    assert opt_outs.can_confirm(sent_to, SENDER)
    opt_outs.record_opt_in(sent_to, SENDER, NOW + timedelta(seconds=1))
    assert opt_outs.opted_out(pairs) == set()


def test_an_opt_out_of_the_first_release_holds_for_all_senders(table: FakeDynamoDB) -> None:
    first_release("7743190001", "*", stopped_at=NOW)
    assert opt_outs.opted_out([(US, SENDER), (US, None)]) == {(US, SENDER), (US, None)}


def test_an_opt_in_of_the_first_release_that_states_the_future_lifts_nothing(
    table: FakeDynamoDB,
) -> None:
    first_release(US, stopped_at=NOW, started_at=NOW + timedelta(days=365))
    assert opt_outs.opted_out([(US, SENDER)]) == {(US, SENDER)}
    assert opt_outs.record_opt_in(US, SENDER, NOW + timedelta(seconds=1))
    assert opt_outs.opted_out([(US, SENDER)]) == set()


@pytest.mark.parametrize("number", ["17743190002", "447743190001", "27743190001"])
def test_an_opt_out_is_of_one_number(table: FakeDynamoDB, number: str) -> None:
    first_release("7743190001", stopped_at=NOW)
    opt_outs.record_opt_out(US, SENDER, NOW, "N211")
    assert opt_outs.opted_out([(number, SENDER)]) == set()


def test_a_confirmation_is_taken_and_released_under_any_form(table: FakeDynamoDB) -> None:
    first_release("5215562000000", stopped_at=NOW)
    number = "525562000000"
    taken = opt_outs.claim_confirmation(number, SENDER, NOW)
    assert taken is not None
    assert opt_outs.claim_confirmation("5215562000000", SENDER, NOW) is None
    opt_outs.release_confirmation(number, SENDER, taken)
    assert opt_outs.claim_confirmation(number, SENDER, NOW) is not None


def test_a_sender_is_written_once_in_an_execution_environment(table: FakeDynamoDB) -> None:
    assert not opt_outs.is_sender(SENDER)
    for _ in range(3):
        opt_outs.record_sender(SENDER)
    assert table.calls["PutItem"] == 1
    (row,) = table.of_kind("sender")
    assert set(row) == {"pk", "sk", "kind"}  # no time to live: it stays for good
    opt_outs._known_senders.clear()
    assert opt_outs.is_sender(SENDER)
    assert opt_outs.is_sender(SENDER)
    assert table.calls["GetItem"] == 2  # the first was before it was known


@pytest.mark.parametrize("sender", [SENDER, None])
@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(seconds=90), timedelta(days=30_000)])
def test_an_operator_lifts_every_opt_out_whatever_time_it_states(
    table: FakeDynamoDB, sender: Any, ahead: Any
) -> None:
    for name in (SENDER, "*", "60857"):
        first_release("7743190001", name, stopped_at=NOW + ahead)
    opt_outs.lift_by_hand(US, sender, datetime.now(UTC))
    assert opt_outs.opted_out([(US, SENDER)]) == set()
    opt_outs.record_opt_out(US, SENDER, datetime.now(UTC), "N211")
    assert opt_outs.opted_out([(US, SENDER)]) == {(US, SENDER)}


@pytest.mark.parametrize("sender", [SENDER, None])
@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(seconds=90), timedelta(days=365)])
def test_an_operators_opt_out_holds_whatever_time_an_opt_in_states(
    table: FakeDynamoDB, sender: Any, ahead: Any
) -> None:
    first_release(US, SENDER, stopped_at=NOW, started_at=NOW + ahead)
    opt_outs.stop_by_hand(US, sender, datetime.now(UTC), "operator")
    assert opt_outs.opted_out([(US, SENDER)]) == {(US, SENDER)}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations([("stop", 0), ("start", 1), ("stop", 2), ("start", 2), ("start", 1)]))
def test_any_order_ends_the_same_and_the_stop_wins_a_tie(
    monkeypatch: pytest.MonkeyPatch, told: Any
) -> None:
    monkeypatch.setattr(Connection, "client", new_table())
    for word, minutes in told:
        moment = NOW - timedelta(minutes=10 - minutes)
        if word == "stop":
            opt_outs.record_opt_out(US, SENDER, moment, "N211")
        else:
            opt_outs.record_opt_in(US, SENDER, moment)
    assert opt_outs.opted_out([(US, SENDER)]) == {(US, SENDER)}


@pytest.mark.parametrize("recorded", ["a stop", "a stop for all", "E114", "by hand"])
@pytest.mark.parametrize("stored", [US, "7743190001"])
@pytest.mark.parametrize("ahead", [timedelta(seconds=90), timedelta(hours=1), timedelta(days=365)])
def test_no_stop_lapses_when_the_time_of_an_earlier_start_comes(
    table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch, recorded: str, stored: Any, ahead: Any
) -> None:
    first_release(stored, SENDER, started_at=NOW + ahead)
    monkeypatch.setattr(opt_outs, "now", lambda: NOW)
    match recorded:
        case "a stop":
            opt_outs.record_opt_out(US, SENDER, NOW, "N211")
        case "a stop for all":
            opt_outs.record_opt_out(US, None, NOW, "N302")
        case "E114":
            opt_outs.record_blocked(US, SENDER, NOW, "E114")
        case "by hand":
            opt_outs.stop_by_hand(US, SENDER, NOW, "operator")
    for later in (timedelta(0), ahead + timedelta(days=1)):
        monkeypatch.setattr(opt_outs, "now", lambda at=NOW + later: at)
        assert opt_outs.opted_out([(US, SENDER)]) == {(US, SENDER)}


def test_a_start_from_a_number_abroad_with_the_same_digits_lifts_no_stop(
    table: FakeDynamoDB,
) -> None:
    us, norwegian = "14792345678", "4792345678"
    opt_outs.record_opt_out(us, SENDER, NOW, "N211")
    first_release("0014792345678", "*", stopped_at=NOW)
    opt_outs.record_opt_in(norwegian, SENDER, NOW + timedelta(minutes=1))
    assert opt_outs.opted_out([(us, SENDER), (norwegian, SENDER)]) == {(us, SENDER)}


def test_a_start_to_a_number_with_the_same_digits_does_not_lose_a_strangers_stop(
    table: FakeDynamoDB,
) -> None:
    us, norwegian = "14792345678", "4792345678"
    opt_outs.record_opt_out(norwegian, SENDER, NOW, "N211")
    opt_outs.record_opt_in(us, SENDER, NOW + timedelta(minutes=1))
    assert opt_outs.opted_out([(norwegian, SENDER)]) == {(norwegian, SENDER)}


def test_a_start_under_an_old_form_lifts_the_stop_of_its_row(table: FakeDynamoDB) -> None:
    first_release("7743190001", stopped_at=NOW, started_at=NOW + timedelta(seconds=1))
    assert opt_outs.opted_out([(US, SENDER)]) == set()


@pytest.mark.parametrize(
    ("stored", "sender"),
    [
        ("4155550000", "14155550000"),
        ("0014155550000", "14155550000"),
        ("01114155550000", "14155550000"),
        ("00447700900999", "447700900999"),
        ("5215562000000", "525562000000"),
    ],
)
def test_an_opt_out_towards_an_old_form_of_a_sender_holds(
    table: FakeDynamoDB, stored: str, sender: str
) -> None:
    first_release(US, stored, stopped_at=NOW)
    assert opt_outs.opted_out([(US, sender), (US, SENDER)]) == {(US, sender)}
