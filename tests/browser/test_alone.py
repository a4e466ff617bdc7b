"""The page in front of the simulator alone: what Skycore and its handsets do, without a stack."""

from __future__ import annotations

import contextlib
import http.server
import re
import subprocess
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.actions import SECONDS, handset, postbacks, shown
from tests.browser.running import PYTHON, ROOT, control, free_port, serving
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
    expect(postbacks(page, "N502")).to_have_count(1)


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


def test_the_phone_follows_the_recipient(page: Page, url: str) -> None:
    heading = page.locator("#phone").get_by_role("heading")
    for number in (NUMBER, OTHER):
        text(url, number)
        expect(heading).to_have_text(shown(number))


def test_the_phone_stays_while_a_reply_is_written(page: Page, url: str) -> None:
    text(url)
    reply = page.locator("#phone").get_by_label("Reply", exact=True)
    reply.fill("I am about to")
    page.get_by_label("Filter the traffic").focus()
    text(url, OTHER)
    expect(page.locator("#handset-list li")).to_have_count(2)
    expect(page.locator("#handset-list button[aria-current=true]")).to_contain_text(shown(NUMBER))
    expect(reply).to_have_value("I am about to")


def test_a_phone_that_was_chosen_stays(page: Page, url: str) -> None:
    text(url)
    handset(page, NUMBER)
    page.get_by_label("Filter the traffic").focus()
    text(url, OTHER)
    expect(page.locator("#handset-list li")).to_have_count(2)
    expect(page.locator("#handset-list button[aria-current=true]")).to_contain_text(shown(NUMBER))


def test_a_postback_has_number_and_words_before_its_code(page: Page, url: str) -> None:
    text(url)
    row = postbacks(page, "N202").locator(".line")
    expect(row).to_contain_text(re.compile(rf"{re.escape(shown(NUMBER))}.*delivered.*N202"))
    control(url, "inbound", {"from": OTHER, "to": "60856", "text": "Hi"})
    reply = postbacks(page, "N211").locator(".line")
    expect(reply).to_contain_text(re.compile(rf"{re.escape(shown(OTHER))}.*reply.*N211"))


def test_a_failure_is_not_green(page: Page, url: str) -> None:
    with receiver() as postback_url:
        control(url, "settings", {"postback_url": postback_url}, "PATCH")
        for number, (code, word) in FAILING.items():
            text(url, number)
            row = postbacks(page, code).filter(has_text=shown(number))
            expect(row.locator(".chip")).to_have_text(word)
            expect(row.locator(".answer")).to_have_text("200")
            expect(row.locator(".good")).to_have_count(0)
            expect(handset(page, number).locator(".bubble .chip")).to_have_class("chip bad")
    with contextlib.suppress(OSError):
        text(url, "15005550104")
    broken = page.locator("#traffic li", has_text="reset after")
    expect(broken.locator(".chip")).to_have_class("chip bad")


def test_a_try_that_did_not_arrive_is_not_green(page: Page, url: str) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/"
    control(url, "settings", {"postback_url": nowhere, "retries": 0}, "PATCH")
    text(url)
    row = postbacks(page, "N202")
    expect(row.locator(".answer .chip")).to_have_class("chip bad")
    row.locator("summary").click()
    expect(row.locator(".tries .chip")).to_have_class("chip bad")


@pytest.mark.parametrize("by", ["hover", "focus"])
def test_the_same_message_is_highlighted_in_every_column(page: Page, url: str, by: str) -> None:
    text(url)
    text(url, words="Another")
    delivered = postbacks(page, "N202")
    expect(delivered).to_have_count(2)
    expect(page.locator("#phone .bubble")).to_have_count(2)
    for place in (0, 1):  # newest first
        line = delivered.nth(place).locator("summary")
        line.hover() if by == "hover" else line.focus()
        expect(delivered.nth(place)).to_have_css("outline-style", "solid")
        expect(delivered.nth(1 - place)).not_to_have_css("outline-style", "solid")
        request = page.locator("#traffic li", has_text="sendSMS").nth(place)
        expect(request).to_have_css("outline-style", "solid")
        bubbles = page.locator("#phone .bubble")
        expect(bubbles.nth(1 - place)).to_have_css("outline-style", "solid")
        expect(bubbles.nth(place)).not_to_have_css("outline-style", "solid")


def test_presets_set_and_clear_faults(page: Page, url: str) -> None:
    page.locator("#faults summary").click()
    for preset, wanted in PRESETS.items():
        with page.expect_response(lambda answer: answer.request.method == "PATCH"):
            page.get_by_role("button", name=preset).click()
        settings = control(url, "settings", {}, "PATCH")
        assert {name: settings[name] for name in wanted} == wanted
        expect(page.locator("#faults-now")).not_to_have_text("none")
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        page.get_by_role("button", name="Clear all faults").click()
    expect(page.locator("#faults-now")).to_have_text("none")
    settings = control(url, "settings", {}, "PATCH")
    assert (settings["faults"], settings["duplicate_rate"], settings["shuffle"]) == ({}, 0.0, False)
    # This simulator has no --api-port.
    expect(page.get_by_role("button", name="Down")).to_be_disabled()


def test_escape_closes_the_faults(page: Page) -> None:
    page.locator("#faults summary").click()
    page.get_by_role("slider", name="Half replies").focus()
    page.keyboard.press("Escape")
    expect(page.locator("#faults-form")).to_be_hidden()
    expect(page.locator("#faults summary")).to_be_focused()


PRESETS: dict[str, dict[str, Any]] = {
    "Slow": {"faults": {"slow": 100}, "slow_seconds": 5.0},
    "Flaky replies": {"faults": {"E106": 20, "reset_after": 10, "half": 10}},
    "Flaky postbacks": {"faults": {}, "duplicate_rate": 1.0, "shuffle": True},
}
FAILING = {
    "15005550001": ("E201", "failed"),
    "15005550003": ("E202", "expired"),
    "15005550010": ("N202", "failed"),  # STATUS contradicts the code
}


@contextlib.contextmanager
def receiver() -> Iterator[str]:
    """The address of a server that accepts every postback."""

    class Accept(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with serving(Accept) as port:
        yield f"http://127.0.0.1:{port}/"
