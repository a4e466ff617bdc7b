"""The page's routes, without a stack behind them."""

from __future__ import annotations

import json
import time

import pytest

from local.page.page import STATIC

SMS = {"FROM": "60856", "TEXT": "Hello"}
STACK = {
    "api_url": "http://127.0.0.1:9/v1",
    "region": "us-east-1",
    "stack_name": "skycore",
    "event_queue_url": "http://127.0.0.1:9/queue",
    "endpoint_url": "http://127.0.0.1:9",
    "event_topic_arn": "arn:aws:sns:us-east-1:0:topic",
    "postback_url": "http://127.0.0.1:9/v1/postbacks/secret-token",
    "access_key_id": "caller",
    "secret_access_key": "secret-of-the-caller",
    "admin_access_key_id": "admin",
    "admin_secret_access_key": "secret-of-the-admin",
    "table_name": "table",
    "parameters": {"SkycoreUrl": "http://127.0.0.1:9999/"},
}


def test_the_page_is_at_the_root_and_loads_nothing_from_elsewhere(page):
    answer = page.session.get(page.server.url)
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    for file in STATIC.rglob("*.*"):
        if file.suffix in {".html", ".css", ".js"}:
            text = file.read_text()
            assert "//cdn" not in text
            assert 'src="http' not in text
            assert 'href="http' not in text


def test_a_request_to_skycore_at_the_root_is_still_one(page):
    assert "E102" in page.session.get(page.server.url + "?action=sendsms").text
    assert "E102" in page.session.post(page.server.url, data={"action": "sendsms"}).text


def test_before_the_stack_is_up(page):
    assert page.read("stack")["up"] is False
    assert page.read("start")["handsets"] == []
    assert page.read("queues", 503) == {"error": "the stack is coming up"}
    answer = page.session.post(f"{page.server.url}_page/call", json={"path": "/messages"})
    assert answer.status_code == 503


def test_no_secret_reaches_the_browser(page):
    page.stack_file.write_text(json.dumps(STACK))
    page.set(postback_url=STACK["postback_url"], retry_seconds=0.01)
    page.call("sendSMS", TO="17743199144", **SMS)
    page.settle()
    start = page.read("start")
    assert start["stack"]["up"] is True
    assert start["stack"]["simulator_is_used"] is False
    whole = [page.read(f"{kind}/{start[kind][0]['id']}") for kind in ("requests", "postbacks")]
    texts = json.dumps([start, whole, page.read("stack")])
    for secret in ("secret-token", "secret-of", page.simulator.settings.api_key):
        assert secret not in texts


@pytest.mark.parametrize(
    "method, path",
    [
        ("POST", "http://evil.example/"),
        ("POST", "/postbacks/token"),
        ("POST", "/messages/../x"),
        ("PUT", "/messages"),
        ("GET", "/actions/getMmsIds"),
        ("DELETE", "/messages"),
    ],
)
def test_what_the_page_does_not_call(page, method, path):
    page.stack_file.write_text(json.dumps(STACK))
    asked = {"method": method, "path": path}
    answer = page.session.post(f"{page.server.url}_page/call", json=asked)
    assert answer.status_code == 400


def test_another_site_may_not_call(page):
    answer = page.session.post(
        f"{page.server.url}_page/call",
        json={"path": "/messages"},
        headers={"Origin": "http://evil.example"},
    )
    assert answer.status_code == 403


def test_handsets_are_listed_by_their_last_message(page):
    for number in ("17743199144", "17743199145", "17743199144"):
        page.call("sendSMS", TO=number, **SMS)
    page.control("POST", "inbound", {"from": "17743199146", "to": "60856", "text": "Hi"})
    listed = [row["handset"] for row in page.read("handsets")]
    assert listed == ["17743199146", "17743199144", "17743199145"]
    assert [row["handset"] for row in page.read("handsets?q=9145")] == ["17743199145"]
    assert len(page.read("handsets/17743199144")) == 2


def test_older_rows_and_words(page):
    for place in range(3):
        page.call("sendSMS", TO="17743199144", FROM="60856", TEXT=f"text {place}")
    newest = page.read("requests")
    assert [row["id"] for row in newest] == sorted((row["id"] for row in newest), reverse=True)
    assert page.read(f"requests?before={newest[0]['id']}") == newest[1:]
    assert page.read("requests?q=TEXT%201") == [newest[1]]
    page.read("requests?before=x", 400)
    page.read("requests/999999", 404)


def test_the_settings_that_the_page_has_controls_for(page):
    page.set(postback_url="http://127.0.0.1:9/v1/postbacks/secret-token")
    url = f"{page.server.url}_page/settings"
    answer = page.session.patch(url, json={"outcome_for_number": {"17743199144": "failed"}})
    assert answer.json() == page.read("settings")
    assert page.read("settings")["outcome_for_number"] == {"17743199144": "failed"}
    assert "secret" not in answer.text
    for wrong in ({"postback_url": "http://127.0.0.1:9/"}, {"mode": "sunny"}, {"weather": 1}):
        assert page.session.patch(url, json=wrong).status_code == 400
    assert page.simulator.settings.postback_url.endswith("secret-token")


def test_a_reset_is_told(page):
    before = page.read("start")["run"]
    assert page.read("start")["run"] == before
    with page.session.get(f"{page.server.url}_page/feed", stream=True) as stream:
        lines = stream.iter_lines(chunk_size=1)
        assert next(lines) == b"event: open"
        page.call("sendSMS", TO="17743199144", **SMS)
        page.control("POST", "reset", {})
        until = time.monotonic() + 10
        told = {}
        while "reset" not in told and time.monotonic() < until:
            line = next(lines)
            if line.startswith(b"data: {"):
                told = json.loads(line[6:])
    assert "reset" in told
    start = page.read("start")
    assert start["run"] != before
    assert start["handsets"] == start["requests"] == []


def test_a_burst_is_told_in_few_notes(page):
    with page.session.get(f"{page.server.url}_page/feed", stream=True) as stream:
        lines = stream.iter_lines()
        assert next(lines) == b"event: open"
        for _ in range(50):
            page.call("sendSMS", TO="17743199144", **SMS)
        told, notes = set(), 0
        until = time.monotonic() + 10
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
def test_pictures_are_pictures(page, content, status):
    answer = page.session.post(f"{page.server.url}_page/pictures", data=content)
    assert answer.status_code == status
    if status == 200:
        served = page.session.get(answer.json()["url"])
        assert served.content == content
        assert served.headers["Content-Type"].startswith("image/")
        assert served.headers["X-Content-Type-Options"] == "nosniff"
