"""Actions that send nothing: POST /actions/{action}, and Skycore's delivery report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from skycore.client.errors import FieldError, InvalidRequest
from skycore.client.report import report_link
from skycore.client.validation import prepare
from skycore.problems import Problem, validation_problem
from skycore.sending.delivery import call_skycore
from skycore.sending.validation import get_action

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from skycore.client.client import SkycoreClient
    from skycore.client.report import Report
    from skycore.sending.delivery import SendContext
    from skycore.sending.rate_limit import RateLimiter
    from skycore.sending.validation import SendPolicy


def call_action(
    name: str, body: Mapping[str, Any], *, context: SendContext, policy: SendPolicy, deadline: float
) -> dict[str, Any]:
    """The elements of Skycore's reply, under their JSON names.

    Raises Problem. `"transport": "get"` is for actions that only read: a URL ends up in logs.
    """
    action = get_action(name)
    if action.effect == "send":
        detail = f'{action.name} sends; POST it to /messages with "action": "{action.name}"'
        raise validation_problem([FieldError("action", detail)])
    fields = dict(body)
    transport: Literal["post", "get"] = fields.pop("transport", "post")
    if transport not in ("post", "get") or (transport == "get" and action.effect != "read"):
        detail = "post, or get for an action that only reads"
        raise validation_problem([FieldError("transport", detail)])
    try:
        prepared = prepare(action, fields, default_region=policy.region)
    except InvalidRequest as error:
        raise validation_problem(error.errors) from None
    slot = context.rate_limiter.acquire()
    try:
        reply = call_skycore(
            context.skycore, action, prepared, slot=slot, deadline=deadline, transport=transport
        )
    except Problem as problem:
        context.rate_limiter.report_result(problem)
        context.pause.report(action, problem)
        raise
    context.rate_limiter.report_result(None)
    context.pause.report(action, None)
    return reply.fields


def fetch_report(
    skycore: SkycoreClient, gate: RateLimiter, since: datetime, until: datetime, *, deadline: float
) -> Report:
    """Return Skycore's report of the messages sent from `since` to `until` (UTC).

    `deadline` is in monotonic seconds. Raises Problem, also for a reply without a link, and the
    client's errors for the report's file.
    """
    fields = {"start_date": f"{since:%Y-%m-%d %H:%M:%S}", "end_date": f"{until:%Y-%m-%d %H:%M:%S}"}
    action = get_action("getSendingStatus")
    reply = call_skycore(skycore, action, fields, slot=gate.acquire(), deadline=deadline)
    link = report_link(reply)
    if link is None:
        raise Problem("outcome_unknown", "Skycore's reply links to no report", retryable=True)
    return skycore.fetch_report(link, deadline=deadline)
