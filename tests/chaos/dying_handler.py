"""Runs a function's handler on an event from standard input and dies at a chosen point.

python dying_handler.py POINT. It dies as a killed function does: at once, without a word.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

import app

from skycore.flows import ledger
from skycore.storage import messages, queued


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


def to_accepted(_message_id: str, status: str, **_: Any) -> bool:
    return status == "accepted"


POINTS: dict[str, Any] = {
    "never": lambda: None,
    "before the row": lambda: before(messages, "create"),
    "after the row": lambda: after(messages, "create"),
    "before taking it": lambda: before(queued, "take"),
    "after taking it": lambda: after(queued, "take"),
    "during the call": lambda: threading.Timer(2.5, die).start(),  # Skycore is made slow
    "after the reply": lambda: before(ledger, "mend"),
    "between pointer and row": lambda: before(messages, "move", when=to_accepted),
    "before the answer": lambda: after(ledger, "mend"),
}

if __name__ == "__main__":
    POINTS[sys.argv[1]]()
    print(json.dumps(app.handler(json.load(sys.stdin), None)))
