"""The read API: timelines, whole postbacks, and listings that end."""

from __future__ import annotations

import base64
import json
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skycore.problems import Problem
from skycore.queries.messages import (
    MAX_RAW_BYTES,
    cancel,
    get_event,
    get_message,
    list_messages,
    list_unparsed,
)
from skycore.receiving.store import store
from skycore.table import events, messages
from tests.unit.receiving.test_publish import OTHER, TO, Sender, receipt

if TYPE_CHECKING:
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)


def arrive(*bodies: bytes) -> None:
    batch = [(str(n), body, NOW + timedelta(seconds=n)) for n, body in enumerate(bodies)]
    assert store(batch, days=90) == []


def test_a_timeline_names_carrier_and_handset(table: FakeDynamoDB) -> None:
    Sender(parent="p1", shared=True).finish()
    moment = (NOW + timedelta(seconds=5)).isoformat()
    arrive(
        f"""<POSTBACK><ORIGIN>MMS_MT</ORIGIN><CODE>N102</CODE><TRACKINGID>T1</TRACKINGID>
        <TO>{TO}</TO><SPID>0001890</SPID><HANDSET>Apple iPhone</HANDSET>
        <STATUS>Message Sent/Delivered</STATUS><STATUSDETAILS>at once</STATUSDETAILS>
        <TIMESTAMP>{moment}</TIMESTAMP></POSTBACK>""".encode(),
        receipt("N202", to=OTHER),
    )
    message = get_message("m1")
    assert [step["event"] for step in message["timeline"]] == [
        "message_sending",
        "message_accepted",
        "mms_delivered",
    ]
    step = message["timeline"][-1]
    assert step["carrier"] == "Verizon Wireless"
    assert step["handset"] == "Apple iPhone"
    assert (step["code"], step["details"]) == ("N102", "at once")
    assert step["time"] == moment.replace("+00:00", "Z")
    assert events.get(step["event_id"]) is not None


def test_an_unparsed_postback_is_shown_whole(table: FakeDynamoDB) -> None:
    body = random.Random(7).randbytes(256 * 1024)
    arrive(body)
    (listed,) = list_unparsed({}, days=90)["events"]
    event = get_event(listed["event_id"], source="urn:skycore:test")
    assert base64.b64decode(event["raw"]) == body
    assert event["data"]["truncated"] is True


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1.0", "٣", "", "9" * 5000], ids=len)
def test_a_limit_that_is_none_is_refused(table: FakeDynamoDB, limit: str) -> None:
    with pytest.raises(Problem, match="invalid_request"):
        list_unparsed({"limit": [limit]}, days=90)


def test_the_receipt_that_came_first_is_a_possible_match(table: FakeDynamoDB) -> None:
    row = messages.new_row(
        "m9", "unknown", time=NOW, days=90, attempt="a", action="sendSMS", fingerprint="f", to=TO
    )
    messages.create(row)
    arrive(*(receipt("N202", tracking_id=f"X{n:03}") for n in range(120)))
    found = get_message("m9")["possible_match"]
    assert [match["tracking_id"] for match in found] == [f"X{n:03}" for n in range(120)]


def test_a_receipt_that_beat_its_tracking_row_is_a_match(table: FakeDynamoDB) -> None:
    """The call ended between tracking row and message, after publish had seen the receipt."""
    known = {"attempt": "a", "action": "sendSMS", "fingerprint": "f", "to": TO}
    for id_ in ("m8", "m9"):
        messages.create(messages.new_row(id_, "unknown", time=NOW, days=90, **known))
    arrive(receipt("N202", tracking_id="X8"), receipt("N202", tracking_id="X9"))
    for id_ in ("m8", "m9"):
        messages.put_tracking_row(id_.replace("m", "X"), id_, None, time=NOW, days=90)
    found = get_message("m9")["possible_match"]
    assert [match["tracking_id"] for match in found] == ["X9"]


