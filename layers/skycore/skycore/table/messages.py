"""Messages: one row each, whose status changes by conditional writes only."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, cast

from pynamodb.attributes import (
    BinaryAttribute,
    BooleanAttribute,
    ListAttribute,
    MapAttribute,
    NumberAttribute,
    UnicodeAttribute,
)
from pynamodb.exceptions import DoesNotExist, PutError, UpdateError

from skycore import timestamps
from skycore.catalogue.statuses import OWN_STEPS, RANKS
from skycore.table import batches, models
from skycore.table.models import StoredRow, condition_failed, expiry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from pynamodb.expressions.condition import Condition
    from pynamodb.expressions.update import Action

RELEASED = "released"  # the status of a tombstone; no caller sees it
MAX_CREATES = 3  # tries to write a row whose id is released between a try and the read after it


class MessageRow(StoredRow, discriminator="message"):
    """One message. `outbox` is the last own step that is yet to be published.

    `content` is a digest of an SMS's text, by which Skycore's report is joined to its message.
    """

    message_id = UnicodeAttribute()
    status = UnicodeAttribute()
    rank = NumberAttribute()
    outbox = UnicodeAttribute(null=True, attr_name="news")
    attempt = UnicodeAttribute()
    action = UnicodeAttribute()
    to = UnicodeAttribute(null=True)
    sender = UnicodeAttribute(null=True)
    tracking_id = UnicodeAttribute(null=True)
    client_reference = UnicodeAttribute(null=True)
    caller = UnicodeAttribute(null=True)  # the role that sent it
    cancelled_by: MapAttribute[str, Any] = MapAttribute(null=True)  # a `Caller`
    code = UnicodeAttribute(null=True)
    detail = UnicodeAttribute(null=True)
    parent = UnicodeAttribute(null=True)
    created_at = UnicodeAttribute()
    erased_at = UnicodeAttribute(null=True)  # when its recipient's data was erased
    deadline = UnicodeAttribute(null=True)
    fingerprint = UnicodeAttribute()
    tries = NumberAttribute(default=0)
    not_before = UnicodeAttribute(null=True)
    send_at = UnicodeAttribute(null=True)  # until then the message counts as scheduled
    failed_for = UnicodeAttribute(null=True)  # why it failed and waits for others to go first
    failed_at = UnicodeAttribute(null=True)
    confirmation = BooleanAttribute(null=True)
    resolved_by = UnicodeAttribute(null=True)  # who decided what became of an unknown message
    reason = UnicodeAttribute(null=True)  # that they gave
    content = UnicodeAttribute(null=True)
    steps: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute)
    answer = BinaryAttribute(null=True, legacy_encoding=False)
    request = BinaryAttribute(null=True, legacy_encoding=False)


class TrackingRow(StoredRow, discriminator="pointer"):
    """From a tracking id to its message. Written before the message's row says accepted.

    `shared`: whether several recipients share the tracking id; None in rows of earlier releases.
    """

    message_id = UnicodeAttribute()
    client_reference = UnicodeAttribute(null=True)
    shared = BooleanAttribute(null=True)


class ReferenceRow(StoredRow, discriminator="reference"):
    """From a client_reference to its message. Its sort key is the message's time and id."""


def pack(value: Any) -> bytes:
    """Return a value as a row stores requests and answers: compressed JSON."""
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode())


def unpack(blob: bytes) -> Any:
    """Return the value that `pack` stored."""
    return json.loads(zlib.decompress(blob))


def new_row(
    message_id: str, status: str, *, time: datetime, days: int, **attributes: Any
) -> MessageRow:
    """Return a new row with its keys, its first step and its index entries."""
    pk = models.message_partition(message_id)
    number = attributes.get("to")
    return MessageRow(
        pk,
        models.MESSAGE,
        message_id=message_id,
        status=status,
        rank=RANKS[status],
        created_at=timestamps.to_key(time),
        steps=[step(status, time)],
        number=models.number_partition(number, time) if number else None,
        day=models.day_partition(pk, time),
        state=_state_of_new(status, pk, time, attributes),
        at=models.index_sort_key("message", time),
        expires=expiry(time, days),
        **attributes,
    )


