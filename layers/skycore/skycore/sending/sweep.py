"""End messages that would stay `sending` or `queued` for ever; runs once a minute.

A send whose function ended during the call becomes unknown, and a queued message expires after
its deadline. A message that was queued an hour ago and that dispatch has not seen is queued
again, because the call that wrote its row may have ended before the queue had it. Parked messages
that are due are queued, and so is the next probe of an account pause.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from skycore import metrics, timestamps
from skycore.aws import queues
from skycore.logs import log, log_exception
from skycore.sending.outcomes import mark_expired_or_unknown
from skycore.serializers import status_of
from skycore.table import messages, models, parking, pauses, queue_transitions
from skycore.table.pauses import ACCOUNT, UNKNOWN_OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from skycore.table.messages import MessageRow
    from skycore.table.pauses import Pauses

SHARDS_AT_ONCE = 4  # of a minute, so that the processor works while the network waits
RELEASED_DELAY = 5  # seconds, so that the row is marked before dispatch has the message
SEARCH_SECONDS = 5  # for a probe among the parked messages; what is due soon comes by itself
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
FIRST_LOOK_BACK = timedelta(days=15)  # without stored progress: no message waits for longer


def sweep(deadline: float, *, queue_url: str) -> dict[str, int]:
    """Mark overdue messages unknown or expired, queue lost and due ones; return how many of each.

    Stops at `deadline` (monotonic seconds); the next run does the rest.
    """
    now = timestamps.now()
    paused = pauses.read(consistent=True)
    metrics.record("Paused", int(any(one.paused for one in paused.by_scope.values())))
    in_flight = chain.from_iterable(
        queue_transitions.in_state(one, now) for one in models.state_partitions("sending")
    )
    swept = {
        "probes": _guarded(partial(_send_probes, paused, now, queue_url)),
        "unknown": _each(in_flight, lambda row: _mark(row, "unknown"), deadline),
        "expired": _guarded(partial(_expire, now, deadline)),
        "queued_again": _each(
            queue_transitions.undispatched(now), lambda row: _requeue(row, queue_url), deadline
        ),
        "released": _guarded(partial(_release_due, paused, now, queue_url, deadline)),
    }
    log.info("swept", extra=swept)
    return swept


def _each(rows: Iterable[MessageRow], work: Callable[[MessageRow], bool], deadline: float) -> int:
    """Do the work for each row until `deadline`; return how often it did something."""
    count = 0
    for row in rows:
        if time.monotonic() > deadline:
            break
        try:
            count += work(row)
        except Exception as error:  # noqa: BLE001 - one bad row must not hold up the others
            log_exception("row not swept", error, message_id=row.message_id)
    return count


def _mark(row: MessageRow, status: str) -> bool:
    return status_of(row, timestamps.now()) == status and mark_expired_or_unknown(row, status)


def _requeue(row: MessageRow, queue_url: str) -> bool:
    """Queue a message again; dispatch sends it once, however often the queue names it."""
    if status_of(row, timestamps.now()) == "expired":
        mark_expired_or_unknown(row, "expired")
        return False
    if row.status != "queued":
        return False
    queues.send(queue_url, queue_transitions.queue_body(row))
    queue_transitions.mark_dispatched(row)
    return True


def _expire(now: datetime, deadline: float) -> int:
    """Expire overdue queued messages, however long ago their hour was."""
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    stored = parking.oldest("overdue")
    oldest = hour = stored or this_hour - FIRST_LOOK_BACK
    expired, finished = 0, True
    while hour <= this_hour and time.monotonic() < deadline:
        partitions = models.waiting_partitions(hour)
        rows = chain.from_iterable(queue_transitions.in_state(one, now) for one in partitions)
        first = next(rows, None)
        if first is not None:
            expired += _each(chain((first,), rows), lambda row: _mark(row, "expired"), deadline)
        # An hour that listed rows is looked at once more, in case one was not marked.
        finished &= first is None and hour < this_hour
        hour += HOUR
        if finished:
            oldest = hour
    if oldest != stored:
        parking.save_oldest("overdue", oldest)
    return expired


def _guarded(work: Callable[[], int]) -> int:
    """Return what `work` did; 0 if it failed, so that the other work is still done."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - see above
        log_exception("not swept", error)
        return 0


def _send_probes(paused: Pauses, now: datetime, queue_url: str) -> int:
    """Queue the probes of each pause that are due: a message that waits, or a read."""
    sent, at = 0, int(now.timestamp())
    for scope, pause in paused.by_scope.items():
        if pause.cause == UNKNOWN_OUTCOMES and pause.probe_is_due(at):
            queues.send(queue_url, json.dumps({"probe": scope}))
            sent += 1
        if pause.send_probe_is_due(at) and (row := _next_probe(paused, scope)) is not None:
            queues.send(queue_url, queue_transitions.queue_body(row))
            sent += 1
    return sent


