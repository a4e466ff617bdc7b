"""The message ledger: one row per message, moved by conditional writes only."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

from pynamodb.attributes import (
    BinaryAttribute,
    ListAttribute,
    NumberAttribute,
    UnicodeAttribute,
)
from pynamodb.exceptions import DeleteError, DoesNotExist, PutError, UpdateError

from skycore import times
from skycore.messages.status import INDEXED, OWN_STEPS, RANKS
from skycore.storage import batches, keys
from skycore.storage.table import Row, expiry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from pynamodb.expressions.condition import Condition
    from pynamodb.expressions.update import Action


class MessageRow(Row):
    """One message. `news` is the last step of ours that subscribers are to be told."""

    message_id = UnicodeAttribute()
    status = UnicodeAttribute()
    rank = NumberAttribute()
    news = UnicodeAttribute(null=True)
    attempt = UnicodeAttribute()
    action = UnicodeAttribute()
    to = UnicodeAttribute(null=True)
    sender = UnicodeAttribute(null=True)
    tracking_id = UnicodeAttribute(null=True)
    client_reference = UnicodeAttribute(null=True)
    code = UnicodeAttribute(null=True)
    detail = UnicodeAttribute(null=True)
    parent = UnicodeAttribute(null=True)
    created_at = UnicodeAttribute()
    deadline = UnicodeAttribute(null=True)
    fingerprint = UnicodeAttribute()
    steps: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute)
    answer = BinaryAttribute(null=True, legacy_encoding=False)
    request = BinaryAttribute(null=True, legacy_encoding=False)


class PointerRow(Row):
    """From a tracking id to its message. Written before the message's row says accepted."""

    message_id = UnicodeAttribute()
    client_reference = UnicodeAttribute(null=True)


def pack(value: Any) -> bytes:
    """JSON, compressed: how a request or an answer is kept in a row."""
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode())


def unpack(blob: bytes) -> Any:
    """What `pack` kept."""
    return json.loads(zlib.decompress(blob))


def new_row(
    message_id: str, status: str, *, moment: datetime, days: int, **attributes: Any
) -> MessageRow:
    """A row to be created, with its keys, its first step and its index entries."""
    pk = keys.message_partition(message_id)
    number = attributes.get("to")
    return MessageRow(
        pk,
        keys.MESSAGE,
        kind="message",
        message_id=message_id,
        status=status,
        rank=RANKS[status],
        created_at=times.to_key(moment),
        steps=[step(status, moment)],
        number=keys.number_partition(number, moment) if number else None,
        day=keys.day_partition(pk, moment),
        state=keys.state_partition(status) if status in INDEXED else None,
        at=keys.at("message", moment),
        expires=expiry(moment, days),
        **attributes,
    )


def step(status: str, moment: datetime) -> str:
    """A line of the timeline that we write ourselves."""
    return f"{times.to_key(moment)} {status}"


def create(row: MessageRow) -> MessageRow | None:
    """Writes a new row; returns None, or the row that already has its id.

    A row past its expiry counts as gone (the table's time to live deletes late). A put whose
    answer was lost and that is repeated finds itself, by its `attempt`, and counts as written.
    """
    now = int(times.now().timestamp())
    try:
        row.save(MessageRow.pk.does_not_exist() | (MessageRow.expires < now))
    except PutError as error:
        if not _condition_failed(error):
            raise
        existing = get(row.message_id)
        if existing is None:
            return create(row)
        return None if existing.attempt == row.attempt else existing
    return None


def get(message_id: str) -> MessageRow | None:
    """The message's row, consistently read; None if there is none or it is past its expiry."""
    try:
        row = MessageRow.get(keys.message_partition(message_id), keys.MESSAGE, consistent_read=True)
    except DoesNotExist:
        return None
    return None if row.expires and row.expires < times.now().timestamp() else row


def get_many(row_keys: Iterable[batches.Key]) -> dict[batches.Key, MessageRow]:
    """The rows that exist among `row_keys`."""
    found = batches.read_all(row_keys)
    return {key: MessageRow.from_raw_data(item) for key, item in found.items()}


