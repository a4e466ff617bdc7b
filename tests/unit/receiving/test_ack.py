"""What `ack` does with posts of strangers, and with a body that SQS would not take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from skycore import metrics
from skycore.problems import Problem
from skycore.receiving import ack

if TYPE_CHECKING:
    from collections.abc import Iterator

TOO_LARGE = ack.MAX_BYTES + 1
SIZES = [0, ack.MAX_BYTES, TOO_LARGE, 4_400_000]  # the last is about the most that Lambda takes


class Secret:
    """A secret with one value."""

    def values(self, **_: Any) -> Iterator[str]:
        yield "right"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics._recorded.clear()
    monkeypatch.setattr(ack, "_wrong_tokens", ack._WrongTokens())

    def queue(*_: object, **__: object) -> None:
        raise AssertionError("queued")

    monkeypatch.setattr(ack, "send_postback", queue)


def post(size: int, token: str) -> str:
    with pytest.raises(Problem) as raised:
        ack.acknowledge(b"x" * size, token, secret=Secret(), queue_url="q")  # type: ignore[arg-type]
    return raised.value.code


def counted() -> dict[str, float]:
    return {name: value for name, value, _ in metrics._recorded}


@pytest.mark.parametrize("size", SIZES)
def test_a_wrong_token_is_counted_whatever_the_size(
    size: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert post(size, "wrong") == "message_not_found"
    assert counted() == {"WrongTokens": 1}
    (line,) = caplog.records
    assert (line.message, vars(line)["bytes"]) == ("postback with a wrong token", size)


def test_a_postback_that_is_too_large_is_counted_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert post(TOO_LARGE, "right") == "too_large"
    assert counted() == {"TooLargePostbacks": 1}
    (line,) = caplog.records
    assert (line.levelname, vars(line)["bytes"]) == ("ERROR", TOO_LARGE)


def test_a_flood_of_wrong_tokens_writes_one_line_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1_000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    for _ in range(500):
        post(0, "wrong")
    now += ack.LOG_SECONDS
    post(0, "wrong")
    assert [vars(line)["count"] for line in caplog.records] == [1, 500]
    assert sum(value for _, value, _ in metrics._recorded) == 501
