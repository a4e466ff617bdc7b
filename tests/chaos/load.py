"""What comes in while things go wrong: Skycore's postbacks, and a service's sends."""

from __future__ import annotations

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.integration.conftest import Stack

REPEATED = 0.2  # of the postbacks come twice
BATCH = 25  # messages of a batch call
NO_ANSWER = "no answer"
# Repeated with the same key: what proves that nothing was sent, and where the key protects. The
# emulator answers for a function that died with a bare status.
AGAIN = {NO_ANSWER, "in_progress", "rate_limited", "skycore_unreachable", "not_queued"}
AGAIN |= {"gateway_failure", "500", "502", "503", "429"}
TRIES = 12  # of a request; a service would go on for longer


def bodies(count: int, mark: str) -> list[bytes]:
    """So many distinct postbacks of many kinds; `mark` tells them from all others."""
    return [_body(number, mark) for number in range(count)]


def _body(number: int, mark: str) -> bytes:
    kind = number % 10
    if kind == 0:
        return f"{mark} {number}: no postback".encode() + bytes([0, 255, number % 256])
    if kind == 1:
        both = (_receipt(number, code, mark, "NOTIFICATION") for code in ("N201", "E202"))
        return f"<POSTBACK>{''.join(both)}</POSTBACK>".encode()
    if kind == 2:
        email = f"{mark}-{number}@example.com"
        return f"<POSTBACK><CODE>N303</CODE><EMAIL>{email}</EMAIL></POSTBACK>".encode()
    if kind == 3:
        return (
            f"<POSTBACK><ORIGIN>SMS_MO</ORIGIN><CODE>N211</CODE><FROM>1774320{number:04}</FROM>"
            f"<TO>60856</TO><TEXT>STOP</TEXT><TRANSACTIONID>{mark}-{number}</TRANSACTIONID>"
            f"<TIMESTAMP>2026-11-22T10:41:15-05:00</TIMESTAMP></POSTBACK>"
        ).encode()
    return _receipt(number, "N201" if kind % 2 else "N202", mark, "POSTBACK").encode()


def _receipt(number: int, code: str, mark: str, tag: str) -> str:
    return (
        f"<{tag}><ORIGIN>SMS_MT</ORIGIN><CODE>{code}</CODE><FROM>60856</FROM>"
        f"<TO>1774319{number % 10_000:04}</TO><TRACKINGID>{mark}-{number}</TRACKINGID>"
        f"<TIMESTAMP>2026-11-22T10:41:15-05:00</TIMESTAMP></{tag}>"
    )


def post_all(
    stack: Stack, distinct: Sequence[bytes], workers: int
) -> tuple[set[bytes], Counter[int]]:
    """Posts all, some twice, in any order, each until it is acknowledged as Skycore does.

    Returns those that got 200, and how often each status was answered.
    """
    chance = random.Random(4711)
    posts = [*distinct, *chance.sample(distinct, round(REPEATED * len(distinct)))]
    chance.shuffle(posts)
    answers: Counter[int] = Counter()

    def post(body: bytes) -> bytes | None:
        for attempt in range(6):  # Skycore's first try and five more
            try:
                status, _ = stack.postback(body)
            except OSError:  # no answer
                status = 0
            answers[status] += 1
            if status == 200:
                return body
            time.sleep(0.2 * 2**attempt)
        return None

    with ThreadPoolExecutor(workers) as pool:
        return {body for body in pool.map(post, posts) if body is not None}, answers


@dataclass(slots=True)
class Service:
    """A service that sends as docs/sending.md says, and repeats as it says."""

    stack: Stack
    mark: str
    answers: Counter[str] = field(default_factory=Counter)
    ended: dict[str, str] = field(default_factory=dict)  # text: the last answer's code, or status

    def send_all(self, count: int, workers: int) -> None:
        """Half one by one, every third of them asynchronously, and half in batches."""
        numbers = list(range(count))
        single, many = numbers[: count // 2], numbers[count // 2 :]
        parts = [many[start : start + BATCH] for start in range(0, len(many), BATCH)]
        with ThreadPoolExecutor(workers) as pool:
            work = [pool.submit(self._one, number) for number in single]
            work += [pool.submit(self._batch, part) for part in parts]
            for one in work:
                one.result()

    def _message(self, number: int) -> dict[str, Any]:
        text = f"{self.mark} {number}"
        return {
            "to": f"+1774321{number:04}",
            "from": "60856",
            "text": text,
            "client_reference": text,
        }

    def _one(self, number: int) -> None:
        message = self._message(number)
        headers = {"Idempotency-Key": f"{self.mark}-{number}"}
        if number % 3 == 0:
            headers["Prefer"] = "respond-async"
        for attempt in range(TRIES):
            code = self._ask("/messages", message, headers)[0]
            self.ended[message["text"]] = code
            if code not in AGAIN:
                return
            time.sleep(min(4, 0.3 * 2**attempt))

    def _batch(self, numbers: Sequence[int]) -> None:
        messages = [self._message(number) for number in numbers]
        headers = {"Idempotency-Key": f"{self.mark}-batch-{numbers[0]}"}
        for attempt in range(TRIES):
            code, body = self._ask("/messages/batch", {"messages": messages}, headers)
            told = body["messages"] if code == "202" else [{"code": code}] * len(messages)
            codes = [one.get("code") or one["status"] for one in told]
            self.ended |= {m["text"]: c for m, c in zip(messages, codes, strict=True)}
            if not AGAIN & set(codes):
                return
            time.sleep(min(4, 0.3 * 2**attempt))

    def _ask(self, path: str, body: Any, headers: dict[str, str]) -> tuple[str, Any]:
        """A problem's code, else the HTTP status, and the body."""
        try:
            answer = self.stack.client.request("POST", path, body, headers)
        except requests.RequestException:
            code, told = NO_ANSWER, {}
        else:
            told = _json(answer)
            code = str(told.get("code") or answer.status_code)
        self.answers[code] += 1
        return code, told


def _json(answer: requests.Response) -> dict[str, Any]:
    try:
        told = answer.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
