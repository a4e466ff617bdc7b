"""Secrets: few reads, a new value at once, an old one rather than none."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from skycore.aws import clients
from skycore.aws.secrets import KEEP_SECONDS, Secret
from skycore.receiving.ack import REFRESH_SECONDS, _is_valid_token

BOTH = ("AWSCURRENT", "AWSPREVIOUS")


class Manager:
    def __init__(self) -> None:
        self.held: dict[str, str | bytes] = {}
        self.error: Exception | None = None
        self.reads: list[str] = []
        self.now = 1000.0

    def get_secret_value(self, *, SecretId: str, VersionStage: str) -> dict[str, Any]:  # noqa: N803
        assert SecretId == "name"
        self.reads.append(VersionStage)
        if self.error:
            raise self.error
        if VersionStage not in self.held:
            raise refused("ResourceNotFoundException")
        value = self.held[VersionStage]
        return {"SecretBinary": value} if isinstance(value, bytes) else {"SecretString": value}


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "GetSecretValue")


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Manager:
    fake = Manager()
    monkeypatch.setattr(clients, "secretsmanager", lambda: fake)
    monkeypatch.setattr("skycore.aws.secrets.time.monotonic", lambda: fake.now)
    return fake


ERRORS = [
    EndpointConnectionError(endpoint_url="https://a.example"),
    refused("AccessDeniedException"),
    refused("InternalServiceError"),
]


def test_a_value_is_read_once_in_five_minutes(manager: Manager) -> None:
    manager.held = {"AWSCURRENT": "a"}
    secret = Secret("name")
    assert [list(secret.values()) for _ in range(3)] == [["a"]] * 3
    manager.now += KEEP_SECONDS + 1
    assert list(secret.values()) == ["a"]
    assert manager.reads == ["AWSCURRENT"] * 2


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "InvalidRequestException"])
def test_no_value_is_not_kept(manager: Manager, code: str) -> None:
    secret = Secret("name")
    manager.error = refused(code)
    assert list(secret.values()) == []
    manager.error, manager.held = None, {"AWSCURRENT": "a"}
    assert list(secret.values()) == ["a"]


@pytest.mark.parametrize("older", [KEEP_SECONDS, 0], ids=["by age", "forced"])
@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_what_is_kept_counts_while_nothing_can_be_read(
    manager: Manager, error: Any, older: Any
) -> None:
    manager.held = {"AWSCURRENT": "a", "AWSPREVIOUS": "b"}
    secret = Secret("name", BOTH)
    assert list(secret.values()) == ["a", "b"]
    manager.error = error
    manager.now += KEEP_SECONDS + 1
    assert list(secret.values(not_older_than=older)) == ["a", "b"]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_with_nothing_kept_the_error_is_told(manager: Manager, error: Any) -> None:
    manager.error = error
    with pytest.raises(type(error)):
        list(Secret("name").values())


def test_the_previous_value_is_read_only_if_the_current_one_is_not_it(manager: Manager) -> None:
    manager.held = {"AWSCURRENT": "a", "AWSPREVIOUS": "b"}
    secret = Secret("name", BOTH)
    assert _is_valid_token(secret, "a")
    assert manager.reads == ["AWSCURRENT"]
    assert _is_valid_token(secret, "b")
    assert manager.reads == list(BOTH)


def test_wrong_tokens_cost_few_reads(manager: Manager) -> None:
    manager.held = {"AWSCURRENT": "a"}
    secret = Secret("name", BOTH)
    for _ in range(10):
        assert not _is_valid_token(secret, "x")
        manager.now += 1
    assert manager.reads == list(BOTH)


def test_after_a_rotation_both_values_hold(manager: Manager) -> None:
    manager.held = {"AWSCURRENT": "a"}
    secret = Secret("name", BOTH)
    assert _is_valid_token(secret, "a")
    manager.now += KEEP_SECONDS - 10
    assert not _is_valid_token(secret, "x")  # reads both again
    manager.held = {"AWSCURRENT": "b", "AWSPREVIOUS": "a"}
    list(secret.values(not_older_than=-1))
    manager.now += 1
    assert _is_valid_token(secret, "b")
    assert _is_valid_token(secret, "a")


def test_a_rotated_value_forgets_the_previous_one(manager: Manager) -> None:
    manager.held = {"AWSCURRENT": "a"}
    secret = Secret("name", BOTH)
    assert not _is_valid_token(secret, "x")
    manager.held = {"AWSCURRENT": "b", "AWSPREVIOUS": "a"}
    assert next(secret.values(not_older_than=-1)) == "b"
    assert list(secret.values()) == ["b", "a"]


def test_a_flood_of_wrong_tokens_costs_two_reads_in_thirty_seconds(manager: Manager) -> None:
    manager.held = {"AWSCURRENT": "a", "AWSPREVIOUS": "b"}
    secret = Secret("name", BOTH)
    for number in range(10_000):
        assert not _is_valid_token(secret, f"wrong {number}")
        manager.now += 0.01  # 100 s in all
    assert len(manager.reads) <= 2 * (100 / REFRESH_SECONDS + 1)


def test_a_new_token_is_known_half_a_minute_after_the_rotation_in_the_midst_of_a_flood(
    manager: Manager,
) -> None:
    manager.held = {"AWSCURRENT": "a"}
    secret = Secret("name", BOTH)
    assert not _is_valid_token(secret, "wrong")
    manager.held = {"AWSCURRENT": "b", "AWSPREVIOUS": "a"}
    for _ in range(31):
        assert not _is_valid_token(secret, "wrong")
        assert _is_valid_token(secret, "a")
        manager.now += 1
    assert _is_valid_token(secret, "b")
    assert _is_valid_token(secret, "a")


def test_a_copy_that_read_its_secret_long_ago_knows_a_new_token_at_once(manager: Manager) -> None:
    manager.held = {"AWSCURRENT": "a"}
    secret = Secret("name", BOTH)
    assert _is_valid_token(secret, "a")
    manager.now += REFRESH_SECONDS + 1
    manager.held = {"AWSCURRENT": "b", "AWSPREVIOUS": "a"}
    assert _is_valid_token(secret, "b")
    assert _is_valid_token(secret, "a")


@pytest.mark.parametrize(
    "stored",
    [
        "token\n",
        "\ufefftoken",
        " token\r\n\0",
        b"token",
        b"\xef\xbb\xbftoken\r\n",
        "token".encode("utf-16"),
    ],
    ids=repr,
)
def test_a_secret_written_by_hand_is_read(manager: Manager, stored: Any) -> None:
    manager.held = {"AWSCURRENT": stored}
    assert list(Secret("name").values()) == ["token"]


def test_a_binary_secret_that_is_no_text_is_told_from_none(manager: Manager) -> None:
    manager.held = {"AWSCURRENT": b"\xff\x00\xfe"}
    secret = Secret("name")
    assert list(secret.values()) == []
    assert not secret.is_text
    manager.held = {"AWSCURRENT": b"a"}
    assert list(secret.values()) == ["a"]
    assert secret.is_text


@pytest.mark.parametrize("stored", [b"\xff\x00\xfe", b"", "", "\ufeff\n"], ids=repr)
def test_a_secret_without_text_counts_as_not_set(manager: Manager, stored: bytes | str) -> None:
    manager.held = {"AWSCURRENT": stored}
    assert list(Secret("name").values()) == []
