"""Connections that bound the time of each step, and record whether anything was written."""

import http.client
import io
import logging
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from http import HTTPStatus
from typing import Any

from requests.adapters import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssl_ import create_urllib3_context

_IDLE_SECONDS = 2.0  # web servers close idle connections from 5 s on; a close that crosses our
# request looks like a lost reply, so a connection that was idle for longer is not used again
_WRITE_BYTES = 16 * 1024  # one TLS record: each is written within the time that is left
_HOUR = 3600.0
_HEADER_BYTES = 256 * 1024  # of all status lines and headers of one reply, 1xx responses included


class TooLargeError(Exception):
    """A reply with more bytes than its bounds allow."""


class AddressRefusedError(Exception):
    """A host whose name resolves to an address that the caller does not allow."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of one exchange.

    ``connect_seconds`` covers name resolution, all addresses of the host, and TLS;
    ``read_seconds`` the whole reply. ``deadline`` is a ``time.monotonic()`` value after which
    nothing is written or read. ``max_bytes`` bounds the reply's body. ``is_allowed`` says whether
    an address of the host may be connected to; without it, any may.
    """

    connect_seconds: float
    read_seconds: float
    deadline: float
    max_bytes: int
    is_allowed: Callable[[str], bool] | None = None


def new_connection(scheme: str, host: str, port: int, verify: bool | str) -> Any:
    """Return a connection that is not open yet; ``verify`` is as in requests."""
    if scheme == "https":
        return _TlsConnection(host, port, ssl_context=tls_context(verify))
    return _PlainConnection(host, port)


@cache
def tls_context(verify: bool | str = True) -> ssl.SSLContext:
    """Return the context of all connections: reading certificates takes longer than a handshake."""
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED if verify else ssl.CERT_NONE)
    if verify:
        context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH if verify is True else verify)
    return context


def _clocks() -> tuple[float, float]:
    return time.monotonic(), time.time()  # the first may stand still while a function is frozen


