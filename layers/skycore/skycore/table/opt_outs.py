"""Opt-outs: one row per number and sender, with the times of the last opt-out and opt-in.

Times only grow, so notifications may come in any order and any number of times. A row for sender
`*` is of all senders. Rows are written under a number's canonical form and read under every form
that a release may have written. An old form may be a stranger's number, too: an opt-in under one
lifts only the opt-out of its own row. Rows do not expire: an opt-out holds until it is lifted.
Nor do rows of senders, which show that a stop went to one of our numbers.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, UpdateError

from skycore.keyed_hash import is_available, keyed_hash
from skycore.phone_numbers import canonical_form, equivalent_forms, received_digits, stored_forms
from skycore.table import batches
from skycore.table.models import StoredRow, condition_failed, error_code, sender_partition
from skycore.timestamps import MAX_AHEAD, from_text, now, to_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from datetime import datetime

    from pynamodb.expressions.condition import Condition

EVERY_SENDER = "*"
ERASED = ""  # in place of a number that is stored as a hash
_NEVER = ""
_NUMBER, _OPT_OUT = "number#", "opt_out#"
_MOST = 40  # characters of a number or sender in a key; longer ones do not exist


@dataclass(frozen=True, slots=True)
class OptOut:
    """What a number last said to a sender (None: to all); number and times as in its row."""

    number: str
    sender: str | None
    stopped_at: str | None
    started_at: str | None
    reason: str | None


type Pair = tuple[str, str | None]  # a number, and who writes to it


class OptOutRow(StoredRow, discriminator="opt_out"):
    """One number's last opt-out and opt-in for one sender, or for all."""

    stopped_at = UnicodeAttribute(null=True)
    started_at = UnicodeAttribute(null=True)
    confirmed_at = UnicodeAttribute(null=True)
    reason = UnicodeAttribute(null=True)


class SenderRow(StoredRow, discriminator="sender"):
    """A sender that this stack has used. It is never deleted."""


def record_opt_out(number: str, sender: str | None, moment: datetime, reason: str) -> bool:
    """Record that `number` wants nothing from `sender` (None: anyone) since `moment`.

    Return whether that changed the row; an older or repeated notification does not. An opt-in on
    file that states a time to come does not outlast it. Raises ValueError for what no row can
    hold, and PynamoDB's errors.
    """
    started = (((row.pk, row.sk), row.started_at) for row in _rows_of(number))
    return _record_stop(number, sender, moment, reason, started)


def record_blocked(number: str, sender: str | None, moment: datetime, reason: str) -> None:
    """Record that Skycore sends nothing to `number`, as it said of a message from `sender`.

    As `record_opt_out` for all senders, without a query, which senders of messages may not make.
    """
    rows = batches.read_all(_keys(number, sender))
    started = ((key, row.get("started_at", {}).get("S")) for key, row in rows.items())
    _record_stop(number, None, moment, reason, started)


def _record_stop(
    number: str,
    sender: str | None,
    moment: datetime,
    reason: str,
    started: Iterable[tuple[batches.Key, str | None]],
) -> bool:
    present = to_key(now())
    for key, start in started:
        if start and start > present:
            with contextlib.suppress(UpdateError):  # another start came in the meantime
                OptOutRow(*key).update(
                    [OptOutRow.started_at.set(min(to_key(moment), present))],
                    OptOutRow.started_at == start,
                )
    later = OptOutRow.stopped_at.does_not_exist() | (OptOutRow.stopped_at < to_key(moment))
    return _note(number, sender, {"stopped_at": to_key(moment), "reason": reason}, later)


def record_opt_in(number: str, sender: str | None, moment: datetime) -> bool:
    """Record that `number` wants messages from `sender` (None: anyone) again since `moment`.

    Otherwise as `record_opt_out`.
    """
    later = OptOutRow.started_at.does_not_exist() | (OptOutRow.started_at < to_key(moment))
    impossible = OptOutRow.started_at > _latest_possible()
    return _note(number, sender, {"started_at": to_key(moment)}, later | impossible)


def opted_out(pairs: Iterable[Pair]) -> set[Pair]:
    """Return the (number, sender) pairs whose last word to the sender, or to all, was stop.

    Numbers are digits with their country code.
    """
    keys = {pair: _keys(*pair) for pair in set(pairs)}
    rows = batches.read_all(key for ours in keys.values() for key in ours)
    return {
        pair
        for pair, ours in keys.items()
        if (found := {key: rows[key] for key in ours if key in rows})
        and _last_word_is_stop(found, _keys(*pair, forms=equivalent_forms))
    }


