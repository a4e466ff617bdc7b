"""The Python client knows what the product can answer and report, and shares no code with it."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import pytest

from local.openapi.answers import GATEWAY
from skycore.catalogue.statuses import OWN_STEPS, RANKS
from skycore.problems import TITLES
from skycore_client import RANKS as CLIENT_RANKS
from skycore_client import MessageEvent, errors, parse_event
from tests.contract.test_postback_corpus import BODIES, expected
from tests.sample_events import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

FOR_SKYCORE_ALONE = {"not_stored"}
CODES = ROOT / "layers" / "skycore" / "skycore" / "catalogue" / "postback_codes.csv"


def test_every_problem_has_a_class() -> None:
    codes = {*TITLES, *GATEWAY.values()} - FOR_SKYCORE_ALONE
    assert codes <= set(errors.BY_CODE)


def test_a_message_moves_through_the_same_statuses() -> None:
    # The stack itself moves a redriven message on, whatever its rank; events come in any order.
    assert {**RANKS, "rejected": 26} == CLIENT_RANKS


def test_a_redriven_message_is_seen_to_be_accepted_and_delivered() -> None:
    ranks = [CLIENT_RANKS[status] for status in ("unknown", "rejected", "accepted", "delivered")]
    assert ranks == sorted(set(ranks))


def steps() -> Iterator[tuple[str, str]]:
    """Yield each event that moves a message, with the status that it has then."""
    yield from ((f"message_{step}", step) for step in OWN_STEPS)
    with CODES.open(encoding="utf-8", newline="") as file:
        yield from ((row["event"], row["step"]) for row in csv.DictReader(file) if row["step"])


@pytest.mark.parametrize(("name", "status"), list(steps()))
def test_an_event_says_the_status_that_the_stack_gives_the_message(name: Any, status: Any) -> None:
    parsed = parse_event(
        {"id": "1", "type": f"skycore.{name}", "time": "2026-11-22T18:17:25Z", "data": {}}
    )
    assert isinstance(parsed, MessageEvent)
    assert parsed.status == status


@pytest.mark.parametrize("name", BODIES)
def test_every_event_is_parsed(name: Any) -> None:
    for event in expected(name):
        assert parse_event(event).id == event["id"]
