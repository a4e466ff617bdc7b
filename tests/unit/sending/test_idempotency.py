"""Keys belong to their caller; a fingerprint sees what a request says, not how it is written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skycore import keyed_hash
from skycore.problems import Problem
from skycore.sending.idempotency import fingerprint, is_valid_key, message_id
from skycore.sending.policy import SendPolicy
from skycore.sending.send import enqueue
from tests.unit.sending.conftest import Outside, outside
from tests.unit.table.conftest import table

if TYPE_CHECKING:
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

__all__ = ["outside", "table"]


def test_a_key_belongs_to_its_caller() -> None:
    assert message_id("arn:a", "key") == message_id("arn:a", "key")
    assert message_id("arn:a", "key") != message_id("arn:b", "key")
    assert message_id("arn:a", "key") != message_id("arn:a", "key2")


def test_without_a_key_every_message_is_new() -> None:
    assert message_id("arn:a", None) != message_id("arn:a", None)


@given(st.text(), st.text(), st.text(), st.text())
def test_ids_do_not_collide_across_the_border_of_caller_and_key(
    a: Any, b: Any, c: Any, d: Any
) -> None:
    if "\n" not in a + c and (a, b) != (c, d):  # no ARN holds a line break
        assert message_id(a, b) != message_id(c, d)


@pytest.mark.parametrize(
    ("key", "valid"),
    [
        ("order-4711", True),
        (" ", True),
        ("x" * 255, True),
        ("", False),
        ("x" * 256, False),
        ("é", False),
        ("a\tb", False),
        ("a\nb", False),
        ("a\n", False),
    ],
)
def test_a_key_is_1_to_255_printable_characters(key: str, valid: bool) -> None:
    assert is_valid_key(key) is valid


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_a_fingerprint_does_not_depend_on_spacing_or_order(body: Any) -> None:
    again = json.loads(json.dumps(dict(reversed(body.items())), indent=2))
    assert fingerprint(body) == fingerprint(again)


def test_another_value_is_another_fingerprint() -> None:
    assert fingerprint({"text": "a"}) != fingerprint({"text": "b"})
    assert fingerprint({"to": "1"}) != fingerprint({"to": 1})


def test_a_short_text_cannot_be_guessed_from_the_fingerprint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = {"text": "Your code is 493817"}
    unkeyed = fingerprint(body)
    monkeypatch.setenv("HASH_SECRET", "hash-secret")
    monkeypatch.setattr(keyed_hash, "_key", lambda _name: b"one secret")
    keyed = fingerprint(body)
    monkeypatch.setattr(keyed_hash, "_key", lambda _name: b"another secret")
    assert len({unkeyed, keyed, fingerprint(body)}) == 3
    assert unkeyed not in keyed


def test_a_row_of_the_previous_release_still_holds_its_key(
    table: FakeDynamoDB, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its fingerprint is an unkeyed digest."""
    body = {"to": "+17743199144", "from": "60856", "text": "Hello"}
    known: dict[str, Any] = {
        "caller": "arn",
        "key": "order-1",
        "queue_url": "send",
        "policy": SendPolicy(region="US", countries=(), days=90),
    }
    first = enqueue(body, **known)
    monkeypatch.setenv("HASH_SECRET", "hash-secret")
    monkeypatch.setattr(keyed_hash, "_key", lambda _name: b"one secret")
    again = enqueue(body, **known)
    assert again.replayed
    assert again.body["message_id"] == first.body["message_id"]
    with pytest.raises(Problem, match="idempotency_key_reused"):
        enqueue({**body, "text": "Other"}, **known)
