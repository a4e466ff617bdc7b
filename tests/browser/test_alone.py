"""The page in front of the simulator alone: what Skycore and its handsets do, without a stack."""

from __future__ import annotations

import contextlib
import subprocess
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.actions import SECONDS, handset, shown
from tests.browser.running import PYTHON, ROOT, control, free_port
from tests.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

NUMBER, OTHER = "17743199144", "17743199145"


@contextlib.contextmanager
def simulator(port: int) -> Iterator[str]:
    """A simulator with its page: its address."""
    command = [str(PYTHON), "-m", "skycore_simulator", "--port", str(port)]
    environment = {
        "PYTHONPATH": str(ROOT / "simulator"),
        "PATH": "/usr/bin:/bin",
        "PYTHONUNBUFFERED": "1",
    }
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout
        try:
            assert "skycore simulator on" in program.stdout.readline()
            yield f"http://127.0.0.1:{port}/"
        finally:
            program.terminate()


@pytest.fixture
def url() -> Iterator[str]:
    with simulator(free_port()) as address:
        yield address


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(SECONDS)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.goto(url)
    page.get_by_text("The simulator is running").wait_for()
    yield page
    context.close()
    assert not wrong


def call(url: str, action: str, **fields: str) -> None:
    """One request to Skycore."""
    query = urllib.parse.urlencode({"action": action, "api_key": "k", **fields})
    with urllib.request.urlopen(f"{url}?{query}", timeout=PATIENCE_SECONDS) as answer:
        assert b"Success" in answer.read()


def text(url: str, to: str = NUMBER, words: str = "Hello") -> None:
    call(url, "sendsms", to=to, **{"from": "60856"}, text=words)


def test_device_discovery(page: Page, url: str) -> None:
    discovery = {"ddmtitle": "Your phone", "ddmtext": "May we send you pictures?"}
    call(url, "sendsavedmms", mmsid="1001", to=NUMBER, **{"from": "60856"}, **discovery)
    bubble = handset(page, NUMBER).locator(".bubble.out")
    asked = bubble.locator(".discovery")
    expect(asked).to_contain_text("Your phone", timeout=SECONDS)
    expect(asked).to_contain_text("May we send you pictures?")
    expect(bubble.locator(".chip")).to_have_text("delivered", timeout=SECONDS)
    expect(page.locator("#traffic li", has_text="Postback N502")).to_have_count(1)


def test_a_reset_empties_the_page(page: Page, url: str) -> None:
    text(url)
    expect(handset(page, NUMBER).locator(".bubble.out .chip")).to_have_text("delivered")
    control(url, "reset", {})
    expect(page.locator("#handset-list")).to_contain_text("No handset yet")
    expect(page.locator("#phone")).to_contain_text("Choose a handset above")
    expect(page.locator("#traffic-rows")).to_contain_text("Nothing yet")
    expect(page.locator("#traffic li")).to_have_count(0)
    text(url, OTHER)
    expect(page.locator("#phone .bubble")).to_contain_text("Hello")
    expect(page.locator("#traffic li", has_text="sendSMS")).to_have_count(1)


def test_after_another_start(browser: Browser) -> None:
    port = free_port()
    page = browser.new_page()
    with simulator(port) as url:
        page.goto(url)
        text(url)
        handset(page, NUMBER)
    expect(page.locator("#status")).to_contain_text("Connection lost", timeout=SECONDS)
    with simulator(port) as url:
        expect(page.locator("#status")).to_contain_text("running", timeout=SECONDS)
        expect(page.locator("#handset-list")).to_contain_text("No handset yet")
        text(url, OTHER)
        expect(page.locator("#phone .bubble")).to_contain_text("Hello")
        expect(page.locator("#handset-list li")).to_have_count(1)
        page.close()


def test_a_reply_half_written_stays(page: Page, url: str) -> None:
    text(url)
    phone = handset(page, NUMBER)
    phone.get_by_label("Reply", exact=True).fill("I am about to")
    control(url, "down", {"seconds": 4})
    expect(page.locator("#status")).to_contain_text("Connection lost", timeout=SECONDS)
    expect(page.locator("#status")).to_contain_text("running", timeout=SECONDS)
    text(url, words="Are you there?")
    expect(phone.locator(".bubble")).to_have_count(2)
    expect(phone.get_by_label("Reply", exact=True)).to_have_value("I am about to")


def test_nothing_in_a_message_is_read_as_html_or_run(page: Page, url: str) -> None:
    html = "<img src=x onerror=alert(1)><script>alert(2)</script> javascript:alert(3)"
    text(url, words=html)
    script = "javascript:alert(document.domain)//x://"
    files = [f"{script}a.vcf", f"{script}a.png", "data:text/html;x://,<script>alert(4)</script>"]
    message = {"from": NUMBER, "to": "60856", "text": html, "subject": html, "files": files}
    control(url, "inbound", message)
    control(url, "inbound", {"from": html, "to": html, "text": html})
    control(url, "settings", {"postback_url": f"{url}index.php", "retries": 0}, "PATCH")
    posted = {"body": f"<POSTBACK>{html}</POSTBACK>", "content_type": html.replace(" ", "")}
    control(url, "postback", posted)
    phone = handset(page, NUMBER)
    expect(phone.locator(".bubble")).to_have_count(2)
    expect(phone.locator(".bubble.out")).to_contain_text(html)
    expect(phone.locator(".bubble.in")).to_contain_text("a.vcf")
    for row in page.locator("#traffic summary").all():
        row.click()
    expect(page.locator("#traffic pre").first).to_be_visible()
    assert page.locator("main :is(script, iframe, img[src='x'])").count() == 0
    schemes = page.evaluate("[...document.querySelectorAll('main a')].map((a) => a.protocol)")
    assert set(schemes) <= {"http:", "https:"}
    expect(page.locator("#handset-list li")).to_have_count(2)


def test_filtered_traffic_goes_on_and_rows_stay_open(page: Page, url: str) -> None:
    text(url)
    text(url, OTHER)
    page.get_by_label("Filter the traffic").fill(shown(NUMBER))
    rows = page.locator("#traffic li", has_text="sendSMS")
    expect(rows).to_have_count(1)
    rows.locator("summary").click()
    expect(rows.locator("pre").first).to_be_visible()
    control(url, "settings", {"postback_delay": 0}, "PATCH")
    text(url)
    # A stream of other messages must not delay what is shown: it goes on until that is there.
    for _ in range(SECONDS // 100):
        if rows.count() == 2:
            break
        text(url, OTHER)
        page.wait_for_timeout(100)
    assert rows.count() == 2
    expect(rows.last.locator("pre").first).to_be_visible()


@pytest.mark.parametrize("width", [1180, 1440, 1600])
def test_what_is_chosen_can_be_read(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    control(page.url, "inbound", {"from": NUMBER, "to": "60856", "text": "Hi"})
    handset(page, NUMBER)
    for chosen in ("#traffic-kind", "#carrier"):
        cut = page.locator(chosen).evaluate(
            """select => {
              const has = select.offsetWidth;
              select.style.width = "max-content";
              return select.offsetWidth - has;
            }"""
        )
        assert cut <= 0, chosen
