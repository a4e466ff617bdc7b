"""An inbound MMS on its way through the table, publish, the media queue and fetch."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from skycore import timestamps
from skycore.receiving.fetch import MediaSettings, fetch
from skycore.receiving.publish import publish
from skycore.receiving.store import store
from skycore.table import opt_outs
from tests.unit.client.skycore_server import Server, answer

if TYPE_CHECKING:
    from tests.unit.sending.conftest import Outside
    from tests.unit.table.fake_dynamodb import FakeDynamoDB

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
