"""Cutting many entries into the calls that SQS and SNS take."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

ENTRIES = 10  # in a call, the most that either service takes


def batches(indexes: Iterable[int], sizes: Sequence[int], most_bytes: int) -> Iterator[list[int]]:
    """Consecutive groups of at most ten indexes whose sizes stay within `most_bytes` together."""
    batch: list[int] = []
    total = 0
    for index in indexes:
        if batch and (len(batch) == ENTRIES or total + sizes[index] > most_bytes):
            yield batch
            batch, total = [], 0
        batch.append(index)
        total += sizes[index]
    if batch:
        yield batch


def send_twice(
    sizes: Sequence[int], most_bytes: int, send: Callable[[list[int]], set[int]]
) -> set[int]:
    """Sends all entries, and once more those that were refused; returns those left over.

    `send` takes the indexes of one call and returns those that the service took.
    """
    left = set(range(len(sizes)))
    for _ in range(2):
        for batch in list(batches(sorted(left), sizes, most_bytes)):
            left -= send(batch)
    return left
