"""The corpus of postbacks through ack, store and publish: subscribers get what was posted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from tests.contract.test_postback_corpus import BODIES, expected
from tests.event_schema import STRICT

if TYPE_CHECKING:
    from tests.contract.in_process import InProcess

# Of the stack or of the moment, not of the body.
OURS = {"time", "source", "received_at"}
type Event = dict[str, Any]


def plain(event: Event) -> Event:
    """Return the event without what differs between a stack at work and the files."""
    data = {name: value for name, value in event["data"].items() if name not in OURS}
    kept = {name: value for name, value in event.items() if name not in OURS}
    time = event["time"] if event["time"] == data["timestamp"] else None
    return {**kept, "time": time, "data": data}


def content(event: Event) -> str:
    """Return what identifies an event whose id depends on when its content first came."""
    return json.dumps({**plain(event), "id": None}, sort_keys=True)


def check_published(name: str, published: dict[str, Event]) -> None:
    """Check that a body's events are among the published ones (by id), as expected and valid."""
    variants = [plain(event) for other in BODIES for event in expected(other)]
    for event in expected(name):
        found = published.get(event["id"])
        if found is None:
            found = {content(one): one for one in published.values()}.get(content(event))
            assert found is not None, "not published"
        else:
            # The first copy of a notification stays, whichever of its forms that was.
            assert plain(found) in [one for one in variants if one["id"] == event["id"]]
        Draft202012Validator(STRICT).validate(found)


@pytest.fixture(scope="module")
def published(stack: InProcess) -> dict[str, Event]:
    """Post every body; return the published events by id."""
    for name in BODIES:
        answer = stack.postback(BODIES[name].read_bytes())
        assert (answer.status_code, answer.text) == (200, ""), name
    return {event["id"]: event for event in stack.events()}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_of_the_corpus_is_published_as_expected(
    published: dict[str, Event], name: str
) -> None:
    check_published(name, published)


def test_unreadable_bodies_are_kept_as_their_bytes(
    stack: InProcess, published: dict[str, Event]
) -> None:
    unparsed = [one for one in published.values() if one["type"] == "skycore.unparsed"]
    kept = {stack.get(f"/postbacks/{one['id']}").json()["raw"] for one in unparsed}
    for name in BODIES:
        for event in expected(name):
            if event["type"] == "skycore.unparsed":
                assert event["data"]["raw"] in kept, name
