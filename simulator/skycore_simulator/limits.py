"""The account's limits over rolling windows, and the times of calls that prove them kept."""

import math
import time
from collections import Counter, deque
from collections.abc import Sequence

from local.simulator.answers import RefusalError
from local.simulator.settings import Settings

WINDOWS = {"second": 1.0, "minute": 60.0, "day": 86400.0}
CODES = {"second": "E106", "minute": "E113", "day": "E120"}


class Limits:
    """Lets a call through or refuses it; a refused call uses nothing up."""

    def __init__(self) -> None:
        self._passed: dict[str, deque[float]] = {}
        self.calls: list[float] = []
        self.accepted: list[float] = []
        self.accepted_by_action: Counter[str] = Counter()
        self.calls_by_action: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()

    def take(self, settings: Settings, action: str) -> None:
        """Counts a call, or raises RefusalError with E106, E113 or E120.

        Over the second's limit E106 names the seconds to wait, over the minute's E113, over the
        day's E120, over one action's limit per second E113.
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
        """Notes that a call did what it asked for."""
        self.accepted.append(time.monotonic())
        self.accepted_by_action[action] += 1

    def _recent(self, name: str, length: float, now: float) -> deque[float]:
        times = self._passed.setdefault(name, deque())
        while times and times[0] <= now - length:
            times.popleft()
        return times


def most_in(times: Sequence[float], seconds: float) -> int:
    """The largest number of these rising times in any window shorter than so many seconds."""
    most = start = 0
    for end, last in enumerate(times):
        while last - times[start] >= seconds:
            start += 1
        most = max(most, end - start + 1)
    return most
