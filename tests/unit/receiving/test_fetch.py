"""Files of inbound MMS are kept once, whatever fails on the way, and their texts count."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from skycore import metrics, timestamps
from skycore.aws import bucket, clients
from skycore.queries.messages import get_event
from skycore.receiving import fetch as fetching
from skycore.receiving.fetch import MediaSettings, fetch
from skycore.receiving.publish import publish, publish_retries
from skycore.receiving.store import store
from skycore.table import events, models, opt_outs
from tests.unit.aws.fake_s3 import FakeS3
from tests.unit.client.skycore_server import Behaviour, Server, answer, serve

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from tests.unit.sending.conftest import Outside
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

SCHEMA = Path(__file__).parents[3] / "events" / "schema" / "postback-event-v1.json"
NOW = datetime.now(UTC).replace(microsecond=0)
PERSON, SENDER = "17743199144", "60856"
PICTURE = b"\x89PNG\r\n\x1a\n0123"
PATHS = {
    "/1.png": answer(PICTURE, headers="Content-Type: image/png\r\n"),
    "/2.txt": answer("Hello", headers="Content-Type: text/plain; charset=utf-8\r\n"),
    "/3.smil": answer("<smil/>", headers="Content-Type: application/smil\r\n"),
    "/stop.txt": answer(" Stop! ", headers="Content-Type: text/plain\r\n"),
    "/start.txt": answer("START", headers="Content-Type: text/plain\r\n"),
    "/gone.png": answer("", status="404 Not Found"),
    "/down.png": answer("", status="503 Service Unavailable"),
}


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> FakeS3:
    fake = FakeS3()
    monkeypatch.setattr(clients, "s3", lambda: fake)
    return fake


@pytest.fixture
def paths() -> dict[str, Behaviour]:
    return dict(PATHS)


@pytest.fixture
def skycore(paths: dict[str, Behaviour]) -> Iterator[Server]:
    """Skycore's host, with what it answers for each path."""

    def behave(connection: socket.socket, request: bytes) -> None:
        paths[request.split(b" ")[1].decode()](connection, request)

    with serve(behave) as server:
        yield server


@pytest.fixture(autouse=True)
def senders(table: FakeDynamoDB) -> None:
    opt_outs._known_senders.clear()
    opt_outs.record_sender(SENDER)


class Media:
    """An inbound MMS on its way through the table, publish, the media queue and fetch."""

    def __init__(
        self, table: FakeDynamoDB, outside: Outside, skycore: Server, monkeypatch: Any
    ) -> None:
        self.table, self.outside, self.skycore = table, outside, skycore
        self.base = skycore.url.removesuffix("/index.php")
        self.jobs: list[str] = []
        self.delays: list[int] = []
        self.read = 0
        self.now = NOW
        monkeypatch.setattr(timestamps, "now", lambda: self.now)
        outside.send_message = self._send  # type: ignore[attr-defined]
        self.settings = MediaSettings(skycore.url, (), "bucket", "media", 90)

    def _send(self, *, QueueUrl: str, MessageBody: str, DelaySeconds: int, **_: Any) -> None:  # noqa: N803
        assert QueueUrl == "media"
        assert len(MessageBody.encode()) < 256 * 1024
        self.jobs.append(MessageBody)
        self.delays.append(DelaySeconds)

    def arrive(
        self, *names: str, fields: dict[str, Any] | None = None, at: datetime | None = None
    ) -> str:
        """Store and publish an MMS with these files; return the id of its event."""
        urls = [name if "://" in name else f"{self.base}/{name}" for name in names]
        body = {
            "origin": "MMS_MO",
            "code": "N401",
            "from": PERSON,
            "to": SENDER,
            "tracking-id": "MMS_MO_1",
            "content": [{"file": url} for url in urls],
            **(fields or {}),
        }
        assert store([("q", json.dumps(body).encode(), at or NOW)], days=90) == []
        self.publish()
        return str(self.of("mms_received")[-1]["id"])

    def publish(self) -> None:
        """Publish what is new in the table, and take the jobs from the media queue."""
        records, self.read = self.table.stream[self.read :], len(self.table.stream)
        where = {"source": "urn:skycore:test", "topic_arn": "topic"}
        assert publish(records, **where, retry_queue_url="retry", media_queue_url="media") == []
        self.jobs += self.outside.queued
        self.outside.queued.clear()

    def run(self) -> None:
        """Work on every job once, and publish."""
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            fetch(job, self.settings)
        self.publish()

    def of(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.outside.published if event["type"] == f"skycore.{name}"]

    @property
    def kept(self) -> dict[str, Any]:
        """The data of the one event about kept media."""
        (event,) = self.of("media_kept")
        data: dict[str, Any] = event["data"]
        return data

    def requests(self, path: str) -> int:
        return sum(
            request.startswith(f"GET /{path} ".encode()) for request in self.skycore.requests
        )

    def stopped(self) -> bool:
        return bool(opt_outs.opted_out([(PERSON, SENDER)]))


