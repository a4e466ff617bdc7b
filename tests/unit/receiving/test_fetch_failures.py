"""Files of inbound MMS that fail, are too many or are erased: nothing is lost or left."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from pynamodb.exceptions import TransactWriteError

from skycore import metrics
from skycore.aws import bucket
from skycore.receiving import fetch as fetching
from skycore.receiving.fetch import fetch
from skycore.table import batches, events
from tests.unit.client.skycore_server import answer
from tests.unit.receiving.inbound_mms import NOW, PATHS, PICTURE
from tests.unit.table.fake_dynamodb import error

if TYPE_CHECKING:
    from tests.unit.aws.fake_s3 import FakeS3
    from tests.unit.client.skycore_server import Behaviour
    from tests.unit.receiving.inbound_mms import Media


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


def erase(media: Media) -> None:
    """Delete the events from the table, as an erasure does after it deleted the files."""
    rows = media.table.items.items()
    batches.delete_all([key for key, item in rows if item["kind"]["S"] == "event"])


def test_an_mms_that_is_erased_before_its_event_is_stored_leaves_no_event_and_no_file(
    media: Media, s3: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    media.arrive("1.png", "2.txt")
    real = fetching._store

    def after_the_erasure(*args: Any) -> bool:
        erase(media)
        return real(*args)

    monkeypatch.setattr(fetching, "_store", after_the_erasure)
    media.run()
    assert s3.objects == {}
    assert [item for item in media.table.items.values() if item["kind"]["S"] == "event"] == []
    assert media.of("media_kept") == []


def test_an_event_that_a_conflict_kept_out_is_stored_by_the_next_delivery(
    media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB also cancels a transaction because another one, or too many, are at work."""
    media.arrive("1.png")
    real, (job,) = media.table._TransactWriteItems, media.jobs

    def conflict(request: Any) -> Any:
        monkeypatch.setattr(media.table, "_TransactWriteItems", real)
        cancelled = error("TransactionCanceledException", "TransactWriteItems")
        codes = ("None", "TransactionConflict")
        cancelled.response["CancellationReasons"] = [{"Code": code} for code in codes]
        raise cancelled

    monkeypatch.setattr(media.table, "_TransactWriteItems", conflict)
    with pytest.raises(TransactWriteError):
        fetch(job, media.settings)
    media.run()
    assert len(media.of("media_kept")) == 1


def test_slow_files_do_not_keep_those_behind_them_waiting(
    media: Media, paths: dict[str, Behaviour], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(fetching, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def slow(connection: Any, request: bytes) -> None:
        now[0] += fetching.FILE_SECONDS
        PATHS["/down.png"](connection, request)

    paths["/slow.png"] = slow
    media.arrive("slow.png", "slow.png", "slow.png", "1.png", "stop.txt")
    media.run()
    assert media.requests("1.png") == 0
    media.run()
    assert media.requests("1.png") == 1
    assert media.stopped()


def test_what_fails_is_reported_before_its_mms_leaves_the_table(media: Media) -> None:
    media.settings = replace(media.settings, days=2)  # the least; less than URL_LIFETIME
    media.arrive("1.png", "down.png")
    media.run()
    media.now = NOW + timedelta(days=1, minutes=1)
    media.run()
    assert [file.get("error") for file in media.kept["media"]] == [None, "http_503"]
