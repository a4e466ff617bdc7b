"""A batch: what cannot be written or sent is told entry by entry, and nothing is orphaned."""

from __future__ import annotations

import json
import string
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from skycore import timestamps
from skycore.client.validation import prepare
from skycore.problems import MAX_ERRORS, Problem
from skycore.sending import batch, idempotency
from skycore.sending.batch import enqueue_batch
from skycore.sending.policy import SendPolicy
from skycore.table import batches, messages, models, opt_outs, queue_transitions
from tests.unit.sending.conftest import overlap
from tests.unit.table.fake_dynamodb import FakeDynamoDB, error

if TYPE_CHECKING:
    from tests.unit.sending.conftest import Outside

pytestmark = pytest.mark.usefixtures("table", "outside")
RULES = SendPolicy.of("US", "", 90)


def sms(n: int) -> dict[str, Any]:
    return {"to": f"+1774319{n:04}", "from": "60856", "text": "Hello"}


def post(entries: list[Any], key: str | None = None, **more: Any) -> list[dict[str, Any]]:
    body = {"messages": entries, **more}
    told = enqueue_batch(body, caller="arn", key=key, queue_url="send", policy=RULES).body
    result: list[dict[str, Any]] = told["messages"]
    return result


def words(results: list[dict[str, Any]]) -> list[str]:
    return [one.get("code") or one["status"] for one in results]


def live(table: Any) -> list[str]:
    """Return the ids of all messages that have not been released."""
    ids = [item["message_id"]["S"] for item in table.of_kind("message")]
    return [id_ for id_ in ids if messages.get(id_) is not None]


def in_queue(outside: Outside) -> set[str]:
    return {json.loads(body)["message_id"] for body in outside.queued}


def fail_after_the_first_transaction(table: FakeDynamoDB) -> None:
    def fail(_: int, operation: str, __: Any) -> None:
        if operation == "TransactWriteItems" and table.calls[operation] >= 1:
            raise error("InternalServerError", operation)

    table.before = fail


def test_what_was_written_before_the_table_failed_goes_on(
    outside: Outside, table: FakeDynamoDB
) -> None:
    fail_after_the_first_transaction(table)
    results = post([sms(n) for n in range(250)])
    assert words(results) == ["queued"] * 100 + ["not_ready"] * 150
    assert len(outside.queued) == 100