@pytest.fixture
def media(
    table: FakeDynamoDB,
    outside: Outside,
    skycore: Server,
    s3: FakeS3,
    monkeypatch: pytest.MonkeyPatch,
) -> Media:
    return Media(table, outside, skycore, monkeypatch)


# --- What is kept --------------------------------------------------------------------------------


def test_each_file_is_kept_and_one_event_names_them(media: Media, s3: FakeS3) -> None:
    id_ = media.arrive("1.png", "2.txt", "3.smil", fields={"message-subject": "Look"})
    media.run()
    prefix = bucket.prefix_of(id_)
    assert media.kept["media"][0] == {
        "url": f"{media.base}/1.png",
        "key": f"{prefix}0.png",
        "type": "image/png",
        "bytes": len(PICTURE),
        "sha256": hashlib.sha256(PICTURE).hexdigest(),
    }
    assert [file["type"] for file in media.kept["media"]] == [
        "image/png",
        "text/plain",
        "application/smil",
    ]
    assert s3.objects[f"{prefix}0.png"] == {
        "Body": PICTURE,
        "ContentType": "image/png",
        "ContentDisposition": 'attachment; filename="1.png"',
    }
    assert len(s3.objects) == 3
    assert media.jobs == []


def test_the_event_has_the_mms_own_fields_and_its_words(media: Media) -> None:
    fields = {"message-subject": "Look", "timestamp": "2019-03-08T14:22:05-05:00"}
    media.arrive("2.txt", fields=fields)
    media.run()
    (received,), (kept,) = media.of("mms_received"), media.of("media_kept")
    same = ("tracking_id", "from", "to", "code", "origin", "subject", "timestamp", "received_at")
    assert {n: kept["data"][n] for n in same} == {n: received["data"][n] for n in same}
    assert (kept["subject"], kept["time"]) == (received["subject"], received["time"])
    assert kept["data"]["text"] == "Hello"
    assert (kept["data"]["files"], received["data"]["media"]) == (None, None)
    assert kept["id"] != received["id"]


def test_keys_and_log_lines_hold_no_number_and_no_url(
    media: Media, s3: FakeS3, paths: dict[str, Behaviour], caplog: pytest.LogCaptureFixture
) -> None:
    paths[f"/{PERSON}.png"] = PATHS["/1.png"]
    media.arrive(f"{PERSON}.png", "gone.png", "2.txt")
    media.run()
    assert not any(PERSON in key for key in s3.objects)
    lines = str([record.__dict__ for record in caplog.records])
    assert "media kept" in lines
    for secret in (PERSON, media.base, "Hello"):
        assert secret not in lines


def test_an_mms_that_is_published_again_is_not_fetched_again(media: Media) -> None:
    id_ = media.arrive("1.png")
    media.run()
    name = json.dumps({"event_id": id_})
    where = {"source": "urn:skycore:test", "topic_arn": "topic", "media_queue_url": "media"}
    assert publish_retries([("r", name)], **where) == []
    media.publish()
    assert media.jobs
    media.run()
    assert media.requests("1.png") == 1
    assert len(media.of("media_kept")) == 1


