"""Kept files on the page: strangers' content never becomes a script of the page's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests

from local.page.stack import Stack

if TYPE_CHECKING:
    from simulator_harness import Skycore

HTML = b"<script>alert(1)</script>"
PNG = b"\x89PNG\r\n\x1a\nrest"
FILES = [
    {"url": "https://a.example/cat.png", "type": "image/png", "bytes": 4, "link": "http://k/0"},
    {"url": "https://a.example/x.html", "type": "text/html", "bytes": 4, "link": "http://k/1"},
    {"url": "https://a.example/text.txt", "type": "text/plain", "bytes": 4, "link": "http://k/1"},
    {"url": "https://a.example/fake.png", "type": "image/png", "bytes": 4, "link": "http://k/1"},
    {"url": "https://a.example/late.png", "error": "http_404"},
]


def answer(status: int, content: bytes) -> requests.Response:
    made = requests.Response()
    made.status_code, made._content = status, content
    return made


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """An API that knows one event, `e.1`, with FILES, and the bucket behind their links."""

    class Client:
        def request(self, _method: str, path: str) -> requests.Response:
            known = path == "/postbacks/e.1"
            return answer(200 if known else 404, json.dumps({"media": FILES}).encode())

    contents = {"http://k/0": PNG, "http://k/1": HTML}
    monkeypatch.setattr(Stack, "client", lambda _self: Client())
    monkeypatch.setattr(requests, "get", lambda url, **_: answer(200, contents[url]))


def test_the_browser_gets_names_and_no_links(page: Skycore) -> None:
    files: list[dict[str, Any]] = page.read_page("media/e.1")
    assert [file["name"] for file in files] == [
        "cat.png",
        "x.html",
        "text.txt",
        "fake.png",
        "late.png",
    ]
    assert files[4]["error"] == "http_404"
    assert "http://k" not in json.dumps(files)
    page.read_page("media/unknown", 404)


@pytest.mark.parametrize(
    "place, kind",
    [
        (0, "image/png"),
        (1, "application/octet-stream"),
        (2, "text/plain; charset=utf-8"),
        (3, "application/octet-stream"),
    ],
)
def test_a_file_is_served_as_what_its_bytes_are(page: Skycore, place: int, kind: str) -> None:
    served = page.session.get(f"{page.server.url}_page/media/e.1/{place}")
    assert served.headers["Content-Type"] == kind
    assert served.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in served.headers["Content-Security-Policy"]


def test_a_file_that_was_not_kept_is_not_served(page: Skycore) -> None:
    for place in (4, 5):
        served = page.session.get(f"{page.server.url}_page/media/e.1/{place}")
        assert served.status_code == 404
