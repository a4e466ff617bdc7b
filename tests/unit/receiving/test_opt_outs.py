"""What people say of being written to counts, whatever the clocks and numbers around it say."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pynamodb.connection.base import Connection

from skycore.postbacks.parser import read_postback
from skycore.receiving.receipts import record_opt_outs
from skycore.table import opt_outs
from tests.unit.table.tables import new_table

if TYPE_CHECKING:
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
PERSON, SENDER, OTHER = "17743199144", "60856", "60857"
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def senders(table: FakeDynamoDB) -> None:
    """The stack has sent from one number."""
    opt_outs._known_senders.clear()
    opt_outs.record_sender(SENDER)


def arrive(arrived: datetime, stated: datetime | str | None = None, **fields: Any) -> None:
    if stated is not None:
        fields["timestamp"] = stated if isinstance(stated, str) else stated.isoformat()
    body = json.dumps({name.rstrip("_").replace("_", "-"): value for name, value in fields.items()})
    for event in read_postback(body.encode(), arrived):
        record_opt_outs(event)


def text(
    words: str, arrived: datetime, stated: datetime | str | None = None, **changes: Any
) -> None:
    fields = {"code": "N211", "from_": PERSON, "to": SENDER, "message_text": words}
    arrive(arrived, stated, **{**fields, **changes})


def opted_in(arrived: datetime, stated: datetime | str | None = None, **changes: Any) -> None:
    fields = {"code": "N301", "mobile": PERSON, "shortcode": SENDER, "source": "MO"}
    arrive(arrived, stated, **{**fields, **changes})


def opted_out(arrived: datetime, stated: datetime | str | None = None, **changes: Any) -> None:
    opted_in(arrived, stated, **{"code": "N302", **changes})


def stopped(number: str = PERSON) -> set[str | None]:
    pairs = [(number, sender) for sender in (SENDER, OTHER, None)]
    return {sender for _, sender in opt_outs.opted_out(pairs)}


WRONG_CLOCKS = {
    "a year ahead": NOW + timedelta(days=365),
    "an hour ahead, wrong summer time": NOW + timedelta(hours=1),
    "an hour behind": NOW - timedelta(hours=1),
    "three minutes ahead": NOW + 3 * MINUTE,
    "36 minutes old": NOW - 36 * MINUTE,
    "unset": "1970-01-01T00:00:00Z",
    "year 1": "0001-01-01T00:00:00Z",
    "year 9999": "9999-12-31T23:59:59Z",
    "no offset": "2026-11-22 10:00:00",
    "no time": None,
}


@pytest.mark.parametrize("stated", WRONG_CLOCKS.values(), ids=WRONG_CLOCKS)
def test_a_start_by_a_wrong_clock_never_wins_over_a_later_stop(
    table: FakeDynamoDB, stated: Any
) -> None:
    text("START", NOW, stated)
    opted_in(NOW, stated)
    text("STOP", NOW + MINUTE, NOW + MINUTE)
    assert stopped() == {SENDER}


@pytest.mark.parametrize("stated", WRONG_CLOCKS.values(), ids=WRONG_CLOCKS)
def test_a_start_by_a_wrong_clock_never_wins_over_a_recent_stop(
    table: FakeDynamoDB, stated: Any
) -> None:
    text("STOP", NOW - MINUTE, NOW - MINUTE)
    text("START", NOW, stated)
    assert stopped() == {SENDER}


@pytest.mark.parametrize("stated", WRONG_CLOCKS.values(), ids=WRONG_CLOCKS)
def test_a_stop_by_a_wrong_clock_counts_as_of_its_arrival(table: FakeDynamoDB, stated: Any) -> None:
    text("START", NOW - MINUTE, NOW - MINUTE)
    text("STOP", NOW, stated)
    assert stopped() == {SENDER}
    text("START", NOW + MINUTE, NOW + MINUTE)
    assert stopped() == set()


def test_credible_times_decide_over_arrival(table: FakeDynamoDB) -> None:
    text("START", NOW, NOW)
    text("STOP", NOW + 25 * MINUTE, NOW - MINUTE)  # Skycore's last retry of an older message
    assert stopped() == set()
    text("STOP", NOW + 26 * MINUTE, NOW + MINUTE)
    assert stopped() == {SENDER}


def test_a_start_never_counts_later_than_it_arrived(table: FakeDynamoDB) -> None:
    text("START", NOW, NOW + timedelta(seconds=110))
    text("STOP", NOW + MINUTE, NOW + MINUTE)
    assert stopped() == {SENDER}


CLOCKS = st.one_of(
    st.none(),
    st.integers(-40, 5).map(lambda minutes: minutes * MINUTE),
    st.timedeltas(timedelta(days=-700), timedelta(days=700)),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from(["STOP", "START"]), st.integers(0, 60), CLOCKS), max_size=6),
    st.data(),
)
def test_no_order_and_no_clock_lets_a_doubtful_start_win(
    monkeypatch: pytest.MonkeyPatch, said: Any, data: Any
) -> None:
    """A start counts only by a credible time after the stop, or long after the stop's arrival."""
    monkeypatch.setattr(Connection, "client", new_table())
    opt_outs._known_senders.clear()
    opt_outs.record_sender(SENDER)
    for words, minutes, clock in data.draw(st.permutations(said)):
        arrived = NOW + minutes * MINUTE
        text(words, arrived, None if clock is None else arrived + clock)

    def latest(wanted: str, doubtful: timedelta) -> datetime:
        moments = [NOW - timedelta(days=9_999)]
        for words, minutes, clock in said:
            if words == wanted:
                arrived = NOW + minutes * MINUTE
                credible = clock is not None and -35 * MINUTE <= clock <= 2 * MINUTE
                moments.append(
                    arrived + clock if credible and clock is not None else arrived + doubtful
                )
        return max(moments)

    stop, start = latest("STOP", timedelta(0)), latest("START", -35 * MINUTE)
    if any(words == "STOP" for words, _, _ in said) and stop >= start:
        assert stopped() == {SENDER}


