"""Checks that call the stack: its API as a caller, and a postback on its way to a queue."""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING, Any

import requests

from ops.address import SECONDS, Throttled
from ops.api import call
from ops.doctor.check import Check, Finding, NotChecked
from ops.output import Refused, progress
from ops.temporary_queue import check_name, temporary_queue
from ops.token import tokens
from skycore.aws.secrets import fingerprint
from skycore.table.audit import token_last_used

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ops.doctor.deployment import Deployment

# A message that is not sent, between numbers of North America that are reserved for fiction.
DRY_RUN = {"to": "+12025550100", "from": "+12025550101", "text": "doctor", "dry_run": True}
# What a dry run may be refused for: AllowedCountryCodes without 1, an opt-out of that number.
REFUSALS = {"country_not_allowed", "recipient_opted_out"}
READ_ACTION = "/actions/getMmsIds"  # needs no fields and reads a list
# Codes of an action that reads a list when the account has none of what it lists.
EMPTY_LISTS = {"E200", "E400", "E404", "E405", "E800"}
# An event that names no message, number or sender, so no status, opt-out or alarm depends on it.
PROBE_TYPE = "skycore.mobile_video_encoded"
PROBE = "<POSTBACK><ORIGIN>MMS_MT</ORIGIN><CODE>N002</CODE><MMSID>{}</MMSID></POSTBACK>"
REPEAT_SECONDS = 20  # a new subscription takes a few seconds to work; then another probe is sent


def address(deployment: Deployment) -> Iterator[Finding]:
    """The public URL is this stack's API."""
    try:
        remark = deployment.address_remark
    except Throttled as throttled:
        raise NotChecked(str(throttled)) from None
    except Refused as refusal:
        what, _, fix = str(refusal).partition(" Do not give this address to Skycore. ")
        yield Finding(what, fix)
        return
    if remark:
        fix = "run doctor from an address that is allowed"
        yield Finding(remark, fix, warning=True)


def routes(deployment: Deployment) -> Iterator[Finding]:
    """Each function behind the API answers: dry runs of a send, and a message that is not there."""
    throttled = ""
    for method, path, body, expected, accepts in ROUTES:
        try:
            actual, answer = call(deployment.stack, method, path, body)
        except Refused as refusal:
            yield Finding(f"{method} {path}: {refusal}", "see the other findings")
            continue
        if accepts(actual, answer):
            continue
        if actual == 429:
            throttled = _busy(f"{method} {path}", answer)
            continue
        detail = f"{method} {path} answered {actual} {_words(answer)}, not {expected}"
        yield Finding(detail, _advice(actual, deployment, path))
    if throttled:
        raise NotChecked(throttled)


def skycore(deployment: Deployment) -> Iterator[Finding]:
    """Skycore takes the key: an action that only reads succeeds, or says that its list is empty."""
    client, secret = deployment.client("secretsmanager"), deployment.stack.id_of("ApiKey")
    stages = client.describe_secret(SecretId=secret).get("VersionIdsToStages") or {}
    if not any("AWSCURRENT" in row for row in stages.values()):
        raise NotChecked("no Skycore API key is set")
    try:
        status, answer = call(deployment.stack, "POST", READ_ACTION, {})
    except Refused as refusal:
        yield Finding(f"POST {READ_ACTION}: {refusal}", "see the other findings")
        return
    if status == 200 or answer.get("skycore_code") in EMPTY_LISTS:
        return
    if status == 429:
        raise NotChecked(_busy(f"POST {READ_ACTION}", answer))
    fixes = {
        "skycore_account": f"python -m ops --stack {deployment.name} set-key, or see "
        "docs/operations.md#account-errors",
        "skycore_unreachable": "check SkycoreUrl, and with VpcSubnetIds the NAT gateway of the VPC",
    }
    fix = fixes.get(str(answer.get("code")), _advice(status, deployment, READ_ACTION))
    yield Finding(f"POST {READ_ACTION} answered {status} {_words(answer)}", fix)


