"""Download a file of an inbound MMS, from Skycore's own host and the hosts of MediaHosts alone.

The URL comes with a postback, so a stranger may have written it. A name is resolved once: each of
its addresses is checked, and the connection goes to one of those. Redirects are not followed, no
proxy or credential is used, and the answer's size and duration are bounded.
"""

from __future__ import annotations

import re
import time
import zlib
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from requests import Request

from skycore.client import transport
from skycore.client.connections import Bounds
from skycore.client.errors import NotSent, OutcomeUnknown
from skycore.client.media import is_public_address

CONNECT_SECONDS = 3.0  # for the name, the connection and TLS
UNKNOWN_TYPE = "application/octet-stream"
MAX_NAME = 100  # characters of a file's name
_PORTS = {"http": 80, "https": 443}
_AMBIGUOUS = re.compile(r"[\x00-\x1f\x7f\\]")  # what programs read differently in a URL
_REQUESTABLE = re.compile(r"[\x21-\x7e]+")
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9_-]{1,63})+")
_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,60}")
_RETRYABLE = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}
_REASONS = {
    transport.ADDRESS_REFUSED: "address_not_allowed",
    transport.TOO_LARGE: "too_large",
    transport.TOO_SLOW: "timeout",
    transport.CONNECT_TIMEOUT: "timeout",
}
_FINAL = {"invalid_url", "host_not_allowed", "address_not_allowed", "too_large", "unknown_encoding"}


class DownloadError(Exception):
    """A file was not downloaded.

    `code` says why, such as `timeout` or `http_404`; `is_final`: another try would fail too.
    """

    def __init__(self, code: str, *, is_final: bool) -> None:
        self.code = code
        self.is_final = is_final
        super().__init__(code)


@dataclass(frozen=True, slots=True)
class File:
    """A downloaded file, and its media type as its server states it."""

    content: bytes
    type: str


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """Where media may be downloaded from.

    `skycore_url`: its host and port, at any address, because this stack calls it anyway.
    `media_hosts`: names that resolve to public addresses; `.example.com` is example.com and each
    name below it.
    """

    skycore_url: str
    media_hosts: tuple[str, ...] = ()

    def is_skycore(self, url: str) -> bool:
        """Return whether a URL has the scheme, host and port of `skycore_url`."""
        return _origin(url) == _origin(self.skycore_url)

    def is_media_host(self, url: str) -> bool:
        """Return whether a URL has one of the hosts, and the scheme's own port."""
        scheme, host, port = _origin(url)
        if port != _PORTS[scheme] or not _NAME.fullmatch(host):
            return False
        return any(
            host == allowed.removeprefix(".") or (allowed[:1] == "." and host.endswith(allowed))
            for allowed in map(str.lower, self.media_hosts)
        )


def download(url: str, hosts: AllowedHosts, *, max_bytes: int, seconds: float) -> File:
    """Download one file within so many bytes and seconds. Raises DownloadError."""
    prepared = _prepared(url)
    is_skycore = hosts.is_skycore(prepared)
    if not is_skycore and not hosts.is_media_host(prepared):
        raise _error("host_not_allowed")
    bounds = Bounds(
        connect_seconds=CONNECT_SECONDS,
        read_seconds=seconds,
        deadline=time.monotonic() + seconds,
        max_bytes=max_bytes,
        is_allowed=None if is_skycore else is_public_address,
    )
    with transport.new_session() as session:
        transport.mount_adapter(session, prepared)
        try:
            with transport.exchange(session, "GET", prepared, bounds=bounds) as answer:
                if answer.status != HTTPStatus.OK:
                    raise DownloadError(
                        f"http_{answer.status}", is_final=_is_refusal(answer.status)
                    )
                content = _decoded(answer.body, answer.content_encoding, max_bytes)
                return File(content, _media_type(answer.content_type))
        except (NotSent, OutcomeUnknown) as error:
            raise _error(_REASONS.get(error.reason, "unreachable")) from None


def file_name(url: str) -> str:
    """Return the name of a file, from its URL, in characters that every system accepts."""
    last = unquote(urlsplit(url).path).rsplit("/", 1)[-1]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", last)[-MAX_NAME:].strip(".-") or "file"


def _prepared(url: str) -> str:
    """Return the URL as it is requested. Raises DownloadError if it is not clearly a URL."""
    if _AMBIGUOUS.search(url):
        raise _error("invalid_url")
    try:
        prepared = str(Request("GET", url).prepare().url)
        _origin(prepared)
    except (ValueError, KeyError):  # requests' errors are ValueErrors
        raise _error("invalid_url") from None
    if not _REQUESTABLE.fullmatch(prepared) or "@" in urlsplit(prepared).netloc:
        raise _error("invalid_url")
    return prepared


def _origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port. Raises ValueError, or KeyError for another scheme."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    port = _PORTS[scheme] if parts.port is None else parts.port
    return scheme, (parts.hostname or "").removesuffix("."), port


def _is_refusal(status: int) -> bool:
    """Return whether an HTTP status says that the file will not come: a redirect, or 4xx."""
    return HTTPStatus.MULTIPLE_CHOICES <= status < 500 and status not in _RETRYABLE


def _decoded(body: bytes, encoding: str | None, max_bytes: int) -> bytes:
    """Return a file without the compression that its server was asked not to use."""
    coding = (encoding or "identity").strip().lower()
    if coding == "identity" or not body:
        return body
    if coding not in {"gzip", "x-gzip"}:
        raise _error("unknown_encoding")
    packed = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        content = packed.decompress(body, max_bytes + 1)
    except zlib.error:
        raise _error("unknown_encoding") from None
    if len(content) > max_bytes:
        raise _error("too_large")
    if not packed.eof:
        raise _error("unreachable")
    return content


def _media_type(stated: str | None) -> str:
    """Return a Content-Type without its parameters, if it looks like one."""
    kind = (stated or "").partition(";")[0].strip().lower()
    return kind if _TYPE.fullmatch(kind) else UNKNOWN_TYPE


def _error(code: str) -> DownloadError:
    return DownloadError(code, is_final=code in _FINAL)