def _next_probe(paused: Pauses, scope: str) -> MessageRow | None:
    """Return a message that still waits, and waits for this scope alone; None without one.

    Those that have not failed go first: the listed ones, then any parked one, which is listed.
    """
    pause = paused.of(scope)
    listed = {id_: messages.get(id_) for id_ in pause.candidates}
    waiting = {id_: row for id_, row in listed.items() if row is not None and _waits(row)}
    usable = [row for row in waiting.values() if _waits_for(row, scope, paused)]
    found = next((row for row in usable if row.message_id in pause.next), None)
    if found is None:
        parked = _parked_probe(paused, scope)
        unfailed = parked is not None and parked.failed_for is None
        found = parked if unfailed or not usable else usable[0]
    after = pauses.unlist(pause, frozenset(listed.keys() - waiting.keys()))
    if found is not None:
        after = pauses.list_next(after, found.message_id)
    if after != pause:
        pauses.write(paused, scope, after)
    return found


def _parked_probe(paused: Pauses, scope: str) -> MessageRow | None:
    """Return the first message parked for a pause of `scope`, if possible one that has not failed.

    A search that takes too long ends; the minutes at which it begins move on.
    """
    now, until = timestamps.now(), time.monotonic() + SEARCH_SECONDS
    minutes = (now + n * MINUTE for n in range(parking.PAUSED_FOR // MINUTE + 2))
    failed = None
    for partition in chain.from_iterable(map(models.parked_partitions, minutes)):
        for rows in chain(parking.parked(partition), [[]]):
            for row in rows:
                early = row.not_before is not None and timestamps.from_text(row.not_before) > now
                if early or not _waits(row) or not _waits_for(row, scope, paused):
                    continue
                if row.failed_for is None:
                    return row
                failed = failed or row
            if time.monotonic() > until:
                return failed
    return failed


def _waits(row: MessageRow) -> bool:
    return status_of(row, timestamps.now()) == "queued"


def _waits_for(row: MessageRow, scope: str, paused: Pauses) -> bool:
    """Return whether a message waits for the pause of `scope`, and for no other."""
    scopes = {ACCOUNT, row.action}
    return scope in scopes and not any(paused.of(other).paused for other in scopes - {scope})


def _release_due(paused: Pauses, now: datetime, queue_url: str, deadline: float) -> int:
    """Queue the parked messages whose minute has come.

    After a pause, also those that would be looked at again later, unless it is too early for them.
    """
    released = 0
    this_minute = now.replace(second=0, microsecond=0)
    stored = parking.oldest("parked")
    # Nothing is parked yet if nothing is stored, unless that happens now.
    oldest = minute = stored or this_minute - parking.SETTLED_AFTER
    finished = True
    until = max([now, *(_end_of_parking(one.ended_at, now) for one in paused.by_scope.values())])
    with ThreadPoolExecutor(max_workers=SHARDS_AT_ONCE) as pool:
        while minute <= until and time.monotonic() < deadline:
            release = partial(_release, minute=minute, now=now, url=queue_url, deadline=deadline)
            results = list(pool.map(release, models.parked_partitions(minute)))
            released += sum(number for number, _ in results)
            finished &= all(done for _, done in results) and minute <= now - parking.SETTLED_AFTER
            minute += MINUTE
            if finished:
                oldest = minute
    if oldest != stored:
        parking.save_oldest("parked", oldest)
    return released


def _end_of_parking(ended_at: int, now: datetime) -> datetime:
    ended = timestamps.from_epoch_ms(ended_at * 1000)
    return ended + parking.PAUSED_FOR + MINUTE if now - ended < parking.PAUSED_FOR else now


def _release(
    partition: str, *, minute: datetime, now: datetime, url: str, deadline: float
) -> tuple[int, bool]:
    """Queue a partition's due messages; return how many, and whether that was all of them."""
    released, complete = 0, True
    try:
        for rows in parking.parked(partition):
            if time.monotonic() > deadline:
                return released, False
            due = [row for row in rows if minute <= now or not _too_early(row, now)]
            for delay, some in (
                (RELEASED_DELAY, [row for row in due if row.failed_for is None]),
                (parking.LAST.seconds, [row for row in due if row.failed_for is not None]),
            ):
                bodies = [queue_transitions.queue_body(row) for row in some]
                lost = queues.send_many(url, bodies, delay=delay)
                queued = [row for n, row in enumerate(some) if n not in lost]
                if queued:
                    parking.mark_released(queued)
                released += len(queued)
                complete &= not lost
    except Exception as error:  # noqa: BLE001 - one shard must not hold up the others
        log_exception("parked messages not queued", error)
        complete = False
    return released, complete


def _too_early(row: MessageRow, now: datetime) -> bool:
    return row.not_before is not None and timestamps.from_text(row.not_before) > now + MINUTE
