"""Exchange HTTP messages in bounded time, and prove whether anything was sent.

An exchange connects first: name resolution, TCP and TLS share one bound. Then it calls
``before_write``, and only then writes. Whatever fails before the first byte is written proves that
nothing was sent; after it, nothing is proven. A connection is used again only after a reply that
was complete and understood.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import TimeoutError as ReadTimeoutError

from skycore.client.connections import (
    AddressRefusedError,
    Bounds,
    TooLargeError,
    new_connection,
)
from skycore.client.errors import NotReady, NotSent, OutcomeUnknown, Refused

_READ_BYTES = 64 * 1024
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "skycore-on-aws"}
_AHEAD_SECONDS = 1.0  # for which a connection that is opened ahead stays usable: to get a slot
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP response; ``body`` is as it was transferred, compressed perhaps."""

    status: int
    body: bytes
    retry_after: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None


@dataclass(slots=True)
class _Exchange:
    """One request on its way, and its state."""

    bounds: Bounds
    before_write: Callable[[], None] | None
    connection: Any = None
    idle: list[Any] | None = None
    stopped_by: Exception | None = None

    def open(self, idle: list[Any], connection: Any) -> None:
        """Connect, then call ``before_write``, which may wait or refuse."""
        self.idle, self.connection = idle, connection
        connection.open(self.bounds)
        if self.before_write is not None:
            try:
                self.before_write()
            except Exception as error:
                self.stopped_by = error
                raise
            if not connection.is_quiet:  # the server closed it meanwhile
                raise ConnectionError

    def finish(self, *, reuse: bool) -> None:
        """Keep the connection for the next exchange, or close it."""
        if self.connection is not None and self.idle is not None and reuse:
            self.connection.mark_idle()
            self.idle.append(self.connection)
        elif self.connection is not None:
            self.connection.close()


@contextmanager
def exchange(
    session: requests.Session,
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    bounds: Bounds,
    before_write: Callable[[], None] | None = None,
) -> Iterator[Answer]:
    """Make one request, once, and yield its complete response.

    ``before_write`` is called on an open connection, immediately before the first byte is written;
    what it raises is raised unchanged, and nothing was sent. Redirects are not followed. The
    connection is kept for the next exchange if the block understands the reply, that is, if it
    ends normally or raises ``Refused``.

    Raises ``NotSent`` when it is proven that no byte of the request was written (``NotReady`` if
    the deadline had passed already), and ``OutcomeUnknown`` when at least a part was, and no
    complete response came back within the bounds.
    """
    if time.monotonic() >= bounds.deadline:
        raise NotReady("no time left")
    state = _Exchange(bounds, before_write)
    answer = _round_trip(session, method, url, body, state)
    understood = False
    try:
        yield answer
        understood = True
    except Refused:
        understood = True
        raise
    finally:
        state.finish(reuse=understood)


def _round_trip(
    session: requests.Session, method: str, url: str, body: bytes | None, state: _Exchange
) -> Answer:
    failure: Exception
    try:
        with session.request(
            method,
            url,
            data=body,
            headers=_HEADERS | ({} if body is None else _FORM),
            timeout=state,  # type: ignore[arg-type]  # requests hands it to our adapter as it is
            allow_redirects=False,
            stream=True,
        ) as response:
            content = _read(response, state.bounds.max_bytes)
            headers = response.headers
            return Answer(
                response.status_code,
                content,
                headers.get("Retry-After"),
                headers.get("Content-Type"),
                headers.get("Content-Encoding"),
            )
    except Exception as error:  # noqa: BLE001 - whatever it is: was anything written before it?
        failure = state.stopped_by or _classify(error, state)
    state.finish(reuse=state.stopped_by is not None)
    raise failure  # outside the handler: the first error's text has the URL in it


def _read(response: requests.Response, max_bytes: int) -> bytes:
    body = bytearray()
    for chunk in response.raw.stream(_READ_BYTES, decode_content=False):
        body += chunk
        if len(body) > max_bytes:
            raise TooLargeError
    return bytes(body)


def new_session() -> requests.Session:
    """Return a session that takes nothing from the environment and keeps no cookies."""
    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    return session


