"""CPU seconds of a call, in a process that does nothing else. Standard library only."""

import gc
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

EVENTS = Path(__file__).resolve().parents[2] / "events"


def sample(name: str) -> Any:
    """A sample of events/: a Lambda event, or a raw postback."""
    path = EVENTS / name
    return json.loads(path.read_text()) if path.suffix == ".json" else path.read_bytes()


def measure(call: Callable[[], object], times: int, *, items: int = 1, warm: int = 0) -> None:
    """Prints the CPU seconds of an item, after `warm` calls that do not count, and all items."""
    warm = warm or max(2, times // 10)
    for _ in range(warm):
        call()
    gc.collect()
    start = time.process_time()
    for _ in range(times):
        call()
    seconds = (time.process_time() - start) / times / items
    print(json.dumps([seconds, (times + warm) * items]))