def _state_of_new(status: str, pk: str, time: datetime, values: Mapping[str, Any]) -> str | None:
    """Return a new row's partition in the index by state: sending, parked, or queued."""
    deadline, send_at = values.get("deadline"), values.get("send_at")
    due = timestamps.from_text(send_at) if send_at else time
    if status == "queued" and (due - time).total_seconds() > models.MAX_DELAY_SECONDS:
        return models.parked_partition(pk, due)
    if status == "queued" and deadline:
        return models.queued_partition(pk, time, timestamps.from_text(deadline))
    return models.state_partition(status, pk) if status == "sending" else None


def step(status: str, time: datetime) -> str:
    """Return one of our own steps as a line of the row's timeline."""
    return f"{timestamps.to_key(time)} {status}"


def create(row: MessageRow) -> MessageRow | None:
    """Write a new row; return None, or the row that already has its id.

    A repeated put whose first answer was lost recognises its own `attempt` and counts as written.
    Raises PynamoDB's errors and TimeoutError.
    """
    put_references([row])
    for _ in range(MAX_CREATES):
        try:
            row.save(_is_free(row))
        except PutError as error:
            if not condition_failed(error):
                raise
            existing = get(row.message_id)
            if existing is not None:
                return None if existing.attempt == row.attempt else existing
        else:
            return None
    raise TimeoutError("the message's id is neither free nor taken")


def _is_free(row: MessageRow) -> Condition:
    """Return the condition that no message has the row's id now; false after its own release."""
    now = timestamps.now()
    released = (MessageRow.status == RELEASED) & (MessageRow.attempt != row.attempt)
    released &= MessageRow.created_at <= timestamps.to_key(now)
    expired = MessageRow.expires < int(now.timestamp())
    return cast("Condition", MessageRow.pk.does_not_exist() | expired | released)


def put_references(rows: Iterable[MessageRow]) -> None:
    """Write the reference rows of new messages, before the messages, so that each can be found.

    Raises PynamoDB's errors, and TimeoutError if DynamoDB leaves rows unprocessed.
    """
    reference_rows = {
        (row.client_reference, row.message_id): ReferenceRow(
            models.reference_partition(row.client_reference),
            f"{row.at}#{row.message_id}",
            expires=row.expires,
        )
        for row in rows
        if row.client_reference is not None
    }
    if reference_rows and batches.put_all(list(reference_rows.values())):
        raise TimeoutError("DynamoDB left reference rows unprocessed")


def create_many(rows: Sequence[MessageRow]) -> dict[str, MessageRow]:
    """Write many new rows; return the rows that already have their ids, by message id.

    A transaction writes up to a hundred rows; if an id is taken, `create` writes them one by one.
    """
    put_references(rows)
    existing: dict[str, MessageRow] = {}
    for part in batches.chunk_rows(rows, batches.TRANSACTION_ROWS, batches.TRANSACTION_BYTES):
        if batches.put_all_new(part):
            continue
        taken = get_existing(part)
        for row in part:
            stored = taken.get(row.message_id) or create(row)
            if stored is not None and stored.attempt != row.attempt:
                existing[row.message_id] = stored
    return existing


def get_existing(rows: Iterable[MessageRow]) -> dict[str, MessageRow]:
    """Return the rows stored under the keys of these new ones, by message id, unless gone."""
    stored = get_many((row.pk, row.sk) for row in rows).values()
    return {row.message_id: row for row in stored}


def get(message_id: str) -> MessageRow | None:
    """Return the message's row, consistently read; None if there is none or it is gone."""
    try:
        pk = models.message_partition(message_id)
        row = MessageRow.get(pk, models.MESSAGE, consistent_read=True)
    except DoesNotExist:
        return None
    return None if _is_gone(row) else row


def _is_gone(row: MessageRow) -> bool:
    """Return whether a row was released, or has expired and DynamoDB is yet to delete it."""
    expired = row.expires is not None and row.expires < int(timestamps.now().timestamp())
    return expired or row.status == RELEASED


def get_many(row_keys: Iterable[batches.Key]) -> dict[batches.Key, MessageRow]:
    """Return the rows that exist among `row_keys`, unless they are gone."""
    items = batches.read_all(row_keys)
    rows = {key: MessageRow.from_raw_data(item) for key, item in items.items()}
    return {key: row for key, row in rows.items() if not _is_gone(row)}


