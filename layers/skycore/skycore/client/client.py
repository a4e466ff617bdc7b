"""The client: one call, one action, one reply."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal, Self
from urllib.parse import urlencode, urlsplit

import requests

from skycore.catalogue.actions import Action, find_action
from skycore.client.connections import Bounds
from skycore.client.errors import (
    CredentialsMissing,
    FieldError,
    InvalidRequest,
    NotReady,
    NotSent,
    OutcomeUnknown,
    Refused,
    SkycoreError,
)
from skycore.client.reply import MAX_REPLY_BYTES, Reply, read_reply
from skycore.client.report import Report, read_report, report_url
from skycore.client.request import Credentials, request_query, request_xml
from skycore.client.transport import connect_ahead, exchange, mount_adapter, new_session
from skycore.client.validation import prepare

_MAX_REPORT_BYTES = 64 * 1024 * 1024
_PAUSES = (0.1, 0.3)  # seconds before each of the two retries of a request that was not sent
_STALE_KEY = ("E102", "E103", "E104")
_FOREVER = float("inf")

CredentialSource = Callable[[bool], Credentials]
Hook = Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Call:
    """What the requests of one call have in common."""

    action: Action
    fields: Mapping[str, Any]
    transport: str
    bounds: Bounds
    before_write: Hook | None


class SkycoreClient:
    """Calls the actions of the Skycore Messaging API v1.3.

    ``base_url`` is the whole URL of the endpoint, such as
    ``https://secure.skycore.com/API/wxml/1.3/index.php``. ``credentials`` is a ``Credentials``, or
    a function that takes ``refresh`` (false at first, true after Skycore refused them) and returns
    one. ``connect_timeout`` and ``read_timeout`` are in seconds: the first bounds name resolution,
    TCP and TLS together, the second a whole reply.

    ``session`` may have its own certificate authorities (``verify``) and headers. Without one the
    client makes its own, which takes nothing from the environment, and closes it; the client is a
    context manager.

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
        self._source = credentials
        self._credentials: Credentials | None = None  # those that `ready` read
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

    def ready(self, *, deadline: float | None = None, count: int = 1) -> int:
        """Prepare for ``count`` calls, as far as that takes no slot of the account's limits.

        Reads the credentials, which the calls that follow use, and connects in parallel, within the
        time for one connection. Returns how many connections are open. Call it on one thread before
        you take slots, and again if you waited for them longer than a second. Raises
        ``CredentialsMissing`` or ``NotReady``; a connection that cannot be made is left to the call
        to report.
        """
        self._credentials = self._read_credentials(refresh=False)
        with _errors_as_not_ready("not ready to connect"):
            bounds = self._bounds(None, deadline, 0)
            return connect_ahead(self._session, self._base_url, bounds, count)

    def call(
        self,
        action: str | Action,
        fields: Mapping[str, Any] | None = None,
        *,
        transport: Literal["post", "get"] = "post",
        timeout: tuple[float, float] | None = None,
        deadline: float | None = None,
        prepared: bool = False,
        before_write: Hook | None = None,
    ) -> Reply:
        """Call an action, by name in any letter case, with fields under their JSON names.

        The fields are checked by ``prepare`` first, unless they are ``prepared``. ``timeout`` takes
        the place of the client's two; ``deadline``, a ``time.monotonic()`` value, bounds all of it,
        repeats and a refresh of the credentials included. ``transport="get"`` puts everything, the
        API key too, into the URL, where proxies and servers log it.

        ``before_write`` lets the caller keep to the account's limits. It is called on an open
        connection, immediately before the first byte of each request that Skycore counts: once, and
        once more if the request is repeated with newer credentials. It may wait. What it raises
        ends the call and is raised unchanged; Skycore has done nothing by then.

        Raises, when nothing was sent: ``InvalidRequest`` (unknown action, bad fields, no GET form),
        ``CredentialsMissing``, ``NotReady`` (no credentials from their source, a request that
        cannot be written), ``NotSent`` (no connection) or ``HttpRefused`` (an HTTP error that
        proves it). ``Refused`` when Skycore says that it did not do it, and why;
        ``OutcomeUnknown`` when it may have been done.
        """
        found = find_action(action) if isinstance(action, str) else action
        if found is None:
            raise InvalidRequest([FieldError("action", "must be a Skycore action")])
        if transport == "get" and not found.get_form:
            detail = f"must be post: {found.name} has slides, which do not fit into a URL"
            raise InvalidRequest([FieldError("transport", detail)])
        with _errors_as_not_ready("request not prepared"):
            checked = dict(fields or {})
            if not prepared:
                checked = prepare(found, checked, default_region=self._default_region)
        bounds = self._bounds(timeout, deadline, MAX_REPLY_BYTES)
        call = _Call(found, checked, transport, bounds, before_write)
        credentials = self._credentials or self._read_credentials(refresh=False)
        try:
            return self._request_with_retries(call, credentials)
        except Refused as refusal:
            if refusal.code not in _STALE_KEY or isinstance(self._source, Credentials):
                raise
            newer = self._read_credentials(refresh=True)
            if newer == credentials:
                raise
        if self._credentials is not None:
            self._credentials = newer
        return self._request_with_retries(call, newer)  # the refused call did nothing

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
        bounds = self._bounds(timeout, deadline, _MAX_REPORT_BYTES)
        with exchange(self._session, "GET", url, bounds=bounds) as answer:
            if answer.status != HTTPStatus.OK:
                raise OutcomeUnknown(f"HTTP {answer.status}")
            return read_report(answer.body)

    def _bounds(
        self, timeout: tuple[float, float] | None, deadline: float | None, max_bytes: int
    ) -> Bounds:
        connect, read = timeout or self._timeout
        return Bounds(connect, read, _FOREVER if deadline is None else deadline, max_bytes)

    def _read_credentials(self, *, refresh: bool) -> Credentials:
        source = self._source
        if isinstance(source, Credentials):
            credentials = source
        else:
            with _errors_as_not_ready("credentials not read"):
                credentials = source(refresh)
        if not credentials.usable:
            raise CredentialsMissing
        return credentials

    def _request_with_retries(self, call: _Call, credentials: Credentials) -> Reply:
        """Make one request; connect again, twice at most, when no connection was made."""
        url, method, body = self._base_url, "POST", None
        with _errors_as_not_ready("request not written"):
            if call.transport == "get":
                method = "GET"
                url += _joint(url) + request_query(call.action, call.fields, credentials.elements)
            else:
                xml = request_xml(call.action, call.fields, credentials.elements)
                body = urlencode({"xml": xml}).encode()
        pauses = iter(_PAUSES)
        while True:
            try:
                with exchange(
                    self._session,
                    method,
                    url,
                    body=body,
                    bounds=call.bounds,
                    before_write=call.before_write,
                ) as answer:
                    return read_reply(
                        call.action,
                        answer.status,
                        answer.body,
                        to=call.fields.get("to"),
                        retry_after=answer.retry_after,
                    )
            except NotSent:
                pause = next(pauses, None)
                if pause is None or time.monotonic() + pause >= call.bounds.deadline:
                    raise
            time.sleep(pause)


@contextmanager
def _errors_as_not_ready(reason: str) -> Iterator[None]:
    """Turn errors other than SkycoreError into NotReady: their texts may hold secrets."""
    try:
        yield
    except SkycoreError:
        raise
    except Exception:  # noqa: BLE001 - see above
        raise NotReady(reason) from None


def _joint(url: str) -> str:
    if "?" not in url:
        return "?"
    return "" if url.endswith(("?", "&")) else "&"
