"""The operator's tool, with the rights of the output OperatorPolicy: one case for each command.

tests/unit/ops checks in process what a command says and refuses. What takes minutes, such as keys
and tokens that change under load, is in make test-long.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from local.simulator_process import API_KEY
from skycore import timestamps
from tests.integration.conftest import ROOT, Stack, warm
from tests.integration.operators import NUMBER, TEXT, Ops, terminal
from tests.integration.test_rare_calls import sweep
from tests.integration.test_subscribers import denied, inbound, receipt, waiting
from tests.patience import PATIENCE_SECONDS, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POSTING_PAUSE_SECONDS = 0.2  # a stream of postbacks that leaves the emulator time for the rest
WAIT = str(int(PATIENCE_SECONDS))
NEW_KEY = "anewkey00000000000000000000000000"


@pytest.fixture
def sent(stack: Stack, sms: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = stack.post("/messages", {**sms, "text": TEXT}).json()
    assert until(lambda: status_of(stack, shown) == "delivered")
    return shown


def status_of(stack: Stack, shown: dict[str, Any]) -> str:
    status: str = stack.get(f"/messages/{shown['message_id']}").json()["status"]
    return status


def test_status_shows_what_happens(stack: Stack, ops: Any, sent: dict[str, Any]) -> None:
    shown, code = looked(ops, "status", "--minutes", "30")
    assert code == bool(shown["problems"])  # what other tests left behind
    assert shown["messages"]["by_kind"]["delivered"] >= 1
    assert shown["events"]["by_kind"]["sms_delivered"] >= 1
    assert shown["queues"].keys() == {"postback", "send", "event", "publish-retry", "media"}
    assert shown["alarms"]["by_state"]
    assert shown["api_key_set"] is True


def looked(ops: Ops, *arguments: str) -> tuple[dict[str, Any], int]:
    """Return a command's answer and its exit code, which depends on what other tests left."""
    done = ops.looked(*arguments, "--json")
    return json.loads(done.stdout), done.returncode


def test_a_message_is_found_and_its_history_shown_without_number_or_text(
    stack: Stack, ops: Any, sent: dict[str, Any]
) -> None:
    listed = ops.json("messages", "--status", "delivered", "--since", "1h")["messages"]
    assert sent["message_id"] in [one["message_id"] for one in listed]
    by_number = ops.json("messages", "--to", "+1 774-319-9144", "--limit", "1")["messages"]
    assert [one["to"] for one in by_number] == ["…44"]
    shown = ops.json("message", sent["message_id"])
    assert shown["status"] == "delivered"
    assert [step["event"] for step in shown["timeline"]][-1] == "sms_delivered"
    (event_id,) = [one["id"] for one in shown["events"] if one["type"] == "skycore.sms_delivered"]
    assert ops.json("message", sent["tracking_id"])["message_id"] == sent["message_id"]
    assert ops.json("message", event_id)["message_id"] == sent["message_id"]
    assert NUMBER in ops.run("message", sent["message_id"], "--show").stdout
    assert "no message" in ops.json("message", "nobody-s", code=1)["error"]


@pytest.mark.long
def test_a_failed_send_says_why(stack: Stack, ops: Any, sms: dict[str, Any]) -> None:
    refused = stack.post("/messages", {**sms, "to": "+1 999-000-0628"}).json()
    assert refused["code"] == "skycore_rejected"
    shown = ops.json("message", refused["message_id"])
    assert (shown["status"], shown["skycore_code"]) == ("rejected", "E628")
    assert shown["why"]
    assert shown["skycore_code_means"]


@pytest.mark.long
def test_the_events_of_a_tracking_id_that_belongs_to_no_message_are_shown(
    stack: Stack, ops: Any
) -> None:
    tracking_id = f"U01T{uuid.uuid4().hex[:12]}"
    stack.postback(receipt(tracking_id))
    stack.event(lambda event: event["data"]["tracking_id"] == tracking_id)
    shown = ops.json("message", tracking_id)
    assert shown["message_id"] is None
    assert [(one["type"], one["to"]) for one in shown["events"]] == [
        ("skycore.sms_delivered", "…44")
    ]


