"""docs/campaigns.md: its program schedules everyone for 9:00, and its table follows the limits."""

from __future__ import annotations

import re
import sys
from collections import Counter
from datetime import UTC, datetime, time, timedelta
from math import ceil
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skycore import timestamps
from skycore.sending.batch import MAX_MESSAGES, enqueue_batch
from skycore.table.limits import BULK_DAY, BULK_MINUTE, Limits, Window
from tests.unit.sending.waiting_world import World, row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.unit.table.fake_dynamodb import FakeDynamoDB

RECIPE = (Path(__file__).resolve().parents[3] / "docs" / "campaigns.md").read_text()
ZONES = ["America/New_York", "America/Denver", "Europe/London", "Asia/Kathmandu", "Pacific/Apia"]
PEOPLE = [
    {"id": n, "number": f"+1774319{1000 + n}", "zone": ZONES[n % len(ZONES)]} for n in range(60)
]


class Client:
    """The client as far as the recipe uses it, on the table in memory."""

    world: World

    def __init__(self, url: str) -> None:
        assert url.startswith("https://")

    def send_batch(
        self, messages: Iterable[Any], *, template: Any, idempotency_key: str
    ) -> list[Any]:
        recipients = list(messages)
        assert len(recipients) <= MAX_MESSAGES
        known: dict[str, Any] = {"caller": "arn", "queue_url": "send", "policy": self.world.policy}
        body = {"template": template, "recipients": recipients}
        return list(enqueue_batch(body, key=idempotency_key, **known).body["messages"])


@pytest.fixture(scope="module")
def recipe() -> dict[str, Any]:
    module = ModuleType("skycore_client")
    module.Client, module.Problem = Client, type("Problem", (), {})  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "skycore_client", module)
        names: dict[str, Any] = {}
        exec("\n".join(re.findall(r"```python\n(.*?)```", RECIPE, re.DOTALL)), names)
    return names


def nine(person: dict[str, Any], day: Any) -> datetime:
    return datetime.combine(day, time(9), ZoneInfo(person["zone"])).astimezone(UTC)


def test_the_recipe_schedules_everyone_for_nine_and_repeats_nothing(
    recipe: dict[str, Any], table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Client.world = World(monkeypatch)  # on 23 November
    results = recipe["start"](PEOPLE)
    assert {one["status"] for one in results} == {"scheduled"}
    assert [one["message_id"] for one in recipe["start"](PEOPLE)] == [
        one["message_id"] for one in results
    ]
    people = {f"winter-{person['id']}": person for person in PEOPLE}
    for one in results:
        stored = row(one["message_id"])
        due = nine(people[one["client_reference"]], datetime(2026, 12, 1).date())  # noqa: DTZ001
        assert timestamps.from_text(str(stored.send_at)) == due
        assert timestamps.from_text(str(stored.deadline)) == due + timedelta(hours=8)
    assert world.calls == []


@settings(max_examples=100, deadline=None)
@given(
    zones=st.lists(st.sampled_from(ZONES), min_size=1, max_size=60),
    day=st.dates(datetime(2026, 1, 1).date(), datetime(2027, 12, 31).date()),  # noqa: DTZ001
    per_minute=st.integers(1, 20),
)
def test_no_minute_of_the_recipe_has_more_than_it_can_send_and_nobody_is_early(
    recipe: dict[str, Any], zones: list[str], day: Any, per_minute: int
) -> None:
    people = [{"id": n, "number": f"+{n}", "zone": zone} for n, zone in enumerate(zones)]
    planned = list(recipe["schedule"](people, day, per_minute))
    assert max(Counter(one["send_at"] for one in planned).values()) <= per_minute
    by_number = {one["to"]: datetime.fromisoformat(one["send_at"]) for one in planned}
    assert len(by_number) == len(people)
    latest = timedelta(minutes=ceil(len(people) / per_minute))
    for person in people:
        assert timedelta() <= by_number[person["number"]] - nine(person, day) < latest


def share(window: Window, limits: Limits) -> float:
    """Return the queued messages that a whole window lets through, beside its guard."""
    buckets = (window.span + 1) * window.width_ms
    most = dict(limits.windows(bulk=True))[window]
    return most * window.length_ms / buckets


ROW = re.compile(r"^\| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) (days|minutes) \|$", re.MULTILINE)


def test_the_table_states_what_the_limits_let_through() -> None:
    rows = ROW.findall(RECIPE)
    assert len(rows) == 4
    for second, minute, day, queued, takes, unit in rows:
        limits = Limits(int(second), int(minute), int(day))
        lane = 60_000_000 / limits.spacing_us(limits.lanes["shared"])
        pace = min(lane, share(BULK_MINUTE, limits))
        assert int(queued) == int(pace)
        days = 50_000 / share(BULK_DAY, limits)
        expected = (ceil(days), "days") if days > 1 else (ceil(50_000 / pace), "minutes")
        assert (int(takes), unit) == expected


def test_a_campaign_of_one_day_needs_the_day_limit_that_the_recipe_states() -> None:
    stated = int(re.findall(r"`MaxCallsPerDay` of ([\d,]+)", RECIPE)[0].replace(",", ""))
    assert (
        share(BULK_DAY, Limits(per_day=stated))
        >= 50_000
        > share(BULK_DAY, Limits(per_day=stated - 250))
    )
