"""Pages of messages: newest first, each once, with cursors that stay valid."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import Stack


def number() -> str:
    return f"1774319{random.randint(1000, 8999)}"


def pages(stack: Stack, query: str) -> Iterator[Any]:
    cursor = ""
    while True:
        answer = stack.get(f"/messages?{query}{cursor}")
        assert answer.status_code == 200, answer.text
        yield answer.json()["messages"]
        if answer.json()["cursor"] is None:
            return
        cursor = f"&cursor={answer.json()['cursor']}"


def test_pages_by_recipient_hold_each_message_once_newest_first(
    stack: Stack, sms: dict[str, Any]
) -> None:
    to = number()
    sent = [stack.post("/messages", {**sms, "to": to, "text": str(n)}).json() for n in range(5)]
    ids = [message["message_id"] for message in reversed(sent)]

    def listed(query: str) -> list[list[str]]:
        return [[message["message_id"] for message in page] for page in pages(stack, query)]

    assert until(lambda: listed(f"to={to}") == [ids])
    assert listed(f"to=%2B{to}&limit=2") == [ids[:2], ids[2:4], ids[4:]]
    assert listed(f"to=%2B1%20774-319-{to[-4:]}&limit=5") == [ids]
    since, until_ = (quote(sent[n]["created_at"]) for n in (1, 3))
    assert listed(f"to={to}&since={since}&until={until_}") == [ids[1:4]]


def test_pages_by_sender(stack: Stack, sms: dict[str, Any]) -> None:
    sender = str(random.randint(30000, 89999))
    sent = [stack.post("/messages", {**sms, "from": sender}).json() for _ in range(3)]
    ids = [message["message_id"] for message in reversed(sent)]
    found = [m["message_id"] for page in pages(stack, f"from={sender}&limit=2") for m in page]
    assert found == ids


def test_by_tracking_id(stack: Stack, sms: dict[str, Any]) -> None:
    sent = stack.post("/messages", sms).json()
    query = f"tracking_id={quote(sent['tracking_id'], safe='')}"
    (page,) = pages(stack, query)
    assert [message["message_id"] for message in page] == [sent["message_id"]]
    assert list(pages(stack, "tracking_id=nobody")) == [[]]


def test_a_query_that_cannot_be_answered_names_the_parameter(stack: Stack) -> None:
    answer = stack.get("/messages?to=17743199144&limit=101")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["limit"]
