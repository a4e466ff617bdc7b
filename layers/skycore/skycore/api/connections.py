"""Connections that know when the first byte of a request is written, and that read in time."""

import http.client
import io
import logging
import socket
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

_IDLE_SECONDS = 2.0  # web servers close kept connections from 5 s on; a close that crosses our
# request looks like a lost answer, so a connection that rested longer is not used again


@dataclass(slots=True)
class Exchange:
    """One request on its way: how long reading may take, and what is known of it."""

    read_seconds: float
    deadline: float
    ours: bool = False
    written: bool = False


current_exchange: ContextVar[Exchange | None] = ContextVar("skycore_exchange", default=None)


class _TimedReader(io.RawIOBase):
    """A socket's stream that gives up at one moment, however steadily it trickles."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, until: float) -> None:
        self._raw = raw
        self._sock = sock
        self._until = until

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def readinto(self, buffer: Any) -> int | None:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        state = current_exchange.get()
        if state is not None:
            until = min(time.monotonic() + state.read_seconds, state.deadline)
            raw = self.fp.detach()
            self.fp = io.BufferedReader(_TimedReader(raw, sock, until))


def _note_first_byte(connection: http.client.HTTPConnection) -> None:
    if connection.sock is None:
        connection.connect()
    state = current_exchange.get()
    if state is not None and not state.written:
        if time.monotonic() >= state.deadline:
            raise TimeoutError
        state.written = True


class _HTTPConnection(HTTPConnection):
    response_class = _TimedResponse
    rested_since: tuple[float, float] | None = None

    def send(self, data: Any) -> None:
        _note_first_byte(self)
        super().send(data)


class _HTTPSConnection(HTTPSConnection):
    response_class = _TimedResponse
    rested_since: tuple[float, float] | None = None

    def send(self, data: Any) -> None:
        _note_first_byte(self)
        super().send(data)


def _clocks() -> tuple[float, float]:
    return time.monotonic(), time.time()  # the first may stand still while a function is frozen


def _rested_too_long(connection: Any) -> bool:
    since = getattr(connection, "rested_since", None)
    return since is not None and any(
        now - then > _IDLE_SECONDS for now, then in zip(_clocks(), since, strict=True)
    )


class _FreshPool(HTTPConnectionPool):
    """Hands out no connection that rested too long."""

    ConnectionCls = _HTTPConnection

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection = super()._get_conn(timeout)
        if state := current_exchange.get():
            state.ours = True
        if _rested_too_long(connection):
            connection.close()
        return connection

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.rested_since = _clocks()
        super()._put_conn(conn)


class _FreshTlsPool(_FreshPool, HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection  # type: ignore[assignment]  # as urllib3's own pools do


class ProvingAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _FreshPool, "https": _FreshTlsPool}


def _censor(record: logging.LogRecord) -> bool:
    """Take out of urllib3's own log lines what our requests and their replies put into them.

    The GET form has the key in its URL; an error about a header quotes what was received.
    """
    if current_exchange.get() is not None:
        record.exc_info = None
        if isinstance(record.args, tuple):
            record.args = tuple(
                type(arg).__name__
                if isinstance(arg, Exception)
                else arg.partition("?")[0]
                if isinstance(arg, str)
                else arg
                for arg in record.args
            )
    return True


for _name in (
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.response",
    "urllib3.util.retry",
):
    logging.getLogger(_name).addFilter(_censor)