def release(row: MessageRow) -> None:
    """Deletes the row of a send that proved to have sent nothing, which frees its key."""
    try:
        row.delete((MessageRow.attempt == row.attempt) & (MessageRow.rank <= RANKS["sending"]))
    except DeleteError as error:
        if not _condition_failed(error):
            raise


def move(
    message_id: str,
    status: str,
    *,
    moment: datetime,
    own: bool,
    only_if: Condition | None = None,
    **attributes: Any,
) -> bool:
    """Moves a message to `status` if that ranks above what it has; True if it did.

    A step of our `own` gets a line in the timeline, and subscribers are told of it if it is one
    of OWN_STEPS; any other status came from an event that is kept and told itself.
    `attributes` that are None are removed.
    """
    actions: list[Action] = [
        MessageRow.status.set(status),
        MessageRow.rank.set(RANKS[status]),
        MessageRow.state.set(keys.state_partition(status))
        if status in INDEXED
        else MessageRow.state.remove(),
        MessageRow.news.set(status) if own and status in OWN_STEPS else MessageRow.news.remove(),
    ]
    if own:
        actions.append(MessageRow.steps.set(MessageRow.steps.append([step(status, moment)])))
    actions += _sets(attributes)
    condition = (MessageRow.pk.exists()) & (MessageRow.rank < RANKS[status])
    if only_if is not None:
        condition &= only_if
    return _update(message_id, actions, condition)


def back_to_queue(row: MessageRow) -> bool:
    """Undoes the step from queued to sending, once it is proved that nothing was sent."""
    actions = [
        MessageRow.status.set("queued"),
        MessageRow.rank.set(RANKS["queued"]),
        MessageRow.state.set(keys.state_partition("queued")),
    ]
    condition = (MessageRow.status == "sending") & (MessageRow.attempt == row.attempt)
    return _update(row.message_id, actions, condition)


def note(message_id: str, **attributes: Any) -> bool:
    """Sets attributes of an existing row, whatever its status; True if there is one."""
    return _update(message_id, _sets(attributes), MessageRow.pk.exists())


def put_pointer(
    tracking_id: str, message_id: str, client_reference: str | None, *, moment: datetime, days: int
) -> None:
    """Points a tracking id at its message."""
    PointerRow(
        keys.tracking_partition(tracking_id),
        keys.MESSAGE,
        kind="pointer",
        message_id=message_id,
        client_reference=client_reference,
        expires=expiry(moment, days),
    ).save()


def pointers(tracking_ids: Iterable[str]) -> dict[str, PointerRow]:
    """The messages of tracking ids that have one."""
    wanted = {(keys.tracking_partition(id_), keys.MESSAGE): id_ for id_ in tracking_ids}
    found = batches.read_all(wanted)
    return {wanted[key]: PointerRow.from_raw_data(item) for key, item in found.items()}


def in_state(state: str, before: datetime, limit: int) -> list[MessageRow]:
    """Messages in `state` whose row was made before the given moment, oldest first."""
    page = Row.by_state.query(
        keys.state_partition(state), Row.at < keys.at("message", before), limit=limit
    )
    wanted = [(row.pk, row.sk) for row in page]
    rows = get_many(wanted)
    return [rows[key] for key in wanted if key in rows]


def _sets(attributes: Mapping[str, Any]) -> list[Action]:
    return [
        getattr(MessageRow, name).remove()
        if value is None
        else getattr(MessageRow, name).set(value)
        for name, value in attributes.items()
    ]


def _update(message_id: str, actions: Sequence[Action], condition: Condition) -> bool:
    row = MessageRow(keys.message_partition(message_id), keys.MESSAGE)
    try:
        row.update(list(actions), condition)
    except UpdateError as error:
        if not _condition_failed(error):
            raise
        return False
    return True


def _condition_failed(error: PutError | UpdateError | DeleteError) -> bool:
    return error.cause_response_code == "ConditionalCheckFailedException"


def from_image(image: Mapping[str, Any]) -> MessageRow:
    """The row in a stream record's image (its binary values already bytes)."""
    return MessageRow.from_raw_data(dict(image))


def cancel(message_id: str, moment: datetime) -> bool:
    """Cancels a message that is still queued; False if it has left the queue."""
    return move(
        message_id,
        "cancelled",
        moment=moment,
        own=True,
        only_if=MessageRow.status == "queued",
        request=None,
    )
