"""Each role allows what its function calls over this whole run, and nothing else.

Runs last (see conftest.py), on the records of all the tests before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration import roles
from tests.integration.calls import Call, calls, outages, records, session_keys

if TYPE_CHECKING:
    from tests.integration.conftest import Stack

VERBS = ["ack", "store", "publish", "fetch", "send", "enqueue", "dispatch", "messages", "sweep"]
pytestmark = pytest.mark.needs_the_whole_run


@pytest.fixture(scope="module")
def functions(stack: Stack) -> dict[str, dict[str, Any]]:
    """The deployed functions by verb."""
    rows = stack.admin("lambda").list_functions(MaxItems=50)["Functions"]
    found = {row["FunctionName"].split("-")[1]: row for row in rows}
    assert sorted(found) == sorted(f"{verb.title()}Function" for verb in VERBS)
    return {verb: found[f"{verb.title()}Function"] for verb in VERBS}


@pytest.fixture(scope="module")
def recorded(stack: Stack) -> list[dict[str, Any]]:
    """The records of the whole run."""
    return list(records(stack))


@pytest.fixture(scope="module")
def seen(
    stack: Stack, functions: dict[str, dict[str, Any]], recorded: list[dict[str, Any]]
) -> dict[str, set[Call]]:
    """What each function called; a caller that is neither a function nor a user fails it."""
    by_name = {row["FunctionName"]: verb for verb, row in functions.items()}
    keys = {
        key: by_name[name]
        for key, name in session_keys(functions.values(), stack.emulator_secret).items()
    }
    found: dict[str, set[Call]] = {verb: set() for verb in VERBS}
    strangers = set()
    for record in recorded:
        key = record["AccessKeyId"]
        if key in keys:
            found[keys[key]] |= calls(record, stack.description["region"])
        elif key.startswith("ASIA") and key not in stack.example_keys:  # a role's session
            strangers.add(key)
    assert strangers == set(), "calls with the key of no function's role"
    return found


@pytest.fixture(scope="module")
def permissions(
    stack: Stack, functions: dict[str, dict[str, Any]]
) -> dict[str, list[roles.Allowed]]:
    """What each deployed role allows, without what local/adjust.py adds for the emulator."""
    iam = stack.admin("iam")
    found = {}
    for verb, row in functions.items():
        role = row["Role"].rpartition("/")[2]
        documents = [
            iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
            if name != "emulator-batch-calls"
        ]
        assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
        found[verb] = roles.allowed(documents)
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_records_name_each_function(seen: dict[str, set[Call]], verb: str) -> None:
    assert seen[verb]


@pytest.mark.parametrize("verb", VERBS)
def test_a_function_calls_nothing_that_its_role_does_not_allow(
    seen: dict[str, set[Call]], permissions: dict[str, list[roles.Allowed]], verb: str
) -> None:
    assert roles.missing(permissions[verb], seen[verb]) == []


@pytest.mark.parametrize("verb", VERBS)
def test_a_role_allows_nothing_that_its_function_does_not_call(
    seen: dict[str, set[Call]], permissions: dict[str, list[roles.Allowed]], verb: str
) -> None:
    assert roles.spare(verb, permissions[verb], seen[verb]) == []


def test_every_exception_is_for_something_that_a_role_allows(
    permissions: dict[str, list[roles.Allowed]],
) -> None:
    assert roles.useless_exceptions(permissions) == []


@pytest.mark.parametrize("verb", VERBS)
def test_a_function_was_refused_nothing_but_in_a_test_of_that(
    stack: Stack, functions: dict[str, dict[str, Any]], recorded: list[dict[str, Any]], verb: str
) -> None:
    """A refused call leaves no record, but it leaves a line in the function's log."""
    role = functions[verb]["Role"].rpartition("/")[2]
    meant = outages(recorded, role)
    refused = stack.admin("logs").filter_log_events(
        logGroupName=f"/aws/lambda/{stack.description['stack_name']}-{verb}",
        filterPattern='"AccessDenied"',
    )
    odd = [
        event["message"]
        for event in refused["events"]
        if not any(start <= event["timestamp"] / 1000 <= end for start, end in meant)
    ]
    assert odd == []
