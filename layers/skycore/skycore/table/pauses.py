"""The account pause: the item that every function shares, and the rules that change it.

While the account is paused, queued messages wait instead of failing one by one. The same rules
hold for one action, when Skycore refuses that action alone. The rules are pure functions of what
the item says; `sending.account_pause` applies them. Times are in epoch seconds.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, PutError

from skycore.catalogue.actions import find_error
from skycore.table.models import StoredRow, condition_failed

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCOUNT = "account"  # the scope of all actions
UNKNOWN_OUTCOMES = "unknown_outcomes"  # the cause of a pause after too many of them
MAX_UNKNOWN = 5  # consecutive unknown outcomes that pause the account
CALL_SECONDS = 30  # after which a call that went alone has ended, whatever became of it
PROBE_SECONDS = 60  # between probes in the first hour, which an outage rarely outlasts
FREQUENT_PROBES = 60  # then the time between them doubles
MAX_PROBE_SECONDS = 900
MAX_READS = 3  # probes that read without success; after them a send may be the probe as well
EARLY_SECONDS = 15  # that a probe may come early: sweep runs every minute, but not to the second
REPEATED_SECONDS = 3600  # after a recovery, in which the same failure needs more than one witness
WITNESSES = 3
MAX_LISTED = 5  # messages of a scope that are listed as the next probes

WORDS = {
    "no_connection": "no connection to Skycore",
    "no_key": "no Skycore API key is set",
    UNKNOWN_OUTCOMES: f"{MAX_UNKNOWN} calls in a row had no clear answer",
}


@dataclass(frozen=True, slots=True)
class Pause:
    """The recent results of calls of the account, or of one action."""

    paused: bool = False
    cause: str | None = None  # of the failures, or of the last ones
    since: int = 0  # when the pause began
    turn: int = 0  # when the next call may be made, of those that go one at a time
    probes: int = 0  # of this pause
    reads: int = 0  # of these probes, those that sent nothing
    send_turn: int = 0  # when a send may be the probe of a pause after unknown outcomes
    unknowns: int = 0  # consecutive unknown outcomes
    failures: int = 0  # consecutive calls that failed because of the account
    recovered_at: int = 0  # the last success that followed failures
    ended_at: int = 0  # when the last pause ended
    ended_by: str | None = None  # the operator who ended it, None for a success
    next: tuple[str, ...] = ()  # messages that wait: the next probes
    last: tuple[str, ...] = ()  # messages that failed: probes once no other is left

    @property
    def one_at_a_time(self) -> bool:
        """Whether calls go one at a time: after an unknown outcome, until a success."""
        return not self.paused and self.unknowns > 0

    @property
    def candidates(self) -> tuple[str, ...]:
        """The messages that may be the next probe, the best one first."""
        return self.next + self.last

    @property
    def shows_failures(self) -> bool:
        """Whether a success changes anything."""
        return self.paused or self.unknowns > 0 or self.failures > 0

    def probe_is_due(self, now: int) -> bool:
        """Return whether a pause lets one call through now."""
        return self.paused and self.turn - EARLY_SECONDS <= now

    def send_probe_is_due(self, now: int) -> bool:
        """Return whether a pause lets one send through now.

        After unknown outcomes probes read. If reads have no success either, every 15 minutes one
        send shows whether only reads fail.
        """
        if self.cause != UNKNOWN_OUTCOMES:
            return self.probe_is_due(now)
        due = self.send_turn - EARLY_SECONDS <= now
        return self.paused and self.reads >= MAX_READS and due


def failed(pause: Pause, cause: str, now: int, message_id: str | None = None) -> Pause:
    """Record a call that sent nothing, because of `cause`, which concerns all messages.

    One such call pauses them. Soon after a recovery from the same cause it takes several, because
    that cause turned out to be single messages. The message that failed goes last.
    """
    if not pause.paused:
        again = pause.cause == cause and now - pause.recovered_at < REPEATED_SECONDS
        failures = pause.failures + 1
        pause = replace(pause, cause=cause, failures=failures)
        if failures >= (WITNESSES if again else 1):
            pause = _begin(pause, cause, now)
    return _list_last(pause, message_id) if pause.paused and message_id else pause


def failed_alone(pause: Pause, cause: str) -> Pause:
    """Record a call that failed while others succeeded: it pauses nobody else.

    The next success shows whether others still succeed.
    """
    return pause if pause.shows_failures else replace(pause, cause=cause, failures=1)


def is_own_failure(pause: Pause, cause: str, failed_for: str | None, failed_at: int) -> bool:
    """Return whether a failure is the message's own.

    It is if the message failed in the same way before, `failed_for` at `failed_at`, and others
    have succeeded since. During a pause all messages fail, so it is not.
    """
    return not pause.paused and failed_for == cause and pause.recovered_at > failed_at


def unknown(pause: Pause, now: int) -> Pause:
    """Record an unknown outcome of a send: from now on calls go one at a time.

    The last of several pauses the account. So does one during a pause, whose probes then send
    nothing.
    """
    if pause.paused:
        if pause.cause == UNKNOWN_OUTCOMES:
            return pause
        pause = replace(pause, cause=UNKNOWN_OUTCOMES, unknowns=pause.unknowns + 1)
        return replace(pause, reads=0, send_turn=now + MAX_PROBE_SECONDS)
    pause = replace(pause, unknowns=pause.unknowns + 1, turn=now)
    return _begin(pause, UNKNOWN_OUTCOMES, now) if pause.unknowns >= MAX_UNKNOWN else pause


def succeeded(pause: Pause, now: int, *, is_send: bool) -> Pause:
    """Record a call that Skycore answered as it should: it ends any pause.

    After unknown outcomes of sends, only a send proves that sends work. A success of another
    action ends the pause, but calls go one at a time, and one more unknown outcome pauses again.
    """
    if not pause.shows_failures:
        return pause
    if not is_send and pause.unknowns:
        if not pause.paused:
            return pause
        return replace(_ended(pause, now), unknowns=MAX_UNKNOWN - 1, probes=pause.probes)
    return replace(_ended(pause, now), recovered_at=now)


def resumed(pause: Pause, now: int, operator: str) -> Pause:
    """End a pause by hand. It proves nothing about the messages that failed."""
    return replace(_ended(pause, now), ended_by=operator) if pause.paused else pause


def claim(pause: Pause, now: int, *, is_send: bool) -> Pause | None:
    """Claim the next call; None if it is not time for one.

    Returns `pause` itself where calls need not be claimed. After unknown outcomes few probes send,
    because each may make one more message unknown; reads continue beside them.
    """
    if pause.paused and is_send and pause.cause == UNKNOWN_OUTCOMES:
        due = pause.send_probe_is_due(now)
        return replace(pause, send_turn=now + MAX_PROBE_SECONDS) if due else None
    if pause.paused:
        if not pause.probe_is_due(now):
            return None
        probes, reads = pause.probes + 1, pause.reads + (not is_send)
        return replace(pause, probes=probes, reads=reads, turn=now + _seconds_to_probe(probes))
    if pause.one_at_a_time:
        return replace(pause, turn=now + CALL_SECONDS) if pause.turn <= now else None
    return pause


def list_next(pause: Pause, message_id: str) -> Pause:
    """List a message that waits as one of the next probes, if there is room."""
    if len(pause.next) >= MAX_LISTED or message_id in pause.candidates:
        return pause
    return replace(pause, next=(*pause.next, message_id))


def unlist(pause: Pause, message_ids: frozenset[str]) -> Pause:
    """Remove messages that no longer wait."""
    left = (tuple(id_ for id_ in ids if id_ not in message_ids) for ids in (pause.next, pause.last))
    return replace(pause, next=next(left), last=next(left))


def _list_last(pause: Pause, message_id: str) -> Pause:
    if len(pause.last) >= MAX_LISTED and message_id not in pause.candidates:
        return pause
    pause = unlist(pause, frozenset((message_id,)))
    return replace(pause, last=(*pause.last[-MAX_LISTED + 1 :], message_id))


def _begin(pause: Pause, cause: str, now: int) -> Pause:
    # A pause that begins again before any send succeeded continues with the slow probes.
    probes = max(pause.probes, FREQUENT_PROBES) + 1 if pause.probes else 0
    turn = now + _seconds_to_probe(probes)
    pause = replace(pause, paused=True, cause=cause, since=now, turn=turn, probes=probes)
    return replace(pause, reads=0, send_turn=now + MAX_PROBE_SECONDS, next=(), last=())


def _ended(pause: Pause, now: int) -> Pause:
    ended_at = now if pause.paused else pause.ended_at
    return Pause(cause=pause.cause, recovered_at=pause.recovered_at, ended_at=ended_at)


def _seconds_to_probe(probes: int) -> int:
    doublings = min(10, max(0, probes - FREQUENT_PROBES))
    return min(MAX_PROBE_SECONDS, PROBE_SECONDS << doublings)


def describe(cause: str | None) -> str:
    """Return a cause in words, for people."""
    error = find_error(cause or "")
    if error is not None:
        return f"{error.code}, {error.meaning}"
    return WORDS.get(cause or "", f"{cause} instead of a reply of Skycore")


@dataclass(frozen=True, slots=True)
class Pauses:
    """The item as it was read: the pauses by scope, and the version that a write replaces."""

    by_scope: Mapping[str, Pause]
    version: int = 0

    def of(self, scope: str) -> Pause:
        """Return the pause of the account or of an action."""
        return self.by_scope.get(scope, NO_PAUSE)


class PausesRow(StoredRow, discriminator="pauses"):
    """The one item."""

    version = NumberAttribute()
    pauses = UnicodeAttribute()  # JSON: by scope, without what has its default


KEY = "pause"  # both keys of the item
NO_PAUSE = Pause()
NO_PAUSES = Pauses({})


def read(*, consistent: bool) -> Pauses:
    """Return what the item says. Raises PynamoDB's errors."""
    try:
        row = PausesRow.get(KEY, KEY, consistent_read=consistent)
    except DoesNotExist:
        return NO_PAUSES
    by_scope = {scope: _from_json(values) for scope, values in json.loads(row.pauses).items()}
    return Pauses(by_scope, int(row.version))


def write(seen: Pauses, scope: str, pause: Pause) -> Pauses | None:
    """Write a scope's pause in place of what was `seen`; return what the item says now.

    Returns None if another process wrote first. Raises PynamoDB's errors.
    """
    written = Pauses({**seen.by_scope, scope: pause}, seen.version + 1)
    text = json.dumps({scope: _to_json(one) for scope, one in written.by_scope.items()})
    row = PausesRow(KEY, KEY, version=written.version, pauses=text)
    unchanged = PausesRow.version == seen.version
    try:
        row.save(unchanged if seen.version else PausesRow.pk.does_not_exist())
    except PutError as error:
        if not condition_failed(error):
            raise
        return None
    return written


def _to_json(pause: Pause) -> dict[str, Any]:
    default = asdict(NO_PAUSE)
    return {name: value for name, value in asdict(pause).items() if value != default[name]}


def _from_json(values: Mapping[str, Any]) -> Pause:
    known: dict[str, Any] = {name: values[name] for name in values if name in Pause.__slots__}
    lists = {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
    return Pause(**known | lists)
