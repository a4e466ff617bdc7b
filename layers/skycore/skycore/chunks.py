"""Split many entries into the calls that a service accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


def chunked[T](
    entries: Iterable[T], size: Callable[[T], int], *, most: int | None = None, most_bytes: int
) -> Iterator[list[T]]:
    """Yield the entries in order, in chunks of at most `most` entries and `most_bytes` bytes.

    `size` returns an entry's bytes. An entry over `most_bytes` is a chunk of its own.
    """
    chunk: list[T] = []
    total = 0
    for entry in entries:
        length = size(entry)
        if chunk and (len(chunk) == most or total + length > most_bytes):
            yield chunk
            chunk, total = [], 0
        chunk.append(entry)
        total += length
    if chunk:
        yield chunk
