"""Queued messages go to Skycore, each at most once however often the queue names it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from skycore import times
from skycore.catalogue.actions import find_action
from skycore.flows.compose import Draft
from skycore.flows.send import deliver
from skycore.logs import log
from skycore.problems import Problem
from skycore.storage import messages

if TYPE_CHECKING:
    from skycore.api import SkycoreClient


def dispatch(body: str, *, skycore: SkycoreClient, days: int, deadline: float) -> bool:
    """Sends the queued message that `body` names; False if it is to come again later."""
    message_id = json.loads(body)["message_id"]
    row = messages.get(message_id)
    if row is None or row.status != "queued" or row.request is None:
        log.info("nothing to send", extra={"message_id": message_id})
        return True
    if not messages.move(message_id, "sending", moment=times.now(), own=True):
        return True
    kept = messages.unpack(row.request)
    action = find_action(kept["action"])
    if action is None:
        raise LookupError("a queued message names an action that this release does not know")
    draft = Draft(action, kept["fields"], row.client_reference)
    try:
        deliver(row, draft, skycore=skycore, days=days, deadline=deadline)
    except Problem as problem:
        if problem.code in {"skycore_unreachable", "rate_limited", "skycore_account"}:
            messages.back_to_queue(row)
            return False
    return True
