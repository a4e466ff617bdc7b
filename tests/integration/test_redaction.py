"""No secret, text or full number leaves by a log, a metric or an error, whatever goes wrong.

Everything is pushed through every route and every failure, with DEBUG logs; then all logs of the
whole run are searched. Traces hold what Lambda itself knows, and no URL: the API is not traced.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from local import simulator_process
from skycore import metrics
from skycore.catalogue.statuses import all_postback_codes
from skycore.metrics import REJECTION_CLASSES
from tests.integration.conftest import LOCAL_DIR, ROOT, Stack
from tests.integration.secret_scanner import forms, number_forms, search
from tests.patience import until
from tests.unit.observability import emf

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "k3y/of+the-account&7fq2"
PASSWORD = "pa<ss>&\"wörd'-81xk"
USER = "operator-zu8@example.com"
TEXT = "Grüße, Ünï & <b>你好</b> 😀 zq81"
WRONG_TOKEN = "wr0ng-t0ken-5hd8s7"
MODES = ["reset_before", "reset_after", "half", "garbage", "http500", "http302", "doctype"]
REFUSALS = ["E104", "E106", "E110", "E503", "E066"]


def fresh_number() -> str:
    return f"1774318{random.randint(1000, 8999)}"


class Pushed:
    """What was pushed and what was answered."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.number = fresh_number()
        self.errors: list[tuple[int, bytes]] = []

    def post(self, path: str, body: Any, **headers: str) -> Any:
        return self._noted(self.stack.post(path, body, **headers))

    def get(self, path: str) -> Any:
        return self._noted(self.stack.get(path))

    def postback(self, body: bytes, url: str | None = None) -> None:
        status, answer = self.stack.postback(body, url=url)
        if status >= 400:
            self.errors.append((status, answer))

    def sms(self, **fields: Any) -> dict[str, Any]:
        return {"to": f"+{self.number}", "from": "60856", "text": TEXT, **fields}

    def _noted(self, answer: Any) -> Any:
        if answer.status_code >= 400:
            self.errors.append((answer.status_code, answer.content))
        return answer


@contextlib.contextmanager
def denied(stack: Stack, role: str, action: str) -> Iterator[None]:
    """While it lasts, a function may not do something."""
    iam, name = stack.admin("iam"), stack.resource(role)
    statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=name, PolicyName="denied", PolicyDocument=document)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=name, PolicyName="denied")


@contextlib.contextmanager
def credentials(stack: Stack, secret: dict[str, str], **settings: str | None) -> Iterator[None]:
    """While it lasts, Skycore wants other credentials, and the stack has them."""
    secrets, name = stack.admin("secretsmanager"), stack.resource("ApiKey")
    before = secrets.get_secret_value(SecretId=name)["SecretString"]
    was = {key: json.loads(before).get(key) for key in settings}
    secrets.put_secret_value(SecretId=name, SecretString=json.dumps(secret))
    stack.control("settings", settings, "PATCH")
    try:
        yield
    finally:
        secrets.put_secret_value(SecretId=name, SecretString=before)
        stack.control("settings", was, "PATCH")


def push_sends(pushed: Pushed, stack: Stack) -> None:
    with credentials(stack, {"api_key": KEY}, api_key=KEY):
        assert pushed.post("/messages", pushed.sms()).status_code == 201
        for mode in MODES:
            stack.control("settings", {"mode": mode}, "PATCH")
            pushed.post("/messages", pushed.sms(), Idempotency_Key=f"{pushed.number}-{mode}")
            pushed.post("/actions/getMMSStatus", {"tracking_id": TEXT, "transport": "get"})
        stack.control("settings", {"mode": None}, "PATCH")
        for code in REFUSALS:
            stack.control("settings", {"next_errors": [code]}, "PATCH")
            pushed.post("/messages", pushed.sms())
        stack.control("settings", {"next_errors": None}, "PATCH")
        with stack.unreachable_skycore():
            pushed.post("/messages", pushed.sms())
        assert until(lambda: pushed.post("/messages", pushed.sms()).status_code == 201)
        queued = pushed.post("/messages", pushed.sms(), Prefer="respond-async").json()
        pushed.post("/messages/batch", {"messages": [pushed.sms(), pushed.sms(to=TEXT), TEXT]})
        path = f"/messages/{queued['message_id']}"
        assert until(lambda: stack.get(path).json()["status"] not in {"queued", "sending"})
    other = {"user": USER, "password": PASSWORD}
    with credentials(stack, other, api_key="no longer", **other):
        pushed.post("/messages", pushed.sms())
        stack.control("settings", {"mode": "garbage"}, "PATCH")
        pushed.post("/messages", pushed.sms())
        stack.control("settings", {"mode": None}, "PATCH")