def statuses(message_ids: Iterable[str]) -> dict[str, str]:
    """Return the statuses of the messages that exist, as stored, by message id."""
    id_by_key = {(models.message_partition(id_), models.MESSAGE): id_ for id_ in message_ids}
    items = batches.read_all(id_by_key, ("status",))
    return {id_by_key[key]: item["status"]["S"] for key, item in items.items()}


def transition(
    message_id: str,
    status: str,
    *,
    time: datetime,
    own: bool,
    if_attempt: str | None = None,
    if_status: str | None = None,
    **attributes: Any,
) -> bool:
    """Move a message to `status` if that ranks above its status; return whether it did.

    A step of our `own` gets a line in the timeline, and is published if it is one of OWN_STEPS.
    Any other status comes from an event that is stored and published itself. With `if_attempt`
    or `if_status`, only a row with these moves. `attributes` are set, or removed if None.
    """
    condition = MessageRow.rank < RANKS[status]
    if if_attempt is not None:
        condition &= MessageRow.attempt == if_attempt
    if if_status is not None:
        condition &= MessageRow.status == if_status
    moved = transition_if(message_id, status, time, condition, own=own, attributes=attributes)
    return moved is not None


def transition_if(
    message_id: str,
    status: str,
    time: datetime,
    condition: Condition,
    *,
    own: bool,
    attributes: Mapping[str, Any],
) -> MessageRow | None:
    """Move a message to `status` on this condition alone; otherwise as `transition`.

    Return the row as it then is; None if the condition does not hold.
    """
    actions: list[Action] = [
        MessageRow.status.set(status),
        MessageRow.rank.set(RANKS[status]),
        MessageRow.state.set(models.state_partition(status, models.message_partition(message_id)))
        if status == "sending"
        else MessageRow.state.remove(),
        MessageRow.outbox.set(status)
        if own and status in OWN_STEPS
        else MessageRow.outbox.remove(),
    ]
    if own:
        actions.append(MessageRow.steps.set(MessageRow.steps.append([step(status, time)])))
    actions += _sets(attributes)
    return update(message_id, actions, condition)


def record_accepted_after_receipt(
    message_id: str, attempt: str, time: datetime, **attributes: Any
) -> bool:
    """Record that Skycore accepted a message whose receipt came first; its status stays.

    Return False for a row that has its answer already.
    """
    actions: list[Action] = [
        MessageRow.outbox.set("accepted"),
        MessageRow.steps.set(MessageRow.steps.append([step("accepted", time)])),
        *_sets(attributes),
    ]
    received = (MessageRow.rank > RANKS["accepted"]) & (MessageRow.rank <= RANKS["delivered"])
    condition = received & (MessageRow.attempt == attempt) & MessageRow.answer.does_not_exist()
    return update(message_id, actions, condition) is not None


def put_tracking_row(
    tracking_id: str, message_id: str, client_reference: str | None, *, time: datetime, days: int
) -> None:
    """Point a tracking id that one recipient has at its message."""
    TrackingRow(
        models.tracking_partition(tracking_id),
        models.MESSAGE,
        message_id=message_id,
        client_reference=client_reference,
        shared=False,
        expires=expiry(time, days),
    ).save()


def messages_by_tracking_id(tracking_ids: Iterable[str]) -> dict[str, TrackingRow]:
    """Return the messages of the tracking ids that have one."""
    id_by_key = {(models.tracking_partition(id_), models.MESSAGE): id_ for id_ in tracking_ids}
    items = batches.read_all(id_by_key)
    return {id_by_key[key]: TrackingRow.from_raw_data(item) for key, item in items.items()}


def _sets(attributes: Mapping[str, Any]) -> list[Action]:
    return [
        getattr(MessageRow, name).remove()
        if value is None
        else getattr(MessageRow, name).set(value)
        for name, value in attributes.items()
    ]


def update(message_id: str, actions: Sequence[Action], condition: Condition) -> MessageRow | None:
    """Change a message's row; return it as it then is, or None if the condition does not hold."""
    row = MessageRow(models.message_partition(message_id), models.MESSAGE)
    try:
        row.update(list(actions), condition)  # answered with the whole row, which `row` takes
    except UpdateError as error:
        if not condition_failed(error):
            raise
        return None
    return row
