"""Opt-outs: one row per number and sender, with the times of the last opt-out and opt-in.

Times only grow, so notifications may come in any order and any number of times. A row for sender
`*` is of all senders. Numbers are told by their digits, however they are written. These rows do
not expire: an opt-out holds until it is lifted.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import UpdateError

from skycore.postbacks.identity import digits
from skycore.table import batches
from skycore.table.models import StoredRow, condition_failed, error_code
from skycore.timestamps import from_text, to_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from pynamodb.expressions.condition import Condition

EVERY_SENDER = "*"
_NEVER = ""
_OPT_OUT = "opt_out#"
_MOST = 40  # characters of a number or sender in a key; longer ones do not exist


@dataclass(frozen=True, slots=True)
class OptOut:
    """What a number last said to a sender (None: to all), times as in its row."""

    number: str
    sender: str | None
    stopped_at: str | None
    started_at: str | None
    reason: str | None


type Pair = tuple[str, str | None]  # a number, and who writes to it


class OptOutRow(StoredRow, discriminator="opt_out"):
    """One number's wish towards one sender, or towards all."""

    stopped_at = UnicodeAttribute(null=True)
    started_at = UnicodeAttribute(null=True)
    confirmed_at = UnicodeAttribute(null=True)
    reason = UnicodeAttribute(null=True)


def record_opt_out(number: str, sender: str | None, moment: datetime, reason: str) -> bool:
    """Notes that `number` wants nothing from `sender` (None: anyone) since `moment`.

    True if that is news; an older or repeated notification changes nothing. Raises ValueError for
    what no row can hold, and PynamoDB's errors.
    """
    later = OptOutRow.stopped_at.does_not_exist() | (OptOutRow.stopped_at < to_key(moment))
    return _note(number, sender, {"stopped_at": to_key(moment), "reason": reason}, later)


def record_opt_in(number: str, sender: str | None, moment: datetime) -> bool:
    """Notes that `number` wants to hear from `sender` (None: anyone) again since `moment`."""
    later = OptOutRow.started_at.does_not_exist() | (OptOutRow.started_at < to_key(moment))
    return _note(number, sender, {"started_at": to_key(moment)}, later)


def opted_out(pairs: Iterable[Pair]) -> set[Pair]:
    """Those (number, sender) pairs whose number's last word to the sender, or to all, was stop."""
    wanted = set(pairs)
    rows = batches.read_all(key for number, sender in wanted for key in _keys(number, sender))
    return {
        (number, sender)
        for number, sender in wanted
        if _last_word_is_stop([rows[key] for key in _keys(number, sender) if key in rows])
    }


def list_opt_outs(number: str | None) -> Iterator[OptOut]:
    """What `number` said to each sender; without one, what every number did.

    The latter reads the whole table. Raises PynamoDB's errors.
    """
    if number is None:
        rows = OptOutRow.scan()
    else:
        rows = OptOutRow.query(_partition(number), OptOutRow.sk.startswith(_OPT_OUT))
    for row in rows:
        sender = row.sk.removeprefix(_OPT_OUT)
        yield OptOut(
            row.pk.removeprefix("number#"),
            None if sender == EVERY_SENDER else sender,
            row.stopped_at,
            row.started_at,
            row.reason,
        )


def can_confirm(number: str, sender: str | None) -> bool:
    """Whether no message confirmed the last stop, towards this sender or all."""
    return _unconfirmed(number, sender) is not None


def claim_confirmation(number: str, sender: str | None, moment: datetime) -> datetime | None:
    """Takes the one message that may confirm an opt-out, at `moment` or at a stop that is later.

    When it was taken; None if it was since the stop.
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
    """The row and the time of the last stop, if no message confirmed it in either row."""
    rows = batches.read_all(_keys(number, sender))
    stops = [(row["stopped_at"]["S"], key) for key, row in rows.items() if "stopped_at" in row]
    if not stops:
        return None
    stopped_at, key = max(stops)
    confirmed = max(row.get("confirmed_at", {}).get("S", _NEVER) for row in rows.values())
    return None if confirmed >= stopped_at else (key, stopped_at)


def release_confirmation(number: str, sender: str | None, moment: datetime) -> None:
    """Undoes `confirm_once` of that moment, for a confirmation that provably was not sent."""
    for to in (sender, None):
        row = OptOutRow(_partition(number), _sort(to))
        with contextlib.suppress(UpdateError):  # of the other row, or taken anew
            row.update([OptOutRow.confirmed_at.remove()], OptOutRow.confirmed_at == to_key(moment))


def _last_word_is_stop(rows: Iterable[batches.Item]) -> bool:
    told = list(rows)
    stopped = max((row.get("stopped_at", {}).get("S", _NEVER) for row in told), default=_NEVER)
    started = max((row.get("started_at", {}).get("S", _NEVER) for row in told), default=_NEVER)
    # Of two at the same moment, the safe one counts.
    return bool(stopped) and stopped >= started


def _note(number: str, sender: str | None, values: dict[str, str], only_if: Condition) -> bool:
    return _note_in(OptOutRow(_partition(number), _sort(sender)), values, only_if)


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


def _partition(number: str) -> str:
    return f"number#{_plain(number)}"


def _keys(number: str, sender: str | None) -> tuple[batches.Key, batches.Key]:
    return (_partition(number), _sort(sender)), (_partition(number), _sort(None))


def _sort(sender: str | None) -> str:
    return _OPT_OUT + _plain(sender or EVERY_SENDER)


def _plain(name: str) -> str:
    """A number's digits, or a sender's name."""
    return digits(name) or name.strip()[:_MOST]