def list_opt_outs(number: str | None) -> Iterator[OptOut]:
    """Return what `number` said to each sender; without one, what every number did.

    The latter reads the whole table. Raises PynamoDB's errors.
    """
    for row in OptOutRow.scan() if number is None else _rows_of(number):
        sender = row.sk.removeprefix(_OPT_OUT)
        yield OptOut(
            row.pk.removeprefix("number#") if row.pk.startswith(_NUMBER) else number or ERASED,
            None if sender == EVERY_SENDER else sender,
            row.stopped_at,
            row.started_at,
            row.reason,
        )


def stop_by_hand(number: str, sender: str | None, moment: datetime, reason: str) -> None:
    """Record an operator's opt-out, which counts after every opt-in that is on file."""
    started = [row.started_at for row in _rows_of(number) if row.started_at]
    possible = (text for text in started if text <= _latest_possible())
    latest = max((from_text(text) for text in possible), default=moment)
    record_opt_out(number, sender, max(moment, latest), reason)


def lift_by_hand(number: str, sender: str | None, moment: datetime) -> None:
    """Record an operator's opt-in, which counts after every opt-out that is on file.

    An opt-out that states a later time, by a clock that is ahead, is dated before the opt-in.
    """
    before = to_key(moment - timedelta(microseconds=1))
    for row in _rows_of(number):
        if row.stopped_at and row.stopped_at >= to_key(moment):
            with contextlib.suppress(UpdateError):  # another stop came in the meantime: it counts
                row.update(
                    [OptOutRow.stopped_at.set(before)], OptOutRow.stopped_at == row.stopped_at
                )
    record_opt_in(number, sender, moment)


def can_confirm(number: str, sender: str | None) -> bool:
    """Return whether no message has confirmed the last stop for this sender or all."""
    return _unconfirmed(number, sender) is not None


def claim_confirmation(number: str, sender: str | None, moment: datetime) -> datetime | None:
    """Claim the one message that may confirm the last opt-out.

    Return the claim's time (`moment`, or a later stop's); None if there is nothing to confirm.
    """
    found = _unconfirmed(number, sender)
    if found is None:
        return None
    (pk, sk), stopped_at = found
    taken = max(to_key(moment), stopped_at)  # Skycore's clock may be ahead of ours
    unused = OptOutRow.confirmed_at.does_not_exist() | (
        OptOutRow.confirmed_at < OptOutRow.stopped_at
    )
    if not _note_in(OptOutRow(pk, sk), {"confirmed_at": taken}, unused):
        return None
    return from_text(taken)


def _unconfirmed(number: str, sender: str | None) -> tuple[batches.Key, str] | None:
    """Return the row and the time of the last stop, if no message confirmed it in any row."""
    rows = batches.read_all(_keys(number, sender))
    stops = [(row["stopped_at"]["S"], key) for key, row in rows.items() if "stopped_at" in row]
    if not stops:
        return None
    stopped_at, key = max(stops)
    confirmed = max(row.get("confirmed_at", {}).get("S", _NEVER) for row in rows.values())
    return None if confirmed >= stopped_at else (key, stopped_at)


def release_confirmation(number: str, sender: str | None, moment: datetime) -> None:
    """Undo `claim_confirmation` of that moment, for a confirmation that provably was not sent."""
    taken = to_key(moment)
    for key, row in batches.read_all(_keys(number, sender)).items():
        if row.get("confirmed_at", {}).get("S") == taken:
            with contextlib.suppress(UpdateError):  # taken anew
                OptOutRow(*key).update(
                    [OptOutRow.confirmed_at.remove()], OptOutRow.confirmed_at == taken
                )


_known_senders: set[str] = set()  # of this execution environment: rows that are in the table


def record_sender(sender: str) -> None:
    """Record that this stack sends from `sender`, once per sender and execution environment."""
    name = _plain(sender)
    if name not in _known_senders:
        SenderRow(sender_partition(name), "sender").save()
        _known_senders.add(name)


def is_sender(number: str) -> bool:
    """Return whether this stack has ever sent from this number or name."""
    name = _plain(number)
    if name not in _known_senders:
        try:
            SenderRow.get(sender_partition(name), "sender", consistent_read=True)
        except DoesNotExist:
            return False
        _known_senders.add(name)
    return True