def mount_adapter(session: requests.Session, base_url: str) -> None:
    """Make a session's requests to this URL prove what they sent."""
    if not isinstance(session.get_adapter(base_url), ProvingAdapter):
        session.mount(base_url, ProvingAdapter())


class ProvingAdapter(HTTPAdapter):
    """Opens the connection of an exchange before it writes the request. It uses no proxy."""

    def __init__(self) -> None:
        super().__init__()
        self._idle: dict[tuple[str, str, int], list[Any]] = {}

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """Send the request of an exchange, which replaces ``timeout``."""
        exchange = kwargs.get("timeout")
        if not isinstance(exchange, _Exchange):  # the session's owner has other uses for it
            return super().send(request, *args, **kwargs)
        exchange.open(*self._take(str(request.url), kwargs.get("verify", True)))
        connection = exchange.connection
        cut_off = connection.write(request.method, request.path_url, request.body, request.headers)
        raw = connection.getresponse()
        if cut_off and raw.status < HTTPStatus.BAD_REQUEST:
            raise ConnectionError  # a success cannot belong to half a request
        raw.headers.discard("Location")  # requests would read a redirect's body without a bound
        return self.build_response(request, raw)

    def connect_ahead(self, url: str, verify: Any, bounds: Bounds, count: int) -> int:
        """Open connections, in parallel, until `count` are idle; return how many are."""
        taken = [self._take(url, verify, _AHEAD_SECONDS) for _ in range(count)]
        with ThreadPoolExecutor(max_workers=count) as pool:
            opened = list(pool.map(lambda one: _open(one[1], bounds), taken))
        for (idle, connection), is_open in zip(taken, opened, strict=True):
            if is_open:
                idle.append(connection)
        return sum(opened)

    def _take(self, url: str, verify: Any, seconds: float = 0.0) -> tuple[list[Any], Any]:
        """Return the idle connections of a URL's origin, and one to use within `seconds`.

        It is perhaps not open yet.
        """
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        origin = (parts.scheme, parts.hostname or "", port)
        idle = self._idle.setdefault(origin, [])
        while idle:
            connection = idle.pop()
            if connection.is_fresh(seconds):
                return idle, connection
            connection.close()
        return idle, new_connection(*origin, verify)

    def close(self) -> None:
        """Close the idle connections."""
        super().close()
        for idle in self._idle.values():
            while idle:
                idle.pop().close()


def _open(connection: Any, bounds: Bounds) -> bool:
    """Open a connection unless it is open; return whether it is."""
    if connection.sock is not None:
        return True
    try:
        connection.open(bounds)
    except Exception:  # noqa: BLE001 - the exchange tries again and reports why
        connection.close()
        return False
    connection.mark_idle()
    return True


def connect_ahead(session: requests.Session, url: str, bounds: Bounds, count: int) -> int:
    """Read certificates and open `count` connections before exchanges are due.

    Return how many are open. If connecting fails, the exchange tries again and reports why.
    """
    adapter = session.get_adapter(url)
    if isinstance(adapter, ProvingAdapter):
        with suppress(OSError, UnicodeError):
            return adapter.connect_ahead(url, session.verify, bounds, count)
    return 0


ADDRESS_REFUSED = "address not allowed"
TOO_LARGE = "reply too large"
TOO_SLOW = "no whole reply in time"
CONNECT_TIMEOUT = "connect timeout"
_UNSENT = (  # the first that fits
    (AddressRefusedError, ADDRESS_REFUSED),
    (socket.gaierror, "name not resolved"),
    (UnicodeError, "name not resolved"),
    (TimeoutError, CONNECT_TIMEOUT),
    (ssl.SSLError, "TLS handshake failed"),
    (Exception, "no connection"),
)


def _classify(error: Exception, state: _Exchange) -> NotSent | OutcomeUnknown:
    """Return NotSent if no byte was written before the error, else OutcomeUnknown."""
    if state.connection is None or not state.connection.written:
        return NotSent(next(reason for kind, reason in _UNSENT if isinstance(error, kind)))
    if isinstance(error, TooLargeError):
        return OutcomeUnknown(TOO_LARGE)
    if isinstance(error, TimeoutError | ReadTimeoutError):
        return OutcomeUnknown(TOO_SLOW)
    return OutcomeUnknown("connection lost before the whole reply")
