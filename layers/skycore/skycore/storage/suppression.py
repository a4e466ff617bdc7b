"""Who has opted out: one row per number and sender, with when it last stopped and started.

Times only grow, so notifications may come in any order and any number of times. A row for sender
`*` is of all senders. These rows do not expire: an opt-out holds until it is lifted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import UpdateError

from skycore.storage.table import Row
from skycore.times import to_key

if TYPE_CHECKING:
    from datetime import datetime

    from pynamodb.expressions.condition import Condition

EVERY_SENDER = "*"
_NEVER = ""


class OptOutRow(Row):
    """One number's wish towards one sender, or towards all."""

    stopped_at = UnicodeAttribute(null=True)
    started_at = UnicodeAttribute(null=True)
    confirmed_at = UnicodeAttribute(null=True)
    reason = UnicodeAttribute(null=True)


def stop(number: str, sender: str | None, moment: datetime, reason: str) -> bool:
    """Notes that `number` wants nothing from `sender` (None: anyone) since `moment`.

    True if that is news; an older or repeated notification changes nothing.
    """
    later = OptOutRow.stopped_at.does_not_exist() | (OptOutRow.stopped_at < to_key(moment))
    return _note(number, sender, {"stopped_at": to_key(moment), "reason": reason}, later)


def start(number: str, sender: str | None, moment: datetime) -> bool:
    """Notes that `number` wants to hear from `sender` (None: anyone) again since `moment`."""
    later = OptOutRow.started_at.does_not_exist() | (OptOutRow.started_at < to_key(moment))
    return _note(number, sender, {"started_at": to_key(moment)}, later)


def is_suppressed(number: str, sender: str | None) -> bool:
    """Whether the last word of `number` towards `sender` or all senders was to stop."""
    rows = {row.sk: row for row in OptOutRow.query(_partition(number))}
    wanted = [rows[sk] for sk in (_sort(sender), _sort(EVERY_SENDER)) if sk in rows]
    stopped = max((row.stopped_at or _NEVER for row in wanted), default=_NEVER)
    started = max((row.started_at or _NEVER for row in wanted), default=_NEVER)
    # Of two at the same moment, the safe one counts.
    return bool(stopped) and stopped >= started


def confirm_once(number: str, sender: str | None, moment: datetime) -> bool:
    """Takes the one message that may confirm an opt-out; False if it was taken since the stop."""
    unused = OptOutRow.confirmed_at.does_not_exist() | (
        OptOutRow.confirmed_at < OptOutRow.stopped_at
    )
    rows = {row.sk for row in OptOutRow.query(_partition(number))}
    to = sender if _sort(sender) in rows else EVERY_SENDER
    return _note(number, to, {"confirmed_at": to_key(moment)}, unused)


def _note(number: str, sender: str | None, values: dict[str, str], only_if: Condition) -> bool:
    row = OptOutRow(_partition(number), _sort(sender))
    actions = [getattr(OptOutRow, name).set(value) for name, value in values.items()]
    try:
        row.update([*actions, OptOutRow.kind.set("opt_out")], only_if)
    except UpdateError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
        return False
    return True


def _partition(number: str) -> str:
    return f"number#{number}"


def _sort(sender: str | None) -> str:
    return f"opt_out#{sender or EVERY_SENDER}"
