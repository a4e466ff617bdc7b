"""A second address of the simulator that can be cut, while control API and page stay reachable.

Whoever calls a line that is cut has the connection refused, as if no Skycore were there.
"""

import socket

from aiohttp import web


class Line:
    """One address that is open or cut; its port stays the simulator's own meanwhile."""

    def __init__(self, host: str, port: int = 0) -> None:
        self._host = host
        # Bound and never listening: nobody else can take the port while the line is cut.
        self._claim = socket.socket()
        self._claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._claim.bind((host, port))
        self.port: int = self._claim.getsockname()[1]
        self._site: web.TCPSite | None = None

    @property
    def url(self) -> str:
        """The address, with a slash at the end."""
        return f"http://{self._host}:{self.port}/"

    @property
    def is_open(self) -> bool:
        """Whether someone listens."""
        return self._site is not None

    async def open(self, runner: web.AppRunner) -> None:
        """Listens; does nothing on an open line."""
        if self._site is None:
            site = web.TCPSite(runner, self._host, self.port, reuse_address=True, reuse_port=True)
            await site.start()
            self._site = site

    async def cut(self, runner: web.AppRunner) -> None:
        """Refuses connections from now on and breaks those that there are."""
        if self._site is None:
            return
        site, self._site = self._site, None
        await site.stop()
        break_connections(runner, self.port)

    def close(self) -> None:
        """Gives the port back."""
        self._claim.close()


def break_connections(runner: web.AppRunner, port: int | None = None) -> None:
    """Aborts open connections to `port`, or all of them."""
    for connection in list(runner.server.connections if runner.server else []):
        transport = connection.transport
        if transport is not None and port in (None, transport.get_extra_info("sockname")[1]):
            transport.abort()
