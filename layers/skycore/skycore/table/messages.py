"""The message ledger: one row per message, moved by conditional writes only."""

from __future__ import annotations

import json
import zlib
from itertools import batched
from typing import TYPE_CHECKING, Any

from pynamodb.attributes import (
    BinaryAttribute,
    BooleanAttribute,
    ListAttribute,
    NumberAttribute,
    UnicodeAttribute,
)
from pynamodb.exceptions import (
    DeleteError,
    DoesNotExist,
    PutError,
    TransactWriteError,
    UpdateError,
)
from pynamodb.transactions import TransactWrite

from skycore import timestamps
from skycore.catalogue.statuses import OWN_STEPS, RANKS
from skycore.table import batches, keys
from skycore.table.models import Row, condition_failed, connection, error_code, expiry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from pynamodb.expressions.condition import Condition
    from pynamodb.expressions.update import Action


TRANSACTION_ROWS = 100  # rows of a transaction, the most that DynamoDB takes
TRANSACTION_BYTES = 3_500_000  # of a transaction; DynamoDB takes 4 MB


class MessageRow(Row):
    """One message. `outbox` is the last own step that is yet to be published."""

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
    code = UnicodeAttribute(null=True)
    detail = UnicodeAttribute(null=True)
    parent = UnicodeAttribute(null=True)
    created_at = UnicodeAttribute()
    deadline = UnicodeAttribute(null=True)
    fingerprint = UnicodeAttribute()
    tries = NumberAttribute(default=0)
    not_before = UnicodeAttribute(null=True)
    failed_for = UnicodeAttribute(null=True)  # why it failed and waits for others to go first
    failed_at = UnicodeAttribute(null=True)
    confirmation = BooleanAttribute(null=True)
    steps: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute)
    answer = BinaryAttribute(null=True, legacy_encoding=False)
    request = BinaryAttribute(null=True, legacy_encoding=False)


class TrackingRow(Row):
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
        created_at=timestamps.to_key(moment),
        steps=[step(status, moment)],
        number=keys.number_partition(number, moment) if number else None,
        day=keys.day_partition(pk, moment),
        state=_state_of_new(status, pk, moment, attributes.get("deadline")),
        at=keys.index_sort_key("message", moment),
        expires=expiry(moment, days),
        **attributes,
    )


def _state_of_new(status: str, pk: str, moment: datetime, deadline: str | None) -> str | None:
    """Where the index by state lists a new row: in flight, or queued with a time to be sent by."""
    if status == "queued" and deadline:
        return keys.queued_partition(pk, moment, timestamps.from_text(deadline))
    return keys.state_partition(status) if status == "sending" else None


def step(status: str, moment: datetime) -> str:
    """A line of the timeline that we write ourselves."""
    return f"{timestamps.to_key(moment)} {status}"


def create(row: MessageRow) -> MessageRow | None:
    """Writes a new row; returns None, or the row that already has its id.

    A row past its expiry counts as gone (the table's time to live deletes late). A put whose
    answer was lost and that is repeated finds itself, by its `attempt`, and counts as written.
    """
    now = int(timestamps.now().timestamp())
    try:
        row.save(MessageRow.pk.does_not_exist() | (MessageRow.expires < now))
    except PutError as error:
        if not condition_failed(error):
            raise
        existing = get(row.message_id)
        if existing is None:
            return create(row)
        return None if existing.attempt == row.attempt else existing
    return None


def create_many(rows: Sequence[MessageRow]) -> dict[str, MessageRow]:
    """Writes many new rows; returns, by message id, those that had their id before.

    They go a hundred at a time in a transaction, and one by one where one of a hundred exists.
    A row past its expiry counts as gone. Raises PynamoDB's errors.
    """
    existing = get_existing(rows)
    new = (row for row in rows if row.message_id not in existing)
    for part in batches.chunk_rows(new, TRANSACTION_ROWS, TRANSACTION_BYTES):
        for row in part if not _create_together(part) else ():
            before = create(row)
            if before is not None:
                existing[row.message_id] = before
    return existing


def get_existing(rows: Iterable[MessageRow]) -> dict[str, MessageRow]:
    """Return the rows stored under the keys of these new ones, by message id, unless expired."""
    found = get_many((row.pk, row.sk) for row in rows)
    now = timestamps.now().timestamp()
    live = (row for row in found.values() if row.expires is None or row.expires >= now)
    return {row.message_id: row for row in live}


def _create_together(rows: Sequence[MessageRow]) -> bool:
    """Writes rows all or none; False if one of them exists already."""
    try:
        with TransactWrite(connection=connection()) as transaction:
            for row in rows:
                transaction.save(row, condition=MessageRow.pk.does_not_exist())
    except TransactWriteError as error:
        if error_code(error) != "TransactionCanceledException":
            raise
        return False
    return True


def get(message_id: str) -> MessageRow | None:
    """The message's row, consistently read; None if there is none or it is past its expiry."""
    try:
        row = MessageRow.get(keys.message_partition(message_id), keys.MESSAGE, consistent_read=True)
    except DoesNotExist:
        return None
    return None if row.expires and row.expires < timestamps.now().timestamp() else row


def get_many(row_keys: Iterable[batches.Key]) -> dict[batches.Key, MessageRow]:
    """The rows that exist among `row_keys`."""
    found = batches.read_all(row_keys)
    return {key: MessageRow.from_raw_data(item) for key, item in found.items()}