def push_bad_requests(pushed: Pushed) -> None:
    pushed.post("/messages", f'{{"text": "{TEXT}", "to": "{pushed.number}"'.encode())
    pushed.post("/messages", pushed.sms(action=TEXT))
    pushed.post("/messages", pushed.sms(to=pushed.number[1:]))
    pushed.post("/messages", pushed.sms(subject=TEXT, slides=[{"text": TEXT}]))
    pushed.post("/messages", pushed.sms(**{"from": TEXT}))
    pushed.post("/messages", pushed.sms(expires_at=TEXT))
    pushed.post("/actions/sendSMS", pushed.sms())
    pushed.post(f"/actions/{pushed.number}", {"text": TEXT})
    for query in (f"to={pushed.number}&cursor={pushed.number}", f"to={quote('+' + TEXT)}"):
        pushed.get(f"/messages?{query}")
    pushed.get(f"/messages/{pushed.number}")
    pushed.get(f"/postbacks/{pushed.number}")


def push_postbacks(pushed: Pushed, stack: Stack, token: str) -> None:
    url = stack.description["postback_url"]
    inbound = f"<POSTBACK><CODE>N211</CODE><FROM>{pushed.number}</FROM><TO>60856</TO>"
    inbound += f"<TEXT><![CDATA[{TEXT}]]></TEXT></POSTBACK>"
    for body in (inbound, f"{TEXT} from {pushed.number}", f"<POSTBACK>{TEXT}", "STOP"):
        pushed.postback(body.encode())
        pushed.postback(body.encode("utf-16"))
        pushed.postback(body.encode(), url=url.replace(token, WRONG_TOKEN))
    pushed.postback(TEXT.encode() * 10_000)
    pushed.get(f"/postbacks/{token}")
    with denied(stack, "AckRole", "sqs:*"):
        pushed.postback(inbound.encode())


def push_failures_of_aws(pushed: Pushed, stack: Stack) -> None:
    for role, action in (("SendRole", "dynamodb:*"), ("EnqueueRole", "sqs:*")):
        with denied(stack, role, action):
            pushed.post("/messages", pushed.sms())
            pushed.post("/messages/batch", {"messages": [pushed.sms()]})
    with denied(stack, "MessagesRole", "dynamodb:*"):
        pushed.get(f"/messages?to=%2B{pushed.number}")
    number = fresh_number()
    with denied(stack, "PublishRole", "sns:*"):
        body = f"<POSTBACK><CODE>N211</CODE><FROM>{number}</FROM><TO>60856</TO></POSTBACK>"
        pushed.postback(body.encode())
        assert until(lambda: "retry queue" in logs_of(stack, "publish"))
    stack.event(lambda event: event["data"].get("from") == number)


def logs_of(stack: Stack, function: str | None = None) -> str:
    """All that functions have written, or one of them."""
    client = stack.admin("logs")
    wanted = f"/aws/lambda/{stack.description['stack_name']}-{function or ''}"
    found: list[str] = []
    for group in client.describe_log_groups(logGroupNamePrefix=wanted)["logGroups"]:
        pages = client.get_paginator("filter_log_events")
        for page in pages.paginate(logGroupName=group["logGroupName"]):
            found += [event["message"] for event in page["events"]]
    return "\n".join(found)


