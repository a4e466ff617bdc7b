"""One receipt to its event, with its identity."""

from datetime import UTC, datetime

from bench.timed.clock import measure
from bench.timed.receipts import receipt
from skycore.postbacks.parser import read_postback

body, arrived = receipt(0), datetime(2026, 11, 22, 10, 41, 15, tzinfo=UTC)


def call() -> None:
    (event,) = read_postback(body, arrived)
    assert event.id


measure(call, 5000)
