"""The corpus of postbacks through the deployed stack: what was posted is what subscribers read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.contract.test_postback_corpus import BODIES, SCHEMA, expected
from tests.integration.conftest import Stack, until

# Of the stack or of the moment, not of the body.
OURS = {"time", "source", "received_at"}


def plain(event: dict[str, Any]) -> dict[str, Any]:
    """The event without what differs between a stack at work and the files."""
    data = {name: value for name, value in event["data"].items() if name not in OURS}
    kept = {name: value for name, value in event.items() if name not in OURS}
    time = event["time"] if data["timestamp"] else None
    return {**kept, "time": time, "data": data}


def content(event: dict[str, Any]) -> str:
    """What an event without an id of its own can be told by."""
    return json.dumps({**plain(event), "id": None}, sort_keys=True)


def received(stack: Stack) -> dict[str, dict[str, Any]]:
    """All events that came so far, by id; each call receives up to ten more."""
    stack._events.update({event["id"]: event for event in stack.client.receive()})
    return stack._events


@pytest.fixture(scope="module")
def posted(stack: Stack) -> Stack:
    """The stack, once it has told every event of the corpus, or the deadline has passed."""
    for name in BODIES:
        answer = stack.postback(BODIES[name].read_bytes(), "application/octet-stream")
        assert answer == (200, b""), name
    wanted = [event for name in BODIES for event in expected(name)]

    def all_came() -> bool:
        came = received(stack)
        contents = {content(event) for event in came.values()}
        return all(event["id"] in came or content(event) in contents for event in wanted)

    until(all_came)
    return stack


@pytest.mark.parametrize("name", BODIES)
def test_a_body_of_the_corpus_is_told_as_expected(posted, name):
    came = posted._events
    variants = [plain(event) for other in BODIES for event in expected(other)]
    for event in expected(name):
        told = came.get(event["id"])
        if told is None:
            # Its id depends on when its content first came, and here on nothing else.
            told = {content(one): one for one in came.values()}.get(content(event))
            assert told is not None, "not told"
        else:
            # The first copy of a notification stays, whichever of its forms that was.
            assert plain(told) in [one for one in variants if one["id"] == event["id"]]
        Draft202012Validator(SCHEMA).validate(told)


def test_unreadable_bodies_are_kept_as_their_bytes(posted):
    for name in BODIES:
        for event in expected(name):
            if event["type"] == "skycore.unparsed":
                kept = posted.get(f"/postbacks/{event['id']}").json()
                assert kept["raw"] == event["data"]["raw"], name
