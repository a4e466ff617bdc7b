"""What each function's role allows against what the function was seen to call.

What a role must allow although a run does not call it stands below, each with its reason; nothing
else may be spare, and nothing that was called may be missing.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.integration.calls import Call

UNNAMED = "the emulator's records of S3 name no object; test_media.py sees that it is called"
POLLER = "the event source uses the role; the emulator polls by itself"
LOGGER = "the Lambda service writes the logs with the role; the emulator by itself"
# Function, action, a part of the resource's name, and why no run calls it.
EXCEPTIONS = (
    ("*", "logs:CreateLogStream", "", LOGGER),
    ("*", "logs:PutLogEvents", "", LOGGER),
    ("store", "sqs:ReceiveMessage", "PostbackQueue", POLLER),
    ("store", "sqs:DeleteMessage", "PostbackQueue", POLLER),
    ("store", "sqs:GetQueueAttributes", "PostbackQueue", POLLER),
    ("store", "sqs:SendMessage", "PostbackQueue", "only when large bodies take all the time"),
    ("publish", "sqs:ReceiveMessage", "PublishRetryQueue", POLLER),
    ("publish", "sqs:DeleteMessage", "PublishRetryQueue", POLLER),
    ("publish", "sqs:GetQueueAttributes", "PublishRetryQueue", POLLER),
    ("publish", "dynamodb:DescribeStream", "", POLLER),
    ("publish", "dynamodb:GetRecords", "", POLLER),
    ("publish", "dynamodb:GetShardIterator", "", POLLER),
    ("publish", "dynamodb:ListStreams", "", POLLER),
    ("publish", "sqs:SendMessage", "PublishDeadLetterQueue", POLLER),
    ("publish", "sqs:SendMessage", "PublishRetryQueue", "only while SNS refuses"),
    ("publish", "dynamodb:GetItem", "", "only for a message's step that SNS refused before"),
    ("fetch", "sqs:ReceiveMessage", "MediaQueue", POLLER),
    ("fetch", "sqs:DeleteMessage", "MediaQueue", POLLER),
    ("fetch", "sqs:GetQueueAttributes", "MediaQueue", POLLER),
    ("fetch", "s3:PutObject", "", UNNAMED),
    ("messages", "s3:GetObject", "", UNNAMED),
    ("fetch", "dynamodb:DeleteItem", "", "only after an erasure during a download"),
    ("fetch", "s3:ListBucket", "", "only after an erasure during a download"),
    ("fetch", "s3:DeleteObject", "", "only after an erasure during a download"),
    ("dispatch", "sqs:ReceiveMessage", "SendQueue", POLLER),
    ("dispatch", "sqs:DeleteMessage", "SendQueue", POLLER),
    ("dispatch", "sqs:GetQueueAttributes", "SendQueue", POLLER),
    ("dispatch", "sqs:SendMessage", "SendDeadLetterQueue", "after tries over 20 minutes in all"),
    ("enqueue", "dynamodb:GetItem", "", "only where two calls with one key meet"),
    ("sweep", "dynamodb:PutItem", "", "only while messages wait for a pause to end"),
)


class Allowed(NamedTuple):
    """One action on one resource, which may end in a wildcard, for keys of these forms."""

    action: str
    resource: str
    keys: tuple[str, ...] = ("*",)

    def covers(self, call: Call) -> bool:
        """Whether it allows the call."""
        return (
            self.action == call.action
            and fnmatchcase(call.resource, self.resource)
            and any(fnmatchcase(call.key, key) for key in self.keys)
        )


def allowed(documents: Iterable[dict[str, Any]]) -> list[Allowed]:
    """What policy documents allow, one action and one resource at a time."""
    found = []
    for document in documents:
        for statement in document["Statement"]:
            assert statement["Effect"] == "Allow"
            keys = _leading_keys(statement.get("Condition", {}))
            found += [
                Allowed(action, resource, keys)
                for action in _list(statement["Action"])
                for resource in _list(statement["Resource"])
            ]
    return found


def missing(permissions: Iterable[Allowed], seen: Iterable[Call]) -> list[Call]:
    """The calls that nothing allows."""
    known = list(permissions)
    return sorted(call for call in seen if not any(one.covers(call) for one in known))


def spare(
    function: str, permissions: Iterable[Allowed], seen: Iterable[Call]
) -> list[tuple[str, str, str]]:
    """What is allowed and was not called: action, resource, and the form of key or `*`.

    A form of key is spare if none of the actions that it is allowed for were called with it.
    """
    known, calls = list(permissions), set(seen)
    found = set()
    for one in known:
        if _excepted(function, one):
            continue
        if not any(one.covers(call) for call in calls):
            found.add((one.action, one.resource, "*"))
        alike = [other for other in known if (other.resource, other.keys) == one[1:]]
        for key in one.keys:
            narrow = [other._replace(keys=(key,)) for other in alike]
            if not any(part.covers(call) for part in narrow for call in calls):
                found.add((one.action, one.resource, key))
    return sorted(found)


def useless_exceptions(permissions: dict[str, list[Allowed]]) -> list[tuple[str, ...]]:
    """Exceptions for what no role allows any more."""
    return [
        row
        for row in EXCEPTIONS
        if not any(
            _fits(row, function, one) for function, known in permissions.items() for one in known
        )
    ]


def _excepted(function: str, one: Allowed) -> bool:
    return any(_fits(row, function, one) for row in EXCEPTIONS)


def _fits(row: tuple[str, str, str, str], function: str, one: Allowed) -> bool:
    of, action, name, _ = row
    return of in {function, "*"} and action == one.action and name in one.resource


def _leading_keys(condition: dict[str, Any]) -> tuple[str, ...]:
    """The forms of partition key that a condition leaves; any other condition fails the test."""
    if not condition:
        return ("*",)
    ((operator, keys),) = condition.items()
    assert (operator, list(keys)) == ("ForAllValues:StringLike", ["dynamodb:LeadingKeys"])
    return tuple(_list(keys["dynamodb:LeadingKeys"]))


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