def test_a_job_that_is_delivered_twice_makes_one_event(
    media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    media.arrive("1.png")
    real, (job,) = fetching._store, media.jobs

    def late(kept: Any, days: int) -> None:
        monkeypatch.setattr(fetching, "_store", real)
        fetch(job, media.settings)  # the other delivery is quicker
        real(kept, days)

    monkeypatch.setattr(fetching, "_store", late)
    media.run()
    assert len(media.of("media_kept")) == 1


def test_an_sms_and_an_mms_without_files_are_not_queued(media: Media) -> None:
    media.arrive()
    sms = {"origin": "SMS_MO", "code": "N211", "from": PERSON, "to": SENDER, "message-text": "Hi"}
    assert store([("q", json.dumps(sms).encode(), NOW)], days=90) == []
    media.publish()
    assert media.jobs == []


def test_without_a_media_queue_no_mms_is_queued(media: Media, outside: Outside) -> None:
    media.read = 0
    media.arrive("1.png")
    media.jobs.clear()
    where = {"source": "urn:skycore:test", "topic_arn": "topic", "retry_queue_url": "retry"}
    assert publish(media.table.stream, **where) == []
    assert outside.queued == []


def test_an_mms_that_the_media_queue_refuses_goes_to_the_retry_queue(
    media: Media, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = outside.send_message_batch

    def send(*, QueueUrl: str, Entries: list[Any]) -> Any:  # noqa: N803
        return {} if QueueUrl == "media" else real(QueueUrl=QueueUrl, Entries=Entries)

    monkeypatch.setattr(outside, "send_message_batch", send)
    monkeypatch.setattr("skycore.aws.queues.back_off", lambda _: None)
    id_ = media.arrive("1.png")
    assert media.jobs == [json.dumps({"event_id": id_})]  # the fake has one list for both queues


# --- What fails ----------------------------------------------------------------------------------


def test_a_failed_file_is_tried_again_and_the_others_are_not(
    media: Media, paths: dict[str, Behaviour]
) -> None:
    media.arrive("1.png", "down.png", "gone.png")
    media.run()
    assert media.of("media_kept") == []
    paths["/down.png"] = PATHS["/1.png"]
    media.run()
    assert [file.get("error") for file in media.kept["media"]] == [None, None, "http_404"]
    counts = {path: media.requests(path) for path in ("1.png", "down.png", "gone.png")}
    assert counts == {"1.png": 1, "down.png": 2, "gone.png": 1}


def test_the_delays_grow_to_the_longest_of_sqs(media: Media) -> None:
    media.arrive("down.png")
    for _ in range(8):
        media.run()
    assert media.delays == [30, 60, 120, 240, 480, 900, 900, 900]


def test_a_file_is_tried_for_as_long_as_its_url_may_work_and_then_reported(media: Media) -> None:
    media.arrive("1.png", "down.png")
    media.run()
    media.now = NOW + fetching.URL_LIFETIME - timedelta(minutes=1)
    media.run()
    assert media.of("media_kept") == []
    media.now = NOW + fetching.URL_LIFETIME + timedelta(minutes=1)
    media.run()
    assert [file.get("error") for file in media.kept["media"]] == [None, "http_503"]
    assert media.jobs == []


def test_the_tries_end_before_their_jobs_would_leave_the_queue() -> None:
    assert timedelta(days=13) > fetching.URL_LIFETIME


def test_what_is_kept_and_what_is_not_is_counted(
    media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[tuple[str, int]] = []
    monkeypatch.setattr(
        metrics, "count", lambda name, number=1, **_: counted.append((name, number))
    )
    media.arrive("1.png", "gone.png", "gone.png")
    media.run()
    assert [row for row in counted if row[0].startswith("Media")] == [
        ("MediaKept", 1),
        ("MediaFailed", 2),
    ]


def test_a_bucket_that_is_out_for_a_moment_loses_nothing(media: Media, s3: FakeS3) -> None:
    s3.failing = 1
    media.arrive("1.png", "2.txt")
    media.run()
    assert media.of("media_kept") == []
    media.run()
    assert [file.get("error") for file in media.kept["media"]] == [None, None]


def test_a_host_that_is_not_allowed_is_reported_and_not_tried_again(media: Media) -> None:
    media.arrive("https://example.com/1.png", "1.png")
    media.run()
    assert [file.get("error") for file in media.kept["media"]] == ["host_not_allowed", None]


def test_one_url_under_several_names_is_each_a_file(media: Media, s3: FakeS3) -> None:
    media.arrive("1.png", "1.png")
    media.run()
    assert len(s3.objects) == 2


# --- Bounds --------------------------------------------------------------------------------------


def test_no_more_files_than_the_bound_are_asked_for_and_each_is_listed(
    media: Media, paths: dict[str, Behaviour]
) -> None:
    paths |= {f"/{n}.png": PATHS["/1.png"] for n in range(fetching.MAX_FILES + 2)}
    media.arrive(*(f"{n}.png" for n in range(fetching.MAX_FILES + 2)))
    media.run()
    errors = [file.get("error") for file in media.kept["media"]]
    assert errors == [None] * fetching.MAX_FILES + ["too_many_files"] * 2
    assert len(media.skycore.requests) == fetching.MAX_FILES


def test_no_file_and_no_mms_is_larger_than_its_bound(
    media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MAX_FILE_BYTES", len(PICTURE))
    monkeypatch.setattr(fetching, "MAX_TOTAL_BYTES", 2 * len(PICTURE) + 5)
    media.arrive("1.png", "1.png", "1.png", "2.txt", "3.smil")
    media.run()
    errors = [file.get("error") for file in media.kept["media"]]
    assert errors == [None, None, "too_large", None, "too_large"]


def test_a_run_starts_no_file_when_its_time_is_over_and_the_next_run_goes_on(
    media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "START_SECONDS", -1.0)
    media.arrive("1.png", "2.txt")
    media.run()
    assert media.skycore.requests == []
    monkeypatch.setattr(fetching, "START_SECONDS", 20.0)
    media.run()
    assert len(media.kept["media"]) == 2


def test_texts_of_any_length_fit_into_a_job(media: Media, paths: dict[str, Behaviour]) -> None:
    long = answer("\U0001f600" * 5_000, headers="Content-Type: text/plain\r\n")
    paths |= {f"/{n}.txt": long for n in range(20)}
    media.arrive("down.png", *(f"{n}.txt" for n in range(20)))
    media.run()  # the fake queue checks the size
    assert len(media.jobs) == 1


# --- Reading -------------------------------------------------------------------------------------


def shown(event_id: str, media_bucket: str = "bucket") -> Any:
    return get_event(event_id, source="urn:skycore:test", media_bucket=media_bucket)["media"]


def test_an_mms_shows_links_to_its_kept_files_under_either_event(media: Media) -> None:
    id_ = media.arrive("1.png", "gone.png")
    assert shown(id_) is None
    media.run()
    (kept,) = media.of("media_kept")
    first, second = shown(id_)
    assert first["link"] == f"https://bucket.s3/{first['key']}?X-Amz-Expires=900"
    assert second == {"url": f"{media.base}/gone.png", "error": "http_404"}
    assert shown(kept["id"]) == [first, second]
    assert "link" not in kept["data"]["media"][0]


def test_an_event_without_files_shows_none(media: Media) -> None:
    assert shown(media.arrive()) is None


def test_the_event_follows_the_schema(media: Media) -> None:
    media.arrive("1.png", "2.txt", "gone.png", "stop.txt")
    media.run()
    (kept,) = media.of("media_kept")
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(kept)


# --- What the person wrote -----------------------------------------------------------------------


def test_a_text_part_that_is_a_stop_word_is_a_stop(media: Media) -> None:
    media.arrive("1.png", "stop.txt", fields={"message-subject": "My dog"})
    assert not media.stopped()
    media.run()
    assert media.stopped()
    assert media.kept["opt_out"] == "stop"


def test_a_stop_counts_at_once_though_another_file_fails(media: Media) -> None:
    media.arrive("down.png", "stop.txt")
    media.run()
    assert media.of("media_kept") == []
    assert media.stopped()


def test_a_stop_counts_as_of_the_mms_and_not_as_of_its_download(
    media: Media, paths: dict[str, Behaviour]
) -> None:
    paths["/stop.txt"] = PATHS["/down.png"]
    media.arrive("stop.txt", at=NOW - timedelta(hours=2))
    media.run()
    opt_outs.record_opt_in(PERSON, SENDER, NOW - timedelta(hours=1))
    paths["/stop.txt"] = PATHS["/stop.txt"]
    media.run()
    assert media.kept["opt_out"] == "stop"
    assert not media.stopped()


def test_a_start_in_a_text_part_lifts_a_stop(media: Media) -> None:
    opt_outs.record_opt_out(PERSON, SENDER, NOW - timedelta(hours=1), "N211")
    media.arrive("start.txt")
    media.run()
    assert media.kept["opt_out"] == "start"
    assert not media.stopped()


def test_a_stop_in_the_subject_is_not_lifted_by_a_text_part(media: Media) -> None:
    media.arrive("start.txt", fields={"message-subject": "STOP"})
    media.run()
    assert media.kept["opt_out"] == "stop"
    assert media.stopped()


@pytest.mark.parametrize(
    ("content", "headers", "text"),
    [
        ("Grüße".encode("latin-1"), "Content-Type: text/plain\r\n", "Grüße"),
        (b"\xff\xfe" + "Grüße".encode("utf-16-le"), "Content-Type: text/plain\r\n", "Grüße"),
        (b"\xef\xbb\xbfHi", "Content-Type: text/plain; charset=zlib\r\n", "Hi"),
        (b"Hi\x01", "Content-Type: text/plain\r\n", "Hi\ufffd"),
        (b"Hi", "", "Hi"),
        (b"Hi", "Content-Type: application/octet-stream\r\n", "Hi"),
        (b"Hi", "Content-Type: image/png\r\n", None),
        (b"<smil/>", "Content-Type: application/smil\r\n", None),
    ],
)
def test_a_text_part_is_read_by_its_type_or_its_name(
    media: Media, paths: dict[str, Behaviour], content: Any, headers: str, text: str | None
) -> None:
    paths["/2.txt"] = answer(content, headers=headers)
    media.arrive("2.txt")
    media.run()
    assert media.kept["text"] == text


# --- Erasing -------------------------------------------------------------------------------------


def test_erasing_deletes_every_file_of_the_event_and_no_other(media: Media, s3: FakeS3) -> None:
    media.arrive("1.png")
    id_ = media.arrive("1.png", "2.txt", "3.smil", fields={"tracking-id": "MMS_MO_2"})
    media.run()
    assert bucket.delete_files("bucket", id_) == 3
    assert len(s3.objects) == 1
    assert bucket.delete_files("bucket", id_) == 0


def test_a_file_that_s3_does_not_delete_is_not_passed_over(media: Media, s3: FakeS3) -> None:
    id_ = media.arrive("1.png", "2.txt")
    media.run()
    s3.kept_back = {next(iter(s3.objects))}
    with pytest.raises(RuntimeError):
        bucket.delete_files("bucket", id_)


def test_an_mms_that_is_erased_while_it_is_fetched_leaves_no_file_and_no_event(
    media: Media, s3: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = media.arrive("1.png")
    real = fetching._store

    def erased(kept: Any, days: int) -> None:
        real(kept, days)
        del media.table.items[models.event_key(id_)]

    monkeypatch.setattr(fetching, "_store", erased)
    media.run()
    assert s3.objects == {}
    assert media.table.of_kind("event") == []


def test_a_job_of_an_event_that_is_gone_is_dropped(media: Media) -> None:
    fetch(json.dumps({"event_id": "nothing"}), media.settings)
    fetch(json.dumps({"event_id": ""}), media.settings)
    assert media.skycore.requests == []


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"event_id": "x", "files": []}'])
def test_what_is_no_job_fails_so_that_it_reaches_the_dead_letter_queue(
    media: Media, body: str
) -> None:
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        fetch(body, media.settings)


def test_the_event_expires_with_its_mms_and_is_listed_when_it_was_kept(media: Media) -> None:
    media.arrive("1.png", at=NOW - timedelta(days=2))
    media.now = NOW
    media.run()
    rows = {
        events.from_item(item).event.event: item
        for item in media.table.items.values()
        if item.get("kind", {}).get("S") == "event"
    }
    assert rows["media_kept"]["expires"] == rows["mms_received"]["expires"]
    assert rows["media_kept"]["at"]["S"] > rows["mms_received"]["at"]["S"]
