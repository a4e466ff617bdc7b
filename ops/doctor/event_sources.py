"""Checks of what starts the functions: event sources, and how many may run at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ops.doctor.check import Check, Finding
from ops.doctor.deployment import template

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.doctor.deployment import Deployment

REPORTS = "ReportBatchItemFailures"
VISIBILITY_FACTOR = 6  # AWS's advice: a queue's visibility timeout in function timeouts
SETTLED = {"Creating", "Enabled", "Enabling", "Updating"}
LITTLE_ROOM = 5  # executions; fewer, and a burst of postbacks or slow sends is throttled
QUOTA = "L-B99A9384"  # Lambda's concurrent executions, in Service Quotas
MORE = 1000  # executions; the quota that the template's defaults assume
SCHEDULED = "SweepFunction"
OF_MEDIA = "FetchFunctionMedia"  # runs only with KeepMedia
LEAST = {  # the parameters that take the least of the quota
    "StoreMaximumConcurrency": 2,
    "DispatchMaximumConcurrency": 2,
    "PublishParallelization": 1,
    "SendReservedConcurrency": 0,
    "AckReservedConcurrency": 0,
}


def enabled(deployment: Deployment) -> Iterator[Finding]:
    """Each event source runs, and a failed message does not fail its batch."""
    for name, found in deployment.event_sources.items():
        is_off = name == OF_MEDIA and deployment.parameters["KeepMedia"] == "off"
        if found["State"] not in SETTLED and not is_off:
            detail = f"event source {name} is {found['State']}: nothing is read from it"
            yield Finding(detail, _update(deployment, name, "--enabled"))
        if REPORTS not in found.get("FunctionResponseTypes", []):
            detail = f"{name} has no {REPORTS}: one failed message repeats its whole batch"
            fix = _update(deployment, name, "--function-response-types", REPORTS)
            yield Finding(detail, fix)


def stream_retries(deployment: Deployment) -> Iterator[Finding]:
    """A record of the table's stream is retried until it is old, and then a dead letter."""
    dead = deployment.queues["PublishDeadLetterQueue"]["QueueArn"]
    for name, found in deployment.event_sources.items():
        if ":dynamodb:" not in found["EventSourceArn"]:
            continue
        target = found.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        if target != dead:
            config = f'{{"OnFailure": {{"Destination": "{dead}"}}}}'
            fix = _update(deployment, name, "--destination-config", config)
            yield Finding(f"{name} has no dead-letter queue: failed records are lost", fix)
        tries = int(found.get("MaximumRetryAttempts", -1))
        if tries != -1:
            fix = _update(deployment, name, "--maximum-retry-attempts", -1)
            yield Finding(f"{name} gives up on a record after {tries} tries in an outage", fix)
        if found.get("MaximumRecordAgeInSeconds", -1) == -1:
            fix = _update(deployment, name, "--maximum-record-age-in-seconds", _record_age())
            yield Finding(f"{name} lets records expire without a dead letter", fix)
        if not found.get("BisectBatchOnFunctionError"):
            fix = _update(deployment, name, "--bisect-batch-on-function-error")
            yield Finding(f"{name} does not split a failing batch", fix)


def visibility(deployment: Deployment) -> Iterator[Finding]:
    """A queue hides a message for longer than its function and Lambda's retries need."""
    for found in _of_queues(deployment).values():
        function = deployment.function_of(found["FunctionArn"])
        queue = deployment.queue_of(found["EventSourceArn"])
        if not queue or function not in deployment.functions:
            continue
        least = VISIBILITY_FACTOR * int(deployment.functions[function]["Timeout"])
        actual = int(deployment.queues[queue]["VisibilityTimeout"])
        if actual < least:
            words = ("--queue-url", deployment.stack.id_of(queue))
            value = ("--attributes", f"VisibilityTimeout={least}")
            fix = deployment.aws("sqs", "set-queue-attributes", *words, *value)
            detail = f"{queue} hides messages for {actual} s; {function} needs {least} s"
            yield Finding(detail, fix)


def maximum_concurrency(deployment: Deployment) -> Iterator[Finding]:
    """Each queue's event source is capped, so that a backlog leaves room for ack."""
    for name, found in _of_queues(deployment).items():
        if not _maximum(found):
            fix = _update(deployment, name, "--scaling-config", "MaximumConcurrency=2")
            detail = f"event source {name} has no MaximumConcurrency: a backlog can throttle ack"
            yield Finding(detail, fix)


