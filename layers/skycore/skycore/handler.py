"""Wrap every handler: ids on its log lines, metrics written at the end, errors without their text.

`ack`, which has one route, uses the answers here; http.py has the resolver of the others.
"""

from __future__ import annotations

import base64
import json
from functools import wraps
from typing import TYPE_CHECKING, Any

from skycore import logs, metrics
from skycore.problems import Problem
from skycore.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

type Answer = dict[str, Any]  # as API Gateway's REST proxy takes it


class InvocationError(RuntimeError):
    """A handler failed. Its text is the error's type: the error's own text may quote data."""


def lambda_handler[Event, Result](
    handle: Callable[[Event, Any], Result],
) -> Callable[[Event, Any], Result]:
    """Return a Lambda handler around `handle`.

    Raises SettingsError as it is, and InvocationError for any other error: Lambda logs the text
    of what a handler raises.
    """

    @wraps(handle)
    def handler(event: Event, context: Any) -> Result:
        request = event.get("requestContext", {}) if isinstance(event, dict) else {}
        logs.reset_context(
            request_id=getattr(context, "aws_request_id", None),
            api_request_id=request.get("requestId"),
        )
        try:
            result = handle(event, context)
        except SettingsError:
            raise
        except Exception as error:  # noqa: BLE001 - raised again without its text
            logs.log_exception("invocation failed", error)
            raise InvocationError(type(error).__name__) from None
        finally:
            metrics.flush()
        if isinstance(event, dict) and isinstance(result, dict) and "statusCode" in result:
            fields = {"route": event.get("resource"), "status": result["statusCode"]}
            logs.log.debug("answered", extra=fields)
        return result

    return handler


def body_of(event: Mapping[str, Any]) -> bytes:
    """Return the bytes of a REST proxy event's body."""
    body = event.get("body") or ""
    return base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()


def answer(status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an answer with `body` as JSON, or an empty one; problem details from 400 up."""
    return {
        "statusCode": status,
        "headers": {"Content-Type": content_type(status), **(headers or {})},
        "body": "" if body is None else to_json(body),
        "isBase64Encoded": False,
    }


def answer_error(error: Exception, *, route: str | None) -> Answer:
    """Return the answer to a request that ended with `error`."""
    problem = problem_of(error, route=route)
    return answer(problem.status, problem.body(), problem.headers())


def problem_of(error: Exception, *, route: str | None) -> Problem:
    """Log the error that ended a request, and return the problem that answers it.

    An unexpected error is answered as API Gateway answers a crash. Lambda would log the text of
    a raised one, which may quote the request.
    """
    if isinstance(error, Problem):
        fields = {"route": route, "problem": error.code}
        logs.log.info("answered with a problem", extra=fields)
        return error
    logs.log_exception("request failed", error, route=route)
    detail = "outcome unknown; repeat only with the same Idempotency-Key"
    return Problem("gateway_failure", detail)


def content_type(status: int) -> str:
    """Return the content type of an answer with this status."""
    return "application/problem+json" if status >= 400 else "application/json"


def to_json(body: Any) -> str:
    """Return `body` as ASCII: a field name that is echoed may hold half a surrogate pair."""
    return json.dumps(body)
