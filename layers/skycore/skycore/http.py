"""The REST API: Powertools' resolver, what routes read of a request, and their answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from skycore.handler import body_of, content_type, problem_of, to_json
from skycore.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from re import Match

MAX_JSON_BYTES = 2_000_000  # of a JSON body; a batch of 1,000 messages is a few hundred kB


class RestApi(APIGatewayRestResolver):
    """Route by the resource that API Gateway matched, and answer errors as problem details.

    Powertools matches the request's path, which a custom domain's base path precedes, and takes
    path parameters from it by a pattern that some characters do not match. API Gateway has done
    both already.
    """

    def __init__(self) -> None:
        super().__init__(debug=False)  # debug mode prints requests and answers tracebacks
        # Exception includes a route that the template has and the function does not.
        self.exception_handler([Problem, Exception])(self._answer_error)

    def resolve(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        """Return the answer of the route for `event`; never raises for what a route raised."""
        return super().resolve({**event, "path": event["resource"]}, context)

    def _convert_matches_into_route_keys(self, _match: Match[str]) -> dict[str, str]:
        return dict(self.current_event.path_parameters)

    def _answer_error(self, error: Exception) -> Response[str]:
        problem = problem_of(error, route=self.current_event.resource)
        return json_response(problem.body(), problem.status, problem.headers())


def json_response(
    body: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response[str]:
    """Return an answer with `body` as JSON; problem details from 400 up."""
    return Response(status, content_type(status), to_json(body), headers)


def read_json(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body as a JSON object. Raises Problem too_large or invalid_json."""
    body = body_of(event)
    if len(body) > MAX_JSON_BYTES:
        raise Problem("too_large", f"the request body is over {MAX_JSON_BYTES} bytes")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise Problem("invalid_json", "the request body is not JSON") from None
    if not isinstance(value, dict):
        raise Problem("invalid_json", "the request body is not a JSON object")
    return value


def caller_of(event: Mapping[str, Any]) -> str:
    """Return the caller's ARN without the name of its session.

    Execution environments of one service assume its role under different session names.
    """
    return str(identity_of(event)["caller"])


def identity_of(event: Mapping[str, Any]) -> dict[str, str | None]:
    """Return who calls: `caller` as `caller_of`, the name of its `session`, and its `address`."""
    identity = event["requestContext"].get("identity") or {}
    return {**split_arn(identity.get("userArn") or ""), "address": identity.get("sourceIp")}


def split_arn(arn: str) -> dict[str, str | None]:
    """Return the role or user of an ARN as `caller`, and the session's name; None for a user."""
    account, _, rest = arn.partition(":assumed-role/")
    if not rest:
        return {"caller": arn, "session": None}
    role, _, session = rest.partition("/")
    return {"caller": f"{account}:assumed-role/{role}", "session": session or None}


def prefers_async(headers: Mapping[str, str]) -> bool:
    """Return whether the caller prefers an answer before the message is sent (RFC 7240)."""
    words = headers.get("prefer", "").lower().split(",")
    return any(word.split(";")[0].strip() == "respond-async" for word in words)


def path_below(event: Mapping[str, Any], name: str) -> str:
    """Return the path of `name` below this request's own, for a Location header.

    It includes the stage or base path if this request's URL did (RFC 9110, 10.2.2).
    """
    # Only the context's path has the stage, and has it only where the URL does.
    path = event["requestContext"].get("path") or event["resource"]
    # One slash at the start: `//messages` would name another host.
    return f"/{path.strip('/')}/{name}"
