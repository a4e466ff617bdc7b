"""The routes of the column "Your side", without a stack behind them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from simulator_harness import Skycore

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


def test_the_column_is_in_the_page_with_its_files(page: Skycore) -> None:
    front = page.session.get(page.server.url)
    assert '<section class="column extension" id="yours"' in front.text
    assert "<h1>Skycore on AWS</h1>" in front.text
    assert "default-src 'none'" in front.headers["Content-Security-Policy"]
    for name in ("main.js", "style.css", "parcel.png"):
        answer = page.session.get(f"{page.server.url}_page/extension/{name}")
        assert answer.status_code == 200
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    picture = next(form for form in page.read_page("forms") if form["action"] == "sendMMS")
    url = picture["example"]["slides"][0]["image"]
    assert page.session.get(url).headers["Content-Type"] == "image/png"


def test_before_the_stack_is_up(page: Skycore) -> None:
    assert page.read_page("stack")["up"] is False
    assert page.read_page("start")["handsets"] == []
    assert page.read_page("queues", 503) == {"error": "the stack is coming up"}
    answer = page.session.post(f"{page.server.url}_page/call", json={"path": "/messages"})
    assert answer.status_code == 503


def test_no_secret_reaches_the_browser(page: Skycore, stack_file: Path) -> None:
    stack_file.write_text(json.dumps(STACK))
    page.set(postback_url=STACK["postback_url"], retry_seconds=0.01)
    page.call("sendSMS", TO="17743199144", **SMS)
    page.settle()
    start = page.read_page("start")
    assert start["stack"]["up"] is True
    assert start["stack"]["parameters"]["SkycoreUrl"] not in start["urls"]
    whole = [page.read_page(f"{kind}/{start[kind][0]['id']}") for kind in ("requests", "postbacks")]
    texts = json.dumps([start, whole, page.read_page("stack")])
    api_key = page.simulator.settings.api_key
    assert api_key is not None
    for secret in ("secret-token", "secret-of", api_key):
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
def test_other_calls_are_refused(page: Skycore, stack_file: Path, method: str, path: str) -> None:
    stack_file.write_text(json.dumps(STACK))
    call = {"method": method, "path": path}
    answer = page.session.post(f"{page.server.url}_page/call", json=call)
    assert answer.status_code == 400


def test_another_site_may_not_call(page: Skycore) -> None:
    answer = page.session.post(
        f"{page.server.url}_page/call",
        json={"path": "/messages"},
        headers={"Origin": "http://evil.example"},
    )
    assert answer.status_code == 403
