"""HTTP with two promises: it knows whether anything was sent, and it ends in time.

A connection of our own classes notes the moment before the first byte of a request is written. An
exception before that moment proves that nothing was sent; after it, nothing is proven. Reading has
one bound for the whole reply, headers included, so a server that trickles cannot hold us.
"""

import time
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import (
    ConnectTimeoutError,
    LocationParseError,
    NameResolutionError,
    NewConnectionError,
    SSLError,
)
from urllib3.util import Retry

from skycore.api.connections import Exchange, ProvingAdapter, current_exchange
from skycore.api.failures import NotSent, OutcomeUnknown, SkycoreError

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
