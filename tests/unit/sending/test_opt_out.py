"""Opt-outs that events tell, for a sender written in any way; a failure to note one tells on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from skycore.table import opt_outs
from tests.unit.receiving.test_publish import TO, arrive, retry, tell
from tests.unit.table.fake_dynamodb import FakeDynamoDB, error

if TYPE_CHECKING:
    from tests.unit.sending.conftest import Outside


def stop(sender: str, number: str = TO) -> bytes:
    fields = {"origin": "SMS_MO", "code": "N211", "from": number, "to": sender, "text": "STOP"}
    return json.dumps(fields).encode()


def stop_by_mms(sender: str) -> bytes:
    fields = {
        "origin": "MMS_MO",
        "code": "N401",
        "from": TO,
        "to": sender,
        "message-subject": "Stop",
    }
    return json.dumps({**fields, "tracking-id": "MMS_MO_aB3xY9Qz"}).encode()


def left(shortcode: str) -> bytes:
    fields = {"code": "N302", "mobile": TO, "shortcode": shortcode, "source": "MO"}
    return json.dumps(fields).encode()


@pytest.mark.parametrize("body", [stop, stop_by_mms, left], ids=["STOP", "MMS", "N302"])
@pytest.mark.parametrize(
    ("told", "asked"),
    [
        ("60856", "60856"),
        ("+447700900999", "447700900999"),
        ("447700900999", "+44 7700 900999"),
        (" ACME ", "ACME"),
    ],
)
def test_a_sender_is_told_by_its_digits(
    table: FakeDynamoDB, outside: Outside, body: Any, told: str, asked: str
) -> None:
    opt_outs.record_sender(asked)
    arrive(body(told))
    assert tell(table) == []
    assert opt_outs.opted_out([(TO, asked), (TO, "60857")]) == {(TO, asked)}


@pytest.fixture(autouse=True)
def new_environment() -> None:
    """Forget the senders that this execution environment knows."""
    opt_outs._known_senders.clear()


def test_a_number_is_told_by_its_digits(table: FakeDynamoDB, outside: Outside) -> None:
    arrive(stop("60856", f"+{TO}"))
    tell(table)
    assert opt_outs.opted_out([(TO, "60856")]) == {(TO, "60856")}


@pytest.mark.parametrize("body", [stop, left], ids=["STOP", "N302"])
@pytest.mark.parametrize("sender", ["x" * 2000, "é" * 2000, "9" * 2000])
def test_a_sender_of_any_length_is_told(
    table: FakeDynamoDB, outside: Outside, body: Any, sender: str
) -> None:
    arrive(body(sender))
    assert tell(table) == []
    assert (len(outside.published), outside.queued) == (1, [])
    assert len(table.of_kind("opt_out")) == 1


def refusing(table: Any, code: str) -> None:
    def refuse(_: int, operation: str, __: object) -> None:
        if operation == "UpdateItem":
            raise error(code, operation)

    table.before = refuse


def test_what_the_table_can_never_hold_is_logged_and_the_event_told(
    table: FakeDynamoDB, outside: Outside, caplog: pytest.LogCaptureFixture
) -> None:
    arrive(stop("60856"))
    refusing(table, "ValidationException")
    assert tell(table) == []
    assert (len(outside.published), outside.queued) == (1, [])
    assert "opt-out not recorded" in caplog.text


def test_an_opt_out_that_could_not_be_noted_now_is_noted_later(
    table: FakeDynamoDB, outside: Outside
) -> None:
    arrive(stop("60856"))
    refusing(table, "ProvisionedThroughputExceededException")
    assert tell(table) == []
    assert (len(outside.published), len(outside.queued)) == (0, 1)
    table.before = lambda *_: None
    assert retry(outside) == []
    assert len(outside.published) == 1
    assert opt_outs.opted_out([(TO, "60856")]) == {(TO, "60856")}
