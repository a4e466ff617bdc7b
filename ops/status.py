"""`status`: one screen that says whether all is well."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from rich.text import Text

from ops.command import Command
from ops.output import Result, table
from ops.queues import QUEUES, depths, oldest_ages
from ops.resume import current as current_pauses
from skycore import serializers
from skycore.table import events, messages, models, pagination
from skycore.table.batches import READ_KEYS
from skycore.table.limiter import Limiter
from skycore.table.models import Row
from skycore.table.pagination import TimeRange

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable

    from rich.console import RenderableType

    from ops.stack import Stack

PAGES = 10  # of a hundred rows, the most that are read for a rate
MOST_LISTED = 1_000  # rows counted in a state; more are told as so many
TOGETHER = 100  # alarms in a call, the most that CloudWatch takes
ABOUT = """\
Rates of the last minutes (from the newest thousand messages and events at most), queues with their
dead-letter queues, what is left of the account's limits, and alarms. It only reads.

The exit code is 1 if something needs attention: an alarm is in ALARM, a dead-letter queue is not
empty, the outcome of messages of these minutes is unknown, or the Skycore API key is not set.

  python -m ops status
  watch -n 10 python -m ops status --stack skycore
  python -m ops status --json | jq .dead_letters
"""


def run(stack: Stack, args: Namespace) -> Result:
    """Everything on one screen."""
    data: dict[str, Any] = {
        "stack": stack.name,
        "region": stack.region,
        "stack_status": stack.status,
        "deployed_at": stack.changed,
        "api_key_set": _key_is_set(stack),
        "minutes": args.minutes,
        "messages": _messages(args.minutes),
        "events": _events(args.minutes),
        "states": {state: _listed(state) for state in ("sending", events.UNPARSED)},
        "allowance": _allowance(stack),
        "paused": current_pauses(),
        **_queues(stack),
        "alarms": _alarms(stack),
    }
    data["problems"] = problems(data)
    return Result(data, _screen(data), ok=not data["problems"])


def problems(data: dict[str, Any]) -> list[str]:
    """Describe what needs attention."""
    found = [f"alarm {alarm['name']}: {alarm['reason']}" for alarm in data["alarms"]["ringing"]]
    found += [
        f"{dead['waiting']} in the dead-letter queue {name}: python -m ops dlq show {name}"
        for name, dead in data["dead_letters"].items()
        if dead["waiting"]
    ]
    if unknown := data["messages"]["by_kind"].get("unknown"):
        found.append(
            f"{unknown} unknown in the last {data['minutes']} minutes; an operator decides:  "
            "python -m ops messages --status unknown, then python -m ops resolve ID"
        )
    found += [
        f"queued messages wait ({scope}) since {pause['since']:%H:%M}Z: {pause['why']}; "
        f"{pause['probes']} probes so far, the next at {pause['next_probe']:%H:%M}Z"
        for scope, pause in data["paused"].items()
    ]
    if not data["api_key_set"]:
        found.append("no Skycore API key is set: python -m ops set-key")
    if data["stack_status"].endswith("FAILED"):
        found.append(f"the stack is {data['stack_status']}: see its events in CloudFormation")
    return found


def _messages(minutes: int) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    pages = list(islice(_recent("message", minutes), PAGES))
    for page in pages:
        rows = messages.get_many(page).values()
        counts.update(serializers.status_of(row, datetime.now(UTC)) for row in rows)
    return _rate(counts, pages, minutes)


def _events(minutes: int) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    pages = list(islice(_recent("event", minutes), PAGES))
    for page in pages:
        counts.update(one.event.event for one in events.get_by_keys(page).values())
    return _rate(counts, pages, minutes)


def _recent(kind: str, minutes: int) -> Iterable[list[tuple[str, str]]]:
    now = datetime.now(UTC)
    span = TimeRange(kind, now - timedelta(minutes=minutes), now + timedelta(minutes=1), None)
    return pagination.iter_pages(Row.by_day, pagination.by_day, span)


def _rate(counts: Counter[str], pages: list[Any], minutes: int) -> dict[str, Any]:
    # A full last page: there may be more, and the number is a lower bound.
    complete = len(pages) < PAGES or len(pages[-1]) < READ_KEYS
    total = counts.total()
    return {
        "total": total,
        "complete": complete,
        "per_minute": round(total / minutes, 1),
        "by_kind": dict(counts.most_common()),
    }


def _listed(state: str) -> int:
    rows = chain.from_iterable(
        Row.by_state.query(partition, limit=MOST_LISTED)
        for partition in models.state_partitions(state)
    )
    return sum(1 for _ in islice(rows, MOST_LISTED))


def _allowance(stack: Stack) -> dict[str, dict[str, int]]:
    limits = stack.limits
    if not limits.any:
        return {}
    left = Limiter().allowance(limits)
    most = {"second": limits.per_second, "minute": limits.per_minute, "day": limits.per_day}
    return {window: {"left": calls, "of": most[window]} for window, calls in left.items()}


def _queues(stack: Stack) -> dict[str, Any]:
    all_ids = [id_ for queue in QUEUES.values() for id_ in (queue.queue, queue.dead) if id_]
    ages = oldest_ages(stack, all_ids)

    def told(logical_id: str) -> dict[str, Any]:
        return {**depths(stack, logical_id), "oldest_seconds": ages.get(logical_id)}

    return {
        "queues": {name: told(queue.queue) for name, queue in QUEUES.items() if queue.queue},
        "dead_letters": {name: told(queue.dead) for name, queue in QUEUES.items()},
    }


def _key_is_set(stack: Stack) -> bool:
    secret = stack.client("secretsmanager").describe_secret(SecretId=stack.id_of("ApiKey"))
    return any("AWSCURRENT" in stages for stages in secret.get("VersionIdsToStages", {}).values())


def _alarms(stack: Stack) -> dict[str, Any]:
    names = [id_ for kind, id_ in stack.resources.values() if kind == "AWS::CloudWatch::Alarm"]
    client = stack.client("cloudwatch")
    parts = [names[start : start + TOGETHER] for start in range(0, len(names), TOGETHER)]
    told = [client.describe_alarms(AlarmNames=part, MaxRecords=TOGETHER) for part in parts]
    rows = [row for answer in told for row in answer["MetricAlarms"]]
    return {
        "by_state": dict(Counter(row["StateValue"] for row in rows)),
        "ringing": [
            {
                "name": row["AlarmName"],
                "since": row.get("StateTransitionedTimestamp", row.get("StateUpdatedTimestamp")),
                "reason": row.get("AlarmDescription") or row.get("StateReason"),
            }
            for row in rows
            if row["StateValue"] == "ALARM"
        ],
    }


def _screen(data: dict[str, Any]) -> list[RenderableType]:
    found = data["problems"]
    verdict = (
        [Text(f"! {problem}", style="red") for problem in found]
        if found
        else [Text("nothing needs attention", style="green")]
    )
    states = data["states"]
    where = f"{data['stack']} in {data['region']}, {data['stack_status']}"
    return [
        f"{where}, deployed {data['deployed_at']:%Y-%m-%d %H:%M}Z",
        *verdict,
        "",
        f"last {data['minutes']} minutes",
        table(
            ("", "", "a minute", ""),
            [
                ("messages", *_rates(data["messages"])),
                ("events", *_rates(data["events"])),
                ("sending now", states["sending"], "", ""),
                ("unparsed postbacks", states[events.UNPARSED], "", ""),
            ],
        ),
        "",
        _limits(data["allowance"]),
        "",
        table(
            ("queue", "waiting", "in flight", "delayed", "oldest", "dead letters", "oldest"),
            [_queue_row(name, data) for name in QUEUES],
        ),
        "",
        "alarms: " + (", ".join(f"{n} {s}" for s, n in data["alarms"]["by_state"].items()) or "0"),
    ]


def _rates(told: dict[str, Any]) -> tuple[str, str, str]:
    more = "" if told["complete"] else "over "
    kinds = ", ".join(f"{number} {kind}" for kind, number in told["by_kind"].items())
    return f"{more}{told['total']}", f"{more}{told['per_minute']}", kinds


def _limits(allowance: dict[str, dict[str, int]]) -> str:
    if not allowance:
        return "no limits on calls are set"
    left = (f"{one['left']} of {one['of']} a {window}" for window, one in allowance.items())
    return f"calls left: {', '.join(left)}"


def _queue_row(name: str, data: dict[str, Any]) -> tuple[Any, ...]:
    queue, dead = data["queues"].get(name, {}), data["dead_letters"][name]
    number = Text(str(dead["waiting"]), style="red" if dead["waiting"] else "")
    own = (queue.get(part) for part in ("waiting", "in_flight", "delayed"))
    return (name, *own, _age(queue), number, _age(dead))


def _age(queue: dict[str, Any]) -> str | None:
    seconds = queue.get("oldest_seconds")
    return None if seconds is None else str(timedelta(seconds=seconds))


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--minutes", type=_minutes, default=15, help="window for the rates, in minutes (default 15)"
    )


def _minutes(text: str) -> int:
    minutes = int(text)
    if not 1 <= minutes <= 24 * 60:
        raise ValueError
    return minutes


COMMAND: Command = Command(
    "status", "Show rates, queues, what is left of the limits, and alarms", ABOUT, run, arguments
)
