"""Answers, as API Gateway's REST proxy takes them, and the one place where errors become one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from skycore.logs import log, log_exception
from skycore.problems import Problem
from skycore.web.request import read_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from skycore.web.request import Request

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
