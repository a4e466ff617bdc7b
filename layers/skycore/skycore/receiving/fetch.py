"""Copy the files of an inbound MMS into the bucket, before they expire at Skycore.

A job names the MMS and has the outcome of each file so far. Each run of `fetch` downloads what is
left. What failed and may work later goes back into the queue as a new job; once no file is left,
one event `skycore.media_kept` is stored, which the table's stream publishes as any other.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from skycore import metrics, timestamps
from skycore.aws import bucket, queues
from skycore.client.download import AllowedHosts, DownloadError, download, file_name
from skycore.logs import log, log_exception
from skycore.postbacks.document import as_utf8, replace_unsupported
from skycore.postbacks.opt_out_keywords import opt_out_of, opt_out_of_media
from skycore.receiving.receipts import record_opt_outs
from skycore.table import batches, events, models

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from skycore.client.download import File
    from skycore.postbacks.event import Event
    from skycore.postbacks.opt_out_keywords import OptOut

MEDIA_KEPT = "media_kept"

MAX_FILES = 40  # of an MMS; a phone sends a few pictures, a text and a layout
MAX_FILE_BYTES = 10 * 1024 * 1024  # carriers take 1 to 5 MB
MAX_TOTAL_BYTES = 50 * 1024 * 1024  # of an MMS's files together
MAX_TEXT_CHARACTERS = 5_000  # of all text parts together; Skycore's slides have as many
FILE_SECONDS = 15.0  # for one file, from the name's resolution to the last byte
START_SECONDS = 20.0  # of a run, after which it starts no further file

# Skycore says that the files expire and not when. A failed file is tried for so long.
URL_LIFETIME = timedelta(days=3)
FIRST_DELAY = 30  # seconds before the second try; each further one waits twice as long
MAX_DELAY = 900  # seconds, the longest delay of SQS

# Of a file: key, type, bytes, sha256, and of a text also text and said, its opt-out; or error.
type Outcome = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """Where files may come from, and where they go. `days`: how long events are kept."""

    skycore_url: str
    media_hosts: tuple[str, ...]
    bucket: str
    queue_url: str
    days: int

    @property
    def hosts(self) -> AllowedHosts:
        """The hosts that files may come from."""
        return AllowedHosts(self.skycore_url, self.media_hosts)


@dataclass(frozen=True, slots=True)
class Job:
    """An MMS, the outcomes of its files by their position, and how often some were tried.

    `first` is the place at which the next run begins: slow files do not hold up those behind them.
    """

    event_id: str
    outcomes: Mapping[int, Outcome]
    tries: int = 0
    first: int = 0

    @classmethod
    def from_json(cls, body: str) -> Job:
        """Return the job in a message of the queue. Raises errors for anything else."""
        fields = json.loads(body)
        outcomes = {int(place): dict(kept) for place, kept in fields.get("files", {}).items()}
        tries, first = (int(fields.get(name, 0)) for name in ("tries", "first"))
        return cls(str(fields["event_id"]), outcomes, tries, first)

    def to_json(self) -> str:
        """Return the job as a message of the queue."""
        fields: dict[str, Any] = {"event_id": self.event_id}
        if self.outcomes or self.tries:
            fields |= {"files": self.outcomes, "tries": self.tries, "first": self.first}
        return json.dumps(fields, separators=(",", ":"))


def fetch(body: str, settings: MediaSettings) -> None:
    """Work on one job: keep the files that are left, and requeue the job or report all of them.

    Raises errors for a body that is not a job, and those of botocore and PynamoDB; then SQS
    delivers the job again. Safe to repeat: a file keeps its key, and the event its id.
    """
    job = Job.from_json(body)
    key, event = _find(job.event_id)
    if event is None or not event.has_media:
        log.warning("event of the media not found", extra={"event_id": job.event_id})
        bucket.delete_files(settings.bucket, job.event_id)  # of a run that the erasure overtook
        return
    if events.get(event.media_event_id) is not None:
        return  # the job was delivered twice, or the event published again
    outcomes, first = _keep_files(event, job, settings)
    kept = media_event(event, outcomes)
    if kept.data.get("opt_out") != event.data.get("opt_out"):
        record_opt_outs(kept)  # at once: another file may delay the event that reports it
    if len(outcomes) < len(event.data["files"][:MAX_FILES]):
        _requeue(Job(job.event_id, outcomes, job.tries + 1, first), settings.queue_url)
        return
    if not _store(kept, key, settings.days) and _find(job.event_id)[1] is None:
        bucket.delete_files(settings.bucket, job.event_id)  # it was erased in the meantime


def _find(event_id: str) -> tuple[batches.Key, Event | None]:
    """Return an event and the key of its row; None if there is no such event."""
    keys = models.possible_event_keys(event_id) if models.is_event_id(event_id) else []
    found = next(iter(batches.read_all(keys).items()), None)
    return (found[0], events.from_item(found[1]).event) if found else (("", ""), None)


def _keep_files(event: Event, job: Job, settings: MediaSettings) -> tuple[dict[int, Outcome], int]:
    """Return the outcomes of the files, except those to be retried, and where to continue."""
    start_until = time.monotonic() + START_SECONDS
    lifetime = min(URL_LIFETIME, timedelta(days=settings.days - 1))  # while the event is there
    is_last_try = timestamps.now() - event.received_at > lifetime
    outcomes = dict(job.outcomes)
    files = list(enumerate(event.data["files"][:MAX_FILES]))
    for place, url in files[job.first :] + files[: job.first]:
        if place in outcomes:
            continue
        if time.monotonic() > start_until:
            return outcomes, place
        left = MAX_TOTAL_BYTES - sum(outcome.get("bytes", 0) for outcome in outcomes.values())
        outcome = _keep(str(url), place, job.event_id, min(left, MAX_FILE_BYTES), settings)
        if "text" in outcome:
            texts = sum(len(other.get("text", "")) for other in outcomes.values())
            outcome["text"] = outcome["text"][: MAX_TEXT_CHARACTERS - texts]
        if not outcome.pop("retry", False) or is_last_try:
            outcomes[place] = outcome
    return outcomes, 0


def _keep(url: str, place: int, event_id: str, most: int, settings: MediaSettings) -> Outcome:
    """Copy one file; return its outcome, with `retry` if another try may end better."""
    try:
        file = download(url, settings.hosts, max_bytes=most, seconds=FILE_SECONDS)
        name = file_name(url)
        suffix = PurePosixPath(name).suffix[:6]
        if suffix[1:].isdigit():  # part of a number perhaps
            suffix = ""
        key = f"{bucket.prefix_of(event_id)}{place}{suffix}"
        bucket.put(settings.bucket, key, file.content, kind=file.type, name=name)
    except DownloadError as error:
        fields = {"event_id": event_id, "file": place, "reason": error.code}
        log.warning("file not downloaded", extra=fields)
        return {"error": error.code} | ({} if error.is_final else {"retry": True})
    except (BotoCoreError, ClientError) as error:
        log_exception("file not written to the bucket", error, event_id=event_id, file=place)
        return {"error": "not_stored", "retry": True}
    outcome: Outcome = {
        "key": key,
        "type": file.type,
        "bytes": len(file.content),
        "sha256": hashlib.sha256(file.content).hexdigest(),
    }
    if _is_text(file, name) and (text := _text(file.content)).strip():
        outcome |= {"text": text, "said": opt_out_of(text)}  # before other texts leave it no room
    return outcome


def _is_text(file: File, name: str) -> bool:
    """Return whether a file is what the person wrote, by its type, or by its name without one."""
    plain = file.type == "text/plain"
    return plain or (not file.type.startswith(_LAYOUT) and name.lower().endswith(".txt"))


_LAYOUT = ("image/", "audio/", "video/", "application/smil")


def _text(content: bytes) -> str:
    """Return the beginning of a text, in the character set that its bytes have."""
    text = as_utf8(content[: 4 * MAX_TEXT_CHARACTERS]).decode("utf-8", "replace")
    return replace_unsupported(text[:MAX_TEXT_CHARACTERS])


def _requeue(job: Job, queue_url: str) -> None:
    delay = min(FIRST_DELAY << min(job.tries - 1, 10), MAX_DELAY)
    queues.send(queue_url, job.to_json(), delay=delay)
    log.info("media job requeued", extra={"event_id": job.event_id, "tries": job.tries})


def media_event(event: Event, outcomes: Mapping[int, Outcome]) -> Event:
    """Return the event that reports an MMS's files; its other fields are the MMS's own."""
    media: list[dict[str, Any]] = []
    texts: list[str] = []
    said: list[OptOut | None] = []
    for place, url in enumerate(event.data["files"]):
        outcome = dict(outcomes.get(place, {"error": "too_many_files"}))
        if "text" in outcome:
            texts.append(outcome.pop("text"))
            said.append(outcome.pop("said"))
        media.append({"url": url, **outcome})
    added: dict[str, Any] = {"event": MEDIA_KEPT, "media": media}
    if texts:
        added["text"] = "\n".join(filter(None, texts))
    if opt_out := opt_out_of_media(said, event.data.get("opt_out")):
        added["opt_out"] = opt_out
    same = {name: value for name, value in event.data.items() if name not in {"files", "extra"}}
    return replace(
        event,
        id=event.media_event_id,
        type=events.TYPE_PREFIX + MEDIA_KEPT,
        data=same | added,
        legacy_id=None,
        replaces=None,
    )


def _store(kept: Event, mms: batches.Key, days: int) -> bool:
    """Store the event, once and beside its MMS; return False if it is there or the MMS is gone.

    It is listed by the time at which it was stored, as repairs look for it.
    """
    row = events.row_of(kept, b"", days, key=models.event_key(kept.id), alone=True)
    now: datetime = timestamps.now()
    row.day, row.at = models.day_partition(row.sk, now), models.index_sort_key("event", now)
    if row.number is not None and kept.subscriber_number:
        row.number = models.number_partition(kept.subscriber_number, now)
    if not batches.put_beside(row, mms):
        return False
    failed = sum("error" in file for file in kept.data["media"])
    metrics.count("MediaKept", len(kept.data["media"]) - failed)
    metrics.count("MediaFailed", failed)
    fields = {"event_id": kept.id, "files": len(kept.data["media"]), "failed": failed}
    log.info("media kept", extra=fields)
    return True
