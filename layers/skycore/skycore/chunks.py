"""Cutting many entries into the calls that a service takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


def parts[T](
    entries: Iterable[T], size: Callable[[T], int], *, most: int | None = None, most_bytes: int
) -> Iterator[list[T]]:
    """Parts, in order, of at most so many entries and bytes; what is larger goes alone."""
    part: list[T] = []
    total = 0
    for entry in entries:
        length = size(entry)
        if part and (len(part) == most or total + length > most_bytes):
            yield part
            part, total = [], 0
        part.append(entry)
        total += length
    if part:
        yield part
