"""The account's limits over rolling windows, and the call times that show they were kept."""

import math
import time
from collections import Counter, deque
from collections.abc import Sequence

from skycore_simulator.replies import RefusalError
from skycore_simulator.settings import Settings

WINDOWS = {"second": 1.0, "minute": 60.0, "day": 86400.0}
CODES = {"second": "E106", "minute": "E113", "day": "E120"}


class Limits:
    """Admits or refuses calls; a refused call does not count against a limit."""

    def __init__(self) -> None:
        self._passed: dict[str, deque[float]] = {}
        self.calls: list[float] = []
        self.accepted: list[float] = []
        self.accepted_by_action: Counter[str] = Counter()
        self.calls_by_action: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()

    def take(self, settings: Settings, action: str) -> None:
        """Count a call, or raise RefusalError.

        The code is E106 (with the seconds to wait) over the limit per second, E113 per minute,
        E120 per day, and E113 over an action's own limit per second.
        """
        now = time.monotonic()
        self.calls.append(now)
        self.calls_by_action[action] += 1
        most = {
            "second": settings.max_per_second,
            "minute": settings.max_per_minute,
            "day": settings.max_per_day,
        }
        for window, length in WINDOWS.items():
            if most[window] and len(self._recent(window, length, now)) >= most[window]:
                wait = math.ceil(self._recent(window, length, now)[0] + length - now)
                raise RefusalError(CODES[window], max(wait, 1))
        own = settings.action_limits.get(action, 0)
        if own and len(self._recent(action, 1.0, now)) >= own:
            raise RefusalError("E113")
        for name in (*WINDOWS, action):
            self._passed.setdefault(name, deque()).append(now)

    def accept(self, action: str) -> None:
        """Count a call that succeeded."""
        self.accepted.append(time.monotonic())
        self.accepted_by_action[action] += 1

    def _recent(self, name: str, length: float, now: float) -> deque[float]:
        times = self._passed.setdefault(name, deque())
        while times and times[0] <= now - length:
            times.popleft()
        return times


def max_in_window(times: Sequence[float], seconds: float) -> int:
    """Return the most of these ascending times that any window of `seconds` holds."""
    most = start = 0
    for end, last in enumerate(times):
        while last - times[start] >= seconds:
            start += 1
        most = max(most, end - start + 1)
    return most
