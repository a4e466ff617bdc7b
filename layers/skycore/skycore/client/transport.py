"""HTTP with two promises: it knows whether anything was sent, and it ends in time.

A connection of our own classes notes the moment before the first byte of a request is written. An
exception before that moment proves that nothing was sent; after it, nothing is proven. Reading has
one bound for the whole reply, headers included, so a server that trickles cannot hold us.
"""

import http.client
import io
import logging
import socket
import time
from contextvars import ContextVar
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    LocationParseError,
    NameResolutionError,
    NewConnectionError,
    SSLError,
)
from urllib3.util import Retry

from skycore.client.errors import NotSent, OutcomeUnknown, SkycoreError

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


_CHUNK = 64 * 1024
_NEVER_LEFT = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    LocationParseError,
)
_PROOFS = (NewConnectionError, ConnectTimeoutError)
_NO_CONNECTION = "no connection"
_WORDS = (
    (NameResolutionError, "name not resolved"),
    (NewConnectionError, _NO_CONNECTION),
    (SSLError, "TLS handshake failed"),
    (TimeoutError, "connect timeout"),
    (requests.Timeout, "connect timeout"),
)
_MOST_CAUSES = 20


def exchange(
    session: requests.Session,
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    timeout: tuple[float, float],
    deadline: float,
    most_bytes: int,
) -> tuple[int, bytes]:
    """Make one request, once, and give its HTTP status and its whole body.

    ``timeout`` is in seconds: to connect, and to read the whole reply. ``deadline`` is a
    ``time.monotonic()`` value after which nothing is written or read. Redirects are not followed.

    Raises ``NotSent`` when it is proven that no byte of the request was written, and
    ``OutcomeUnknown`` when it was, at least in part, and no whole reply of at most ``most_bytes``
    came back.
    """
    state = Exchange(read_seconds=timeout[1], deadline=deadline)
    left = deadline - time.monotonic()
    if left <= 0:
        raise NotSent("no time left")
    token = current_exchange.set(state)
    failure: SkycoreError
    try:
        with session.request(
            method,
            url,
            data=body,
            headers=_HEADERS | ({} if body is None else _FORM),
            timeout=(min(timeout[0], left), min(timeout[1], left)),
            allow_redirects=False,
            stream=True,
        ) as response:
            return response.status_code, _read(response, most_bytes)
    except Exception as error:  # noqa: BLE001 - whatever it is: was anything written before it?
        failure = _meaning(error, state)
    finally:
        current_exchange.reset(token)
    raise failure  # outside the handler: the first error's text has the URL in it


_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "skycore-on-aws"}
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def new_session() -> requests.Session:
    """A session that takes nothing from the environment and keeps no cookies."""
    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    return session


def guard(session: requests.Session, base_url: str) -> None:
    """Make a session's requests to this URL prove what they sent, unless it has its own adapter."""
    if type(session.get_adapter(base_url)) is HTTPAdapter:
        session.mount(base_url, ProvingAdapter(max_retries=Retry(0, read=False, redirect=False)))


class _TooLargeError(Exception):
    pass


def _read(response: requests.Response, most_bytes: int) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > most_bytes:
            raise _TooLargeError
    return bytes(body)


def _meaning(error: Exception, state: Exchange) -> SkycoreError:
    causes = _causes(error)
    never_left = isinstance(error, _NEVER_LEFT) or any(isinstance(c, _PROOFS) for c in causes)
    if (state.ours and not state.written) or (not state.ours and never_left):
        return NotSent(
            next(
                (word for kind, word in _WORDS for c in causes if isinstance(c, kind)),
                _NO_CONNECTION,
            )
        )
    if isinstance(error, _TooLargeError):
        return OutcomeUnknown("reply too large")
    if isinstance(error, requests.Timeout | TimeoutError):
        return OutcomeUnknown("no whole reply in time")
    return OutcomeUnknown("connection lost before the whole reply")


def _causes(error: Exception) -> list[Any]:
    """The error and those that requests and urllib3 wrapped in it."""
    causes: list[Any] = []
    todo: list[Any] = [error]
    while todo and len(causes) < _MOST_CAUSES:
        cause = todo.pop(0)
        causes.append(cause)
        inner = (*cause.args, getattr(cause, "reason", None), cause.__cause__)
        todo += [one for one in inner if isinstance(one, BaseException)]
    return causes
