"""Runs a function's handler on an event from standard input and dies at a chosen point.

python dying_handler.py POINT. It dies as a killed function does: at once, without a word.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import app
from urllib3.connection import HTTPConnection

from skycore import timestamps
from skycore.aws import clients, queues
from skycore.sending import outcomes
from skycore.table import messages, queue_transitions


def die() -> None:
    os._exit(9)


def before(module: Any, name: str, *, when: Any = lambda *_, **__: True) -> None:
    """Dies instead of calling the function, where `when` says so."""
    real = getattr(module, name)

    def dying(*arguments: Any, **named: Any) -> Any:
        if when(*arguments, **named):
            die()
        return real(*arguments, **named)

    setattr(module, name, dying)


def after(module: Any, name: str) -> None:
    """Dies once the function has done its work."""
    real = getattr(module, name)

    def dying(*arguments: Any, **named: Any) -> Any:
        real(*arguments, **named)
        die()

    setattr(module, name, dying)


def between_queue_calls() -> None:
    """Dies once the queue has the first ten messages."""
    after(clients.sqs(), "send_message_batch")


def during_the_call() -> None:
    """Dies once Skycore has the request, before its reply, which the test makes slow."""
    port = urlsplit(os.environ["SKYCORE_URL"]).port
    real = HTTPConnection.getresponse

    def dying(self: HTTPConnection, *arguments: Any, **named: Any) -> Any:
        if self.port == port:
            die()
        return real(self, *arguments, **named)

    HTTPConnection.getresponse = dying  # type: ignore[method-assign]


def to_accepted(_message_id: str, status: str, **_: Any) -> bool:
    return status == "accepted"


def later() -> None:
    """Time has passed, for us alone."""
    now, hours = timestamps.now, float(os.environ["HOURS_LATER"])
    timestamps.now = lambda: now() + timedelta(hours=hours)


POINTS: dict[str, Any] = {
    "never": lambda: None,
    "later": later,
    "before the row": lambda: before(messages, "create"),
    "after the row": lambda: after(messages, "create"),
    "before rows": lambda: before(messages, "create_many"),
    "between rows and queue": lambda: before(queues, "send_many"),
    "between calls of the queue": between_queue_calls,
    "after the queue": lambda: after(queues, "send_many"),
    "before taking it": lambda: before(queue_transitions, "claim"),
    "after taking it": lambda: after(queue_transitions, "claim"),
    "during the call": during_the_call,
    "after the reply": lambda: before(outcomes, "apply_outcome"),
    "between pointer and row": lambda: before(messages, "transition", when=to_accepted),
    "before the answer": lambda: after(outcomes, "apply_outcome"),
}

if __name__ == "__main__":
    POINTS[sys.argv[1]]()
    print(json.dumps(app.handler(json.load(sys.stdin), None)))
