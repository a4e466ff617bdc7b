"""What make run and make up show of others' texts cannot control a terminal or forge a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local import demo
from local.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTILE = "\x1b[2J\x9b2J\u202e[red]\nFAKE delivered"
MESSAGE = {
    "action": HOSTILE,
    "to": HOSTILE,
    "status": HOSTILE,
    "created_at": "2026-11-29T10:00:00Z",
    "timeline": [
        {"time": "2026-11-29T10:00:00Z", "event": HOSTILE, "code": HOSTILE, "status": HOSTILE}
    ],
}
EVENT = {"type": HOSTILE, "subject": HOSTILE, "data": {"code": HOSTILE, "client_reference": None}}
SHOWN: dict[str, Callable[[Screen], None]] = {
    "a failure": lambda screen: screen.fail(demo._saw("this", "that", HOSTILE)),
    "a timeline": lambda screen: screen.show(demo._timeline(MESSAGE)),
    "events": lambda screen: screen.show(demo._event_table([EVENT])),
    "the end of a log": lambda screen: screen.say(HOSTILE.replace("\n", "")),
}


@pytest.mark.parametrize("what", SHOWN)
def test_it_is_harmless(what: Any, capsys: pytest.CaptureFixture[str]) -> None:
    SHOWN[what](Screen())
    shown = capsys.readouterr().out
    assert not set(shown) & {"\x1b", "\x9b", "\u202e"}
    assert not [line for line in shown.splitlines() if line.startswith("FAKE")]
    assert "[red]" in shown.replace("\n", "")  # text of others is not markup
