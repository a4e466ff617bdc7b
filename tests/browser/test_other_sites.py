"""A page of another site, in a real Chromium, can do nothing with the local stack's emulator."""

from __future__ import annotations

import http.server
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.browser import running
from tests.emulator import running as emulator_running
from tests.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.emulator import Emulator

SITE = "evil.example"  # this machine, under another name
# Chromium may itself refuse a public page the way to this machine, or ask; other browsers do not.
OPEN = [
    "--disable-features=LocalNetworkAccessChecks",
    f"--host-resolver-rules=MAP {SITE} 127.0.0.1",
]
CREDENTIAL = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0&X-Amz-SignedHeaders=host"
    "&X-Amz-Date=20261129T000000Z&X-Amz-Credential=test/20261129/us-east-1/iam/aws4_request"
)
MAKE_USER = f"/?Action=CreateUser&Version=2010-05-08&{CREDENTIAL}&UserName="
# What the emulator alone would do for a page: each makes a user of its name.
ATTACKS = {
    "form": "fetch(url, {method: 'POST', mode: 'no-cors', body: 'x'})",
    "image": "new Promise(r => Object.assign(new Image(), {onload: r, onerror: r, src: url}))",
    "script": "fetch(url, {method: 'POST', headers: {'X-Amz-Target': 'x'}, body: '{}'})",
    "reading": "fetch(url)",
}
SECONDS = 60_000  # milliseconds


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator_running(tmp_path_factory.mktemp("emulator")) as started:
        yield started


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of an empty page on another site."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>a site</title>")

        def log_message(self, *_: object) -> None: ...

    with running.serving(Answer) as port:
        yield f"http://{SITE}:{port}/"


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    # The browser of the other tests does not know the name of the site.
    opened = browser.browser_type.launch(
        executable_path=running.chromium(), args=[*running.QUIET, *OPEN]
    )
    page = opened.new_page()
    page.set_default_timeout(SECONDS)
    page.goto(site)
    yield page
    opened.close()


def users(emulator: Emulator) -> str:
    """What the emulator's root sees, who has the secret of this run."""
    request = urllib.request.Request(
        f"{emulator.url}/?Action=ListUsers&Version=2010-05-08",
        headers={
            "Authorization": "AWS4-HMAC-SHA256 Credential=test/20261129/us-east-1/iam/aws4_request",
            "X-Amz-Security-Token": emulator.secret,
        },
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        body: bytes = answer.read()
        return body.decode()


@pytest.mark.parametrize("attack", ATTACKS)
def test_another_site_can_send_the_emulator_nothing(
    page: Page, emulator: Emulator, attack: str
) -> None:
    asked: list[str] = []
    statuses: set[int] = set()
    page.on("request", lambda request: asked.append(request.url))
    page.on("response", lambda answer: statuses.add(answer.status))
    url = emulator.url + MAKE_USER + attack
    page.evaluate(f"url => {ATTACKS[attack]}.catch(String)", url)
    assert url in asked
    assert statuses <= {403}  # none where Chromium keeps the answer from the page
    assert attack not in users(emulator)


def test_another_site_cannot_take_this_machines_address_for_its_own(
    page: Page, emulator: Emulator
) -> None:
    """DNS rebinding: the page's own host name, now with the emulator's address behind it."""
    port = emulator.url.rpartition(":")[2]
    answer = page.goto(f"http://{SITE}:{port}{MAKE_USER}rebound")
    assert answer is not None
    assert answer.status == 403
    assert "rebound" not in users(emulator)
