"""Moving dead letters: as they are, each once, and given back when only looked at."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from typing import TYPE_CHECKING, Any

import pytest

from ops import dlq
from ops.dead_letters import DeadLetters
from ops.describe import describe

if TYPE_CHECKING:
    from ops.output import Result

DEAD, HOME = "https://sqs/dead", "https://sqs/home"
ATTRIBUTES = {
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

    def receive_message(self, **asked: Any) -> dict[str, Any]:
        visible = [
            one for one in self.queues[asked["QueueUrl"]] if self._id(one) not in self.hidden
        ]
        given = visible[: asked["MaxNumberOfMessages"]]
        self.hidden |= {self._id(one) for one in given}
        return {"Messages": given} if given else {}

    def send_message(self, **asked: Any) -> None:
        if asked["MessageBody"] == "refused":
            raise RuntimeError("no")
        now = time.time() * 1000
        self.put(asked["QueueUrl"], asked["MessageBody"], asked["MessageAttributes"], now)

    def delete_message(self, **asked: Any) -> None:
        url, handle = asked["QueueUrl"], asked["ReceiptHandle"]
        self.queues[url] = [one for one in self.queues[url] if self._id(one) != handle]

    def change_message_visibility(self, **asked: Any) -> None:
        self.hidden.discard(asked["ReceiptHandle"])

    @staticmethod
    def _id(message: dict[str, Any]) -> str:
        handle: str = message["ReceiptHandle"]
        return handle


def bodies(sqs: Sqs, url: str) -> list[str]:
    return sorted(one["Body"] for one in sqs.queues[url])


def test_what_is_looked_at_is_given_back():
    sqs = Sqs([f"{n:02}" for n in range(25)])
    with DeadLetters(sqs, DEAD) as letters:
        seen = [one["Body"] for part in letters.messages() for one in part]
        assert len(sqs.hidden) == 25
    assert seen == bodies(sqs, DEAD)
    assert not sqs.hidden


def test_a_move_keeps_body_and_attributes():
    sqs = Sqs([f"{n:02}" for n in range(12)])
    with DeadLetters(sqs, DEAD) as letters:
        assert sum(letters.move(part, HOME) for part in letters.messages()) == 12
    assert bodies(sqs, DEAD) == []
    assert bodies(sqs, HOME) == [f"{n:02}" for n in range(12)]
    known = {name: value.copy() for name, value in ATTRIBUTES.items()}
    del known["encoding"]["StringListValues"]
    assert all(one["MessageAttributes"] == known for one in sqs.queues[HOME])


def test_what_the_queue_refuses_stays_and_is_given_back():
    sqs = Sqs(["a", "refused"])
    with DeadLetters(sqs, DEAD) as letters:
        (part,) = letters.messages()
        with pytest.raises(RuntimeError):
            letters.move(part, HOME)
    assert "refused" in bodies(sqs, DEAD)
    assert not sqs.hidden & {one["MessageId"] for one in sqs.queues[DEAD]}


def test_what_came_since_is_left_alone():
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
            {"received_at": "2026-11-22T08:00:00Z", "tells": {"skycore.sms_received": 1}},
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
def test_a_letter_is_told_without_number_and_text(queue, letter, told):
    shown = describe(queue, letter, show=False)
    assert told.items() <= shown.items()
    assert "17743199144" not in json.dumps(shown)
    assert "a text" not in json.dumps(shown)
    assert describe(queue, letter, show=True)["body"] == letter["Body"]


def redriven(count: int, monkeypatch: pytest.MonkeyPatch) -> Result:
    """The answer to a redrive of so many dead letters."""
    stack: Any = Namespace(ask=False, client=lambda _: Sqs([f"{n:02}" for n in range(count)]))
    stack.id_of = {"PostbackDeadLetterQueue": DEAD, "PostbackQueue": HOME}.get
    monkeypatch.setattr(dlq, "depths", lambda *_: {"waiting": count})
    return dlq.redrive(stack, Namespace(queue="postback", id=[], limit=None, yes=True))


def test_progress_is_told_only_where_it_takes_several_rounds(monkeypatch, capsys):
    assert redriven(7, monkeypatch).shown == ["7 put back into the postback queue"]
    assert capsys.readouterr().err == ""
    assert redriven(25, monkeypatch).shown == ["25 put back into the postback queue"]
    assert capsys.readouterr().err == "10 put back\n20 put back\n"


def test_what_a_postback_tells_is_shown_in_words():
    told = {"id": "i", "tells": {"skycore.sms_received": 2, "skycore.unparsed": 1}, "code": None}
    assert dlq._rest(told) == "tells 2 skycore.sms_received and 1 skycore.unparsed"
