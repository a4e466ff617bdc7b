"""An outage of Skycore, or trouble with the account, ends no queued message."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from skycore.catalogue.actions import all_actions, all_errors
from skycore.client.errors import (
    HTTP_PROBLEMS,
    CredentialsMissing,
    HttpRefused,
    NotReady,
    NotSent,
    OutcomeUnknown,
    Refused,
)
from skycore.client.reply import Reply, read_reply
from skycore.problems import Problem
from skycore.queries.messages import cancel
from skycore.sending.account_pause import ACTION_CODES, AccountPause, cause_of
from skycore.table import parking, pauses
from tests.unit.sending.waiting_world import BATCH, World, row, status
from tests.unit.table.fake_dynamodb import FakeDynamoDB, error

if TYPE_CHECKING:
    from skycore.catalogue.actions import Action

IN_MINUTES = 45
N = 60
MANY = 500  # half a minute for each kind of outage
OUTAGES = {
    "refused connections": NotSent("connection refused"),
    "403 pages": HttpRefused(403),
    "wrong key": Refused("E104", "API key/User does not exist", {}),
    "no key": CredentialsMissing(),
    "502 pages": OutcomeUnknown("HTTP 502"),
    "timeouts": OutcomeUnknown("no whole reply in time"),
}


@pytest.fixture
def world(table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def account() -> pauses.Pause:
    return pauses.read(consistent=True).of("account")


@pytest.mark.in_memory("45 minutes of many messages")
@pytest.mark.parametrize("kind", OUTAGES)
def test_an_outage_of_45_minutes_ends_no_message(world: World, kind: str) -> None:
    check_outage(world, kind, N)


@pytest.mark.long
@pytest.mark.in_memory("45 minutes of many messages")
@pytest.mark.parametrize("kind", OUTAGES)
def test_an_outage_of_45_minutes_ends_none_of_many_messages(world: World, kind: str) -> None:
    check_outage(world, kind, MANY)


def check_outage(world: World, kind: str, count: int) -> None:
    """Queue messages when an outage has begun, end it, and see them sent."""
    world.run(minutes=1)
    world.fails = lambda *_: OUTAGES[kind]
    ids = [world.enqueue() for _ in range(count)]
    world.run(minutes=IN_MINUTES)
    assert account().paused
    waiting = world.receives
    assert waiting < 3 * len(ids), "what waits is looked at again and again"
    recovery, world.fails = world.now, lambda *_: None
    world.run(minutes=2)
    first = min(world.accepted_at())
    assert first - recovery < timedelta(minutes=2)
    world.run(minutes=3)
    found = Counter(status(id_) for id_ in ids)
    unknown = found.pop("unknown", 0)
    assert found == {"accepted": len(ids) - unknown}, found
    # A batch is in flight when the outage begins; then one send every 15 minutes.
    most = BATCH + IN_MINUTES // 15
    assert unknown <= (most if isinstance(OUTAGES[kind], OutcomeUnknown) else 0)
    assert {int(row(id_).tries) for id_ in ids} == {0}
    assert world.dead == []
    assert not account().paused


class TestOneMessage:
    """A message that always fails by itself."""

    def test_it_pauses_the_others_once_and_is_rejected_in_the_end(self, world: World) -> None:
        world.fails = lambda _, fields: (
            Refused("E104", "", {}) if fields["text"] == "poison" else None
        )
        poison = world.enqueue(text="poison")
        world.run(seconds=5)
        ids = [world.enqueue() for _ in range(20)]
        world.run(minutes=3)
        assert {status(id_) for id_ in ids} == {"accepted"}
        for _ in range(40):  # traffic goes on, and none of it waits for a pause
            one = world.enqueue()
            world.run(minutes=1)
            assert status(one) == "accepted"
        assert status(poison) == "rejected"
        assert world.dead == [poison]
        assert row(poison).tries == 4  # failures before the fifth, which ended it

    def test_alone_it_waits_without_tries(self, world: World) -> None:
        world.fails = lambda *_: Refused("E104", "", {})
        poison = world.enqueue()
        world.run(hours=3)
        assert (status(poison), int(row(poison).tries)) == ("queued", 0)
        assert 60 < len(world.calls) < 80  # one probe a minute for an hour, then fewer

    def test_it_goes_last(self, world: World) -> None:
        world.fails = lambda _, fields: NotSent("refused") if world.now < back else None
        back = world.now + timedelta(minutes=3)
        first = world.enqueue(text="first")
        world.run(seconds=2)
        others = [world.enqueue() for _ in range(5)]
        world.run(minutes=6)
        last_steps = {id_: row(id_).steps[-1] for id_ in [first, *others]}
        assert max(last_steps, key=lambda id_: last_steps[id_]) == first

    def test_many_of_them_do_not_keep_the_queue_paused(self, world: World) -> None:
        world.fails = lambda _, fields: (
            Refused("E104", "", {}) if fields["text"].startswith("poison") else None
        )
        good = []
        for n in range(20):
            world.enqueue(text=f"poison {n}")
            good.append(world.enqueue())
            world.run(minutes=1)
        world.run(minutes=3)
        late = [id_ for id_ in good if status(id_) != "accepted"]
        assert late == []
        assert world.paused_minutes <= 4


class TestOneAction:
    def test_a_forbidden_action_pauses_no_other(self, world: World) -> None:
        world.fails = lambda action, _: Refused("E107", "", {}) if action == "sendMMS" else None
        slides = [{"text": "Hello"}]
        forbidden = [
            world.enqueue(action="sendMMS", text=None, name="n", subject="s", slides=slides)
            for _ in range(3)
        ]
        ids = [world.enqueue() for _ in range(5)]
        world.run(minutes=10)
        assert {status(id_) for id_ in ids} == {"accepted"}
        assert {status(id_) for id_ in forbidden} == {"queued"}
        assert not account().paused
        assert pauses.read(consistent=True).of("sendMMS").cause == "E107"
        world.fails = lambda *_: None
        world.run(minutes=4)
        assert {status(id_) for id_ in forbidden} == {"accepted"}


class TestSynchronousSends:
    def test_they_are_tried_during_a_pause_and_end_it(self, world: World) -> None:
        world.fails = lambda *_: Refused("E112", "", {})
        waiting = world.enqueue()
        world.run(minutes=2)
        with pytest.raises(Problem, match="skycore_account"):
            world.send()
        assert account().paused
        world.fails = lambda *_: None
        assert world.send().status == 201
        assert not account().paused
        world.run(minutes=3)
        assert status(waiting) == "accepted"

    def test_they_pause_queued_messages(self, world: World) -> None:
        world.fails = lambda *_: NotSent("refused")
        with pytest.raises(Problem, match="skycore_unreachable"):
            world.send()
        calls = len(world.calls)
        waiting = world.enqueue()
        world.run(seconds=30)
        assert len(world.calls) == calls
        assert status(waiting) == "queued"

    def test_a_success_writes_nothing_while_the_item_shows_no_failures(
        self, world: World, table: FakeDynamoDB
    ) -> None:
        world.send()
        world.run(minutes=5)
        writes = table.calls["PutItem"], table.calls["UpdateItem"]
        world.send()
        own = table.calls["PutItem"] - writes[0], table.calls["UpdateItem"] - writes[1]
        assert own == (2, 1)  # the message and its tracking row; its outcome
        assert account() == pauses.NO_PAUSE


class TestUnknownOutcomes:
    def test_after_one_they_go_one_at_a_time_until_a_success(self, world: World) -> None:
        world.fails = lambda *_: OutcomeUnknown("reset")
        world.enqueue()
        world.run(seconds=2)
        assert account().one_at_a_time
        world.fails = lambda *_: None
        ids = [world.enqueue() for _ in range(10)]
        world.run(seconds=1)
        assert len(world.accepted_at()) == 1
        assert not account().shows_failures
        world.run(minutes=1)
        assert {status(id_) for id_ in ids} == {"accepted"}

    def test_the_probe_sends_nothing_and_a_refusal_of_it_is_an_answer(self, world: World) -> None:
        world.fails = lambda *_: OutcomeUnknown("HTTP 502")
        ids = [world.enqueue() for _ in range(30)]
        world.run(minutes=10)
        sends = [at for at, action, _ in world.calls if action != "getMmsIds"]
        assert len(sends) == BATCH
        assert len(world.calls) - len(sends) >= 8
        world.fails = lambda action, _: Refused("E107", "") if action == "getMmsIds" else None
        world.run(minutes=4)
        assert Counter(status(id_) for id_ in ids) == {"unknown": BATCH, "accepted": 20}

    def test_a_pause_ends_though_reads_have_no_clear_answer(self, world: World) -> None:
        world.fails = lambda *_: OutcomeUnknown("reset")
        ids = [world.enqueue() for _ in range(30)]
        world.run(minutes=5)
        world.fails = lambda action, _: (
            OutcomeUnknown("reply too large") if action == "getMmsIds" else None
        )
        world.run(minutes=14)
        assert Counter(status(id_) for id_ in ids) == {"unknown": BATCH, "accepted": 20}
        assert not account().paused

    def test_a_long_outage_makes_a_message_unknown_every_15_minutes(self, world: World) -> None:
        world.fails = lambda *_: OutcomeUnknown("HTTP 502")
        for _ in range(40):
            world.enqueue()
        world.run(minutes=75)
        sends = [at for at, action, _ in world.calls if action != "getMmsIds"]
        assert BATCH + 4 <= len(sends) <= BATCH + 5

    def test_two_threads_of_a_process_count_both_of_theirs(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shared, send = AccountPause(), next(a for a in all_actions() if a.name == "sendSMS")
        problem = Problem("outcome_unknown", "no reply")
        problem.cause = pauses.UNKNOWN_OUTCOMES
        alone, others = pauses.unknown, [problem]

        def unknown(pause: pauses.Pause, now: int) -> pauses.Pause:
            if others:
                shared.report(send, others.pop())
            return alone(pause, now)

        monkeypatch.setattr(pauses, "unknown", unknown)
        shared.report(send, problem)
        assert account().unknowns == 2

    def test_reads_without_an_answer_pause_nobody(self, world: World) -> None:
        world.fails = lambda *_: OutcomeUnknown("reset")
        for _ in range(9):
            with pytest.raises(Problem, match="outcome_unknown"):
                world.act("getMmsIds")
        assert account() == pauses.NO_PAUSE


def test_a_fault_of_our_own_table_pauses_nobody(world: World, table: FakeDynamoDB) -> None:
    id_ = world.enqueue()

    def out(_number: int, operation: str, _request: Any) -> None:
        raise error("InternalServerError", operation)

    table.before = out
    world.run(seconds=10)
    table.before = lambda *_: None
    world.run(minutes=5)
    assert (status(id_), account()) == ("accepted", pauses.NO_PAUSE)


def test_an_answer_is_not_lost_if_the_pause_cannot_be_written(
    world: World, table: FakeDynamoDB
) -> None:
    world.fails = lambda *_: Refused("E104", "", {})

    def out(_number: int, operation: str, request: Any) -> None:
        if request.get("Item", {}).get("pk") == {"S": "pause"}:
            raise error("InternalServerError", operation)

    table.before = out
    id_ = world.enqueue()
    world.run(seconds=10)
    assert (status(id_), world.dead) == ("queued", [])


def test_waiting_messages_expire_are_cancelled_and_say_why(world: World) -> None:
    world.fails = lambda *_: Refused("E104", "", {})
    world.enqueue()
    world.run(seconds=5)
    soon = (world.now + timedelta(minutes=5)).isoformat()
    late, cancelled = world.enqueue(expires_at=soon), world.enqueue()
    world.run(minutes=3)
    assert cancel(cancelled, {})["status"] == "cancelled"
    world.run(minutes=4)
    assert (status(late), row(late).outbox) == ("expired", "expired")
    first = next(iter(account().candidates))
    assert "queued messages wait: E104" in str(row(first).detail)
    world.fails = lambda *_: None
    world.run(minutes=10)
    assert (status(late), status(cancelled)) == ("expired", "cancelled")


class TestSeveralRecipients:
    """A reply that refuses each of several recipients."""

    SEND: ClassVar[dict[str, Any]] = {
        "action": "sendMessageBySubscriberRef",
        "subscriber_ref": "x",
        "campaign_ref": "c",
        "to": None,
        "from": None,
    }

    def answer(self, world: World, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
        part = f"<SENDING><STATUS>Failure</STATUS><ERRORCODE>{code}</ERRORCODE></SENDING>"
        body = f"<RESPONSE>{part}{part}</RESPONSE>".encode()

        def call(action: Action, *_: Any, **__: Any) -> Reply:
            return read_reply(action, 200, body if action.effect == "send" else b"")

        monkeypatch.setattr(world, "call", call)

    @pytest.mark.parametrize("code", ["E112", "E104"])
    def test_refused_for_the_account_they_wait(
        self, world: World, monkeypatch: pytest.MonkeyPatch, code: str
    ) -> None:
        id_ = world.enqueue(**self.SEND)
        with monkeypatch.context() as outage:
            self.answer(world, outage, code)
            world.run(minutes=5)
            assert (status(id_), account().cause, account().paused) == ("queued", code, True)
        world.run(minutes=2)
        assert (status(id_), int(row(id_).tries)) == ("accepted", 0)

    @pytest.mark.parametrize("code", ["E106", "E120"])
    def test_refused_for_a_limit_they_wait(
        self, world: World, monkeypatch: pytest.MonkeyPatch, code: str
    ) -> None:
        id_ = world.enqueue(**self.SEND)
        with monkeypatch.context() as throttled:
            self.answer(world, throttled, code)
            world.run(minutes=2)
            assert (status(id_), int(row(id_).tries)) == ("queued", 0)
        world.run(minutes=20)
        assert status(id_) == "accepted"

    def test_without_clear_outcomes_they_pause_as_one_message_would(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.answer(world, monkeypatch, "E503")
        ids = [world.enqueue(**self.SEND) for _ in range(20)]
        world.run(minutes=5)
        assert account().cause == pauses.UNKNOWN_OUTCOMES
        assert Counter(status(id_) for id_ in ids) == {"unknown": BATCH, "queued": 10}


class TestProbes:
    """A pause is probed as long as any message waits for it, whichever were listed."""

    def test_messages_that_expire_or_are_cancelled_leave_others_to_probe(
        self, world: World
    ) -> None:
        world.fails = lambda *_: NotSent("refused")
        soon = (world.now + timedelta(minutes=5)).isoformat()
        for _ in range(15):
            world.enqueue(expires_at=soon)
        ids = [world.enqueue() for _ in range(20)]
        world.run(minutes=2)
        for id_ in account().candidates:
            cancel(id_, {})
        world.run(minutes=4)
        self.check_recovery(world, ids)

    def test_a_listed_message_that_fails_alone_leaves_others_to_probe(self, world: World) -> None:
        world.fails = lambda *_: Refused("E104", "", {})
        world.enqueue(text="poison")
        world.run(seconds=5)
        soon = (world.now + timedelta(minutes=4)).isoformat()
        for _ in range(pauses.MAX_LISTED):
            world.enqueue(expires_at=soon)
        world.run(seconds=5)
        ids = [world.enqueue() for _ in range(5)]
        world.run(minutes=6)
        poisoned = Refused("E104", "", {})
        self.check_recovery(world, ids, lambda text: poisoned if text == "poison" else None)

    def test_what_is_not_to_be_sent_yet_is_no_probe(self, world: World) -> None:
        world.fails = lambda *_: NotSent("refused")
        first, later = world.enqueue(), world.enqueue()
        due = world.now + timedelta(minutes=25)
        parking.park(row(later), due, not_before=due)
        world.run(seconds=5)
        cancel(first, {})
        world.run(minutes=10)
        assert (len(world.calls), account().candidates) == (1, ())

    def check_recovery(self, world: World, ids: list[str], fails: Any = lambda _: None) -> None:
        recovery, world.fails = world.now, lambda _, fields: fails(fields["text"])
        world.run(minutes=5)
        assert min(world.accepted_at()) - recovery < timedelta(minutes=2)
        assert "accepted" in {status(id_) for id_ in ids}


ACCOUNT_ALONE = {"E102", "E104", "E105", "E112", "E713"}
ONE_ACTION = {"E103", "E107", "E109"}
PAUSING_STATUSES = {401, 403, 404, 405, 407}


@pytest.mark.parametrize("code", [one.code for one in all_errors()])
def test_what_a_reply_code_pauses(code: Any) -> None:
    cause = cause_of(Refused(code))
    expected = code if code in ACCOUNT_ALONE | ONE_ACTION else None
    # A send may have gone out.
    assert cause == (pauses.UNKNOWN_OUTCOMES if code == "E503" else expected)
    assert (code in ACTION_CODES) == (code in ONE_ACTION)


@pytest.mark.parametrize("status", HTTP_PROBLEMS)
def test_what_an_http_status_pauses(status: Any) -> None:
    cause = cause_of(HttpRefused(status))
    assert cause == (f"HTTP {status}" if status in PAUSING_STATUSES else None)


def test_a_fault_before_the_call_pauses_nobody() -> None:
    assert cause_of(NotReady("no answer from the secret")) is None
    assert cause_of(NotSent("connection refused")) == "no_connection"
    assert cause_of(OutcomeUnknown("reset")) == pauses.UNKNOWN_OUTCOMES


@pytest.mark.parametrize("status", [413, 421, 431])
def test_a_message_that_is_refused_by_itself_uses_up_its_own_tries(
    world: World, status: int
) -> None:
    world.fails = lambda _, fields: HttpRefused(status) if fields["text"] == "bad" else None
    bad, good = world.enqueue(text="bad"), world.enqueue()
    world.run(minutes=25)
    assert (row(bad).status, row(good).status) == ("rejected", "accepted")
    assert not account().shows_failures
