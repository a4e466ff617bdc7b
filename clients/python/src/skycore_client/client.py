"""The caller's side of the API: signs, sends, and repeats what is safe to repeat."""

from __future__ import annotations

import itertools
import json
import random
import re
import time
import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import botocore.session
from botocore import exceptions
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from skycore_client.errors import NoAnswer, NotCancellable, Problem, SkycoreError, problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

NO_KEY: Any = object()  # send without an Idempotency-Key: a timeout is then never repeated
CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0  # API Gateway gives up after 29
RETRY_SECONDS = 60.0
LONGEST_PAUSE = 8.0  # seconds, unless Retry-After says more
BATCH_SIZE = 1000  # messages, the most that the API takes
BATCH_BYTES = 1_500_000  # the API takes 2,000,000
_PRINTABLE = re.compile(r"[ -~]+")  # characters of a key
# A proxy error is not one: urllib3 reports a request that a proxy took and lost in the same way.
_NOT_SENT = (exceptions.EndpointConnectionError, exceptions.ConnectTimeoutError)


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message as the API describes it; `data` is the whole answer. A dry run has no id."""

    message_id: str | None
    status: str | None
    tracking_id: str | None
    to: str | None
    sender: str | None
    client_reference: str | None
    data: dict[str, Any]
    replayed: bool = False  # the answer that the same Idempotency-Key got before


class Client:
    """A caller of one stack's API. One object serves a whole process, threads included.

    `api_url` is the stack's output ApiUrl. `region` and `credentials` (botocore's) are found as
    every AWS SDK finds them. `read_seconds` bounds the wait for each answer, `retry_seconds` how
    long after the start of a call a further try may start. A Retry-After that is longer than that
    is raised, not waited for.
    """

    def __init__(
        self,
        api_url: str,
        *,
        region: str | None = None,
        credentials: Any = None,
        read_seconds: float = READ_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        session = botocore.session.get_session()
        in_url = re.search(r"\.execute-api\.([a-z0-9-]+)\.", api_url)
        found = region or (in_url[1] if in_url else session.get_config_variable("region"))
        self._credentials: Any = credentials or session.get_credentials()
        if not found or self._credentials is None:
            raise ValueError(f"no {'credentials' if found else 'region'} for requests to the API")
        self._region: str = found
        self._url = api_url.rstrip("/")
        self._retry_seconds = retry_seconds
        timeout: Any = (CONNECT_SECONDS, read_seconds)
        self._http = URLLib3Session(
            verify=session.get_config_variable("ca_bundle") or True,
            proxies=get_environ_proxies(api_url),
            timeout=timeout,
        )

    def send(
        self, message: Mapping[str, Any], *, idempotency_key: str | None = None, queue: bool = False
    ) -> Message:
        """Send a message (fields as in POST /messages), or queue it; raise SkycoreError.

        Repeats use one Idempotency-Key, a random one by default. With a key of your own, such as
        the order's number, you can also repeat the call after a crash.
        """
        key = _key(idempotency_key)
        headers = {"Prefer": "respond-async"} if queue else {}
        answer, replayed = self._call("POST", "/messages", dict(message), key=key, headers=headers)
        return replace(_message(answer), replayed=replayed)

    def send_batch(
        self,
        messages: Iterable[Mapping[str, Any]],
        *,
        template: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> list[Message | Problem]:
        """Queue any number of messages, in calls of up to 1,000; return one result for each.

        `template` has the fields that all messages share. A message that is refused has its
        problem as its result. If a call fails, the messages before it are queued: repeat the same
        list with the exception's `idempotency_key`, and none is queued twice.
        """
        key = _key(idempotency_key, most=240)  # characters; the rest is for the part
        results: list[Message | Problem] = []
        for part in _parts(messages):
            body = {"template": template, "recipients": part} if template else {"messages": part}
            try:
                entries = self._batch(body, f"{key}.{len(results)}" if key else "")
            except SkycoreError as error:
                error.idempotency_key = key
                raise
            results += [_result(entry, len(results)) for entry in entries]
        return results

    def message(self, message_id: str) -> Message:
        """Return a message; `data["timeline"]` has its steps."""
        return _message(self._call("GET", f"/messages/{quote(message_id, safe='')}")[0])

    def messages(self, **filters: str | datetime) -> Iterator[Message]:
        """Yield messages, newest first, by `to`, `sender`, `tracking_id` or another filter."""
        if "sender" in filters:
            filters["from"] = filters.pop("sender")
        return map(_message, self._pages("/messages", "messages", filters))

    def cancel(self, message_id: str) -> Message:
        """Cancel a message that waits and return it; raise NotCancellable if it is too late."""
        try:
            return _message(self._call("DELETE", f"/messages/{quote(message_id, safe='')}")[0])
        except NotCancellable:
            message = self.message(message_id)  # a try whose answer was lost may have done it
            if message.status != "cancelled":
                raise
            return message

    def act(self, action: str, **fields: Any) -> dict[str, Any]:
        """Call a Skycore action that sends nothing, and return its reply."""
        return self._call("POST", f"/actions/{quote(action, safe='')}", fields)[0]

    def unparsed(self, **filters: str | datetime) -> Iterator[dict[str, Any]]:
        """Yield the postbacks that could not be read, newest first."""
        return self._pages("/postbacks/unparsed", "events", filters)

    def _pages(self, path: str, rows: str, filters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        while True:
            page, _ = self._call("GET", path, query={**filters, "cursor": cursor})
            yield from page[rows]
            cursor = page["cursor"]
            if cursor is None:
                return

    def _batch(self, body: Any, key: str) -> list[dict[str, Any]]:
        """Queue one part, again while a result says that its message may still be queued."""
        deadline = time.monotonic() + self._retry_seconds
        for attempt in itertools.count():
            answer, _ = self._call("POST", "/messages/batch", body, key=key, deadline=deadline)
            entries: list[dict[str, Any]] = answer["messages"]
            problems = [_problem(entry) for entry in entries if _is_refused(entry)]
            wait = _pause(attempt)
            again = key and any(p.may_repeat(repeatable=True) for p in problems)
            if not again or time.monotonic() + wait > deadline:
                break
            time.sleep(wait)
        return entries

    def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        key: str = "",
        headers: Mapping[str, str] | None = None,
        deadline: float | None = None,
    ) -> tuple[dict[str, Any], bool]:
        """Return the answer and whether it is a replayed one; repeat the request where it is safe.

        Safe is what provably sent nothing (the API says `retryable`, or no connection was made),
        and anything that may be done twice: reading, cancelling, and sends that have a key.
        """
        until = deadline or time.monotonic() + self._retry_seconds
        repeatable = method != "POST" or key != ""
        sent_headers = {**(headers or {}), **({"Idempotency-Key": key} if key else {})}
        for attempt in itertools.count():
            try:
                return self._once(method, path + _query_string(query), body, sent_headers)
            except SkycoreError as error:
                error.idempotency_key = key or None
                wait = max(error.retry_after or 0.0, _pause(attempt))
                late = time.monotonic() + wait > until
                if late or not error.may_repeat(repeatable=repeatable):
                    raise
                time.sleep(wait)
        raise AssertionError  # the loop has no end

    def _once(
        self, method: str, path: str, body: Any, headers: Mapping[str, str]
    ) -> tuple[dict[str, Any], bool]:
        data = None if body is None else json.dumps(body).encode()
        request = AWSRequest(
            method, self._url + path, {"Content-Type": "application/json", **headers}, data
        )
        SigV4Auth(self._credentials.get_frozen_credentials(), "execute-api", self._region).add_auth(
            request
        )
        try:
            answer = self._http.send(request.prepare())
        except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
            raise NoAnswer(str(error), sent=not isinstance(error, _NOT_SENT)) from error
        try:
            content = json.loads(answer.content)
        except ValueError:
            content = None
        if answer.status_code >= 300:
            raise problem(content, answer.status_code, answer.headers.get("Retry-After"))
        if not isinstance(content, dict):
            raise NoAnswer(f"HTTP {answer.status_code} with an unreadable body", sent=True)
        return content, answer.headers.get("Idempotency-Replayed") == "true"


def _key(given: str | None, most: int = 255) -> str:
    """Return the Idempotency-Key, by default a random one; empty for NO_KEY."""
    if given is NO_KEY:
        return ""
    key = uuid.uuid4().hex if given is None else given
    if len(key) > most or not _PRINTABLE.fullmatch(key):
        raise ValueError(f"an Idempotency-Key must be 1 to {most} printable ASCII characters")
    return key


def _pause(attempt: int) -> float:
    """Return the seconds before the next try: half a second, doubled each time, less a bit."""
    return min(LONGEST_PAUSE, 0.5 * 2.0 ** min(attempt, 10)) * random.uniform(0.5, 1)  # noqa: S311


def _query_string(query: Mapping[str, Any] | None) -> str:
    values = {name: value for name, value in (query or {}).items() if value is not None}
    texts = {n: v.isoformat() if isinstance(v, datetime) else str(v) for n, v in values.items()}
    pairs = [f"{name}={quote(text, safe='-_.~')}" for name, text in sorted(texts.items())]
    return "?" + "&".join(pairs) if pairs else ""


def _parts(messages: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Cut the list where a call is full. The same list is always cut in the same places."""
    part: list[Mapping[str, Any]] = []
    size = 0
    for message in map(dict, messages):
        length = len(json.dumps(message))
        if part and (len(part) == BATCH_SIZE or size + length > BATCH_BYTES):
            yield part
            part, size = [], 0
        part.append(message)
        size += length
    if part:
        yield part


def _is_refused(entry: Mapping[str, Any]) -> bool:
    return entry.get("status") == "refused"


def _problem(entry: dict[str, Any]) -> Problem:
    return problem(entry, entry["http_status"])


def _result(entry: dict[str, Any], offset: int) -> Message | Problem:
    """Return an entry of a batch's answer; `offset` is the index of its part's first message."""
    if "same_recipient_as" in entry:
        entry["same_recipient_as"] += offset
    return _problem(entry) if _is_refused(entry) else _message(entry)


def _message(data: dict[str, Any]) -> Message:
    names = ("message_id", "status", "tracking_id", "to", "client_reference")
    known: dict[str, Any] = {name: data.get(name) for name in names}
    return Message(**known, sender=data.get("from"), data=data)
