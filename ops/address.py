"""Whether an address is this stack's API, tried without the postback token."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import requests

from ops.output import Refused

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from ops.stack import Stack

WRONG_TOKEN = "wrong-token-posted-by-ops"  # noqa: S105 - no token at all; it is counted as a wrong one
SECONDS = 10.0  # to connect, and then for each read; ack answers within nine
_FROM_GATEWAY = {
    "forbidden",
    "gateway_refused",
}  # codes of API Gateway's own answers, template.yaml
_FILTERS = ("PostbackAllowedCidrs", "WebAclArn")  # parameters that may keep this machine out


class Throttled(Refused):
    """API Gateway throttled the call, so it is not known whether the address is the stack's."""


def try_address(stack: Stack) -> str | None:
    """Post a wrong token to the API, which must answer with our 404 problem document.

    The right token is never sent to an address that was not tried: another host would have it
    then. Return None, or a remark if API Gateway answered but does not let this machine through.
    Raises Refused, with what to do, if the address is not this stack's API, and Throttled if API
    Gateway refuses the call as one too many.
    """
    try:
        answer = requests.post(
            f"{stack.api_url}/postbacks/{WRONG_TOKEN}",
            data=b"",
            timeout=SECONDS,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        raise Refused(_not_ours(stack, _reason(error))) from None
    code = _problem(answer).get("code")
    if answer.status_code == 404 and code == "message_not_found":
        return None
    if answer.status_code == 429 and (code == "rate_limited" or _is_gateway(answer, code)):
        raise Throttled(f"{stack.api_url} answered 429: the API is busy; run the command again.")
    filters = [name for name in _FILTERS if stack.parameters.get(name)]
    if answer.status_code == 403 and _is_gateway(answer, code) and filters:
        return (
            f"API Gateway answers at {stack.api_url}, but refuses this machine's address "
            f"({' or '.join(filters)}). Whether Skycore's postbacks arrive cannot be tested from "
            "here: run ops postback-url after the first one."
        )
    raise Refused(_not_ours(stack, f"answered {answer.status_code} {code or ''}".rstrip()))


def add_unchecked(parser: ArgumentParser) -> None:
    """Add the option that skips the check."""
    parser.add_argument(
        "--unchecked",
        action="store_true",
        help="do not try the address first; for when this machine cannot reach it",
    )


def _is_gateway(answer: requests.Response, code: object) -> bool:
    return code in _FROM_GATEWAY or "x-amz-apigw-id" in answer.headers


def _problem(answer: requests.Response) -> dict[str, Any]:
    try:
        body = json.loads(answer.content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return f"gave no answer within {SECONDS:.0f} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "has no valid certificate for this name"
    if isinstance(error, requests.ConnectionError):
        return "cannot be reached (name, network or firewall)"
    return f"cannot be used ({type(error).__name__})"


def _not_ours(stack: Stack, what: str) -> str:
    advice = (
        "Point the DNS record of DomainName at output ApiDomainTarget"
        if stack.parameters.get("DomainName")
        else "Check this machine's network, and that the API was not deleted or replaced"
    )
    return (
        f"{stack.api_url} does not answer as this stack's API: it {what}. Do not give this address "
        f"to Skycore. {advice}, or pass --unchecked if only this machine cannot reach it."
    )