@pytest.mark.parametrize("written", ["5491112345678", "541112345678"])
def test_a_receipt_in_another_form_of_the_number_is_a_possible_match(
    table: FakeDynamoDB, written: str
) -> None:
    known = {"attempt": "a", "action": "sendSMS", "fingerprint": "f", "to": "5491112345678"}
    messages.create(messages.new_row("m9", "unknown", time=NOW, days=90, **known))
    arrive(receipt("N202", to=written, tracking_id="X1"))
    found = get_message("m9")["possible_match"]
    assert [match["tracking_id"] for match in found] == ["X1"]


def test_of_very_many_receipts_the_earliest_are_looked_at(
    table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skycore.queries.messages.MAX_EVENTS", 5)
    row = messages.new_row(
        "m9", "unknown", time=NOW, days=90, attempt="a", action="sendSMS", fingerprint="f", to=TO
    )
    messages.create(row)
    arrive(*(receipt("N202", tracking_id=f"X{n}") for n in range(9)))
    found = get_message("m9")["possible_match"]
    assert [match["tracking_id"] for match in found] == ["X0", "X1", "X2", "X3", "X4"]


@pytest.mark.parametrize("text", ["nobody", "x" * 10_000, "ä" * 1000, "a.b", "#"], ids=len)
def test_ids_that_are_none_are_not_found(table: FakeDynamoDB, text: str) -> None:
    with pytest.raises(Problem, match="message_not_found"):
        get_message(text)
    with pytest.raises(Problem, match="message_not_found"):
        cancel(text, {})
    with pytest.raises(Problem, match="event_not_found"):
        get_event(text, source="urn:skycore:test")
    assert list_messages({"tracking_id": [text]}, region="US", days=90)["messages"] == []


@pytest.mark.in_memory("stores ten megabytes against the clock")
def test_a_page_of_large_postbacks_ends_where_an_answer_must(
    table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skycore.receiving.store.READ_BUDGET_SECONDS", 600.0)  # however slow we are
    chance = random.Random(7)
    arrive(*(chance.randbytes(256 * 1024) for _ in range(30)), *(b"small %d" % n for n in range(5)))
    found: list[str] = []
    cursor: str | None = ""
    pages = 0
    while cursor is not None:
        page = list_unparsed({"cursor": [cursor]} if cursor else {}, days=90)
        sizes = [len(base64.b64decode(event["raw"])) for event in page["events"]]
        assert 0 < sum(sizes) <= MAX_RAW_BYTES
        found += [event["event_id"] for event in page["events"]]
        cursor, pages = page["cursor"], pages + 1
    assert len(found) == len(set(found)) == 35
    assert pages == 3


@pytest.mark.parametrize(
    ("since", "until"),
    [("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"), ("2000-01-01", "2999-01-01")],
)
def test_a_stretch_beyond_all_rows_costs_no_queries(
    table: FakeDynamoDB, since: str, until: str
) -> None:
    messages.create(
        messages.new_row(
            "m1",
            "accepted",
            time=NOW,
            days=90,
            attempt="a",
            action="sendSMS",
            fingerprint="f",
            to=TO,
        )
    )
    table.calls.clear()
    query = {"to": [f"+{TO}"], "since": [since], "until": [until]}
    page = list_messages(query, region="US", days=90)
    assert [row["message_id"] for row in page["messages"]] == ["m1"]
    assert page["cursor"] is None
    assert table.calls["Query"] <= 6


def pages(query: dict[str, list[str]], **given: Any) -> tuple[list[str], list[str]]:
    """The ids on all pages of a query, and the cursors between them."""
    ids: list[str] = []
    cursors: list[str] = []
    while True:
        cursor = {"cursor": cursors[-1:]} if cursors else {}
        page = list_messages({"limit": ["2"], **query, **cursor}, region="US", days=90, **given)
        ids += [message["message_id"] for message in page["messages"]]
        if page["cursor"] is None:
            return ids, cursors
        cursors.append(page["cursor"])


def several(count: int = 5, to: str = TO) -> None:
    for n in range(count):
        row = messages.new_row(
            f"{to}-{n}",
            "accepted",
            time=NOW - timedelta(minutes=n),
            days=90,
            attempt="a",
            action="sendSMS",
            fingerprint="f",
            to=to,
            sender="60856",
        )
        messages.create(row)


SINCE = (NOW - timedelta(days=1)).isoformat()
QUERIES: dict[str, dict[str, list[str]]] = {
    "to": {"to": ["+17743199144"]},
    "from": {"from": ["60856"]},
    "since": {"to": ["+17743199144"], "since": [SINCE]},
    "until": {"to": ["+17743199144"], "until": [NOW.isoformat()]},
    "another number": {"to": ["+17743199145"]},
    "another sender": {"from": ["60857"]},
}


def refused(query: dict[str, list[str]], cursor: str) -> bool:
    try:
        list_messages({**query, "cursor": [cursor]}, region="US", days=90)
    except Problem as problem:
        errors: Any = problem.members["errors"]
        fields = [error["field"] for error in errors]
        return (problem.status, problem.code, fields) == (422, "invalid_request", ["cursor"])
    return False


def test_a_cursor_is_of_its_own_query_only(table: FakeDynamoDB) -> None:
    several()
    several(to=OTHER)
    for name, query in QUERIES.items():
        if name != "another sender":
            _, (cursor, *_) = pages(query)
            for other, other_query in QUERIES.items():
                assert refused(other_query, cursor) == (other != name), (name, other)
            with pytest.raises(Problem):
                list_unparsed({"cursor": [cursor]}, days=90)
            assert refused({"tracking_id": ["T1"]}, cursor)


def test_a_cursor_holds_for_another_limit_and_the_same_number_written_otherwise(
    table: FakeDynamoDB,
) -> None:
    several()
    _, (cursor, *_) = pages({"to": ["+17743199144"]})
    query = {"to": [" 1 (774) 319-9144"], "limit": ["50"], "cursor": [cursor]}
    assert len(list_messages(query, region="US", days=90)["messages"]) == 3


def encoded(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


AT = "message#2026-11-22T10:00:00Z"


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "x", "=", "%", "é", "\ud800", " ", "A" * 5000, "null", "WyJ4Il0"),
        *map(encoded, (None, 1, "x", [], {}, [AT], [AT, 1, "a"], [AT, "a", "b"])),
        *(encoded(value) for value in ([AT, 1, "a", ""], [AT, "a", None, ""], [1, "", "", ""])),
        *(encoded(value) for value in (["x#", "", "", ""], ["event" + AT[7:], "", "", ""])),
        *(encoded(value) for value in ([AT, "message#x", "message", "0" * 16], [AT, "~", "", 0])),
        *(encoded(value) for value in ([AT, "\ud800", "", ""], [AT, "a" * 5000, "", ""])),
        encoded(["message#9999-12-31T23:59:59-23:59", "", "", ""]),
        *(encoded(b"[" * 5000), encoded(b"1" * 5000), encoded(b"\xff"), encoded(b"\0")),
    ],
)
def test_a_cursor_that_this_service_did_not_make_is_refused(
    table: FakeDynamoDB, cursor: Any
) -> None:
    several()
    assert refused({"to": [TO]}, cursor)
    assert refused({"from": ["60856"]}, cursor)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_cursor_with_any_change_is_refused(table: FakeDynamoDB, data: Any) -> None:
    if not table.items:
        several()
    query = QUERIES[data.draw(st.sampled_from(["to", "from", "since"]))]
    _, (cursor, *_) = pages(query)
    place = data.draw(st.integers(0, len(cursor)))
    cut = data.draw(st.integers(0, 3))
    changed = cursor[:place] + data.draw(st.text(max_size=3)) + cursor[place + cut :]
    assert refused(query, changed) == (changed != cursor)
