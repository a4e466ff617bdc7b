"""Coverage-guided fuzzing of the intake: any bytes end as events or as unparsed, within bounds.

    make fuzz RUNS=200000

Not a test of pytest: atheris takes over the process, in a virtual environment of its own.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime

import atheris

with atheris.instrument_imports(include=["skycore"]):
    from skycore.postbacks.cloudevent import data_names, event_json, message_attributes
    from skycore.postbacks.event import build_event
    from skycore.postbacks.parser import PARSER_BUG, read_postback

ARRIVED = datetime(2026, 11, 22, 10, 41, 15, tzinfo=UTC)
MOST_SECONDS = 5.0  # for one body, instrumented; the bound without is tested in tests/unit
MOST_EVENT_BYTES = 192 * 1024


def one_input(body: bytes) -> None:
    """Fail if a body raises, takes too long, or becomes what a subscriber cannot take."""
    start = time.monotonic()
    events = read_postback(body, ARRIVED)
    took = time.monotonic() - start
    assert took < MOST_SECONDS, f"{took:.1f} s"
    assert events
    assert [event.id for event in events] == [e.id for e in read_postback(body, ARRIVED)]
    assert len({event.id for event in events}) == len({(e.id, e.event) for e in events})
    for event in events:
        assert not str(event.data.get("error")).startswith(PARSER_BUG), event.data["error"]
        told = build_event(event, source="urn:skycore:fuzz", raw=body)
        assert list(told["data"]) == list(data_names())
        text = event_json(told)
        assert json.loads(text) == told
        assert len(text.encode()) <= MOST_EVENT_BYTES
        assert 0 < len(message_attributes(told)) <= 10
        assert event.unparsed or not told["data"]["error"]


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
