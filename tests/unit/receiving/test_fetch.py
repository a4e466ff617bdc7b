"""Files of inbound MMS are kept once and linked to, and their texts count."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from skycore.aws import bucket
from skycore.queries.messages import get_event
from skycore.receiving import fetch as fetching
from skycore.receiving.fetch import fetch
from skycore.receiving.publish import publish, publish_retries
from skycore.receiving.store import store
from skycore.table import opt_outs
from tests.unit.client.skycore_server import answer
from tests.unit.receiving.inbound_mms import NOW, PATHS, PERSON, PICTURE, SENDER

if TYPE_CHECKING:
    from tests.unit.aws.fake_s3 import FakeS3
    from tests.unit.client.skycore_server import Behaviour
    from tests.unit.receiving.inbound_mms import Media
    from tests.unit.sending.conftest import Outside

SCHEMA = Path(__file__).parents[3] / "events" / "schema" / "postback-event-v1.json"


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

    def late(*args: Any) -> bool:
        monkeypatch.setattr(fetching, "_store", real)
        fetch(job, media.settings)  # the other delivery is quicker
        return real(*args)

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


def test_a_stop_counts_though_other_texts_leave_no_room_for_it(
    media: Media, paths: dict[str, Behaviour]
) -> None:
    long = "x" * fetching.MAX_TEXT_CHARACTERS
    paths["/2.txt"] = answer(long, headers="Content-Type: text/plain\r\n")
    media.arrive("2.txt", "stop.txt")
    media.run()
    assert media.kept["opt_out"] == "stop"
    assert media.kept["text"] == long


def test_what_is_left_of_a_text_is_not_taken_for_a_stop(
    media: Media, paths: dict[str, Behaviour]
) -> None:
    plain = "Content-Type: text/plain\r\n"
    paths["/2.txt"] = answer("x" * (fetching.MAX_TEXT_CHARACTERS - 4), headers=plain)
    paths["/3.txt"] = answer("Stop by for a coffee", headers=plain)
    media.arrive("2.txt", "3.txt")
    media.run()
    assert media.kept["text"].endswith("x\nStop")
    assert media.kept["opt_out"] == "possible"
    assert not media.stopped()


def test_a_key_has_no_digits_of_a_name_that_ends_in_a_number(
    media: Media, paths: dict[str, Behaviour], s3: FakeS3
) -> None:
    paths[f"/1.{PERSON}"] = PATHS["/1.png"]
    id_ = media.arrive(f"1.{PERSON}")
    media.run()
    assert list(s3.objects) == [f"{bucket.prefix_of(id_)}0"]
