"""The sample Lambda events go through the real handlers, against the deployed stack's resources."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = sorted(
    path for path in (ROOT / "events").glob("*/*.json") if path.parent.name != "schema"
)
RUN = "import app, json, sys; print(json.dumps(app.handler(json.load(sys.stdin), None)))"
NO_FAILURES = {"batchItemFailures": []}


def handled(stack, verb: str, event: str) -> dict:
    """What the function's handler answers, run in a process of its own with its environment."""
    function = stack.resource(f"{verb.title()}Function")
    configuration = stack.admin("lambda").get_function_configuration(FunctionName=function)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        **configuration["Environment"]["Variables"],
        "AWS_ENDPOINT_URL": stack.description["endpoint_url"],
        "AWS_REGION": stack.description["region"],
        "AWS_DEFAULT_REGION": stack.description["region"],
        "AWS_ACCESS_KEY_ID": stack.description["admin_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": stack.description["admin_secret_access_key"],
        "PYTHONPATH": f"{ROOT / 'functions' / verb}:{ROOT / 'layers' / 'skycore'}",
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input=event,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict = json.loads(done.stdout.splitlines()[-1])
    return answer


EXPECTED = {
    "ack/postback_xml": 200,
    "ack/postback_form": 200,
    "ack/postback_binary": 200,
    "store/postbacks": NO_FAILURES,
    "publish/event_inserted": NO_FAILURES,
    "publish/message_accepted": NO_FAILURES,
    "publish/retry": NO_FAILURES,
    "send/sms": 201,
    "send/sms_async": 202,
    "send/mms": 201,
    "send/action": 200,
    "enqueue/batch": 202,
    "dispatch/queued_message": NO_FAILURES,
    "messages/get_message": 404,
    "messages/list_by_number": 200,
    "messages/cancel": 404,
    "messages/unparsed": 200,
    "messages/get_event": 404,
    "sweep/every_minute": {"unknown": 0, "expired": 0, "queued_again": 0},
}


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def test_every_function_has_a_sample():
    assert sorted(name_of(path) for path in SAMPLES) == sorted(EXPECTED)
    verbs = {path.parent.name for path in (ROOT / "functions").glob("*/app.py")}
    assert {path.parent.name for path in SAMPLES} == verbs


@pytest.mark.parametrize("path", SAMPLES, ids=name_of)
def test_the_handler_takes_it(stack, path):
    token = stack.description["postback_url"].rsplit("/", 1)[1]
    answer = handled(stack, path.parent.name, path.read_text().replace('"TOKEN"', f'"{token}"'))
    expected = EXPECTED[name_of(path)]
    if isinstance(expected, int):
        assert answer["statusCode"] == expected, answer
    else:
        assert answer == expected
