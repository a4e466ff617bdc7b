"""Rotations of the postback address: what is said of which address works."""

from __future__ import annotations

from argparse import Namespace
from datetime import UTC, datetime
from typing import Any

import pytest

from ops import token
from ops.output import Refused

ASKED = Namespace(yes=True, no_wait=True, force=False, unchecked=True)


class MissingError(Exception):
    """No such value of a secret."""


class Secrets:
    """One secret that keeps its value and the one before, as Secrets Manager does."""

    exceptions = Namespace(ResourceNotFoundException=MissingError)

    def __init__(self) -> None:
        self.values = ["first"]

    def get_secret_value(self, VersionStage: str = "AWSCURRENT", **_: Any) -> dict[str, str]:  # noqa: N803 - as AWS names it
        place = {"AWSCURRENT": -1, "AWSPREVIOUS": -2}[VersionStage]
        if len(self.values) < -place:
            raise MissingError
        return {"SecretString": self.values[place]}

    def put_secret_value(self, SecretString: str, **_: Any) -> None:  # noqa: N803 - as AWS names it
        self.values.append(SecretString)


class Stack:
    name, ask, api_url = "skycore", True, "https://api/v1"

    def __init__(self) -> None:
        self.secrets = Secrets()

    def client(self, _: str) -> Secrets:
        return self.secrets

    def id_of(self, logical_id: str) -> str:
        return logical_id


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> dict[str, datetime]:
    """When each token was last used."""
    uses: dict[str, datetime] = {}
    monkeypatch.setattr(token, "fingerprint", lambda value: value)
    monkeypatch.setattr(token, "token_last_used", uses.get)
    return uses


def test_a_rotation_says_which_addresses_work(used: dict[str, datetime]) -> None:
    stack: Any = Stack()
    first = token.rotate(stack, ASKED)
    assert first.shown[0] == f"https://api/v1/postbacks/{stack.secrets.values[-1]}"
    assert "Two addresses work now" in str(first.shown)
    assert "within five minutes" not in str(first.shown)  # there was none before it
    second = token.rotate(stack, ASKED)
    assert "The one before that stops working within five minutes." in str(second.shown)


def test_a_leaked_address_is_out_after_the_second_rotation(used: dict[str, datetime]) -> None:
    stack: Any = Stack()
    used["first"] = datetime.now(UTC)
    token.rotate(stack, ASKED)
    assert "first" in stack.secrets.values[-2:]
    with pytest.raises(Refused, match="--force"):
        token.rotate(stack, ASKED)
    token.rotate(stack, Namespace(yes=True, no_wait=True, force=True, unchecked=True))
    assert "first" not in stack.secrets.values[-2:]


def test_an_address_that_was_never_used_is_told_as_such(
    used: dict[str, datetime], capsys: pytest.CaptureFixture[str]
) -> None:
    stack: Any = Stack()
    stack.secrets.values.append("second")
    used["second"] = datetime(2026, 11, 22, 21, 14, tzinfo=UTC)
    token.url(stack, ASKED)
    told = capsys.readouterr().err
    assert "last used: 2026-11-22 21:14Z (recorded every 10 minutes)" in told
    assert "no postback has used it" in told
