"""Messages by client_reference: every one, once, newest first, whatever the page's size."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from skycore.problems import Problem
from skycore.queries.messages import list_messages
from skycore.table import messages, queue_transitions

if TYPE_CHECKING:
    from skycore.table.messages import MessageRow
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)


def new(number: int, reference: str | None = "order 4711/ä", *, late: int = 0) -> MessageRow:
    known: dict[str, Any] = {"attempt": f"a{late}", "action": "sendSMS", "fingerprint": "f"}
    time = NOW + timedelta(seconds=number // 2 + late)  # two messages a second
    return messages.new_row(
        f"m{number}", "queued", time=time, days=90, client_reference=reference, **known
    )


def listed(reference: str = "order 4711/ä", **query: str) -> list[list[str]]:
    pages, cursor = [], ""
    while True:
        more = {"cursor": [cursor]} if cursor else {}
        asked = {name: [value] for name, value in query.items()}
        page = list_messages(
            {"client_reference": [reference], **asked, **more}, region="US", days=90
        )
        pages.append([row["message_id"] for row in page["messages"]])
        if (cursor := page["cursor"]) is None:
            return pages


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 100])
def test_pages_hold_every_message_once_newest_first(table: FakeDynamoDB, limit: int) -> None:
    messages.create_many([new(n) for n in range(7)])
    messages.create(new(7, "order 4712"))
    messages.create(new(8, None))
    pages = listed(limit=str(limit))
    assert [id_ for page in pages for id_ in page] == [f"m{n}" for n in (6, 5, 4, 3, 2, 1, 0)]
    assert all(len(page) <= limit for page in pages)


def test_since_and_until_bound_the_list(table: FakeDynamoDB) -> None:
    messages.create_many([new(n) for n in range(6)])
    since, until = ((NOW + timedelta(seconds=n)).isoformat() for n in (1, 1))
    assert listed(since=since) == [["m5", "m4", "m3", "m2"]]
    assert listed(until=until) == [["m3", "m2", "m1", "m0"]]


def test_a_message_that_was_written_again_under_its_key_is_listed_once(table: FakeDynamoDB) -> None:
    messages.create(new(1))
    assert queue_transitions.release("m1", "a0")  # nothing was sent: 429
    assert listed() == [[]]
    messages.create(new(1, late=60))
    assert listed() == [["m1"]]


def test_a_pointer_without_its_message_is_skipped(table: FakeDynamoDB) -> None:
    messages.put_references([new(1)])  # the table failed before the message was written
    messages.create(new(2))
    assert listed() == [["m2"]]


def test_a_message_without_reference_writes_no_pointer(
    table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skycore.table.messages.batches.put_all", pytest.fail)
    messages.create(new(1, None))


def test_no_row_is_written_whose_pointer_was_not(
    table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "skycore.table.messages.batches.put_all", lambda rows: {(rows[0].pk, rows[0].sk)}
    )
    with pytest.raises(TimeoutError):
        messages.create(new(1))
    with pytest.raises(TimeoutError):
        messages.create_many([new(1), new(2)])
    assert messages.get("m1") is None


@pytest.mark.parametrize("reference", ["", "nobody", "x" * 5000, "#", "\udc80"], ids=len)
def test_an_unknown_reference_finds_nothing(table: FakeDynamoDB, reference: str) -> None:
    messages.create(new(1))
    assert listed(reference) == [[]]


def test_a_cursor_belongs_to_its_reference(table: FakeDynamoDB) -> None:
    messages.create_many([new(n, reference) for n in range(4) for reference in ("a",)])
    page = list_messages({"client_reference": ["a"], "limit": ["1"]}, region="US", days=90)
    with pytest.raises(Problem, match="invalid_request"):
        list_messages({"client_reference": ["b"], "cursor": [page["cursor"]]}, region="US", days=90)
