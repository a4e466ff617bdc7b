"""The sample Lambda events go through the real handlers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.contract.in_process import TOKEN

if TYPE_CHECKING:
    from tests.contract.in_process import InProcess

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = sorted(
    path for path in (ROOT / "events").glob("*/*.json") if path.parent.name != "schema"
)
NO_FAILURES: dict[str, list[str]] = {"batchItemFailures": []}
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


def test_every_function_has_a_sample() -> None:
    assert sorted(name_of(path) for path in SAMPLES) == sorted(EXPECTED)
    verbs = {path.parent.name for path in (ROOT / "functions").glob("*/app.py")}
    assert {path.parent.name for path in SAMPLES} == verbs


@pytest.mark.parametrize("path", SAMPLES, ids=name_of)
def test_the_handler_takes_it(stack: InProcess, path: Path) -> None:
    event = json.loads(path.read_text().replace('"TOKEN"', f'"{TOKEN}"'))
    answer = stack.handle(path.parent.name, event)
    expected = EXPECTED[name_of(path)]
    if isinstance(expected, int):
        assert answer["statusCode"] == expected, answer
    else:
        assert answer == expected
