"""Keys belong to their caller; a fingerprint sees what a request says, not how it is written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skycore.sending.idempotency import fingerprint, is_valid_key, message_id


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
