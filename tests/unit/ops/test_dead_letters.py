"""Moving dead letters: as they are, each once, and given back when only looked at."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from ops import dlq
from ops.dead_letters import DeadLetters
from ops.describe import describe
from ops.restore import restore_postbacks
from skycore.receiving import republish

if TYPE_CHECKING:
    from ops.output import Result

DEAD, HOME = "https://sqs/dead", "https://sqs/home"
ATTRIBUTES: dict[str, dict[str, Any]] = {
    "received_at": {"DataType": "String", "StringValue": "2026-11-22T08:00:00.000000Z"},
    "encoding": {"DataType": "String", "StringValue": "text", "StringListValues": []},
    "bytes": {"DataType": "Binary", "BinaryValue": b"\x00"},
}


class Sqs:
    """Queues of messages; what is received is hidden until it is given back."""

    def __init__(self, bodies: list[str], sent_ms: float = 0) -> None:
        self.hidden: set[str] = set()
        self.queues: dict[str, list[dict[str, Any]]] = {DEAD: [], HOME: []}
        for body in bodies:
            self.put(DEAD, body, ATTRIBUTES, sent_ms)

    def put(self, url: str, body: str, attributes: dict[str, Any], sent_ms: float) -> None:
        n = f"{url}{len(self.queues[url])}"
        system = {"SentTimestamp": str(int(sent_ms)), "ApproximateReceiveCount": "1"}
        self.queues[url].append(
            {
                "MessageId": n,
                "ReceiptHandle": n,
                "Body": body,
                "MessageAttributes": attributes,
                "Attributes": system,
            }
        )

    def receive_message(self, **args: Any) -> dict[str, Any]:
        visible = [one for one in self.queues[args["QueueUrl"]] if self._id(one) not in self.hidden]
        given = visible[: args["MaxNumberOfMessages"]]
        self.hidden |= {self._id(one) for one in given}
        return {"Messages": given} if given else {}

    def send_message(self, **args: Any) -> None:
        if args["MessageBody"] == "refused":
            raise RuntimeError("no")
        if args["MessageBody"] == "throttled":
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "SendMessage")
        now = time.time() * 1000
        self.put(args["QueueUrl"], args["MessageBody"], args["MessageAttributes"], now)

    def delete_message(self, **args: Any) -> None:
        url, handle = args["QueueUrl"], args["ReceiptHandle"]
        self.queues[url] = [one for one in self.queues[url] if self._id(one) != handle]

    def change_message_visibility(self, **args: Any) -> None:
        self.hidden.discard(args["ReceiptHandle"])

    @staticmethod
    def _id(message: dict[str, Any]) -> str:
        handle: str = message["ReceiptHandle"]
        return handle


def bodies(sqs: Sqs, url: str) -> list[str]:
    return sorted(one["Body"] for one in sqs.queues[url])


def test_what_is_looked_at_is_given_back() -> None:
    sqs = Sqs([f"{n:02}" for n in range(25)])
    with DeadLetters(sqs, DEAD) as letters:
        seen = [one["Body"] for part in letters.messages() for one in part]
        assert len(sqs.hidden) == 25
    assert seen == bodies(sqs, DEAD)
    assert not sqs.hidden


def test_a_move_keeps_body_and_attributes() -> None:
    sqs = Sqs([f"{n:02}" for n in range(12)])
    with DeadLetters(sqs, DEAD) as letters:
        assert sum(letters.move(part, HOME) for part in letters.messages()) == 12
    assert bodies(sqs, DEAD) == []
    assert bodies(sqs, HOME) == [f"{n:02}" for n in range(12)]
    known = {name: value.copy() for name, value in ATTRIBUTES.items()}
    del known["encoding"]["StringListValues"]
    assert all(one["MessageAttributes"] == known for one in sqs.queues[HOME])


def test_what_the_queue_refuses_stays_and_is_given_back() -> None:
    sqs = Sqs(["a", "refused"])
    with DeadLetters(sqs, DEAD) as letters:
        (part,) = letters.messages()
        with pytest.raises(RuntimeError):
            letters.move(part, HOME)
    assert "refused" in bodies(sqs, DEAD)
    assert not sqs.hidden & {one["MessageId"] for one in sqs.queues[DEAD]}


def test_what_came_since_is_left_alone() -> None:
    sqs = Sqs(["first"])
    with DeadLetters(sqs, DEAD) as letters:
        told = letters.messages()
        letters.move(next(told), HOME)
        sqs.put(DEAD, "again", ATTRIBUTES, (time.time() + 1) * 1000)
        assert not list(told)
    assert bodies(sqs, DEAD) == ["again"]


def message(body: str, **attributes: str) -> dict[str, Any]:
    return {
        "MessageId": "m",
        "Body": body,
        "Attributes": {"SentTimestamp": "1795333275000", "ApproximateReceiveCount": "3"},
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        },
    }


POSTBACK = (
    "<POSTBACK><ORIGIN>SMS_MO</ORIGIN><CODE>N211</CODE><FROM>17743199144</FROM><TO>60856</TO>"
    "<TEXT>a text</TEXT></POSTBACK>"
)
EVENT = json.dumps({"id": "e", "type": "skycore.sms_received", "data": {"from": "17743199144"}})


@pytest.mark.parametrize(
    ("queue", "letter", "told"),
    [
        (
            "postback",
            message(POSTBACK, received_at="2026-11-22T08:00:00.000000Z", encoding="text"),
            {"received_at": "2026-11-22T08:00:00Z", "events": {"skycore.sms_received": 1}},
        ),
        ("postback", message("abc", encoding="base64"), {"unreadable": "Error"}),
        (
            "event",
            message(EVENT, ErrorMessage="queue of 17743199144 is gone"),
            {"event_id": "e", "type": "skycore.sms_received", "why": "queue of …44 is gone"},
        ),
        ("event", message("[]"), {"unreadable": "AttributeError"}),
        ("publish-retry", message('{"event_id": "e"}'), {"event_id": "e"}),
        ("publish", message("{}"), {"unreadable": "KeyError"}),
        ("send", message("no JSON"), {"unreadable": "JSONDecodeError"}),
        ("send", message('{"mend": {"message_id": "m1"}}'), {"message_id": "m1"}),
    ],
)
def test_a_letter_is_told_without_number_and_text(
    queue: str, letter: Any, told: dict[str, Any]
) -> None:
    shown = describe(queue, letter, show=False)
    assert told.items() <= shown.items()
    assert "17743199144" not in json.dumps(shown)
    assert "a text" not in json.dumps(shown)
    assert describe(queue, letter, show=True)["body"] == letter["Body"]


def stack_of(sqs: Sqs, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a stack whose dead-letter queues are all one queue, and so are its other queues."""
    stack: Any = Namespace(ask=False, client=lambda _: sqs)
    stack.id_of = lambda logical_id: DEAD if "DeadLetter" in logical_id else HOME
    monkeypatch.setattr(dlq, "depths", lambda *_: {"waiting": len(sqs.queues[DEAD])})
    return stack


