"""The faults themselves: as often as the table says, and the same in every run."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.chaos import batch_calls
from tests.chaos.faults import EVERYWHERE, MORE, Faults

MOST = 0.2


@pytest.mark.parametrize("operation", [*MORE, "Query"])
def test_no_call_fails_more_often_than_one_in_five(operation: Any) -> None:
    faults = Faults(1)
    assert 0.05 < sum(faults.rates(operation).values()) <= MOST + 1e-9
    befell = Counter(faults.of(operation, number) for number in range(4_000))
    for kind, rate in faults.rates(operation).items():
        assert befell[kind] / 4_000 == pytest.approx(rate, abs=0.02)


def test_a_seed_gives_the_same_faults_again() -> None:
    first, second = ([Faults(7).of("PutItem", n) for n in range(500)] for _ in range(2))
    assert first == second
    assert first != [Faults(8).of("PutItem", n) for n in range(500)]


def test_what_is_left_out_never_comes() -> None:
    faults = Faults(1, without=frozenset(EVERYWHERE))
    assert {faults.of("Query", number) for number in range(1000)} == {None}


@pytest.mark.parametrize(
    ("operation", "request_body", "left", "answer", "told"),
    [
        (
            "BatchGetItem",
            {"RequestItems": {"t": {"Keys": [1, 2, 3], "ConsistentRead": True}}},
            {"RequestItems": {"t": {"Keys": [1], "ConsistentRead": True}}},
            {"Responses": {"t": []}, "UnprocessedKeys": {}},
            {
                "Responses": {"t": []},
                "UnprocessedKeys": {"t": {"Keys": [2, 3], "ConsistentRead": True}},
            },
        ),
        (
            "BatchWriteItem",
            {"RequestItems": {"t": [1, 2, 3]}},
            {"RequestItems": {"t": [1]}},
            {"UnprocessedItems": {}},
            {"UnprocessedItems": {"t": [2, 3]}},
        ),
        (
            "SendMessageBatch",
            {"QueueUrl": "q", "Entries": [{"Id": "0"}, {"Id": "1"}]},
            {"QueueUrl": "q", "Entries": [{"Id": "0"}]},
            {"Successful": [{"Id": "0"}]},
            {
                "Successful": [{"Id": "0"}],
                "Failed": [{"Id": "1", "Code": "InternalError", "SenderFault": False}],
            },
        ),
    ],
    ids=["reads", "writes", "queue messages"],
)
def test_a_batch_is_cut_as_the_service_would(
    operation: str,
    request_body: dict[str, Any],
    left: dict[str, Any],
    answer: dict[str, Any],
    told: dict[str, Any],
) -> None:
    body = json.dumps(request_body).encode()
    assert batch_calls.can_be_cut(operation, body)
    taken, refused = batch_calls.cut(operation, body)
    assert json.loads(taken) == left
    whole = batch_calls.complete(operation, json.dumps(answer).encode(), body, refused)
    assert json.loads(whole) == told


def test_a_batch_of_events_is_cut_too() -> None:
    fields = {"Action": "PublishBatch", "TopicArn": "t"}
    for number in (1, 2):
        fields[f"PublishBatchRequestEntries.member.{number}.Id"] = f"id {number}"
    body = urlencode(fields).encode()
    taken, refused = batch_calls.cut("PublishBatch", body)
    assert taken.count(b"Id=") == 1
    answer = b"<A><PublishBatchResult><Successful/><Failed/></PublishBatchResult></A>"
    whole = batch_calls.complete("PublishBatch", answer, body, refused).decode()
    assert whole.count("<Failed>") == 1
    assert "<Id>id 2</Id>" in whole


def test_a_call_of_one_entry_cannot_be_cut() -> None:
    assert not batch_calls.can_be_cut("BatchWriteItem", b'{"RequestItems": {"t": [1]}}')
    assert not batch_calls.can_be_cut("PutItem", b"{}")