def postback(deployment: Deployment) -> Iterator[Finding]:
    """A postback to the public URL becomes an event in a queue that is subscribed to the topic."""
    stack, wait = deployment.stack, deployment.wait
    try:
        remark = deployment.address_remark
        check_name(stack, "doctor")
    except Refused as refusal:
        raise NotChecked(f"the token is not posted: {refusal}") from None
    if remark:
        raise NotChecked("this machine's address is not allowed to post postbacks")
    if _is_first_use(deployment):
        raise NotChecked("Skycore has not used the new address yet; a probe would look like it")
    with temporary_queue(stack, "doctor") as queue:
        sent: set[str] = set()
        end = time.monotonic() + wait
        while (left := end - time.monotonic()) > 0:
            mms_id = f"doctor-{secrets.token_hex(8)}"
            answer = _post(stack.postback_url, mms_id)
            if answer == 429:
                raise NotChecked(_busy("the probe", {}))
            if answer != 200:
                detail = f"a postback with the right token was answered {answer}, not 200"
                yield Finding(detail, _advice(answer, deployment, "/postbacks"))
                return
            sent.add(mms_id)
            progress(f"waiting for the probe {mms_id} to arrive as an event")
            if _arrives(deployment, queue, sent, min(REPEAT_SECONDS, left)):
                return
    detail = f"{len(sent)} postbacks were answered 200, but none arrived as an event in {wait} s"
    fix = (
        f"python -m ops --stack {deployment.name} status; the errors in the logs of store and "
        "publish; with many postbacks waiting, a longer --wait"
    )
    yield Finding(detail, fix)


def _is_first_use(deployment: Deployment) -> bool:
    """Whether a rotation is under way, and the current address was never used.

    rotate-token goes by the first use of the new address: it must be Skycore's.
    """
    current, previous = tokens(deployment.stack)
    used = previous is not None and token_last_used(fingerprint(previous)) is not None
    return used and token_last_used(fingerprint(current)) is None


def _post(url: str, mms_id: str) -> int:
    """The status of the answer to a probe; 0 without an answer. The URL is a secret."""
    headers = {"Content-Type": "text/xml"}
    try:
        return requests.post(
            url,
            data=PROBE.format(mms_id).encode(),
            headers=headers,
            timeout=SECONDS,
            allow_redirects=False,
        ).status_code
    except requests.RequestException:
        return 0


def _arrives(deployment: Deployment, queue: str, sent: set[str], seconds: float) -> bool:
    """Whether the event of a probe comes into the queue in time."""
    sqs, end = deployment.client("sqs"), time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        answer = sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=max(1, min(20, int(left)))
        )
        for message in answer.get("Messages", []):
            event = json.loads(message["Body"])
            if event.get("type") == PROBE_TYPE and event["data"].get("mms_id") in sent:
                return True
    return False


def _is_dry_run(status: int, answer: dict[str, Any]) -> bool:
    return (status == 200 and answer.get("dry_run") is True) or answer.get("code") in REFUSALS


def _is_dry_batch(status: int, answer: dict[str, Any]) -> bool:
    entries = answer.get("messages") or [{}]
    return status == 202 and all(_is_dry_run(200, one) for one in entries)


def _is_not_found(status: int, answer: dict[str, Any]) -> bool:
    return (status, answer.get("code")) == (404, "message_not_found")


def _busy(call_: str, answer: dict[str, Any]) -> str:
    window = f" for this {answer['window']}" if answer.get("window") else ""
    return f"{call_} was answered 429: no call is left{window}; run it again later"


def _words(answer: dict[str, Any]) -> str:
    code = answer.get("skycore_code") or answer.get("code") or answer.get("message") or ""
    return str(code)


def _advice(status: int, deployment: Deployment, path: str) -> str:
    if status == 403:
        arn = deployment.stack.outputs.get("ApiInvokeArn", "")
        return f"allow your login execute-api:Invoke on {arn} ({path}): output OperatorPolicy"
    return f"python -m ops --stack {deployment.name} status, and the log of the function"


# Requests that change and send nothing: method, path, body, and which answer is right.
ROUTES: tuple[
    tuple[str, str, dict[str, Any] | None, str, Callable[[int, dict[str, Any]], bool]], ...
] = (
    ("POST", "/messages", DRY_RUN, "200 with dry_run", _is_dry_run),
    ("POST", "/messages/batch", {"messages": [DRY_RUN]}, "202 with dry_run", _is_dry_batch),
    ("GET", "/messages/doctor", None, "404 message_not_found", _is_not_found),
)

CHECKS = (
    Check("address", "the public URL answers as this stack's API", address, probes=True),
    Check(
        "routes-answer",
        "send and enqueue answer dry runs of a send, and messages a read",
        routes,
        probes=True,
    ),
    Check(
        "skycore", "Skycore takes the API key (getMmsIds, which only reads)", skycore, probes=True
    ),
    Check("postback", "a postback arrives as an event", postback, probes=True),
)
