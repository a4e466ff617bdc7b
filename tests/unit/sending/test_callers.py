"""Who sent, cancelled or called an action is known, and who may see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ops import __main__ as ops
from skycore import timestamps
from skycore.http import identity_of
from skycore.problems import Problem
from skycore.queries.messages import cancel, get_message
from skycore.sending.batch import enqueue_batch
from skycore.sending.policy import SendPolicy
from skycore.sending.send import enqueue
from skycore.table.audit import changes_since, record_change
from tests.unit.sending.conftest import Outside, outside
from tests.unit.sending.waiting_world import World
from tests.unit.table.conftest import table

if TYPE_CHECKING:
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

__all__ = ["outside", "table"]


@pytest.fixture
def world(table: FakeDynamoDB, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


SHOP = "arn:aws:sts::111122223333:assumed-role/shop"
RULES = SendPolicy(region="US", countries=(), days=90)
STRICT = SendPolicy(region="US", countries=(), days=90, require_key=True)
BODY = {"to": "+17743199144", "from": "60856", "text": "Hello"}
ADA = {"caller": SHOP, "session": "ada", "address": "203.0.113.7"}


def queued(policy: SendPolicy = RULES, key: str | None = None) -> str:
    sent = enqueue(BODY, caller=SHOP, key=key, queue_url="send", policy=policy)
    return str(sent.body["message_id"])


def test_an_identity_has_the_role_the_session_and_the_address() -> None:
    identity = {"userArn": f"{SHOP}/ada", "sourceIp": "203.0.113.7"}
    assert identity_of({"requestContext": {"identity": identity}}) == ADA


def test_the_read_api_names_the_caller_of_single_and_batch_messages(
    table: FakeDynamoDB, outside: Outside
) -> None:
    batch: dict[str, Any] = {"messages": [BODY]}
    known: dict[str, Any] = {"caller": SHOP, "key": None, "queue_url": "send", "policy": RULES}
    in_batch = enqueue_batch(batch, **known).body["messages"][0]["message_id"]
    assert get_message(queued())["caller"] == SHOP
    assert get_message(in_batch)["caller"] == SHOP


def test_only_the_answer_to_delete_names_session_and_address(
    table: FakeDynamoDB, outside: Outside
) -> None:
    id_ = queued()
    assert cancel(id_, ADA)["cancelled_by"] == ADA
    shown = get_message(id_)
    assert shown["cancelled_by"] == SHOP
    assert "203.0.113.7" not in str(shown)
    assert "ada" not in str(shown)


def test_lines_about_a_message_name_its_caller(
    table: FakeDynamoDB, outside: Outside, caplog: pytest.LogCaptureFixture
) -> None:
    queued()
    (line,) = [one for one in caplog.records if one.getMessage() == "message queued"]
    assert line.caller == SHOP  # type: ignore[attr-defined]


def test_a_queued_message_that_is_sent_is_logged_with_its_caller(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.enqueue()
    world.run(minutes=1)
    (line,) = [one for one in caplog.records if one.getMessage() == "message accepted"]
    assert line.caller == "arn"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("action", "recorded"), [("getMmsIds", 0), ("createUser", 1)])
def test_an_action_is_logged_and_recorded_if_it_changes_the_account(
    world: World, caplog: pytest.LogCaptureFixture, action: str, recorded: int
) -> None:
    from skycore.catalogue.actions import find_action
    from skycore.sending import send

    found = find_action(action)
    assert found is not None
    send._record_action(found, ADA, 90)
    (line,) = [one for one in caplog.records if one.getMessage() == "action called"]
    assert (line.caller, line.address) == (SHOP, "203.0.113.7")  # type: ignore[attr-defined]
    assert [one["change"] for one in changes_since(timestamps.EARLIEST)] == [action] * recorded


def test_changes_are_listed_newest_first(table: FakeDynamoDB) -> None:
    record_change("first", ADA, days=90)
    record_change("second", ADA, days=90)
    found = list(changes_since(timestamps.now() - timestamps.A_DAY))
    assert [one["change"] for one in found] == ["second", "first"]
    assert found[0]["session"] == "ada"


@pytest.mark.parametrize("fails", [False, True])
def test_a_confirmed_command_of_ops_is_recorded_even_if_it_fails(
    table: FakeDynamoDB, fails: bool
) -> None:
    from argparse import Namespace

    from ops.output import Refused, Result, confirm

    stack: Any = Namespace(ask=False, days=90, identity={"caller": SHOP, "session": "ada"})

    def run(stack: Any, args: Any) -> Result:
        confirm(stack, args, "Sure?")
        if fails:
            raise Refused("midway")
        return Result({}, [])

    args = Namespace(run=run, command="suppress add", yes=True)
    if fails:
        with pytest.raises(Refused):
            ops._run(stack, args)
    else:
        ops._run(stack, args)
    (change,) = changes_since(timestamps.now() - timestamps.A_DAY)
    assert (change["change"], change["session"]) == ("ops suppress add", "ada")


def test_a_stack_can_require_idempotency_keys(table: FakeDynamoDB, outside: Outside) -> None:
    with pytest.raises(Problem, match="invalid_request") as caught:
        queued(STRICT)
    errors: Any = caught.value.members["errors"]
    assert errors[0]["field"] == "Idempotency-Key"
    batch: dict[str, Any] = {"messages": [BODY]}
    with pytest.raises(Problem, match="invalid_request"):
        enqueue_batch(batch, caller=SHOP, key=None, queue_url="send", policy=STRICT)
    assert table.items == {}
    queued(STRICT, key="order-1")


@pytest.mark.parametrize(("caller", "found"), [(SHOP, 1), ("shop", 1), ("other", 0)])
def test_ops_lists_the_messages_of_a_caller(
    table: FakeDynamoDB, outside: Outside, caller: Any, found: int
) -> None:
    from argparse import Namespace

    from ops.messages import many

    id_ = queued()
    given: dict[str, Any] = dict.fromkeys(("since", "until", "to", "status", "show", "reference"))
    stack: Any = Namespace(parameters={"DefaultRegion": "US"})
    answer = many(stack, Namespace(**given, limit=50, caller=caller))
    ids = [one["message_id"] for one in answer.data["messages"]]
    assert ids == [id_] * found
    assert [one["caller"] for one in answer.data["messages"]] == [SHOP] * found