@pytest.mark.parametrize(
    "written", ["447700900999", "+447700900999", "tel:+447700900999", None], ids=str
)
def test_a_stop_to_a_substituted_sender_is_a_stop_for_all(
    table: FakeDynamoDB, written: str | None
) -> None:
    text("STOP", NOW, NOW, to=written)
    assert stopped() == {SENDER, OTHER, None}


def test_a_stop_to_a_sender_of_ours_is_a_stop_to_it(table: FakeDynamoDB) -> None:
    opt_outs._known_senders.clear()  # of another execution environment: the row tells
    text("STOP", NOW, NOW)
    assert stopped() == {SENDER}


def test_a_start_to_a_substituted_sender_lifts_nothing_else(table: FakeDynamoDB) -> None:
    text("STOP", NOW, NOW)
    text("START", NOW + MINUTE, NOW + MINUTE, to="447700900999")
    assert stopped() == {SENDER}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"source": "MO"}, {SENDER}),
        ({"source": "web"}, {SENDER}),
        ({"source": "WEB", "shortcode": None}, {SENDER, OTHER, None}),
        ({"source": "MO", "shortcode": OTHER}, {OTHER}),
        ({"source": "MANAGER"}, set()),
        ({"source": "API", "shortcode": None}, set()),
        ({"source": "IMPORTED AS UNSUBSCRIBED"}, set()),
        ({"source": None}, set()),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else str(len(value)),
)
def test_n302_counts_only_if_the_person_asked_for_it(
    table: FakeDynamoDB, changes: Any, expected: Any
) -> None:
    opted_out(NOW, NOW, **changes)
    assert stopped() == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"source": "SMS MO"}, {SENDER}),
        ({"source": "sms_mo"}, {SENDER}),
        ({"source": "WEB/MO"}, {SENDER}),
        ({"source": "MOBILE APP"}, set()),
        ({"shortcode": f"{SENDER},{OTHER}"}, {SENDER, OTHER}),
        ({"shortcode": f"{SENDER} {OTHER}"}, {SENDER, OTHER}),
        ({"shortcode": "608-56"}, {SENDER}),
        ({"shortcode": 60856.0}, {SENDER}),
        ({"shortcode": "none"}, {SENDER, OTHER, None}),
        ({"to": SENDER}, {SENDER}),
        ({"mobile": None, "to": PERSON}, {SENDER}),
        ({"mobile": None, "from_": PERSON}, {SENDER}),
        ({"mobile": None, "from_": PERSON, "to": SENDER}, {SENDER}),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else str(len(value)),
)
def test_no_opt_out_is_lost_to_the_form_of_its_notification(
    table: FakeDynamoDB, changes: Any, expected: Any
) -> None:
    opted_out(NOW, NOW, **changes)
    assert stopped() == expected


