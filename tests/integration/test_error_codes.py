"""One reply code of each class through the deployed stack; tests/contract walks all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.test_error_codes import read, refused_read, refused_send, send, throttled

if TYPE_CHECKING:
    from tests.integration.conftest import Stack


# The account's, the message's, one that opts the number out, and one that leaves it open.
@pytest.mark.parametrize("code", ["E104", "E110", "E114", "E503"])
def test_a_code_is_answered_as_the_contract_says(stack: Stack, code: str) -> None:
    refused_send(stack, code)
    refused_read(stack, code)


@pytest.mark.parametrize("call", [send, read], ids=["send", "read"])
def test_a_throttling_code_says_when_to_come_again(stack: Stack, call: Any) -> None:
    throttled(stack, "E106", call)