def _left(until: float) -> float:
    """Return the seconds until a moment. Raises TimeoutError if it has passed."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return min(left, _HOUR)  # a socket takes no infinite timeout


class _BoundConnection:
    """The common part of plain and TLS connections: every step ends in time."""

    deadline: float
    connect_until: float
    written = False  # whether a byte of the present request was written
    surplus = False  # whether bytes came after the end of the reply
    idle_since = (0.0, 0.0)
    is_allowed: Callable[[str], bool] | None = None

    def open(self: Any, bounds: Bounds) -> None:
        """Prepare for one request within these bounds; connect unless the connection is open."""
        self.written, self.deadline = False, bounds.deadline
        self.connect_until = min(time.monotonic() + bounds.connect_seconds, bounds.deadline)
        self.is_allowed = bounds.is_allowed
        self.response_class = partial(_Response, self, bounds)
        if self.sock is None:
            self.connect()

    def mark_idle(self) -> None:
        """Note that the connection is idle from now on."""
        self.idle_since = _clocks()

    @property
    def is_quiet(self: Any) -> bool:
        """Whether the connection is open with nothing to read; TLS session tickets do not count."""
        if self.sock is None or self.surplus:
            return False
        self.sock.settimeout(0)
        try:
            self.sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False  # it is closed, or has unsolicited bytes

    def is_fresh(self: Any, seconds: float = 0.0) -> bool:
        """Return whether an idle connection may be used again, `seconds` from now at the latest."""
        idle = zip(_clocks(), self.idle_since, strict=True)
        most = _IDLE_SECONDS - seconds
        return all(now - since <= most for now, since in idle) and self.is_quiet

    def _new_conn(self: Any) -> socket.socket:
        host, until = self._dns_host.strip("[]"), self.connect_until
        addresses = _resolve(host, self.port, until)
        if self.is_allowed and not all(self.is_allowed(str(row[4][0])) for row in addresses):
            raise AddressRefusedError
        return _connect(addresses, self.socket_options, until)

    def write(self: Any, method: str, path: str, body: Any, headers: Any) -> bool:
        """Write the request; return whether the server stopped reading before its end."""
        options = {"preload_content": False, "decode_content": False}
        try:
            self.request(method, path, body=body, headers=headers, **options)
        except (BrokenPipeError, ConnectionResetError):
            return True  # it may have answered before it closed
        return False

    def send(self: Any, data: bytes) -> None:
        for start in range(0, len(data), _WRITE_BYTES):
            self.sock.settimeout(_left(self.deadline))
            self.written = True
            self.sock.sendall(data[start : start + _WRITE_BYTES])


class _PlainConnection(_BoundConnection, HTTPConnection):  # type: ignore[misc]
    pass


class _TlsConnection(_BoundConnection, HTTPSConnection):  # type: ignore[misc]
    pass


class _Response(http.client.HTTPResponse):
    """A response that is read within the bounds, without the 1xx responses before it."""

    def __init__(
        self, connection: _BoundConnection, bounds: Bounds, sock: socket.socket, **kwargs: Any
    ) -> None:
        super().__init__(sock, **kwargs)
        self._connection = connection
        self._reader = _BoundReader(self.fp.detach(), sock, bounds)
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        super().begin()
        if self._reader.ended:  # http.client takes half a head for a whole one
            raise ConnectionError

    def _close_conn(self) -> None:
        """Note bytes after the end of the body: they would be read as the next reply."""
        if self._reader.stop_and_peek(self.fp):
            self._connection.surplus = True
        super()._close_conn()  # type: ignore[misc]

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]
        # http.client skips 100 alone; RFC 9110, section 15.2, has a client skip every 1xx.
        return version, HTTPStatus.CONTINUE if 100 <= status < 200 else status, reason


class _BoundReader(io.RawIOBase):
    """A socket's stream that ends at a deadline and after so many bytes, however slow it is."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, bounds: Bounds) -> None:
        self._raw = raw
        self._sock = sock
        self._until = min(time.monotonic() + bounds.read_seconds, bounds.deadline)
        self._bytes_left = bounds.max_bytes + _HEADER_BYTES
        self.ended = False
        self._stopped = False

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def stop_and_peek(self, buffered: io.BufferedReader) -> bytes:
        """Read no more, and return what was read ahead."""
        self._stopped = True
        return buffered.peek()

    def readinto(self, buffer: Any) -> int | None:
        if self._stopped:
            return 0
        self._sock.settimeout(_left(self._until))
        count: int | None = self._raw.readinto(buffer)
        self.ended = count == 0
        self._bytes_left -= count or 0
        if self._bytes_left < 0:
            raise TooLargeError
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def _connect(addresses: list[Any], options: Any, until: float) -> socket.socket:
    """Connect to one of a host's addresses, which share the time.

    It resolves no names: it connects to the addresses that were checked.
    """
    failure: OSError = OSError("no address")
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        sock = socket.socket(family, kind, protocol)
        try:
            for option in options or ():
                sock.setsockopt(*option)
            sock.settimeout(_left(until) / (len(addresses) - tried))
            sock.connect(address)
            sock.settimeout(_left(until))  # for the TLS handshake
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def _resolve(host: str, port: int, until: float) -> list[Any]:
    """Return the host's addresses. A resolver cannot be interrupted, so it has its own thread."""
    found: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            found.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as error:  # noqa: BLE001 - raised below, in the thread that waits
            found.put(error)

    threading.Thread(target=resolve, daemon=True).start()
    try:
        result = found.get(timeout=_left(until))
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(result, Exception):
        raise result
    return list(result)


def _censor(record: logging.LogRecord) -> bool:
    """Remove the reply, and the URL, which has the key in the GET form, from urllib3's log."""
    record.exc_info = None
    if isinstance(record.args, tuple):
        record.args = tuple(
            type(arg).__name__ if isinstance(arg, Exception) else str(arg).partition("?")[0]
            for arg in record.args
        )
    return True


for _name in ("connection", "response"):
    logging.getLogger(f"urllib3.{_name}").addFilter(_censor)
