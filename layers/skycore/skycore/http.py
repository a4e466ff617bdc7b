"""Answers, as API Gateway's REST proxy takes them, and the one place where errors become one."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from skycore.logs import log, log_exception
from skycore.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


type Answer = dict[str, Any]


def serve(event: Mapping[str, Any], route: Callable[[Request], Answer]) -> Answer:
    """The answer of `route` to a REST proxy event; a Problem becomes problem details.

    An error that nobody foresaw is answered as the gateway answers a crash: a raised one would be
    logged with its text, which may quote the request.
    """
    try:
        answered = route(read_request(event))
    except Problem as problem:
        answered = problem_answer(problem)
        log.info(
            "answered with a problem",
            extra={"route": event.get("resource"), "problem": problem.code},
        )
    except Exception as error:  # noqa: BLE001 - see above
        log_exception("request failed", error, route=event.get("resource"))
        detail = "outcome unknown; repeat only with the same Idempotency-Key"
        answered = problem_answer(Problem("gateway_failure", detail, retry_after=30))
    log.debug("answered", extra={"route": event.get("resource"), "status": answered["statusCode"]})
    return answered


def answer(status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer with `body` as JSON, or with an empty one; from 400 up as problem details."""
    kind = "application/problem+json" if status >= 400 else "application/json"
    return {
        "statusCode": status,
        "headers": {"Content-Type": kind, **(headers or {})},
        # ASCII: a request's field names are echoed, and half a surrogate pair has no UTF-8.
        "body": "" if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }


def problem_answer(problem: Problem) -> Answer:
    """An answer of type application/problem+json."""
    return answer(problem.status, problem.body(), problem.headers())


MAX_JSON_BYTES = 2_000_000  # of a JSON body; a batch of 1,000 messages is a few hundred kB


@dataclass(frozen=True, slots=True)
class Request:
    """What a route needs to know of a request. Header names are in lower case."""

    method: str
    route: str
    headers: Mapping[str, str]
    path: Mapping[str, str]
    query: Mapping[str, list[str]]
    url_path: str
    caller: str
    body: bytes = field(repr=False)

    def path_below(self, name: str) -> str:
        """Return the path of `name` below this request's own, for a Location header.

        It includes the stage or base path if this request's URL did (RFC 9110, 10.2.2).
        """
        # One slash at the start: `//messages` would name another host.
        return f"/{self.url_path.strip('/')}/{name}"

    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises Problem too_large or invalid_json."""
        if len(self.body) > MAX_JSON_BYTES:
            raise Problem("too_large", f"the request body is over {MAX_JSON_BYTES} bytes")
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            raise Problem("invalid_json", "the request body is not JSON") from None
        if not isinstance(value, dict):
            raise Problem("invalid_json", "the request body is not a JSON object")
        return value

    def prefers_async(self) -> bool:
        """Whether the caller prefers to be answered before the message is sent (RFC 7240)."""
        words = self.headers.get("prefer", "").lower().split(",")
        return any(word.split(";")[0].strip() == "respond-async" for word in words)


def read_request(event: Mapping[str, Any]) -> Request:
    """The request in a REST proxy event (payload format 1.0)."""
    body = event.get("body") or ""
    context = event.get("requestContext") or {}
    identity = context.get("identity") or {}
    return Request(
        method=event["httpMethod"],
        route=event["resource"],
        headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
        path=event.get("pathParameters") or {},
        query=event.get("multiValueQueryStringParameters") or {},
        # Only the context's path has the stage, and has it only where the URL does.
        url_path=context.get("path") or event.get("path") or event["resource"],
        caller=_role_or_user(identity.get("userArn") or ""),
        body=base64.b64decode(body) if event.get("isBase64Encoded") else body.encode(),
    )


def _role_or_user(arn: str) -> str:
    """The caller without the name of its session, which differs between copies of one service."""
    account, _, rest = arn.partition(":assumed-role/")
    return f"{account}:assumed-role/{rest.split('/')[0]}" if rest else arn
