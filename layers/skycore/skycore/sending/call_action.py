"""Actions that send nothing: POST /actions/{action}, and Skycore's delivery report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from skycore.client.errors import FieldError, InvalidRequest
from skycore.client.report import report_link
from skycore.client.validation import prepare
from skycore.problems import Problem, invalid
from skycore.sending.delivery import call
from skycore.sending.validation import find

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from skycore.client.client import SkycoreClient
    from skycore.client.report import Report
    from skycore.sending.delivery import Line
    from skycore.sending.rate_limit import Gate
    from skycore.sending.validation import Rules


def act(
    name: str, body: Mapping[str, Any], *, line: Line, rules: Rules, deadline: float
) -> dict[str, Any]:
    """The elements of Skycore's reply, under their JSON names.

    Raises Problem. `"transport": "get"` is for actions that only read: a URL ends up in logs.
    """
    action = find(name)
    if action.effect == "send":
        detail = f'{action.name} sends; POST it to /messages with "action": "{action.name}"'
        raise invalid([FieldError("action", detail)])
    fields = dict(body)
    transport: Literal["post", "get"] = fields.pop("transport", "post")
    if transport not in ("post", "get") or (transport == "get" and action.effect != "read"):
        detail = "post, or get for an action that only reads"
        raise invalid([FieldError("transport", detail)])
    try:
        prepared = prepare(action, fields, default_region=rules.region)
    except InvalidRequest as error:
        raise invalid(error.errors) from None
    slot = line.gate.enter()
    try:
        reply = call(
            line.skycore, action, prepared, slot=slot, deadline=deadline, transport=transport
        )
    except Problem as problem:
        line.gate.learn(problem)
        raise
    line.gate.learn(None)
    return reply.fields


def fetch_report(
    skycore: SkycoreClient, gate: Gate, since: datetime, until: datetime, *, deadline: float
) -> Report:
    """Return Skycore's report of the messages sent from `since` to `until` (UTC).

    `deadline` is in monotonic seconds. Raises Problem, also for a reply without a link, and the
    client's errors for the report's file.
    """
    fields = {"start_date": f"{since:%Y-%m-%d %H:%M:%S}", "end_date": f"{until:%Y-%m-%d %H:%M:%S}"}
    action = find("getSendingStatus")
    reply = call(skycore, action, fields, slot=gate.enter(), deadline=deadline)
    link = report_link(reply)
    if link is None:
        raise Problem("outcome_unknown", "Skycore's reply links to no report", retryable=True)
    return skycore.fetch_report(link, deadline=deadline)
