"""What is not Skycore's in a request: action, reference, flags, times, countries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from skycore.catalogue.actions import all_actions, find_action
from skycore.problems import Problem
from skycore.sending.policy import SendPolicy
from skycore.sending.validation import check_countries, check_sendable, parse_message

RULES = SendPolicy.of("US", "", 90)
SMS = {"to": "+1 774-319-9144", "from": "60856", "text": "Hello"}


def refused(body: dict[str, Any], rules: SendPolicy = RULES) -> Problem:
    with pytest.raises(Problem) as problem:
        parse_message(body, rules)
    return problem.value


def fields(problem: Problem) -> list[str]:
    errors: Any = problem.members["errors"]
    return [error["field"] for error in errors]


def test_the_default_action_is_sendsms_in_any_case() -> None:
    assert parse_message(SMS, RULES).action.name == "sendSMS"
    assert parse_message({**SMS, "action": "SENDsms"}, RULES).action.name == "sendSMS"


def test_what_is_ours_does_not_reach_skycore() -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    draft = parse_message(
        {
            **SMS,
            "client_reference": "r",
            "expires_at": later,
            "dry_run": True,
            "opt_out_confirmation": True,
        },
        RULES,
    )
    assert draft.fields == {"to": "17743199144", "from": "60856", "text": "Hello"}
    assert (draft.client_reference, draft.dry_run, draft.opt_out_confirmation) == ("r", True, True)
    assert draft.expires_at is not None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"action": 7}, "action"),
        ({"action": "getMmsIds"}, "action"),
        ({"client_reference": ""}, "client_reference"),
        ({"client_reference": "x" * 256}, "client_reference"),
        ({"client_reference": "a\nb"}, "client_reference"),
        ({"client_reference": ["r"]}, "client_reference"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": "2090-01-01T00:00:00"}, "expires_at"),
        ({"expires_at": 5}, "expires_at"),
        ({"dry_run": "yes"}, "dry_run"),
        ({"opt_out_confirmation": 1}, "opt_out_confirmation"),
    ],
)
def test_a_bad_field_of_ours_is_named(change: Any, field: str) -> None:
    assert fields(refused({**SMS, **change})) == [field]


def test_all_bad_fields_are_named_together() -> None:
    problem = refused({"client_reference": 1, "text": "", "to": "x", "from": "60856"})
    assert set(fields(problem)) == {"client_reference", "text", "to"}


def test_an_unknown_action() -> None:
    assert refused({**SMS, "action": "sendPigeon"}).code == "unknown_action"


@pytest.mark.parametrize(
    ("countries", "to", "allowed"),
    [
        ("", "+4915112345678", True),
        ("1", "+17743199144", True),
        ("1", "+4915112345678", False),
        ("1, +49", "+4915112345678", True),
        ("44,49", "+17743199144", False),
    ],
)
def test_countries(countries: str, to: str, allowed: bool) -> None:
    rules = SendPolicy.of("US", countries, 90)
    draft = parse_message({**SMS, "to": to}, rules)
    if allowed:
        check_sendable(draft, rules)
    else:
        with pytest.raises(Problem) as problem:
            check_sendable(draft, rules)
        assert problem.value.code == "country_not_allowed"


def allowed(action_name: str, fields: dict[str, Any], rules: SendPolicy) -> bool:
    action = find_action(action_name)
    assert action is not None
    try:
        check_countries(action, fields, rules)
    except Problem as problem:
        return problem.code != "country_not_allowed"
    return True


@pytest.mark.parametrize(
    ("codes", "countries", "to", "expected"),
    [
        ("", "US", "17743199144", True),
        ("", "US", "18765550123", False),  # Jamaica
        ("", "US", "18095551234", False),  # Dominican Republic
        ("", "US", "12425551234", False),  # Bahamas
        ("", "US", "16135550123", False),  # Canada
        ("", "US,CA", "16135550123", True),
        ("", "us, jm", "18765550123", True),
        ("", "GB", "447400123456", True),
        ("", "GB", "447797712345", False),  # Jersey
        ("", "GB", "447624123456", False),  # Isle of Man
        ("", "RU", "77001234567", False),  # Kazakhstan
        ("", "US", "19990000120", False),  # of no country that is known
        ("1", "US", "17743199144", True),
        ("1", "US", "18765550123", False),
        ("44", "US", "17743199144", False),
        ("1", "US,GB", "447400123456", False),
        ("", "", "18765550123", True),
    ],
)
def test_countries_are_told_apart_where_they_share_a_calling_code(
    codes: str, countries: str, to: str, expected: bool
) -> None:
    rules = SendPolicy.of("US", codes, 90, countries)
    assert allowed("sendSMS", {"to": to, "from": "447797712345"}, rules) is expected


JAMAICA = {"to": "18765550123", "mobile": "18765550123", "from": "18765550123"}


@pytest.mark.parametrize("action", all_actions(), ids=lambda action: action.name)
def test_every_recipient_of_every_action_is_checked_and_nothing_else(action: Any) -> None:
    """Leaving a list, reading and deleting are possible from everywhere."""
    recipients = {one.name for one in action.parameters if one.kind == "msisdn"}
    checked = bool(recipients) and (action.effect == "send" or action.name == "subscribe")
    rules = SendPolicy.of("US", "", 90, "US")
    assert allowed(action.name, JAMAICA, rules) is not checked
    assert allowed(action.name, JAMAICA, SendPolicy.of("US", "44", 90)) is not checked
    for name in recipients:
        home = {name: "17743199144", "from": "18765550123"}
        assert allowed(action.name, home, rules)


@pytest.mark.parametrize("action", all_actions(), ids=lambda action: action.name)
def test_campaign_sends_are_those_whose_numbers_only_skycore_knows(action: Any) -> None:
    off, on = SendPolicy.of("US", "", 90, "", "off"), SendPolicy.of("US", "", 90, "US", "on")
    unknown = action.name in {"sendSavedMMSCampaign", "sendMessageBySubscriberRef"}
    assert allowed(action.name, {}, off) is not unknown
    assert allowed(action.name, {}, on)


def test_a_message_that_would_be_late_is_no_new_message() -> None:
    # A repeat of one that was sent in time is: it gets the answer that was kept.
    draft = parse_message({**SMS, "expires_at": "2020-01-01T00:00:00Z"}, RULES)
    with pytest.raises(Problem) as problem:
        check_sendable(draft, RULES)
    assert fields(problem.value) == ["expires_at"]
