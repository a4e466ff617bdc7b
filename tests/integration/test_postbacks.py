"""Postbacks of each kind through the deployed stack: subscribers read what was posted.

tests/contract/test_postback_path.py walks the whole corpus.
"""

from __future__ import annotations

import base64
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.test_postback_corpus import BODIES, expected
from tests.contract.test_postback_path import check_published, content

if TYPE_CHECKING:
    from tests.integration.conftest import Stack

KINDS = (
    "sms-delivered-n202",  # plain XML
    "form-encoded-whole",  # a form
    "sms-mo-v2",  # JSON
    "encoding-utf-16-bom",  # bytes that are not UTF-8, which go as base64
    "xml-two-documents",
    "legacy-batch",  # several notifications, whose body has a row of its own
    "xml-unknown-code",
    "email-sub-n303",  # an event without a time of its own
    "unparsed-empty",
    "unparsed-binary",
)


@pytest.fixture(scope="module")
def posted(stack: Stack) -> Any:
    """Post a body of each kind, and wait until subscribers have their events."""
    for name in KINDS:
        assert stack.postback(BODIES[name].read_bytes(), "application/octet-stream") == (200, b"")
    wanted = [event for name in KINDS for event in expected(name)]
    for event in wanted:
        stack.event(lambda it, e=event: it["id"] == e["id"] or content(it) == content(e))
    return stack


@pytest.mark.parametrize("name", KINDS)
def test_a_postback_of_each_kind_is_published_as_expected(posted: Any, name: str) -> None:
    check_published(name, posted.events)


def test_postbacks_that_come_again_are_not_published_again(posted: Any) -> None:
    """Store reads what it has of them, for which its role needs the rows of whole bodies."""
    ids = [event["id"] for name in KINDS for event in expected(name)]
    before = [posted.events.pop(id_) for id_ in ids if id_ in posted.events]
    assert len(before) > len(KINDS) / 2
    for name in KINDS:
        assert posted.postback(BODIES[name].read_bytes(), "application/octet-stream") == (200, b"")
    mark = uuid.uuid4().hex
    assert posted.postback(f"{mark}: after them".encode())[0] == 200
    raw = base64.b64encode(f"{mark}: after them".encode()).decode()
    posted.event(lambda event: event["data"]["raw"] == raw)
    again = [id_ for id_ in ids if id_ in posted.events]
    posted.events.update({event["id"]: event for event in before})
    assert again == []


def test_unreadable_bodies_are_kept_as_their_bytes(posted: Any) -> None:
    for name in ("unparsed-empty", "unparsed-binary"):
        (event,) = expected(name)
        # Its id depends on when it first came.
        published = {content(one): one["id"] for one in posted.events.values()}
        kept = posted.get(f"/postbacks/{published[content(event)]}").json()
        assert kept["raw"] == event["data"]["raw"], name