def test_tail_shows_events_as_they_come_and_takes_none_away(stack: Stack, ops: Any) -> None:
    mark = uuid.uuid4().hex
    process = subprocess.Popen(
        ops.command("tail", "--type", "sms_received", "--json"),
        cwd=ROOT,
        env=ops.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stderr
    assert "listening" in process.stderr.readline()
    stack.postback(receipt(f"T-{mark}"))
    stack.postback(inbound(mark))
    event = json.loads(process.stdout.readline())
    assert (event["type"], event["from"]) == ("skycore.sms_received", "…44")
    process.send_signal(signal.SIGINT)
    rest = "".join(process.communicate(timeout=PATIENCE_SECONDS))
    assert process.returncode == 130, rest
    assert mark not in json.dumps(event) + rest
    stack.event(lambda event: event["data"]["text"] == mark)
    prefix = f"{ops.name}_tail_"
    assert not stack.admin("sqs").list_queues(QueueNamePrefix=prefix).get("QueueUrls")
    rows = stack.admin("sns").list_subscriptions_by_topic(
        TopicArn=stack.description["event_topic_arn"]
    )["Subscriptions"]
    assert not [row for row in rows if prefix in row["Endpoint"]]


def test_unparsed_postbacks_are_listed_without_their_bodies(stack: Stack, ops: Any) -> None:
    mark = uuid.uuid4().hex
    stack.postback(f"no postback {mark} {NUMBER}".encode(), "text/plain")
    event = stack.event(lambda event: event["type"] == "skycore.unparsed")
    listed = ops.json("unparsed", "--since", "10m")["events"]
    assert event["id"] in [one["event_id"] for one in listed]
    assert mark not in json.dumps(listed)
    assert mark in ops.run("unparsed", "--since", "10m", "--show").stdout


def test_an_opt_out_is_added_respected_and_lifted(stack: Stack, ops: Any) -> None:
    body = {"to": "+1 774-319-9177", "from": "60877", "text": "Hello"}
    assert ops.json("suppress", "add", body["to"], "--sender", body["from"])["suppressed"] is True
    assert stack.post("/messages", body).status_code == 422
    (row,) = ops.json("suppress", "list", body["to"])["opt_outs"]
    assert (row["number"], row["suppressed"], row["reason"]) == ("…77", True, "operator")
    ops.json("suppress", "remove", body["to"], "--sender", body["from"])
    assert stack.post("/messages", body).status_code == 201
    assert "17743199177" in ops.run("suppress", "list", "--all", "--show").stdout


def test_what_only_looks_needs_no_more_than_the_documented_rights(ops: Any, tmp_path: Path) -> None:
    assert ops.json("replay", "--dry-run")["dry_run"] is True
    assert "found" in ops.json("replay", "--since", "10m", "--dry-run")
    # Messages of other tests have the same text and time, so some rows fit several of them.
    done = ops.looked("--json", "--yes", "reconcile", "--since", "1h", "--dry-run")
    found = json.loads(done.stdout)
    assert found["complete"] is True
    assert done.returncode == bool(found["unmatched"])
    assert ops.json("export", "--to", str(tmp_path / "export"))["messages"] >= 0


def test_send_test_waits_for_the_delivery(ops: Any) -> None:
    shown = ops.json("send-test", f"+{NUMBER}", "--from", "60856", "--wait", WAIT)
    assert shown["status"] == "delivered"
    shown = ops.json("send-test", "+15005550002", "--from", "60856", "--wait", WAIT, code=1)
    assert shown["status"] == "failed"


@contextmanager
def changed(stack: Stack, queue: str, **attributes: str) -> Iterator[None]:
    """A queue with other attributes for a while."""
    sqs, url = stack.admin("sqs"), stack.resource(queue)
    kept = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(attributes))["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=kept)


@contextmanager
def dead_at_once(
    stack: Stack, queue: str, role: str, visibility_seconds: int = 1
) -> Iterator[None]:
    """The table refuses this role, and what fails once in its queue is a dead letter.

    With `visibility_seconds` over the time of a call, no call of it is still running then.
    """
    url = stack.resource(queue)
    shown = stack.admin("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
    policy = json.loads(shown["Attributes"]["RedrivePolicy"])
    once = json.dumps({**policy, "maxReceiveCount": 1})
    with (
        changed(stack, queue, VisibilityTimeout=str(visibility_seconds), RedrivePolicy=once),
        denied(stack, role, "dynamodb:*"),
    ):
        yield


def test_a_dead_postback_is_shown_and_put_back_as_it_came(stack: Stack, ops: Any) -> None:
    mark, dead = uuid.uuid4().hex, stack.description["postback_dlq_url"]
    before = waiting(stack, dead)
    with dead_at_once(stack, "PostbackQueue", "StoreRole"):
        stack.postback(receipt(mark) + b"\xff")
        came = timestamps.now()
        assert until(lambda: waiting(stack, dead) > before)
    shown = ops.json("dlq", "show", "postback")["messages"]
    assert waiting(stack, dead) == len(shown)  # none was taken out
    assert {"skycore.sms_delivered": 1} in [one["events"] for one in shown]
    assert mark not in json.dumps(shown)
    assert ops.json("dlq", "redrive", "postback")["moved"] == len(shown)
    event = stack.event(lambda event: event["data"]["tracking_id"] == mark)
    assert timestamps.from_text(event["data"]["received_at"]) < came
    assert waiting(stack, dead) == 0


@pytest.mark.long
def test_a_dead_send_gets_new_tries_and_is_sent_once(
    stack: Stack, ops: Any, sms: dict[str, Any]
) -> None:
    url, mark = stack.resource("SendDeadLetterQueue"), uuid.uuid4().hex
    stack.control("settings", {"error_for_action": {"sendSMS": "E111"}}, "PATCH")
    try:
        warm(stack)  # so that no call of dispatch lasts as long as the queue hides its message
        with dead_at_once(stack, "SendQueue", "DispatchRole", 8):
            shown = stack.client.request(
                "POST", "/messages", {**sms, "text": mark}, {"Prefer": "respond-async"}
            ).json()
            assert until(lambda: waiting(stack, url) > 0)
        letters = ops.json("dlq", "show", "send")["messages"]
        assert shown["message_id"] in [one["message_id"] for one in letters]
        give_four_tries(stack, shown["message_id"])
        with changed(stack, "SendQueue", VisibilityTimeout="10"):
            # What others have dead may come a moment later than it was looked at.
            assert ops.json("dlq", "redrive", "send")["moved"] >= len(letters)
            # The fifth call fails as well.
            assert until(lambda: status_of(stack, shown) == "rejected")
            assert until(lambda: waiting(stack, url) > 0)
    finally:
        stack.control("settings", {"error_for_action": None}, "PATCH")
    story = ops.json("message", shown["message_id"])
    assert story["status"] == "rejected"
    assert "E111" in json.dumps(story)
    assert ops.json("dlq", "redrive", "send")["moved"] >= 1
    assert until(lambda: status_of(stack, shown) == "delivered")
    rows = stack.control(f"messages?to={NUMBER}")["messages"]
    assert len([row for row in rows if row["text"] == mark]) == 1


@pytest.mark.long
def test_queued_messages_wait_for_the_account_and_go_again(
    stack: Stack, ops: Any, sms: dict[str, Any]
) -> None:
    """Once by themselves, at the next probe, and once because an operator ends the pause."""
    for by_hand in (False, True):
        stack.control("settings", {"error_for_action": {"sendSMS": "E112"}}, "PATCH")
        try:
            queued = [
                stack.client.request(
                    "POST", "/messages", {**sms, "text": f"wait {n}"}, {"Prefer": "respond-async"}
                ).json()
                for n in range(3)
            ]
            assert until(lambda: "account" in looked(ops, "status")[0]["paused"])
            time.sleep(10)  # all of them have met the pause
            assert "E112" in looked(ops, "status")[0]["paused"]["account"]["why"]
            assert {status_of(stack, shown) for shown in queued} == {"queued"}
        finally:
            stack.control("settings", {"error_for_action": None}, "PATCH")
        if by_hand:
            assert ops.json("resume")["resumed"] == ["account"]

        def delivered(queued: Any = queued) -> bool:
            sweep(stack)  # as the schedule does every minute
            return {status_of(stack, shown) for shown in queued} == {"delivered"}

        assert until(delivered)
        assert looked(ops, "status")[0]["paused"] == {}


def give_four_tries(stack: Stack, message_id: str) -> None:
    stack.admin("dynamodb").update_item(
        TableName=stack.description["table_name"],
        Key={"pk": {"S": f"message#{message_id}"}, "sk": {"S": "message"}},
        UpdateExpression="SET tries = :four",
        ExpressionAttributeValues={":four": {"N": "4"}},
    )


def test_places_in_the_stream_are_explained_and_can_be_discarded(stack: Stack, ops: Any) -> None:
    url = stack.resource("PublishDeadLetterQueue")
    place = {
        "requestContext": {"condition": "RetryAttemptsExhausted"},
        "DDBStreamBatchInfo": {
            "batchSize": 3,
            "approximateArrivalOfFirstRecord": "2026-11-22T08:00:00Z",
            "approximateArrivalOfLastRecord": "2026-11-22T08:01:00Z",
        },
    }
    stack.admin("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(place))
    (letter,) = ops.json("dlq", "show", "publish")["messages"]
    assert (letter["records"], letter["first"]) == (3, "2026-11-22T08:00:00Z")
    assert "replay --since" in ops.json("dlq", "redrive", "publish", code=1)["error"]
    assert ops.json("dlq", "discard", "publish", "--id", letter["id"])["deleted"] == 1
    assert waiting(stack, url) == 0


@pytest.mark.long
def test_a_rotation_loses_no_postback_and_a_second_is_refused(stack: Stack, ops: Any) -> None:
    old, mark = stack.description["postback_url"], uuid.uuid4().hex
    posted: list[tuple[str, int]] = []
    secrets, secret = stack.admin("secretsmanager"), stack.resource("PostbackToken")
    try:
        with ThreadPoolExecutor() as pool:
            rotating = pool.submit(ops.json, "rotate-token", "--no-wait")
            while not rotating.done() or len(posted) < 5:
                tracking_id = f"{mark}-{len(posted)}"
                posted.append((tracking_id, stack.postback(receipt(tracking_id), url=old)[0]))
                time.sleep(POSTING_PAUSE_SECONDS)
        new = rotating.result()["postback_url"]
        assert new != old
        assert until(lambda: stack.postback(receipt(f"{mark}-new"), url=new)[0] == 200)
        assert stack.postback(receipt(f"{mark}-old"), url=old)[0] == 200
        assert {status for _, status in posted} == {200}
        wanted = {*(id_ for id_, _ in posted), f"{mark}-new", f"{mark}-old"}
        assert until(lambda: wanted <= told_of(stack))
        assert until(lambda: ops.json("postback-url")["previous_used_at"] is not None)
        assert ops.json("postback-url")["postback_url"] == new
        why = ops.json("rotate-token", "--no-wait", code=1)["error"]
        assert "last used" in why
        assert stack.postback(receipt(f"{mark}-old-again"), url=old)[0] == 200
    finally:
        secrets.put_secret_value(SecretId=secret, SecretString=old.rpartition("/")[2])


def told_of(stack: Stack) -> set[str]:
    """Return the tracking ids of all events that the event queue gave."""
    stack.receive()
    return {event["data"]["tracking_id"] for event in stack.events.values()}


@pytest.mark.long
def test_a_key_is_replaced_without_a_failed_send(
    stack: Stack, ops: Any, sms: dict[str, Any]
) -> None:
    enough, answers = threading.Event(), []

    def send_on() -> None:
        while not enough.is_set():
            key = {"Idempotency-Key": uuid.uuid4().hex}
            while True:
                answer = stack.client.request("POST", "/messages", sms, key)
                answers.append(answer.status_code)
                time.sleep(0.3)  # sooner than Retry-After says, to see more of what happens
                if answer.status_code != 429:
                    break

    queued: list[dict[str, Any]] = []
    try:
        with ThreadPoolExecutor() as pool:
            sending = pool.submit(send_on)
            assert until(lambda: len(answers) > 2)
            with terminal(ops, "set-key", "--yes") as (process, screen):
                screen.wait_for("paste it here")
                stack.control("settings", {"api_key": NEW_KEY}, "PATCH")
                queued.append(
                    stack.client.request(
                        "POST", "/messages", sms, {"Prefer": "respond-async"}
                    ).json()
                )
                held = len(answers)
                assert until(lambda: len(answers) > held + 2)
                screen.type(NEW_KEY)
                assert process.wait(PATIENCE_SECONDS) == 0, screen.text
                assert NEW_KEY not in screen.text
            after = len(answers)
            assert until(lambda: answers[after:].count(201) > 2)
            enough.set()
            sending.result()
        assert set(answers) == {201, 429}
        assert until(lambda: status_of(stack, queued[0]) == "delivered")
    finally:
        enough.set()
        stack.control("settings", {"api_key": API_KEY}, "PATCH")
        ops.json("set-key", given=API_KEY)
    assert stack.post("/messages", sms).status_code == 201


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay",),
        ("dlq", "redrive", "send"),
        ("dlq", "discard", "send", "--all"),
        ("suppress", "add", "+17743199144"),
        ("send-test", "+17743199144", "--from", "60856"),
        ("set-key",),
    ],
    ids=" ".join,
)
def test_with_nobody_to_ask_nothing_is_changed(ops: Any, arguments: Any) -> None:
    done = ops.run(*arguments, code=1, given="y\n")
    assert "--yes" in done.stderr
    assert not done.stdout


@pytest.mark.long
def test_a_key_that_is_none_is_refused_and_not_shown(ops: Any) -> None:
    done = ops.run("--yes", "set-key", code=1, given="not a key")
    assert "Nothing was changed" in done.stderr
    assert "not a key" not in done.stderr


@pytest.mark.long
def test_a_usage_error_is_explained_and_is_exit_code_2(ops: Any) -> None:
    assert "invalid choice" in ops.run("dlq", "show", "nothing", code=2).stderr


def test_a_stack_that_is_not_there_is_told(ops: Any, stack: Stack) -> None:
    ops.name = "nobody-s"  # whose rights nobody has
    assert "AWS refused DescribeStacks: AccessDenied" in ops.run("status", code=1).stderr
    ops.environment = {**ops.environment, **stack.admin_environment()}
    assert "there is no stack nobody-s" in ops.run("status", code=1).stderr


def test_the_local_stack_needs_no_name_and_no_login(ops: Any) -> None:
    own = {name: value for name, value in ops.environment.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, "-m", "ops", "postback-url"],
        cwd=ROOT,
        env=own,
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.fullmatch(
        r"http://127\.0\.0\.1:\d+/_aws/execute-api/\w+/v1/postbacks/\w{48}\n", done.stdout
    )
