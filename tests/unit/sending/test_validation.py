"""What is not Skycore's in a request: action, reference, flags, times, countries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from skycore.problems import Problem
from skycore.sending.validation import Rules, check_new, compose

RULES = Rules.of("US", "", 90)
SMS = {"to": "+1 774-319-9144", "from": "60856", "text": "Hello"}


def refused(body: dict, rules: Rules = RULES) -> Problem:
    with pytest.raises(Problem) as problem:
        compose(body, rules)
    return problem.value


def fields(problem: Problem) -> list[str]:
    return [error["field"] for error in problem.members["errors"]]


def test_the_default_action_is_sendsms_in_any_case():
    assert compose(SMS, RULES).action.name == "sendSMS"
    assert compose({**SMS, "action": "SENDsms"}, RULES).action.name == "sendSMS"


def test_what_is_ours_does_not_reach_skycore():
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    draft = compose(
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
def test_a_bad_field_of_ours_is_named(change, field):
    assert fields(refused({**SMS, **change})) == [field]


def test_all_bad_fields_are_named_together():
    problem = refused({"client_reference": 1, "text": "", "to": "x", "from": "60856"})
    assert set(fields(problem)) == {"client_reference", "text", "to"}


def test_an_unknown_action():
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
def test_countries(countries, to, allowed):
    rules = Rules.of("US", countries, 90)
    draft = compose({**SMS, "to": to}, rules)
    if allowed:
        check_new(draft, rules)
    else:
        with pytest.raises(Problem) as problem:
            check_new(draft, rules)
        assert problem.value.code == "country_not_allowed"


def test_a_message_that_would_be_late_is_no_new_message():
    # A repeat of one that was sent in time is: it gets the answer that was kept.
    draft = compose({**SMS, "expires_at": "2020-01-01T00:00:00Z"}, RULES)
    with pytest.raises(Problem) as problem:
        check_new(draft, RULES)
    assert fields(problem.value) == ["expires_at"]
