"""A second port for Skycore's API that can be closed while control routes and page stay reachable.

A client that calls a closed port gets "connection refused", as if Skycore were down.
"""

import socket

from aiohttp import web


class ApiPort:
    """One port that is open or closed; no other program can take it in the meantime."""

    def __init__(self, host: str, port: int = 0) -> None:
        self._host = host
        # Bound but not listening: it keeps the port while nothing listens on it.
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._reservation.bind((host, port))
        self.port: int = self._reservation.getsockname()[1]
        self._site: web.TCPSite | None = None

    @property
    def url(self) -> str:
        """The address, with a slash at the end."""
        return f"http://{self._host}:{self.port}/"

    @property
    def is_open(self) -> bool:
        """Whether connections are accepted."""
        return self._site is not None

    async def open(self, runner: web.AppRunner) -> None:
        """Accept connections; do nothing if the port is open."""
        if self._site is None:
            site = web.TCPSite(runner, self._host, self.port, reuse_address=True, reuse_port=True)
            await site.start()
            self._site = site

    async def close(self, runner: web.AppRunner) -> None:
        """Refuse connections and abort those that exist; do nothing if the port is closed."""
        if self._site is None:
            return
        site, self._site = self._site, None
        await site.stop()
        abort_connections(runner, self.port)

    def release(self) -> None:
        """Give the port back to the system."""
        self._reservation.close()


def abort_connections(runner: web.AppRunner, port: int | None = None) -> None:
    """Abort the open connections to `port`, or all of them."""
    for connection in list(runner.server.connections if runner.server else []):
        transport = connection.transport
        if transport is not None and port in (None, transport.get_extra_info("sockname")[1]):
            transport.abort()
