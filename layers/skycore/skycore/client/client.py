"""The client: one call, one action, one answer."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal, Self
from urllib.parse import urlencode, urlsplit

import requests

from skycore.catalogue.actions import Action, find_action
from skycore.client.errors import (
    CredentialsMissing,
    FieldError,
    InvalidRequest,
    NotSent,
    OutcomeUnknown,
    Refused,
    SkycoreError,
)
from skycore.client.reply import Reply, read_reply
from skycore.client.report import Report, read_report, report_url
from skycore.client.request import Credentials, request_query, request_xml
from skycore.client.transport import exchange, mount_adapter, new_session
from skycore.client.validation import prepare

_LARGEST_REPLY = 2 * 1024 * 1024  # bytes
_LARGEST_REPORT = 64 * 1024 * 1024  # bytes
_PAUSES = (0.1, 0.3)  # seconds before each of the two repeats of what was proven unsent
_STALE_KEY = ("E102", "E103", "E104")
_FOREVER = float("inf")

CredentialSource = Callable[[bool], Credentials]
Hook = Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Way:
    """How one call travels: both timeouts in seconds, the deadline by ``time.monotonic()``."""

    transport: str
    timeout: tuple[float, float]
    deadline: float
    most_bytes: int = _LARGEST_REPLY
    before: Hook | None = None


class SkycoreClient:
    """Calls the actions of the Skycore Messaging API v1.3.

    ``base_url`` is the whole URL of the endpoint, such as
    ``https://secure.skycore.com/API/wxml/1.3/index.php``. ``credentials`` is a ``Credentials``, or
    a function that is given ``refresh`` (false at first, true after Skycore refused them) and gives
    one. ``connect_timeout`` and ``read_timeout`` are in seconds; the second bounds a whole reply.

    ``session`` may bring certificates, proxies or headers. Without one the client makes its own,
    which takes nothing from the environment, and closes it; the client is a context manager. A
    session with its own adapter for ``base_url`` keeps it, and must not repeat POSTs by itself.

    Nothing is repeated unless it is proven that no byte of it was sent, or Skycore refused the
    credentials and there are newer ones.
    """

    def __init__(
        self,
        base_url: str,
        credentials: Credentials | CredentialSource,
        *,
        connect_timeout: float = 3.0,
        read_timeout: float = 15.0,
        session: requests.Session | None = None,
        default_region: str = "US",
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("base_url must be an absolute http or https URL")
        self._base_url = base_url
        self._credentials = credentials
        self._timeout = (connect_timeout, read_timeout)
        self._default_region = default_region
        self._own_session = session is None
        self._session = new_session() if session is None else session
        mount_adapter(self._session, f"{parts.scheme}://{parts.netloc}/")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, unless the session is the caller's."""
        if self._own_session:
            self._session.close()

    def call(
        self,
        action: str | Action,
        fields: Mapping[str, Any] | None = None,
        *,
        transport: Literal["post", "get"] = "post",
        timeout: tuple[float, float] | None = None,
        deadline: float | None = None,
        prepared: bool = False,
        again: Hook | None = None,
        before: Hook | None = None,
    ) -> Reply:
        """Call an action, by name in any letter case, with fields under their JSON names.

        The fields are checked by ``prepare`` first, unless they are ``prepared``. ``timeout`` takes
        the place of the client's two; ``deadline``, a ``time.monotonic()`` value, bounds all of it,
        repeats and a refresh of the credentials included. ``transport="get"`` puts everything, the
        API key too, into the URL, where proxies and servers log it.

        Two hooks let the caller keep to the account's limits. ``again`` is called before Skycore
        is asked a second time, with newer credentials, which is one more call. ``before`` is
        called right before every attempt, repeats without a connection included. What they raise
        ends the call and comes out as it is, but for a repeat that ``before`` does not allow: that
        no connection was made stays the reason. Skycore has done nothing by then.

        It raises, when nothing was sent, ``InvalidRequest`` (unknown action, bad fields, no GET
        form), ``CredentialsMissing`` or ``NotSent`` (no connection, no answer from the source of
        the credentials, a request that cannot be written); ``Refused`` when Skycore says that it
        did not do it, and why; ``OutcomeUnknown`` when it may have been done.
        """
        known = find_action(action) if isinstance(action, str) else action
        if known is None:
            raise InvalidRequest([FieldError("action", "is not an action of Skycore")])
        if transport == "get" and not known.get_form:
            detail = f"{known.name} has no GET form: its slides fit into no URL"
            raise InvalidRequest([FieldError("transport", detail)])
        with _nothing_sent("request not prepared"):
            ready = dict(fields or {})
            if not prepared:
                ready = prepare(known, ready, default_region=self._default_region)
        limit = _FOREVER if deadline is None else deadline
        way = _Way(transport, timeout or self._timeout, limit, before=before)
        credentials = self._current_credentials(refresh=False)
        try:
            return self._ask(known, ready, credentials, way)
        except Refused as refusal:
            if refusal.code not in _STALE_KEY or isinstance(self._credentials, Credentials):
                raise
            newer = self._current_credentials(refresh=True)
            if newer == credentials:
                raise
        # a refused key did nothing, so the action may be asked once more
        if again is not None:
            again()
        return self._ask(known, ready, newer, way)

    def fetch_report(
        self,
        link: str,
        *,
        timeout: tuple[float, float] | None = None,
        deadline: float | None = None,
    ) -> Report:
        """Fetch and read the file that a reply of getSendingStatus links to (``report_link``).

        The link must lead to the host of ``base_url``; no credentials are sent, redirects are not
        followed, and at most 64 MiB are read. It raises ``InvalidRequest`` for another link,
        ``NotSent`` without a connection, ``OutcomeUnknown`` for anything but a file.
        """
        url = report_url(link, self._base_url)
        mount_adapter(self._session, url)
        limit = _FOREVER if deadline is None else deadline
        way = _Way("get", timeout or self._timeout, limit, _LARGEST_REPORT)
        status, content = self._exchange("GET", url, None, way)
        if status != HTTPStatus.OK:
            raise OutcomeUnknown(f"HTTP {status}")
        return read_report(content)

    def _current_credentials(self, *, refresh: bool) -> Credentials:
        source = self._credentials
        if isinstance(source, Credentials):
            credentials = source
        else:
            with _nothing_sent("credentials not read"):
                credentials = source(refresh)
        if not credentials.usable:
            raise CredentialsMissing
        return credentials

    def _ask(
        self, action: Action, fields: Mapping[str, Any], credentials: Credentials, way: _Way
    ) -> Reply:
        url, method, body = self._base_url, "POST", None
        with _nothing_sent("request not written"):
            if way.transport == "get":
                method = "GET"
                url += _joint(url) + request_query(action, fields, credentials.elements)
            else:
                xml = request_xml(action, fields, credentials.elements)
                body = urlencode({"xml": xml}).encode()
        status, answer = self._exchange(method, url, body, way)
        return read_reply(action, status, answer)

    def _exchange(self, method: str, url: str, body: bytes | None, way: _Way) -> tuple[int, bytes]:
        pauses = iter(_PAUSES)
        unsent: NotSent | None = None
        while True:
            try:
                if way.before is not None:
                    way.before()
            except Exception:
                if unsent is None:
                    raise
                raise unsent from None
            try:
                return exchange(
                    self._session,
                    method,
                    url,
                    body=body,
                    timeout=way.timeout,
                    deadline=way.deadline,
                    most_bytes=way.most_bytes,
                )
            except NotSent as error:
                pause = next(pauses, None)
                if pause is None or time.monotonic() + pause >= way.deadline:
                    raise
                unsent = error
            time.sleep(pause)


@contextmanager
def _nothing_sent(reason: str) -> Iterator[None]:
    """Whatever goes wrong in here, nothing was sent; the first error's text may hold secrets."""
    try:
        yield
    except SkycoreError:
        raise
    except Exception:  # noqa: BLE001 - see above
        raise NotSent(reason) from None


def _joint(url: str) -> str:
    if "?" not in url:
        return "?"
    return "" if url.endswith(("?", "&")) else "&"