def delete_unsent(row: MessageRow) -> bool:
    """Deletes the row of a send that proved to have sent nothing, which frees its key.

    True if there is no row now; False if it goes on in other hands, such as dispatch's.
    """
    try:
        row.delete((MessageRow.attempt == row.attempt) & (MessageRow.rank <= RANKS["sending"]))
    except DeleteError as error:
        if not condition_failed(error):
            raise
        return get(row.message_id) is None  # a delete whose answer was lost and that is repeated
    return True


def transition(
    message_id: str,
    status: str,
    *,
    moment: datetime,
    own: bool,
    if_attempt: str | None = None,
    if_status: str | None = None,
    **attributes: Any,
) -> bool:
    """Moves a message to `status` if that ranks above what it has; True if it did.

    A step of our `own` gets a line in the timeline, and subscribers are told of it if it is one
    of OWN_STEPS; any other status came from an event that is kept and told itself.
    With `if_attempt` or `if_status`, only a row that has these. `attributes` that are None are
    removed.
    """
    condition = MessageRow.rank < RANKS[status]
    if if_attempt is not None:
        condition &= MessageRow.attempt == if_attempt
    if if_status is not None:
        condition &= MessageRow.status == if_status
    moved = transition_if(message_id, status, moment, condition, own=own, attributes=attributes)
    return moved is not None


def apply_receipt(
    message_id: str,
    status: str,
    number: str | None,
    moment: datetime,
    *,
    tracking_id: str | None,
) -> MessageRow | None:
    """Move a message to the `status` that a postback reports for `number`; return its row if moved.

    The row gets the tracking id too, in case the update to accepted was lost. Campaigns share one
    tracking id: a receipt for another number does not concern the message, and a message without
    a number, which is a campaign's, stays as it is.
    """
    # One of several recipients, whose number Skycore did not give, has a tracking id of its own.
    one_of_several = MessageRow.to.does_not_exist() & MessageRow.parent.exists()
    its_own = MessageRow.to.exists() if number is None else MessageRow.to == number
    condition = (MessageRow.rank < RANKS[status]) & (its_own | one_of_several)
    mended = {} if tracking_id is None else {"tracking_id": MessageRow.tracking_id | tracking_id}
    return transition_if(message_id, status, moment, condition, own=False, attributes=mended)


def transition_if(
    message_id: str,
    status: str,
    moment: datetime,
    condition: Condition,
    *,
    own: bool,
    attributes: Mapping[str, Any],
) -> MessageRow | None:
    """Moves a message to `status` on this condition, whatever it has; else as `move`.

    The row as it then is, None if the condition does not hold.
    """
    actions: list[Action] = [
        MessageRow.status.set(status),
        MessageRow.rank.set(RANKS[status]),
        MessageRow.state.set(keys.state_partition(status))
        if status == "sending"
        else MessageRow.state.remove(),
        MessageRow.outbox.set(status)
        if own and status in OWN_STEPS
        else MessageRow.outbox.remove(),
    ]
    if own:
        actions.append(MessageRow.steps.set(MessageRow.steps.append([step(status, moment)])))
    actions += _sets(attributes)
    return update(message_id, actions, condition)


def record_accepted_after_receipt(
    message_id: str, attempt: str, moment: datetime, **attributes: Any
) -> bool:
    """Notes that Skycore accepted a message whose receipt was quicker; its status stays.

    Once only: a row that has its answer is left as it is.
    """
    actions: list[Action] = [
        MessageRow.outbox.set("accepted"),
        MessageRow.steps.set(MessageRow.steps.append([step("accepted", moment)])),
        *_sets(attributes),
    ]
    received = (MessageRow.rank > RANKS["accepted"]) & (MessageRow.rank <= RANKS["delivered"])
    condition = received & (MessageRow.attempt == attempt) & MessageRow.answer.does_not_exist()
    return update(message_id, actions, condition) is not None


def put_tracking_row(
    tracking_id: str, message_id: str, client_reference: str | None, *, moment: datetime, days: int
) -> None:
    """Points a tracking id at its message."""
    TrackingRow(
        keys.tracking_partition(tracking_id),
        keys.MESSAGE,
        kind="pointer",
        message_id=message_id,
        client_reference=client_reference,
        expires=expiry(moment, days),
    ).save()


def messages_by_tracking_id(tracking_ids: Iterable[str]) -> dict[str, TrackingRow]:
    """The messages of tracking ids that have one."""
    wanted = {(keys.tracking_partition(id_), keys.MESSAGE): id_ for id_ in tracking_ids}
    found = batches.read_all(wanted)
    return {wanted[key]: TrackingRow.from_raw_data(item) for key, item in found.items()}


def in_state(partition: str, before: datetime) -> Iterator[MessageRow]:
    """Messages in a part of the index by state, made before the given moment, oldest first."""
    found = Row.by_state.query(partition, Row.at < keys.index_sort_key("message", before))
    for part in batched(((row.pk, row.sk) for row in found), batches.READ_KEYS, strict=False):
        rows = get_many(part)
        yield from (rows[key] for key in part if key in rows)


def _sets(attributes: Mapping[str, Any]) -> list[Action]:
    return [
        getattr(MessageRow, name).remove()
        if value is None
        else getattr(MessageRow, name).set(value)
        for name, value in attributes.items()
    ]


def update(message_id: str, actions: Sequence[Action], condition: Condition) -> MessageRow | None:
    """Changes a message's row: as it then is, None if it is not as the condition says."""
    row = MessageRow(keys.message_partition(message_id), keys.MESSAGE)
    try:
        row.update(list(actions), condition)  # answered with the whole row, which `row` takes
    except UpdateError as error:
        if not condition_failed(error):
            raise
        return None
    return row
