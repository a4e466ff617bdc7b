"""POST /actions/{action}: everything of Skycore's API that sends nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from skycore.api import FieldError, InvalidRequest, prepare
from skycore.flows.call import call
from skycore.flows.compose import find, invalid
from skycore.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skycore.flows.compose import Rules
    from skycore.flows.send import Line


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
