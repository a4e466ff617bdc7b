"""Pointers from a client_reference to its messages, newest first.

A pointer is written before its message's row, so that every message can be found. One whose message
was not written, or was written again later under the same key, names no message of its time and is
skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skycore.table import batches, models
from skycore.table.models import Row, StoredRow
from skycore.table.pagination import Cursor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from skycore.table.messages import MessageRow
    from skycore.table.pagination import TimeRange


class ReferenceRow(StoredRow, discriminator="reference"):
    """One pointer. Its sort key is the message's time and id."""


def put(rows: Iterable[MessageRow]) -> None:
    """Write the pointers of new messages that have a client_reference.

    Raises PynamoDB's errors, and TimeoutError if DynamoDB leaves pointers unprocessed.
    """
    pointers = {
        (row.client_reference, row.message_id): ReferenceRow(
            models.reference_partition(row.client_reference),
            f"{row.at}#{row.message_id}",
            expires=row.expires,
        )
        for row in rows
        if row.client_reference is not None
    }
    if pointers and batches.put_all(list(pointers.values())):
        raise TimeoutError("DynamoDB left reference rows unprocessed")


def query_page(
    client_reference: str, span: TimeRange, limit: int
) -> tuple[list[tuple[str, str]], Cursor | None]:
    """Return up to `limit` pointers in the span, and the next page's cursor, if any.

    A pointer is the message's `at` and id.
    """
    partition = models.reference_partition(client_reference)
    oldest = models.index_sort_key(span.kind, span.since)
    newest = models.index_sort_key(span.kind, span.until) + "$"  # sorts after "#" and any id
    if span.cursor is not None:
        newest = span.cursor.sk
    if newest < oldest:
        return [], None
    found = Row.query(
        partition,
        Row.sk.between(oldest, newest),
        scan_index_forward=False,
        consistent_read=True,
        limit=limit + 2,  # with the cursor's own pointer, and the one after the page's last
    )
    sort_keys = [row.sk for row in found if span.cursor is None or row.sk < newest]
    page = [(at, id_) for at, _, id_ in (sk.rpartition("#") for sk in sort_keys[:limit])]
    if len(sort_keys) <= limit:
        return page, None
    return page, Cursor(page[-1][0], partition, sort_keys[limit - 1])
