"""A simulator in a thread, for tests in Python."""

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from skycore_simulator.server import Server
from skycore_simulator.settings import Settings
from skycore_simulator.simulator import Simulator


class RunningSimulator:
    """Serves on a free port of 127.0.0.1 until closed; also a context manager.

    Point the client at `url`. `simulator` has the settings and journals; change settings with
    `simulator.settings = simulator.settings.changed({...})`. Takes the keyword arguments of Server.
    """

    def __init__(self, settings: Settings | None = None, **options: Any) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.simulator = Simulator(settings)
        self.server = Server(self.simulator, **options)
        self._run(self.server.start())
        self.url = self.server.url + "API/wxml/1.3/index.php"

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def close(self) -> None:
        """Stop at once."""
        self._run(self.server.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()
