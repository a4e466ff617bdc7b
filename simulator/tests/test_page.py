"""The page's routes, and the interface for a column of another program."""

import asyncio
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from aiohttp import web

from simulator_harness import PATIENCE_SECONDS, Skycore
from skycore_simulator.page.extension import PageExtension
from skycore_simulator.page.routes import STATIC, TITLE

if TYPE_CHECKING:
    from skycore_simulator.page.extension import Publish

SMS = {"FROM": "60856", "TEXT": "Hello"}


def test_the_page_is_at_the_root_and_loads_nothing_from_elsewhere(page: Skycore) -> None:
    answer = page.session.get(page.server.url)
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    for file in STATIC.rglob("*.*"):
        if file.suffix in {".html", ".css", ".js"}:
            text = file.read_text()
            assert "//cdn" not in text
            assert 'src="http' not in text
            assert 'href="http' not in text


def test_a_request_to_skycore_at_the_root_is_still_one(page: Skycore) -> None:
    assert "E102" in page.session.get(page.server.url + "?action=sendsms").text
    assert "E102" in page.session.post(page.server.url, data={"action": "sendsms"}).text


def test_handsets_are_listed_by_their_last_message(page: Skycore) -> None:
    for number in ("17743199144", "17743199145", "17743199144"):
        page.call("sendSMS", TO=number, **SMS)
    page.control("POST", "inbound", {"from": "17743199146", "to": "60856", "text": "Hi"})
    listed = [row["handset"] for row in page.read_page("handsets")]
    assert listed == ["17743199146", "17743199144", "17743199145"]
    assert [row["handset"] for row in page.read_page("handsets?q=9145")] == ["17743199145"]
    assert len(page.read_page("handsets/17743199144")) == 2


def test_older_rows_and_words(page: Skycore) -> None:
    for place in range(3):
        page.call("sendSMS", TO="17743199144", FROM="60856", TEXT=f"text {place}")
    newest = page.read_page("requests")
    assert [row["id"] for row in newest] == sorted((row["id"] for row in newest), reverse=True)
    assert page.read_page(f"requests?before={newest[0]['id']}") == newest[1:]
    assert page.read_page("requests?q=TEXT%201") == [newest[1]]
    page.read_page("requests?before=x", 400)
    page.read_page("requests/999999", 404)


@pytest.mark.parametrize(
    "outcome, code, words, failed",
    [
        ("delivered", "N202", "delivered", False),
        ("failed", "E202", "failed", True),
        ("not_sent", "E201", "failed", True),
        ("expired", "E202", "expired", True),
        ("old_failed", "N202", "failed", True),  # STATUS contradicts the code
    ],
)
def test_a_postback_has_its_number_and_what_it_says(
    page: Skycore, outcome: str, code: str, words: str, failed: bool
) -> None:
    page.set(outcome_for_number={"17743199144": outcome}, postback_delay=0.0, retries=0)
    page.call("sendSMS", TO="17743199144", **SMS)
    page.settle()
    rows = page.read_page("postbacks")
    row = next(row for row in rows if row["code"] == code)
    assert (row["number"], row["words"], row["failed"]) == ("17743199144", words, failed)
    assert row["tracking_id"] == page.read_page("requests")[0]["tracking_id"] != ""


def test_a_request_whose_reply_is_lost_names_its_message(page: Skycore) -> None:
    with pytest.raises(requests.RequestException):
        page.call("sendSMS", TO="15005550104", **SMS)
    row = page.read_page("requests")[0]
    assert row["tracking_id"] == page.read_page("handsets")[0]["tracking_id"] != ""


def test_the_settings_that_the_page_has_controls_for(page: Skycore) -> None:
    page.set(postback_url="http://127.0.0.1:9/v1/postbacks/secret-token")
    url = f"{page.server.url}_page/settings"
    answer = page.session.patch(url, json={"outcome_for_number": {"17743199144": "failed"}})
    assert answer.json() == page.read_page("settings")
    assert page.read_page("settings")["outcome_for_number"] == {"17743199144": "failed"}
    assert "secret" not in answer.text
    for wrong in ({"postback_url": "http://127.0.0.1:9/"}, {"mode": "sunny"}, {"faults": 1}):
        assert page.session.patch(url, json=wrong).status_code == 400
    assert (page.simulator.settings.postback_url or "").endswith("secret-token")