@pytest.mark.parametrize("changes", [{"source": "SMS MO"}, {"shortcode": f"{SENDER},{OTHER}"}])
def test_an_opt_in_in_a_doubtful_form_lifts_nothing(table: FakeDynamoDB, changes: Any) -> None:
    text("STOP", NOW, NOW)
    opted_in(NOW + MINUTE, NOW + MINUTE, **changes)
    assert stopped() == {SENDER}


@pytest.mark.parametrize(
    "words",
    [
        {"message_subject": "NoSubject", "keyword": "STOP"},
        {"message_subject": "Hello", "message_text": "STOP"},
        {"message_subject": "STOP", "message_text": "Hello"},
    ],
    ids=str,
)
def test_no_part_of_an_mms_hides_a_stop_in_another(
    table: FakeDynamoDB, words: dict[str, Any]
) -> None:
    files = [{"file": "http://example.com/a.jpg"}]
    arrive(NOW, NOW, code="N401", from_=PERSON, to=SENDER, tracking_id="1", content=files, **words)
    assert stopped() == {SENDER}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"source": "MO"}, set()),
        ({"source": "Web"}, set()),
        ({"source": "MO", "shortcode": None}, {SENDER}),
        ({"source": "MO", "shortcode": OTHER}, {SENDER}),
        ({"source": "MANAGER"}, {SENDER}),
        ({"source": "MANAGER", "shortcode": None}, {SENDER}),
        ({"source": "API"}, {SENDER}),
        ({"source": None}, {SENDER}),
    ],
    ids=str,
)
def test_n301_lifts_only_what_the_person_lifts(
    table: FakeDynamoDB, changes: Any, expected: Any
) -> None:
    text("STOP", NOW, NOW)
    opted_in(NOW + MINUTE, NOW + MINUTE, **changes)
    assert stopped() == expected


def test_an_undated_opt_in_between_two_undated_opt_outs_lifts_nothing(table: FakeDynamoDB) -> None:
    """The second N302 is a repeat of the first for all that can be known, and is not stored."""
    opted_out(NOW)
    opted_in(NOW + 5 * MINUTE)
    assert stopped() == {SENDER}


@pytest.mark.parametrize(
    ("written", "sent_to"),
    [
        ("5215562000000", "525562000000"),
        ("541112345678", "5491112345678"),
        ("551187654321", "5511987654321"),
        ("7743199144", PERSON),
        ("0017743199144", PERSON),
        ("+17743199144/TYPE=PLMN", PERSON),
        ("tel:+17743199144", PERSON),
        ("\u202d+1 774 319 9144\u202c", PERSON),
    ],
)
def test_a_stop_counts_however_the_number_is_written(
    table: FakeDynamoDB, written: str, sent_to: Any
) -> None:
    text("STOP", NOW, NOW, from_=written)
    assert stopped(sent_to) == {SENDER}


def test_yes_answers_a_question_and_lifts_nothing(table: FakeDynamoDB) -> None:
    text("STOP", NOW, NOW)
    text("YES", NOW + MINUTE, NOW + MINUTE)
    assert stopped() == {SENDER}