def redriven(count: int, monkeypatch: pytest.MonkeyPatch) -> Result:
    """The answer to a redrive of so many dead letters."""
    stack = stack_of(Sqs([f"{n:02}" for n in range(count)]), monkeypatch)
    return dlq.redrive(stack, Namespace(queue="postback", id=[], limit=None, yes=True))


def test_progress_is_told_only_where_it_takes_several_rounds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert redriven(7, monkeypatch).shown == ["7 moved back to the postback queue"]
    assert capsys.readouterr().err == ""
    assert redriven(25, monkeypatch).shown == ["25 moved back to the postback queue"]
    assert capsys.readouterr().err == "10 moved back\n20 moved back\n"


def test_a_redrive_says_what_was_refused_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    sqs = Sqs(["a", "throttled", "b", "throttled"])
    stack = stack_of(sqs, monkeypatch)
    answer = dlq.redrive(stack, Namespace(queue="postback", id=[], limit=None, yes=True))
    assert not answer.ok
    assert (answer.data["moved"], answer.data["failed"]) == (2, {"ThrottlingException": 2})
    assert answer.data["left"] == 2
    assert "2 not moved back: ThrottlingException" in answer.shown
    assert bodies(sqs, HOME) == ["a", "b"]


def test_restored_postbacks_that_are_refused_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    sqs = Sqs(["a", "throttled", "b"])
    stack = stack_of(sqs, monkeypatch)
    stack.name = "skycore"
    answer = restore_postbacks(stack, Namespace(queue_url=DEAD, yes=True))
    assert not answer.ok
    assert answer.data == {"moved": 2, "failed": {"ThrottlingException": 1}}
    assert "1 not moved: ThrottlingException" in answer.shown
    assert bodies(sqs, HOME) == ["a", "b"]


@pytest.mark.parametrize("act", [dlq.redrive, dlq.discard])
def test_a_named_message_that_is_not_there_is_named_in_the_answer(
    monkeypatch: pytest.MonkeyPatch, act: Any
) -> None:
    stack = stack_of(Sqs(["a"]), monkeypatch)
    args = Namespace(queue="postback", id=[f"{DEAD}0", "gone"], all=False, limit=None, yes=True)
    answer = act(stack, args)
    assert not answer.ok
    assert answer.data["not_found"] == ["gone"]
    assert "1 not found: gone" in answer.shown
    assert answer.data.get("moved", answer.data.get("deleted")) == 1


def test_names_that_are_put_back_keep_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Any] = []
    monkeypatch.setattr(republish, "keep_named_rows", kept.extend)
    name = {"message_id": "m1", "step": "accepted"}
    stack = stack_of(Sqs([json.dumps(name), "{"]), monkeypatch)
    dlq.redrive(stack, Namespace(queue="publish-retry", id=[], limit=None, yes=True))
    assert kept == [name]


def test_the_events_of_a_postback_are_shown_in_words() -> None:
    letter = {"id": "i", "events": {"skycore.sms_received": 2, "skycore.unparsed": 1}, "code": None}
    assert dlq._rest(letter) == "2 skycore.sms_received and 1 skycore.unparsed"