def test_a_reset_is_told(page: Skycore) -> None:
    before = page.read_page("start")["run"]
    assert page.read_page("start")["run"] == before
    with page.session.get(f"{page.server.url}_page/feed", stream=True) as stream:
        lines = stream.iter_lines(chunk_size=1)
        assert next(lines) == b"event: open"
        page.call("sendSMS", TO="17743199144", **SMS)
        page.control("POST", "reset", {})
        until = time.monotonic() + PATIENCE_SECONDS
        told = {}
        while "reset" not in told and time.monotonic() < until:
            line = next(lines)
            if line.startswith(b"data: {"):
                told = json.loads(line[6:])
    assert "reset" in told
    start = page.read_page("start")
    assert start["run"] != before
    assert start["handsets"] == start["requests"] == []


def test_a_burst_is_told_in_few_notes(page: Skycore) -> None:
    with page.session.get(f"{page.server.url}_page/feed", stream=True) as stream:
        lines = stream.iter_lines()
        assert next(lines) == b"event: open"
        for _ in range(50):
            page.call("sendSMS", TO="17743199144", **SMS)
        told: set[int] = set()
        notes = 0
        until = time.monotonic() + PATIENCE_SECONDS
        while len(told) < 50 and time.monotonic() < until:
            line = next(lines)
            if line.startswith(b"data: {") and (note := json.loads(line[6:])):
                notes += 1
                told |= {row["id"] for row in note.get("requests", [])}
    assert len(told) == 50
    assert notes < 40


@pytest.mark.parametrize(
    "content, status",
    [
        (b"\x89PNG\r\n\x1a\nrest", 200),
        (b"\xff\xd8\xff\xe0", 200),
        (b"<svg onload='x'>", 400),
        (b"", 400),
        (b"GIF8" + bytes(6 * 1024 * 1024), 400),
    ],
    ids=["png", "jpeg", "svg", "empty", "large"],
)
def test_pictures_are_pictures(page: Skycore, content: bytes, status: int) -> None:
    answer = page.session.post(f"{page.server.url}_page/pictures", data=content)
    assert answer.status_code == status
    if status == 200:
        served = page.session.get(answer.json()["url"])
        assert served.content == content
        assert served.headers["Content-Type"].startswith("image/")
        assert served.headers["X-Content-Type-Options"] == "nosniff"


class Column(PageExtension):
    title = "Mine & yours"

    def __init__(self, files: Path) -> None:
        self.files = files
        self.opened = self.stopped = False

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/_page/mine", self.mine)]

    async def mine(self, _request: web.Request) -> web.Response:
        return web.json_response("mine")

    def snapshot(self) -> dict[str, Any]:
        return {"mine": [1]}

    async def run(self, publish: "Publish") -> None:
        while True:
            publish("mine", 0, {"value": 2})
            await asyncio.sleep(0.05)

    async def page_opened(self) -> None:
        self.opened = True

    async def stop(self) -> None:
        self.stopped = True


def test_an_extension_adds_a_column_with_routes_and_data(tmp_path: Path) -> None:
    (tmp_path / "column.html").write_text('<section class="column extension" id="mine"></section>')
    (tmp_path / "main.js").write_text("export function start() {}\nexport function apply() {}\n")
    column = Column(tmp_path)
    with Skycore(page=True, extension=column) as skycore:
        get, url = skycore.session.get, skycore.server.url
        front = get(url).text
        assert "<h1>Mine &amp; yours</h1>" in front
        assert '<section class="column extension" id="mine">' in front
        assert 'data-extension="/_page/extension/main.js"' in front
        assert "style.css" not in front
        assert "export function start" in get(f"{url}_page/extension/main.js").text
        assert skycore.read_page("mine") == "mine"
        foreign = {"Host": "evil.example"}
        assert get(f"{url}_page/mine", headers=foreign).status_code == 403
        assert not column.opened
        assert skycore.read_page("start")["mine"] == [1]
        assert column.opened
        with get(f"{url}_page/feed", stream=True) as stream:
            lines = (line for line in stream.iter_lines() if line.startswith(b'data: {"mine'))
            assert json.loads(next(lines)[6:]) == {"mine": [{"value": 2}]}
    assert column.stopped


def test_the_page_alone_has_no_extension(page: Skycore) -> None:
    front = page.session.get(page.server.url).text
    assert f"<h1>{TITLE}</h1>" in front
    assert "{{" not in front
    assert 'data-extension=""' in front


def test_without_a_page_the_root_describes_the_simulator(skycore: Skycore) -> None:
    answer = skycore.session.get(skycore.server.url)
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert skycore.session.get(f"{skycore.server.url}_page/start").status_code == 404