@pytest.fixture(scope="module")
def pushed(stack: Stack) -> Iterator[Pushed]:
    made = Pushed(stack)
    token = stack.description["postback_url"].rsplit("/", 1)[1]
    try:
        push_sends(made, stack)
        push_bad_requests(made)
        push_postbacks(made, stack, token)
        push_failures_of_aws(made, stack)
        yield made
    finally:
        stack.control("settings", {"mode": None, "next_errors": None}, "PATCH")


@pytest.fixture(scope="module")
def secrets(stack: Stack) -> dict[str, dict[str, bytes]]:
    """What may be nowhere: the secrets and the text."""
    token = stack.description["postback_url"].rsplit("/", 1)[1]
    return {
        "key": forms(KEY),
        "password": forms(PASSWORD),
        "password's MD5": forms(hashlib.md5(PASSWORD.encode()).hexdigest()),
        "user": forms(USER),
        "token": forms(token),
        "wrong token": forms(WRONG_TOKEN),
        "text": forms(TEXT),
        "key of other tests": forms(simulator_process.API_KEY),
    }


def test_no_secret_and_no_number_is_in_any_log(
    stack: Stack, pushed: Pushed, secrets: dict[str, dict[str, bytes]]
) -> None:
    text = logs_of(stack)
    for marker in (
        '"level":"DEBUG"',
        "message accepted",
        "Skycore call failed",
        "postback with a wrong token",
        "postback not queued",
        "request failed",
        "events go to the retry queue",
        '"Unparsed"',
    ):
        assert marker in text, f"nothing was searched: {marker} is not in the logs"
    numbers = {"number": number_forms(pushed.number), "usual": number_forms("17743199144")}
    assert search(text.encode("utf-8", "surrogatepass"), {**secrets, **numbers}) == []


def test_what_functions_write_besides_their_logs(
    secrets: dict[str, dict[str, bytes]], pushed: Pushed
) -> None:
    """The emulator's own log has the errors and the output of processes that ended."""
    lines = (ROOT / LOCAL_DIR / "logs" / "emulator.log").read_bytes().splitlines()
    # Its lines on requests show their paths; on AWS, access logs are ours, and leave them out.
    kept = b"\n".join(line for line in lines if b"/_aws/execute-api/" not in line)
    assert search(kept, {**secrets, "number": number_forms(pushed.number)}) == []


def test_no_error_quotes_a_secret_or_a_text(
    pushed: Pushed, secrets: dict[str, dict[str, bytes]]
) -> None:
    assert {status for status, _ in pushed.errors} >= {400, 404, 413, 422, 429, 500, 502, 503, 504}
    for status, body in pushed.errors:
        # Bad fields are named to the caller, whose own the number is.
        known = {} if status == 422 else {"number": number_forms(pushed.number)}
        assert search(body, {**secrets, **known}) == [], (status, body)


def test_metrics_have_few_values_and_no_id(stack: Stack, pushed: Pushed) -> None:
    lines = [line for line in logs_of(stack).splitlines() if emf.is_emf(line)]
    allowed = {
        "Stack": {stack.description["stack_name"]},
        "Class": set(REJECTION_CLASSES.values()),
        "Window": {"second", "minute", "day"},
        "Event": {code.event for code in all_postback_codes()} | {"unknown", "unparsed"},
    }
    seen = set()
    for line in lines:
        for datum in emf.read(line):
            seen.add(datum.name)
            assert datum.namespace == metrics.NAMESPACE
            for dimension, value in datum.dimensions.items():
                stem = value.removesuffix("_delivery_failed")
                assert value in allowed[dimension] or stem in str(allowed[dimension])
    assert seen >= {"Accepted", "Rejected", "Unknown", "AccountErrors", "Postbacks", "WrongTokens"}