def _last_word_is_stop(
    rows: Mapping[batches.Key, batches.Item], current: Collection[batches.Key]
) -> bool:
    """Return whether an opt-out in the rows holds: no opt-in in its or a `current` row lifts it."""
    starts = {key: row.get("started_at", {}).get("S", _NEVER) for key, row in rows.items()}
    # The first release believed Skycore's clock: an opt-in of the future is not one.
    possible = {key: start for key, start in starts.items() if start <= _latest_possible()}
    lifted = max((possible.get(key, _NEVER) for key in current), default=_NEVER)
    stops = {key: row.get("stopped_at", {}).get("S", _NEVER) for key, row in rows.items()}
    # Of two at the same moment, the safe one counts.
    return any(
        stop and stop >= max(lifted, possible.get(key, _NEVER)) for key, stop in stops.items()
    )


def _latest_possible() -> str:
    return to_key(now() + MAX_AHEAD)


def _note(number: str, sender: str | None, values: dict[str, str], only_if: Condition) -> bool:
    row = OptOutRow(_partition(canonical_form(number)), _OPT_OUT + _plain(sender or EVERY_SENDER))
    return _note_in(row, values, only_if)


def _note_in(row: OptOutRow, values: dict[str, str], only_if: Condition) -> bool:
    actions = [getattr(OptOutRow, name).set(value) for name, value in values.items()]
    try:
        row.update([*actions, OptOutRow.kind.set(OptOutRow)], only_if)
    except UpdateError as error:
        if error_code(error) == "ValidationException":
            raise ValueError("the table can hold no such row") from None
        if not condition_failed(error):
            raise
        return False
    return True


def _rows_of(number: str) -> Iterator[OptOutRow]:
    for partition in _partitions(number, stored_forms):
        yield from OptOutRow.query(partition, OptOutRow.sk.startswith(_OPT_OUT))


def erase_number(number: str) -> int:
    """Move a number's opt-outs under keyed hashes of its forms; return how many rows were moved.

    A hash blocks sends as the plain row did, and a later opt-in lifts it. Without an opt-out that
    holds, nothing is kept. Safe to repeat. Raises PynamoDB's errors and what the secret raises.
    """
    rows, equivalent = list(_rows_of(number)), equivalent_forms(number)
    holds = bool(opted_out((number, one.sender) for one in list_opt_outs(number)))
    moved = [row for row in rows if row.pk.startswith(_NUMBER) or not holds]
    for row in moved:
        form = row.pk.removeprefix("number#")
        names, forms = ["stopped_at", "started_at", "confirmed_at"], equivalent
        if form not in equivalent:  # it may be a stranger's, too, and lifts its own opt-out alone
            is_stop = (row.stopped_at or _NEVER) >= (row.started_at or _NEVER)
            names, forms = ["stopped_at"] * is_stop, [*equivalent, *equivalent_forms(form)]
        for other in forms if holds else ():
            _merge(OptOutRow(hashed_partition(other), row.sk), row, names)
        row.delete(_unchanged(row))
    return len(moved) if holds else 0


def _merge(hashed: OptOutRow, plain: OptOutRow, names: Iterable[str]) -> None:
    for name in names:
        value, attribute = getattr(plain, name), getattr(OptOutRow, name)
        if value is not None:
            later = attribute.does_not_exist() | (attribute < value)
            _note_in(hashed, {name: value, "reason": plain.reason or "erased"}, later)


def _unchanged(row: OptOutRow) -> Condition:
    """Return the condition that nothing was noted since the row was read."""
    same: Condition = OptOutRow.pk.exists()
    for name in ("stopped_at", "started_at"):
        value, attribute = getattr(row, name), getattr(OptOutRow, name)
        same &= attribute.does_not_exist() if value is None else attribute == value
    return same


def _partition(number: str) -> str:
    return f"number#{number[:_MOST]}"


def _partitions(number: str, forms: Callable[[str], list[str]]) -> list[str]:
    """Return where rows of a number are: under its forms, and under hashes of the present ones."""
    hashed = equivalent_forms(number) if is_available() else []
    return [*map(_partition, forms(number)), *map(hashed_partition, hashed)]


def hashed_partition(number: str) -> str:
    """Return the partition of a number whose plain rows were erased.

    Raises what reading the secret raises.
    """
    return f"hashed#{keyed_hash('number', number)}"


def _keys(
    number: str, sender: str | None, forms: Callable[[str], list[str]] = stored_forms
) -> list[batches.Key]:
    """Return where the rows of a number towards a sender, and towards all, may be."""
    senders = [EVERY_SENDER]
    if sender is not None:
        senders += forms(sender) if received_digits(sender) else [_plain(sender)]
    partitions = _partitions(number, forms)
    return [(partition, _OPT_OUT + name) for partition in partitions for name in senders]


def _plain(name: str) -> str:
    """Return a number's canonical form, or a sender's name."""
    return canonical_form(name) if received_digits(name) else name.strip()[:_MOST]