def concurrency_quota(deployment: Deployment) -> Iterator[Finding]:
    """What the stack may use at once fits into the account's quota: docs/limits.md#concurrency."""
    client = deployment.client("lambda")
    limits = client.get_account_settings()["AccountLimit"]
    quota = int(limits["ConcurrentExecutions"])
    reserved = {
        name: int(found["ReservedConcurrentExecutions"])
        for name, configuration in deployment.functions.items()
        if "ReservedConcurrentExecutions"
        in (found := client.get_function_concurrency(FunctionName=configuration["FunctionName"]))
    }
    for name, found in _of_queues(deployment).items():
        function, most = deployment.function_of(found["FunctionArn"]), _maximum(found)
        if function in reserved and most > reserved[function]:
            detail = (
                f"{name} may start {most} of {function}, which has {reserved[function]} reserved"
            )
            words = ("--scaling-config", f"MaximumConcurrency={max(2, reserved[function])}")
            yield Finding(detail, _update(deployment, name, *words))
    shared = _unreserved(deployment, reserved)
    total = sum(reserved.values()) + sum(shared.values())
    # What all functions without a reservation share, those of other stacks too. Without a
    # reservation ack runs in what the other functions leave of it.
    pool = int(limits.get("UnreservedConcurrentExecutions", quota - sum(reserved.values())))
    left = pool - sum(shared.values())
    needed = 0 if "AckFunction" in reserved else 1
    if total > quota:
        parts = ", ".join(f"{name} {number}" for name, number in (reserved | shared).items())
        detail = f"the stack may use {total} concurrent executions ({parts}), the quota is {quota}"
        yield Finding(detail, _more_room(deployment, total))
    elif left < needed:
        detail = f"the stack may use all {pool} unreserved concurrent executions"
        yield Finding(f"{detail}: none is left for ack and send", _more_room(deployment, total))
    elif left < LITTLE_ROOM:
        detail = f"only {left} of {pool} unreserved concurrent executions are left for ack and send"
        yield Finding(detail, _more_room(deployment, total), warning=True)


def _unreserved(deployment: Deployment, reserved: dict[str, int]) -> dict[str, int]:
    """The most executions that each queue, stream and schedule takes without a reservation."""
    most: dict[str, int] = {}
    for name, found in deployment.event_sources.items():
        if deployment.function_of(found["FunctionArn"]) in reserved:
            continue
        if ":sqs:" in found["EventSourceArn"]:
            most[name] = _maximum(found) if found["State"] in SETTLED else 0
        else:  # for each shard; a new table's stream may briefly have up to four
            most[name] = int(found.get("ParallelizationFactor", 1))
    if SCHEDULED in deployment.functions and SCHEDULED not in reserved:
        most[SCHEDULED] = 1  # a run ends before the next one begins
    return most


def _more_room(deployment: Deployment, total: int) -> str:
    wanted = max(MORE, total + LITTLE_ROOM)
    words = ("--service-code", "lambda", "--quota-code", QUOTA, "--desired-value", wanted)
    request = deployment.aws("service-quotas", "request-service-quota-increase", *words)
    return f"{request}; until it is granted: {deployment.sam_deploy(**LEAST)}"


def _of_queues(deployment: Deployment) -> dict[str, dict[str, Any]]:
    sources = deployment.event_sources.items()
    return {name: found for name, found in sources if ":sqs:" in found["EventSourceArn"]}


def _maximum(found: dict[str, Any]) -> int:
    return int((found.get("ScalingConfig") or {}).get("MaximumConcurrency") or 0)


def _record_age() -> int:
    events = template()["Resources"]["PublishFunction"]["Properties"]["Events"]
    return int(events["TableStream"]["Properties"]["MaximumRecordAgeInSeconds"])


def _update(deployment: Deployment, name: str, *words: object) -> str:
    uuid = deployment.event_sources[name]["UUID"]
    return deployment.aws("lambda", "update-event-source-mapping", "--uuid", uuid, *words)


CHECKS = (
    Check("event-sources", "each event source is enabled and reports failed items", enabled),
    Check(
        "stream-retries",
        "a failing stream record ends in its dead-letter queue",
        stream_retries,
        only_aws="the emulator has no retries, splitting or dead-letter queue of streams",
    ),
    Check(
        "visibility",
        "each queue's visibility timeout is six times its function's timeout",
        visibility,
    ),
    Check("maximum-concurrency", "each queue's event source is capped", maximum_concurrency),
    Check(
        "concurrency-quota",
        "what the stack may run at once fits into the account's quota",
        concurrency_quota,
    ),
)