def late(table: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Let every write of new rows fail without an answer; return the writes, which may land."""
    writes: list[Any] = []
    for operation in ("TransactWriteItems", "PutItem"):
        real = getattr(table, f"_{operation}")

        def no_answer(request: Any, real: Any = real, operation: str = operation) -> Any:
            item = request.get("Item")
            if item and item["status"]["S"] == "released":
                return real(request)
            writes.append(lambda: real(request))
            raise error("InternalServerError", operation)

        monkeypatch.setattr(table, f"_{operation}", no_answer)
    return writes


@pytest.mark.parametrize("key", [None, "k"])
def test_a_write_that_lands_after_not_ready_was_answered_sends_nothing(
    outside: Outside, table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    with monkeypatch.context() as patched:
        writes = late(table, patched)
        assert words(post([sms(n) for n in range(3)], key)) == ["not_ready"] * 3
    for write in writes:
        with pytest.raises(ClientError):
            write()
    assert live(table) == []
    assert outside.queued == []


def test_a_row_that_may_be_in_the_table_is_not_told_as_not_sent(
    outside: Outside, table: FakeDynamoDB
) -> None:
    def out(_: int, operation: str, __: Any) -> None:
        if operation in {"TransactWriteItems", "PutItem"}:
            raise error("InternalServerError", operation)

    table.before = out
    assert words(post([sms(n) for n in range(3)])) == ["not_ready"] * 3
    assert [json.loads(body)["mend"]["status"] for body in outside.queued] == ["released"] * 3
    outside.queue_is_out = True
    assert words(post([sms(n) for n in range(3)])) == ["gateway_failure"] * 3


@pytest.mark.parametrize("key", [None, "k"])
def test_a_write_that_lands_twice_leaves_the_message_as_it_is(
    outside: Outside, table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    writes: list[Any] = []
    real = table._TransactWriteItems

    def twice(request: Any) -> Any:
        writes.append(lambda: real(request))
        return real(request)

    monkeypatch.setattr(table, "_TransactWriteItems", twice)
    (result,) = post([sms(1)], key)
    assert messages.transition(
        result["message_id"], "accepted", time=timestamps.now(), own=True, tracking_id="T"
    )
    with suppress(ClientError):  # DynamoDB itself recognises the request by its token
        writes[0]()
    row = messages.get(result["message_id"])
    assert row is not None
    assert row.status == "accepted"


def test_what_dispatch_took_is_not_told_as_not_queued(
    outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_answer(*, Entries: list[Any], **_: Any) -> None:  # noqa: N803
        for entry in Entries[:1]:
            row = messages.get(json.loads(entry["MessageBody"])["message_id"])
            if row is not None and row.status == "queued":
                queue_transitions.claim(row, "dispatch", timestamps.now())
        raise error("InternalError", "SendMessageBatch")

    monkeypatch.setattr(outside, "send_message_batch", no_answer)
    assert words(post([sms(1), sms(2)], key="k")) == ["queued", "not_queued"]


def test_a_message_that_fits_into_no_row_is_refused_alone(
    outside: Outside, table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "MAX_REQUEST_BYTES", 150)
    results = post(
        [
            sms(1),
            {**sms(2), "text": string.ascii_letters + string.digits + string.ascii_letters[::-3]},
            sms(3),
        ]
    )
    assert words(results)[1] == "too_large"
    assert words(results)[::2] == ["queued"] * 2
    assert len(table.of_kind("message")) == len(outside.queued) == 2


def test_a_row_past_its_expiry_does_not_count(table: FakeDynamoDB) -> None:
    entry = batch._Entry(sms(1))
    batch._prepare(entry, "m1", RULES, "someone")
    row = entry.row
    assert row is not None
    row.expires = int(timestamps.now().timestamp()) + 60
    row.save()
    assert set(messages.get_existing([row])) == {"m1"}
    row.expires -= 120
    row.save()
    assert messages.get_existing([row]) == {}


@pytest.mark.parametrize("most_items, most_bytes", [(3, 10**9), (100, 3000), (1, 1)])
def test_parts_are_of_legal_size_and_in_order(most_items: int, most_bytes: int) -> None:
    rows = [models.Row(f"r{n}", "row", state="ä" * 250 * (n % 4)) for n in range(40)]
    parts = list(batches.chunk_rows(rows, most_items, most_bytes))
    assert [row for part in parts for row in part] == rows
    for part in parts:
        size = sum(len(str(row.serialize()["state"]["S"]).encode()) for row in part)
        assert len(part) <= most_items
        assert len(part) == 1 or size <= most_bytes


def call(entries: list[Any], key: str | None = None, **more: Any) -> dict[str, Any]:
    body = {"messages": entries, **more}
    answer = enqueue_batch(body, caller="arn", key=key, queue_url="send", policy=RULES).body
    assert isinstance(answer, dict)
    return answer


def stop(number: str, sender: str = "60856") -> None:
    opt_outs.record_opt_out(number, sender, timestamps.now(), "N211")


def confirmation(n: int) -> dict[str, Any]:
    return {**sms(n), "opt_out_confirmation": True}


REFUSED_ALONE: dict[str, tuple[list[Any], str, str]] = {
    "another request under its key": ([sms(1), sms(9), sms(3)], "messages[1]", "another body"),
    "a second confirmation": (
        [sms(1), confirmation(5), confirmation(5)],
        "messages[2]",
        "opted out",
    ),
    "an opt-out": ([sms(1), sms(5)], "messages[1]", "opted out"),
    "an invalid field": ([sms(1), {**sms(2), "to": "1"}], "messages[1].to", ""),
    "no object": ([sms(1), 5], "messages[1]", "JSON object"),
    "the past": ([sms(1), {**sms(2), "expires_at": "2020-01-01T00:00:00Z"}], "messages[1]", ""),
}


@pytest.mark.parametrize("refusal", REFUSED_ALONE)
def test_what_refuses_one_entry_refuses_all_before_anything_is_written(
    outside: Outside, table: FakeDynamoDB, refusal: Any
) -> None:
    entries, field, detail = REFUSED_ALONE[refusal]
    if refusal == "another request under its key":
        call([sms(1), sms(2)], "k")
    stop("17743190005")
    outside.queued.clear()
    before = dict(table.items)
    with pytest.raises(Problem, match="invalid_request") as caught:
        call(entries, "k", all_or_nothing=True)
    (named,) = caught.value.body()["errors"]
    assert named["field"].startswith(field)
    assert detail in named["detail"]
    assert outside.queued == []
    assert dict(table.items) == before


def test_a_country_refuses_all() -> None:
    policy = SendPolicy.of("US", "44", 90)
    body = {"messages": [sms(1)], "all_or_nothing": True}
    with pytest.raises(Problem, match="invalid_request"):
        enqueue_batch(body, caller="arn", key=None, queue_url="send", policy=policy)


def test_a_table_that_fails_in_the_middle_leaves_nothing_of_all_or_nothing(
    outside: Outside, table: FakeDynamoDB
) -> None:
    fail_after_the_first_transaction(table)
    with pytest.raises(Problem, match="not_ready") as caught:
        call([sms(n) for n in range(150)], all_or_nothing=True)
    assert "Retry-After" in caught.value.headers()
    assert live(table) == []
    assert outside.queued == []


def test_a_confirmation_that_another_call_takes_meanwhile_refuses_all(
    outside: Outside, table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop("17743190005")
    monkeypatch.setattr(opt_outs, "claim_confirmation", lambda *_: None)
    with pytest.raises(Problem, match="invalid_request"):
        call([sms(1), confirmation(5)], all_or_nothing=True)
    assert live(table) == []
    assert outside.queued == []


@pytest.mark.parametrize("kind", ["in_progress", "not_ready", "gateway_failure"])
def test_what_may_be_repeated_is_not_answered_as_a_bad_request(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A call that overlaps with its repeat may release a message that the repeat takes over."""
    entries = [sms(1), sms(2), sms(3)]
    call(entries, "k", all_or_nothing=True)
    before = "not_ready" if kind == "gateway_failure" else "in_progress"
    problems = iter([before, kind, "idempotency_key_reused"])

    def overlap(*_: Any) -> Any:
        raise Problem(next(problems), "now")

    monkeypatch.setattr(batch, "take_over_or_replay", overlap)
    with pytest.raises(Problem) as caught:
        call(entries, "k", all_or_nothing=True)
    assert caught.value.code == kind
    assert caught.value.retryable == (kind != "gateway_failure")


def test_dry_runs_whose_answer_is_too_long_refuse_all_before_anything_is_written(
    outside: Outside, table: FakeDynamoDB
) -> None:
    dry = {"text": "x" * 30_000, "allow_multipart": True, "dry_run": True}
    entries = [sms(0), *({**sms(n), **dry} for n in range(1, 61))]
    with pytest.raises(Problem, match="invalid_request") as caught:
        call(entries, all_or_nothing=True)
    assert "too long an answer" in caught.value.body()["errors"][0]["detail"]
    assert outside.queued == []
    assert live(table) == []


FAULTY_TEMPLATES: dict[str, tuple[dict[str, Any], str]] = {
    "unknown names in a slide": (
        {"action": "sendMMS", "slides": [{f"x{n}": 1 for n in range(10_000)}]},
        "template.slides[0].x0",
    ),
    "a long text": ({"text": "x" * 1_000_000}, "template.text"),
    "a long invisible text": ({"text": "\u200b" * 1_000_000}, "template.text"),
    "a long URL": (
        {"action": "sendMMS", "slides": [{"image": "http://a.com/" + "a" * 1_000_000}]},
        "template.slides[0].image",
    ),
    "a long reference": ({"client_reference": "x" * 1_000_000}, "template.client_reference"),
    "a flag": ({"dry_run": "yes"}, "template.dry_run"),
}


@pytest.mark.parametrize("fault", FAULTY_TEMPLATES)
def test_a_faulty_template_is_checked_once_for_all_its_recipients(
    monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    template, field = FAULTY_TEMPLATES[fault]
    checks = []

    def counted(*arguments: Any, **options: Any) -> Any:
        checks.append(arguments)
        return prepare(*arguments, **options)

    monkeypatch.setattr("skycore.sending.validation.prepare", counted)
    template = {"from": "60856", "text": "Hello", "subject": "s"} | template
    if template.get("action") is None:
        del template["subject"]
    else:
        del template["text"]
    # The first recipient has a fault of its own.
    recipients = [{"to": "1"}, *({"to": sms(n)["to"]} for n in range(999))]
    with pytest.raises(Problem, match="invalid_request") as caught:
        from_template(template, recipients)
    assert caught.value.body()["errors"][0]["field"] == field
    assert len(checks) == 1


def from_template(template: dict[str, Any], recipients: list[Any]) -> dict[str, Any]:
    body = {"template": template, "recipients": recipients}
    return enqueue_batch(body, caller="arn", key=None, queue_url="send", policy=RULES).body


def test_an_unknown_action_of_a_template_is_refused_once() -> None:
    with pytest.raises(Problem, match="unknown_action"):
        from_template({"action": "x"}, [{"to": "+17743190001"}])


def test_a_fault_of_the_template_that_a_recipient_replaces_is_not_its_own() -> None:
    template = {"from": "60856", "text": "x" * 200}
    recipients: list[dict[str, Any]] = [
        {"to": "+17743190001"},
        {"to": "+17743190002", "text": "Hello"},
    ]
    assert words(from_template(template, recipients)["messages"]) == ["invalid_request", "queued"]
    recipients = [{"to": "+17743190001"}, {"to": "+17743190002", "allow_multipart": True}]
    assert words(from_template(template, recipients)["messages"]) == ["invalid_request", "queued"]
    recipients = [{"to": "+17743190001"}, {**recipients[1], "action": "sendSMS"}]
    assert words(from_template(template, recipients)["messages"]) == ["invalid_request", "queued"]


def test_the_summary_counts_and_earlier_recipients_are_named() -> None:
    entries: list[Any] = [
        sms(1),
        {**sms(2), "dry_run": True},
        sms(1),
        5,
        {**sms(1), "to": "1 774 319 0002"},
    ]
    entries[4]["to"] = "+1 (774) 319-0002"
    answer = call(entries)
    assert answer["summary"] == {"queued": 3, "scheduled": 0, "refused": 1}
    marked = [result.get("same_recipient_as") for result in answer["messages"]]
    assert marked == [None, None, 0, None, 1]
    again = call([5])
    assert again["summary"] == {"queued": 0, "scheduled": 0, "refused": 1}


def test_each_field_of_a_result_has_one_type() -> None:
    results = call([sms(1), {**sms(2), "dry_run": True}, {**sms(3), "to": "1"}, 5])["messages"]
    types: dict[str, set[type]] = {}
    for result in results:
        for name, value in result.items():
            types.setdefault(name, set()).add(type(value))
    assert {name: kinds for name, kinds in types.items() if len(kinds - {type(None)}) > 1} == {}
    assert [(one["status"], one["http_status"]) for one in results[2:]] == [("refused", 422)] * 2


LAMBDA_BYTES = 6_291_456  # that an answer may have, as JSON, with the HTTP body as text in it


def size(answer: dict[str, Any]) -> int:
    return len(json.dumps({"statusCode": 202, "body": json.dumps(answer)}))


LONG = "\N{GRINNING FACE}" * 255
WORST: dict[str, Any] = {
    "references": lambda n: {**sms(n), "client_reference": LONG},
    "invalid fields": lambda n: {"\N{GRINNING FACE}" * 20 + f"{m}": n for m in range(20)},
    "long names": lambda n: {LONG * 2: n, LONG * 2 + "x": n},
    "dry runs": lambda n: {**sms(n), "text": LONG[:60], "client_reference": LONG, "dry_run": True},
    "long dry runs": lambda n: {
        **sms(n),
        "text": "x" * 1500,
        "allow_multipart": True,
        "dry_run": True,
    },
}


@pytest.mark.in_memory("writes a thousand rows")
@pytest.mark.parametrize("kind", WORST)
def test_the_longest_answer_fits_into_lambdas(kind: Any) -> None:
    entries = [WORST[kind](n) for n in range(batch.MAX_MESSAGES)]
    assert size(call(entries)) < LAMBDA_BYTES


@pytest.mark.in_memory("writes a thousand rows")
def test_a_template_that_a_thousand_dry_runs_echo_fits_into_lambdas() -> None:
    template = {"from": "60856", "text": "x" * 20_000, "allow_multipart": True, "dry_run": True}
    body = {"template": template, "recipients": [{"to": sms(n)["to"]} for n in range(1000)]}
    answer = enqueue_batch(body, caller="arn", key=None, queue_url="send", policy=RULES).body
    assert size(answer) < LAMBDA_BYTES
    assert answer["messages"][0]["dry_run"]
    assert answer["messages"][999]["code"] in {"too_large", "invalid_request"}


def test_errors_are_bounded() -> None:
    bad = {f"field{n}": 1 for n in range(50)}
    (result,) = call([bad])["messages"]
    assert len(result["errors"]) == MAX_ERRORS
    with pytest.raises(Problem) as caught:
        call([bad] * 10, all_or_nothing=True)
    assert len(caught.value.body()["errors"]) == MAX_ERRORS


def test_a_repeat_takes_over_what_an_overlapping_call_cannot_queue(
    outside: Outside, table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = overlap(outside, monkeypatch, lambda: words(post([sms(1), sms(2)], "k")))
    first = post([sms(1), sms(2)], "k")
    assert answers == [["queued", "queued"]]
    assert words(first) == ["queued", "queued"]
    assert len(live(table)) == 2
    assert in_queue(outside) == {one["message_id"] for one in first}
