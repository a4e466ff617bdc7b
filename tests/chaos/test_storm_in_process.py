"""A storm of faults between the functions and AWS, in this process: nothing is lost or sent twice.

The faults are those of tests/chaos/faults.py, twice as frequent, and botocore, which repeats most
failed calls, is not between. test_faults.py lets them pass over the deployed stack; that takes
minutes, so make test-long does it.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from pynamodb.connection.base import Connection

from tests.chaos.faults import Faults
from tests.chaos.load import bodies
from tests.chaos.seen import Expected, content
from tests.conftest import _app
from tests.contract.in_process import InProcess, in_process, reaches_publish
from tests.unit.table.fake_dynamodb import Crash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHARE = 2.0  # of the rates of faults.py
POSTBACKS, SENDS = 150, 24
TRIES = 12  # of a request whose answer says that nothing was sent, or did not come
ROUNDS = 60  # of what the queues and the stream give again; a calm storm needs fewer
QUEUES = {"postbacks": "store", "send": "dispatch", "retry": "publish"}
OPERATIONS = {
    "send_message": "SendMessage",
    "send_message_batch": "SendMessageBatch",
    "publish_batch": "PublishBatch",
}


class FaultInjector:
    """Lets calls fail while it is `active`: each as its operation and number decide."""

    def __init__(self, seed: int) -> None:
        self.active = False
        self.faults = Faults(seed, SHARE)
        self.calls: Counter[str] = Counter()
        self.injected: Counter[str] = Counter()

    def call(self, operation: str, work: Callable[[], Any], part: Callable[[], Any]) -> Any:
        """Do the work of a call, or a part of a batch, or neither, and fail before or after it."""
        kind = self.faults.of(operation, self.calls[operation]) if self.active else None
        self.calls[operation] += 1
        self.injected.update([kind] if kind else [])
        match kind:
            case "error" | "unavailable":
                raise _refusal("InternalServerError", 500, operation)
            case "throttle":
                raise _refusal("ThrottlingException", 400, operation)
            case "reset_before":
                raise ReadTimeoutError(endpoint_url=operation)
            case "die_before":
                raise Crash
            case "partial":
                return part()
            case "twice":
                work()
        answer = work()
        if kind in {"reset_after", "silence"}:
            raise ReadTimeoutError(endpoint_url=operation)
        if kind == "die_after":
            raise Crash
        return answer


def _refusal(code: str, status: int, operation: str) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": "a fault of the test"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, operation)


class Table:
    """The table in memory, with faults."""

    _request_signer = None

    def __init__(self, table: Any, faults: FaultInjector) -> None:
        self._table, self._faults = table, faults

    def _make_api_call(self, operation: str, request: dict[str, Any]) -> Any:
        def part() -> Any:
            self._table.unprocessed = lambda _, entries: len(entries) // 2
            try:
                return self._table._make_api_call(operation, request)
            finally:
                self._table.unprocessed = lambda *_: 0

        def whole() -> Any:
            return self._table._make_api_call(operation, request)

        return self._faults.call(operation, whole, part)


class Services:
    """The queues and the topic, with faults."""

    def __init__(self, services: Any, faults: FaultInjector) -> None:
        self._services, self._faults = services, faults

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._services, name)
        if name not in OPERATIONS:
            return real

        def call(**request: Any) -> Any:
            def part() -> Any:
                (field,) = {"Entries", "PublishBatchRequestEntries"} & request.keys()
                return real(**(request | {field: request[field][: len(request[field]) // 2]}))

            return self._faults.call(OPERATIONS[name], lambda: real(**request), part)

        return call


class Storm:
    """The functions, and Lambda, which invokes them again with what failed."""

    def __init__(self, stack: InProcess, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stack, self.services, self.faults = stack, stack.services, FaultInjector(seed)
        self._position = 0  # in the stream
        stack.services = Services(stack.services, self.faults)  # type: ignore[assignment]
        monkeypatch.setattr("time.sleep", lambda _: None)
        monkeypatch.setattr(Connection, "client", Table(stack.table, self.faults))

    def request(self, call: Callable[[], Any]) -> Any:
        """Make a request; None if its function died."""
        try:
            return call()
        except Crash:
            return None

    def _handle(self, verb: str, records: list[dict[str, Any]]) -> set[str]:
        """Invoke a function; return the ids of the records that failed, all if it died."""
        try:
            answer = self.stack.handle(verb, {"Records": records})
        except (Crash, Exception):  # noqa: BLE001 - Lambda gives the batch again, whatever it was
            return {_id(record) for record in records}
        return {one["itemIdentifier"] for one in answer["batchItemFailures"]}

    def run(self) -> bool:
        """Hand over what the queues and the stream have; return whether that was nothing."""
        worked = False
        for queue, verb in QUEUES.items():
            messages = [one for one in self.services.queued if one["QueueUrl"] == queue]
            records = self.services.take(queue)
            worked |= bool(records)
            for start in range(0, len(records), 10):
                batch = records[start : start + 10]
                failed = self._handle(verb, batch)
                again = zip(messages[start : start + 10], batch, strict=True)
                self.services.queued += [one for one, record in again if _id(record) in failed]
        return not (self._run_stream() or worked)

    def _run_stream(self) -> bool:
        """Publish one batch of the stream; the next begins with the first record that failed."""
        changes = self.stack.table.stream[self._position : self._position + 25]
        wanted = [change for change in changes if reaches_publish(change)]
        failed = self._handle("publish", wanted) if wanted else set()
        first = next((n for n, one in enumerate(changes) if _id(one) in failed), len(changes))
        self._position += first
        return bool(changes)


def _id(record: dict[str, Any]) -> str:
    return str(record.get("messageId") or record["dynamodb"]["SequenceNumber"])


@pytest.fixture(params=[1, 4711], ids="seed {}".format)
def storm(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storm]:
    with in_process(_app) as stack, monkeypatch.context() as patched:
        yield Storm(stack, request.param, patched)


def acknowledged(storm: Storm, body: bytes) -> bool:
    """Post as Skycore does: once and five times more."""
    answers = (storm.request(lambda: storm.stack.postback(body)) for _ in range(6))
    return any(answer is not None and answer.status_code == 200 for answer in answers)


def sent(storm: Storm, number: int) -> bool:
    """Send as a service does, under one key; return whether an answer says that it is sent."""
    body = {"to": "+17743199144", "from": "60856", "text": f"storm {number}"}
    headers = {"Idempotency_Key": f"storm {number}"}
    if number % 3 == 0:
        headers["Prefer"] = "respond-async"
    for _ in range(TRIES):
        answer = storm.request(lambda: storm.stack.post("/messages", body, **headers))
        if answer is not None and answer.status_code in {201, 202}:
            return True
    return False


def test_nothing_is_lost_and_nothing_is_sent_twice(storm: Storm) -> None:
    storm.faults.active = True
    posted = [body for body in bodies(POSTBACKS, "storm") if acknowledged(storm, body)]
    promised = {f"storm {n}" for n in range(SENDS) if sent(storm, n)}
    for _ in range(ROUNDS):
        storm.run()
    storm.faults.active = False
    assert any(storm.run() for _ in range(ROUNDS)), "the queues do not come to rest"

    injected = storm.faults.injected.keys()
    assert {"error", "throttle", "reset_before", "reset_after", "partial", "twice"} <= injected
    assert {"die_before", "die_after"} & injected
    assert len(posted) > POSTBACKS / 2
    assert len(promised) > SENDS / 2
    # Each event was stored once and published at least once.
    expected = Expected()
    expected.add(posted)
    stored = Counter(
        row["sk"]["S"].removeprefix("event#") for row in storm.stack.table.of_kind("event")
    )
    published = storm.services.published
    assert {id_: stored[id_] for id_ in expected.ids} == dict.fromkeys(expected.ids, 1)
    assert expected.ids <= {event["id"] for event in published}
    undated = {event["id"]: content(event["data"]) for event in published}
    assert Counter(filter(None, undated.values())) == Counter(expected.undated)
    # Skycore has each text once at most, and each that was promised unless it is unknown.
    outgoing = storm.stack.control("messages?direction=out&limit=20000")["messages"]
    texts = Counter(row["text"] for row in outgoing)
    assert set(texts.values()) == {1}
    statuses = [row["status"]["S"] for row in storm.stack.table.of_kind("message")]
    unsure = [status for status in statuses if status in {"sending", "unknown"}]
    assert len(promised - texts.keys()) <= len(unsure), json.dumps(sorted(promised - texts.keys()))
    assert "queued" not in statuses
