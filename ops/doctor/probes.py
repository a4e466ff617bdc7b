"""Checks that call the stack: its API as a caller, and a postback on its way to a queue."""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING, Any

import requests

from ops.address import SECONDS
from ops.api import call
from ops.doctor.check import Check, Finding, NotChecked
from ops.talk import Refused, note
from ops.temporary_queue import temporary_queue
from ops.token import tokens
from skycore.aws.secrets import fingerprint
from skycore.table.tokens import last_used

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.doctor.deployment import Deployment

# Requests that change and send nothing: method, path, body, and the answer's status and code.
ROUTES: tuple[tuple[str, str, dict[str, Any] | None, int, str], ...] = (
    ("POST", "/messages", {}, 422, "invalid_request"),
    ("POST", "/messages/batch", {}, 422, "invalid_request"),
    ("GET", "/messages/doctor", None, 404, "message_not_found"),
)
READ_ACTION = "/actions/getMmsIds"  # needs no fields and reads a list
# An event that names no message, number or sender, so no status, opt-out or alarm depends on it.
PROBE_TYPE = "skycore.mobile_video_encoded"
PROBE = "<POSTBACK><ORIGIN>MMS_MT</ORIGIN><CODE>N002</CODE><MMSID>{}</MMSID></POSTBACK>"
REPEAT_SECONDS = 20  # a new subscription takes a few seconds to work; then another probe is sent


def address(deployment: Deployment) -> Iterator[Finding]:
    """The public URL is this stack's API."""
    try:
        remark = deployment.address_remark
    except Refused as refusal:
        what, _, fix = str(refusal).partition(" Do not give this address to Skycore. ")
        yield Finding(what, fix)
        return
    if remark:
        fix = "run doctor from an address that is allowed"
        yield Finding(remark, fix, warning=True)


def routes(deployment: Deployment) -> Iterator[Finding]:
    """Each function behind the API answers requests that send nothing."""
    for method, path, body, status, code in ROUTES:
        try:
            actual, answer = call(deployment.stack, method, path, body)
        except Refused as refusal:
            yield Finding(f"{method} {path}: {refusal}", "see the other findings")
            continue
        if (actual, answer.get("code")) == (status, code):
            continue
        detail = f"{method} {path} answered {actual} {_words(answer)}, not {status} {code}"
        yield Finding(detail, _advice(actual, deployment, path))


def skycore(deployment: Deployment) -> Iterator[Finding]:
    """Skycore takes the key: an action that only reads succeeds."""
    client, secret = deployment.client("secretsmanager"), deployment.stack.id_of("ApiKey")
    stages = client.describe_secret(SecretId=secret).get("VersionIdsToStages") or {}
    if not any("AWSCURRENT" in row for row in stages.values()):
        raise NotChecked("no Skycore API key is set")
    try:
        status, answer = call(deployment.stack, "POST", READ_ACTION, {})
    except Refused as refusal:
        yield Finding(f"POST {READ_ACTION}: {refusal}", "see the other findings")
        return
    if status == 200:
        return
    fixes = {
        "skycore_account": f"python -m ops --stack {deployment.name} set-key, or see "
        "docs/operations.md#account-errors",
        "skycore_unreachable": "check SkycoreUrl, and with VpcSubnetIds the way out of the VPC",
        "rate_limited": "run doctor again when the account's limits leave room",
    }
    fix = fixes.get(str(answer.get("code")), _advice(status, deployment, READ_ACTION))
    yield Finding(f"POST {READ_ACTION} answered {status} {_words(answer)}", fix)


def postback(deployment: Deployment) -> Iterator[Finding]:
    """A postback to the public URL becomes an event in a queue that is subscribed to the topic."""
    stack, wait = deployment.stack, deployment.wait
    try:
        remark = deployment.address_remark
    except Refused:
        raise NotChecked("the token goes to no address that does not answer as this API") from None
    if remark:
        raise NotChecked("this machine's address may not post postbacks")
    if _is_first_use(deployment):
        raise NotChecked("Skycore has not used the new address yet; a probe would look like it")
    with temporary_queue(stack, "doctor") as queue:
        sent: set[str] = set()
        end = time.monotonic() + wait
        while (left := end - time.monotonic()) > 0:
            mms_id = f"doctor-{secrets.token_hex(8)}"
            answer = _post(stack.postback_url, mms_id)
            if answer != 200:
                detail = f"a postback with the right token was answered {answer}, not 200"
                yield Finding(detail, _advice(answer, deployment, "/postbacks"))
                return
            sent.add(mms_id)
            note(f"waiting for the probe {mms_id} to arrive as an event")
            if _arrives(deployment, queue, sent, min(REPEAT_SECONDS, left)):
                return
    detail = f"{len(sent)} postbacks were answered 200, but none arrived as an event in {wait} s"
    fix = (
        f"python -m ops --stack {deployment.name} status; the errors in the logs of store and "
        "publish; with many postbacks waiting, a longer --wait"
    )
    yield Finding(detail, fix)


def _is_first_use(deployment: Deployment) -> bool:
    """Whether a rotation is under way, and the present address was never used.

    rotate-token goes by the first use of the new address: it must be Skycore's.
    """
    current, previous = tokens(deployment.stack)
    used = previous is not None and last_used(fingerprint(previous)) is not None
    return used and last_used(fingerprint(current)) is None


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


def _words(answer: dict[str, Any]) -> str:
    code = answer.get("skycore_code") or answer.get("code") or answer.get("message") or ""
    return str(code)


def _advice(status: int, deployment: Deployment, path: str) -> str:
    if status == 403:
        arn = deployment.stack.outputs.get("ApiInvokeArn", "")
        return f"allow your login execute-api:Invoke on {arn} ({path}): output OperatorPolicy"
    return f"python -m ops --stack {deployment.name} status, and the log of the function"


CHECKS = (
    Check("address", "the public URL answers as this stack's API", address, probes=True),
    Check(
        "routes-answer", "send, enqueue and messages answer signed requests", routes, probes=True
    ),
    Check(
        "skycore", "Skycore takes the API key (getMmsIds, which only reads)", skycore, probes=True
    ),
    Check("postback", "a postback arrives as an event", postback, probes=True),
)
