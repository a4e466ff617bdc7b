"""Redact people's messages for operators: no texts, and the last two digits of a number.

Redaction chooses what is shown, so that an element that nobody foresaw is not shown.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from skycore.logs import mask_number

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONG_NUMBER = re.compile(r"\+?\d(?:[ ()./-]{0,2}\d){6,}")
# A moment as we and AWS write it: the time behind the date keeps it from being a number.
_MOMENT = re.compile(
    r"(?<![\d+(./-])20\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
    r"[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?(?:Z|\+00:00)?(?![\d:+/-]|\.\d)"
)
_OF_AN_EVENT = (
    "event",
    "origin",
    "code",
    "outcome",
    "terminal",
    "tracking_id",
    "message_id",
    "message_status",
)
_OF_A_MESSAGE = ("message_id", "status", "action", "tracking_id", "created_at", "skycore_code")
_OF_A_STEP = ("time", "event", "code", "carrier", "handset", "received_at", "event_id")


def words(text: str | None) -> str | None:
    """A text of Skycore's or a caller's own, without the numbers that may stand in it.

    Moments stay, such as 2026-11-22T19:56:56Z.
    """
    if not text:
        return text
    shown, end = "", 0
    for moment in _MOMENT.finditer(text):
        shown += _masked(text[end : moment.start()]) + moment.group()
        end = moment.end()
    return shown + _masked(text[end:])


def _masked(text: str) -> str:
    return _LONG_NUMBER.sub(lambda found: f"…{found.group()[-2:]}", text)


def event(envelope: Mapping[str, Any], *, show: bool) -> dict[str, Any]:
    """An event as subscribers get it: whole with `show`, else without texts and numbers."""
    if show:
        return dict(envelope)
    data = envelope.get("data") or {}
    return {
        "id": envelope.get("id"),
        "type": envelope.get("type"),
        "time": envelope.get("time"),
        **{name: data.get(name) for name in _OF_AN_EVENT},
        "status": words(data.get("status")),
        "status_details": words(data.get("status_details")),
        "to": mask_number(data.get("to")),
        "from": mask_number(data.get("from")),
        "client_reference": words(data.get("client_reference")),
    }


def message(view: Mapping[str, Any], *, show: bool) -> dict[str, Any]:
    """A message as the API shows it: whole with `show`, else without numbers."""
    if show:
        return dict(view)
    shown = {name: view.get(name) for name in _OF_A_MESSAGE}
    shown |= {
        "to": mask_number(view.get("to")),
        "from": mask_number(view.get("from")),
        "client_reference": words(view.get("client_reference")),
    }
    for name in ("send_at", "parent", "possible_match", "caller", "cancelled_by"):
        if name in view:
            shown[name] = view[name]
    if "timeline" in view:
        shown["timeline"] = [_step(step) for step in view["timeline"]]
    return shown


def _step(step: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: step.get(name) for name in _OF_A_STEP}
    return shown | {name: words(step.get(name)) for name in ("status", "details")}
