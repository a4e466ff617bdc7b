"""Quiet hours hold at every place where the recipient may be, across changes of the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers.tzdata import TIMEZONE_DATA

from skycore.problems import Problem
from skycore.sending import policy
from skycore.sending.policy import (
    MIN_FREE,
    QuietHours,
    time_zones_of,
    time_zones_of_region,
)
from tests.unit.sending.waiting_world import World, row

if TYPE_CHECKING:
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

NIGHT = QuietHours(21 * 60, 8 * 60, "US")
BOSTON, LONDON, TOLL_FREE, UNKNOWN = "17743199144", "447911123456", "18002221234", "999"
MINUTE = timedelta(minutes=1)
# Two days around each change of the clock in New York, London, Sydney and Lord Howe Island.
CHANGES = [datetime(2026, month, day, tzinfo=UTC) for month, day in ((3, 8), (3, 29), (4, 5))]
CHANGES += [datetime(2026, month, day, tzinfo=UTC) for month, day in ((10, 4), (10, 25), (11, 1))]
ZONES = [
    *("America/New_York", "Europe/London", "Australia/Sydney", "Australia/Lord_Howe"),
    *("Asia/Kathmandu", "America/St_Johns", "Pacific/Apia", "UTC"),
]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("number", "time", "free"),
    [
        (BOSTON, "2026-11-23T14:00", "2026-11-23T14:00"),  # 9 in the morning
        (BOSTON, "2026-11-23T12:59", "2026-11-23T13:00"),  # 7:59
        (BOSTON, "2026-11-24T02:00", "2026-11-24T13:00"),  # 21:00 the evening before
        (BOSTON, "2026-11-24T01:59", "2026-11-24T01:59"),
        (BOSTON, "2026-03-08T06:00", "2026-03-08T12:00"),  # the night in which summer time begins
        (BOSTON, "2026-11-01T04:00", "2026-11-01T13:00"),  # and in which it ends
        (LONDON, "2026-11-23T03:00", "2026-11-23T08:00"),
        (LONDON, "2026-07-23T03:00", "2026-07-23T07:00"),
        (UNKNOWN, "2026-11-23T12:59", "2026-11-23T18:00"),  # all of the US: 8:00 in Hawaii
        (TOLL_FREE, "2026-11-23T12:59", "2026-11-23T22:00"),  # all of +1: 8:00 in Guam
    ],
)
def test_it_waits_until_the_morning_of_the_recipient(number: str, time: str, free: str) -> None:
    assert NIGHT.next_free(number, utc(time)) == utc(free)


def test_zones_that_leave_too_little_of_the_day_do_not_count() -> None:
    """Guam and Puerto Rico share +1: it is between 8 and 20 in both for 90 minutes a day."""
    night = QuietHours(20 * 60, 8 * 60, "US")
    zones = [ZoneInfo(name) for name in time_zones_of(TOLL_FREE)]
    at = utc("2026-11-23T12:00")
    assert 0 < policy._free_minutes(night, policy._offsets(zones, at)) < MIN_FREE
    counted = {zone.key for zone in night._zones(TOLL_FREE, at)}
    assert counted == set(time_zones_of_region("US"))


def test_a_region_that_leaves_no_time_never_stops_its_messages_for_ever() -> None:
    long = QuietHours(12 * 60, 11 * 60, "US")  # one free hour a day, in no two zones at once
    assert [zone.key for zone in long._zones(UNKNOWN, utc("2026-11-23T12:00"))] == [
        "America/New_York"
    ]
    assert long.next_free(UNKNOWN, utc("2026-11-23T12:00")) == utc("2026-11-23T16:00")


@settings(max_examples=150, deadline=None)
@given(
    change=st.sampled_from(CHANGES),
    before=st.integers(0, 2 * 1440),
    zones=st.sets(st.sampled_from(ZONES), min_size=1, max_size=3),
    start=st.integers(0, 1439),
    length=st.integers(1, 1439),
)
def test_the_next_free_moment_is_the_first_that_no_clock_calls_quiet(
    change: datetime, before: int, zones: set[str], start: int, length: int
) -> None:
    """Compared with a search minute by minute, around the changes of the clock."""
    hours = QuietHours(start, (start + length) % 1440, "US")
    time = change + timedelta(days=1) - timedelta(minutes=before)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy, "time_zones_of", lambda _: tuple(zones))
        counted = hours._zones("1", time)
        free = hours.next_free("1", time)

    def quiet(moment: datetime) -> bool:
        local = [moment.astimezone(zone) for zone in counted]
        return any(hours.include(at.hour * 60 + at.minute) for at in local)

    assert not quiet(free)
    assert all(quiet(time + n * MINUTE) for n in range((free - time) // MINUTE))
    assert free - time <= timedelta(days=2)


def test_every_time_zone_of_a_number_is_known() -> None:
    """One that is not would fail each message to that number."""
    known = available_timezones()
    names = {name for zones in TIMEZONE_DATA.values() for name in zones}
    assert names - known == set()
    assert len(names) > 250


def test_a_number_of_no_known_kind_has_the_zones_of_its_prefix() -> None:
    assert time_zones_of("17745550199") == ("America/New_York",)
    assert time_zones_of(UNKNOWN) == ()
    assert time_zones_of_region("XX") == ("UTC",)
    assert time_zones_of_region("GB") == ("Europe/London",)


@pytest.mark.parametrize("text", ["21:00", "21:00-21:00", "25:00-08:00", "21-8", "a-b", "-"])
def test_a_parameter_that_states_no_hours_is_an_error(text: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says, no function starts
        QuietHours.of(text, "US")
    assert QuietHours.of("", "US") is None
    assert QuietHours.of("21:00-08:00", "US") == NIGHT


@pytest.fixture
def world(table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch) -> World:
    """It is 4:00 in Boston, and 9:00 in London."""
    made = World(monkeypatch)
    made.quiet("21:00-08:00")
    return made


def wake(world: World) -> None:
    """Let the time pass until 8:02 in Boston."""
    world.skip(hours=3, minutes=58)
    world._next_sweep = world.now
    world.run(minutes=4)


def test_a_queued_message_waits_as_queued_until_the_morning(world: World) -> None:
    boston, london = world.enqueue(), world.enqueue(to=f"+{LONDON}")
    world.run(seconds=5)
    assert (row(boston).status, row(london).status) == ("queued", "accepted")
    wake(world)
    assert row(boston).status == "accepted"
    assert utc("2026-11-23T13:00") <= world.accepted_at()[1] <= utc("2026-11-23T13:02:30")


def test_a_scheduled_message_waits_for_the_morning_too(world: World) -> None:
    id_ = world.enqueue(send_at="2026-11-23T05:00:00-05:00")
    world.run(seconds=30)
    wake(world)
    assert world.accepted_at()[0] >= utc("2026-11-23T13:00")
    assert row(id_).status == "accepted"


@pytest.mark.parametrize(
    "fields",
    [
        {"quiet_hours": "ignore"},
        {"opt_out_confirmation": True},
        {
            "action": "sendSavedMMSCampaign",
            "mms_id": "1",
            "to_campaign": "1",
            "to": None,
            "from": None,
            "text": None,
        },
    ],
    ids=lambda fields: str(next(iter(fields))),
)
def test_what_does_not_keep_quiet_hours_goes_at_once(world: World, fields: dict[str, Any]) -> None:
    world.enqueue(**fields)
    world.run(seconds=5)
    assert len(world.accepted_at()) == 1


def test_a_synchronous_send_goes_at_once(world: World) -> None:
    assert world.send().status == 201


@pytest.mark.parametrize("hours", [{}, {"send_at": "2026-11-23T10:00:00Z"}])
def test_a_message_that_expires_before_the_morning_is_refused(
    world: World, hours: dict[str, Any]
) -> None:
    with pytest.raises(Problem, match="quiet_hours"):
        world.enqueue(expires_at="2026-11-23T13:00:00Z", **hours)
    world.enqueue(expires_at="2026-11-23T13:00:01Z", **hours)
    world.enqueue(expires_at="2026-11-23T12:00:00Z", quiet_hours="ignore")
    world.enqueue(to=f"+{LONDON}", expires_at="2026-11-23T11:00:00Z", **hours)


@pytest.mark.parametrize("value", ["Ignore", "off", True, {}, 0, ""])
def test_another_value_of_quiet_hours_is_refused(world: World, value: Any) -> None:
    with pytest.raises(Problem, match="invalid_request"):
        world.enqueue(quiet_hours=value)
