"""The column "Your side" with chosen answers of the API, without a stack."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.actions import PNG, SECONDS, message, shown
from tests.browser.running import PYTHON, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page, Route

NUMBER, OTHER = "17743199144", "17743199145"
NOWHERE = "http://127.0.0.1:9/"
STACK = {
    "api_url": f"{NOWHERE}v1",
    "region": "us-east-1",
    "stack_name": "skycore",
    "endpoint_url": NOWHERE,
    "event_topic_arn": "arn:aws:sns:us-east-1:0:topic",
    "event_queue_url": f"{NOWHERE}queue",
    "admin_access_key_id": "admin",
    "admin_secret_access_key": "secret",
    "table_name": "table",
    "parameters": {"SkycoreUrl": NOWHERE},
}
ROW = {
    "message_id": "m1",
    "status": "accepted",
    "action": "sendSMS",
    "tracking_id": "SMS_1",
    "to": NUMBER,
    "from": "60856",
    "client_reference": "order-1",
    "created_at": "2026-11-29T10:00:00Z",
}


class Column:
    """What the table's stream and the page's queue bring."""

    def __init__(self, program: subprocess.Popen[str]) -> None:
        self._program = program

    def show(self, **changes: Any) -> None:
        """Bring a message of the stack, ROW with these changes."""
        row = ROW | changes
        self._write({"messages": {row["message_id"]: row}})

    def remove(self, message_id: str) -> None:
        self._write({"messages": {message_id: None}})

    def bring(self, event: dict[str, Any]) -> None:
        self._write({"event": event})

    def _write(self, news: dict[str, Any]) -> None:
        assert self._program.stdin
        self._program.stdin.write(json.dumps(news) + "\n")
        self._program.stdin.flush()


class Api:
    """The API behind the page: what it is asked, and what it answers."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.answers: dict[tuple[str, str], dict[str, Any]] = {}

    def answer(self, method: str, path: str, status: int, body: Any, **headers: str) -> None:
        """Answer this call so from now on; `replayed="true"` is the header of a replay."""
        named = {f"idempotency-{name}": value for name, value in headers.items()}
        answer = {"status": status, "seconds": 0.1, "headers": named, "body": json.dumps(body)}
        self.answers[method, path] = answer

    def __call__(self, route: Route) -> None:
        call = json.loads(route.request.post_data or "")
        self.calls.append(call)
        route.fulfill(json=self.answers[call["method"], call["path"]])


@pytest.fixture
def column(tmp_path: Path) -> Iterator[tuple[Column, str]]:
    file = tmp_path / "stack.json"
    file.write_text(json.dumps(STACK))
    paths = (ROOT, ROOT / "layers" / "skycore", ROOT / "simulator")
    with subprocess.Popen(
        [str(PYTHON), "-m", "tests.browser.column", str(file)],
        cwd=ROOT,
        env={"PYTHONPATH": ":".join(map(str, paths)), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdin
        assert program.stdout
        yield Column(program), program.stdout.readline().strip()
        program.stdin.close()


@pytest.fixture
def stack(column: tuple[Column, str]) -> Column:
    return column[0]


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def page(browser: Browser, column: tuple[Column, str], api: Api) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(SECONDS)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if "Policy" in said.text else None)
    page.route("**/_page/call", api)
    page.goto(column[1])
    page.get_by_text("The stack is up").wait_for()
    page.get_by_label("text *").wait_for()
    yield page
    context.close()
    assert not wrong


def press_send(page: Page) -> None:
    page.locator("#send").get_by_role("button", name="Send", exact=True).click()


def test_a_message_that_another_program_sent_appears(page: Page, stack: Column) -> None:
    expect(page.locator("#panel-messages")).to_contain_text("No message yet")
    stack.show(status="queued", tracking_id=None)
    row = message(page, NUMBER)
    expect(row.locator(".chip")).to_have_text("queued")
    expect(row).to_contain_text("order-1")
    stack.show(status="delivered")
    expect(row.locator(".chip")).to_have_text("delivered")
    stack.remove("m1")
    expect(page.locator("#panel-messages li")).to_have_count(0)
    expect(page.locator("#panel-messages")).to_contain_text("No message yet")


def test_messages_sent_before_the_page_was_opened_are_there(page: Page, stack: Column) -> None:
    stack.show()
    expect(message(page, NUMBER)).to_be_visible()
    page.reload()
    expect(message(page, NUMBER)).to_be_visible()


def test_a_scheduled_message_says_when_it_goes(page: Page, stack: Column, api: Api) -> None:
    stack.show(status="scheduled", tracking_id=None, send_at="2031-05-04T09:00:00Z")
    row = message(page, NUMBER)
    expect(row).to_contain_text(re.compile("scheduled.*goes at .*May 4"))
    body = ROW | {"status": "scheduled", "send_at": "2031-05-04T09:00:00Z", "timeline": []}
    api.answer("GET", "/messages/m1", 200, body)
    api.answer("DELETE", "/messages/m1", 200, {})
    row.locator("summary").click()
    expect(row).to_contain_text(re.compile("Scheduled for .*May 4"))
    row.get_by_role("button", name="Cancel").click()
    expect(page.locator("#announcer")).to_have_text("Cancelled")


def test_an_erased_message_says_so(page: Page, stack: Column, api: Api) -> None:
    stack.show()
    expect(message(page, NUMBER)).to_be_visible()
    stack.show(to=None, tracking_id=None, erased_at="2026-11-29T11:00:00Z")
    row = page.locator("#panel-messages li")
    expect(row.locator(".chip").nth(1)).to_have_text("erased")
    expect(row).not_to_contain_text(shown(NUMBER))
    api.answer("GET", "/messages/m1", 200, ROW | {"to": None, "timeline": []})
    row.locator("summary").click()
    expect(row).to_contain_text("The recipient's data was erased at")


def test_an_unknown_message_has_its_detail_and_possible_matches(
    page: Page, stack: Column, api: Api
) -> None:
    match = {"tracking_id": "SMS_77", "event": "sms_delivered", "time": "2026-11-29T10:01:00Z"}
    body = ROW | {"status": "unknown", "detail": "Skycore did not answer", "timeline": []}
    api.answer("GET", "/messages/m1", 200, body | {"possible_match": [match]})
    stack.show(status="unknown", tracking_id=None)
    row = message(page, NUMBER)
    expect(row.locator(".chip")).to_have_class("chip bad")
    row.locator("summary").click()
    expect(row).to_contain_text("Skycore did not answer")
    matches = row.get_by_role("list", name="Possible matches").locator("li")
    expect(matches).to_contain_text(["sms delivered"])
    expect(matches).to_contain_text(["SMS_77"])
    expect(row).to_contain_text('make resolve ARGUMENTS="m1 --sent"')
    api.answer("GET", "/messages/m1", 200, body | {"possible_match": []})
    stack.show(status="unknown", tracking_id=None, detail="changed")
    expect(row).to_contain_text("Possible matches (0)")


def test_a_receipt_that_contradicts_its_code_is_not_green(
    page: Page, stack: Column, api: Api
) -> None:
    step = {"time": ROW["created_at"], "event": "sms_delivery_failed", "code": "N202"}
    steps = [step | {"status": "Message Sent/Failed"}, step | {"event": "sms_delivered"}]
    api.answer("GET", "/messages/m1", 200, ROW | {"timeline": steps})
    stack.show(status="failed")
    row = message(page, NUMBER)
    expect(row.locator(".chip")).to_have_class("chip bad")
    row.locator("summary").click()
    chips = row.locator(".timeline .chip")
    expect(chips).to_have_class(["chip bad", "chip good"])


def test_pressing_send_twice_shows_the_replay(page: Page, api: Api) -> None:
    key = page.get_by_label("Idempotency-Key")
    first = key.input_value()
    assert re.fullmatch(r"order-\d+", first)
    api.answer("POST", "/messages", 201, ROW)
    press_send(page)
    outcome = page.locator("#send-result")
    expect(outcome).to_contain_text("201 accepted")
    expect(outcome).not_to_contain_text("Replayed")
    api.answer("POST", "/messages", 201, ROW, replayed="true")
    press_send(page)
    expect(outcome).to_contain_text("Nothing was sent twice")
    assert [call["headers"]["Idempotency-Key"] for call in api.calls] == [first, first]
    assert api.calls[0]["body"] == api.calls[1]["body"]
    api.answer("POST", "/messages", 201, ROW)
    outcome.get_by_role("button", name="Send as a new message").click()
    expect(outcome).not_to_contain_text("Replayed")
    assert api.calls[2]["headers"]["Idempotency-Key"] == key.input_value() != first


def test_a_new_message_gets_a_new_key(page: Page, api: Api) -> None:
    key = page.get_by_label("Idempotency-Key")
    first = key.input_value()
    page.get_by_label("text *").fill("Written before it is sent")
    expect(key).to_have_value(first)
    api.answer("POST", "/messages", 201, ROW)
    press_send(page)
    expect(page.locator("#send-result")).to_contain_text("201")
    page.get_by_label("text *").fill("Another message")
    expect(key).not_to_have_value(first)
    key.fill("my-own")
    press_send(page)
    expect(page.locator("#send-result")).to_contain_text("201")
    page.get_by_label("text *").fill("A third message")
    expect(key).to_have_value("my-own")  # a person's choice stays
    page.get_by_role("button", name="New key").click()
    expect(key).to_have_value(re.compile(r"order-\d+"))


def test_sending_shows_the_recipients_phone(page: Page, api: Api) -> None:
    heading = page.locator("#phone").get_by_role("heading")
    page.get_by_label("to *").fill("774-319-9145")
    api.answer("POST", "/messages", 201, ROW | {"to": OTHER})
    press_send(page)
    expect(heading).to_have_text(shown(OTHER))
    page.get_by_label("to *").fill("+1 774-319-9144")
    api.answer("POST", "/messages", 422, {"code": "recipient_opted_out", "detail": "opted out"})
    press_send(page)
    expect(heading).to_have_text(shown(NUMBER))  # where START is
    expect(page.locator("#send-result .outcome .chip")).to_have_class("chip bad")


def test_the_same_message_is_highlighted_here_too(page: Page, stack: Column) -> None:
    stack.show()
    stack.show(message_id="m2", tracking_id="SMS_2")
    stack.bring(event("sms_delivered", tracking_id="SMS_1"))
    rows = page.locator("#panel-messages li")
    expect(rows).to_have_count(2)
    page.get_by_role("tab", name="Events").click()
    page.locator("#panel-events summary").focus()
    expect(page.locator("#panel-events li")).to_have_css("outline-style", "solid")
    expect(rows.last).to_have_css("outline-style", "solid")
    expect(rows.first).not_to_have_css("outline-style", "solid")


def test_kept_files_are_shown(page: Page, stack: Column) -> None:
    files = [
        {"name": "cat.png", "bytes": len(PNG), "is_picture": True, "error": None},
        {"name": "text.txt", "bytes": None, "is_picture": False, "error": "http_404"},
    ]
    page.route("**/_page/media/event.1", lambda route: route.fulfill(json=files))
    page.route(
        "**/_page/media/event.1/0", lambda route: route.fulfill(body=PNG, content_type="image/png")
    )
    stack.bring(event("media_kept", id="event.1"))
    page.get_by_role("tab", name="Events").click()
    page.locator("#panel-events summary").click()
    kept = page.get_by_role("list", name="Kept files")
    expect(kept.get_by_role("img", name="Kept file cat.png")).to_be_visible()
    expect(kept).to_contain_text("text.txt: http_404")


def test_try_this_walks_through_the_guarantees(page: Page) -> None:
    page.get_by_role("tab", name="Try this").click()
    steps = page.locator("#panel-try ol > li")
    expect(steps).to_have_count(8)
    page.get_by_role("button", name="Use +1 500 555 0102").click()
    expect(page.get_by_label("to *")).to_have_value("+1 500 555 0102")
    page.get_by_role("button", name="Make postbacks flaky").click()
    expect(page.locator("#faults-now")).to_contain_text("postbacks twice 100 %")
    page.locator("#panel-try").get_by_role("button", name="Clear all faults").click()
    expect(page.locator("#faults-now")).to_have_text("none")
    page.get_by_role("button", name="Send in three minutes").click()
    expect(page.get_by_label("send at")).to_have_value(re.compile(r"^\d{4}-.*Z$"))


def event(name: str, **facts: Any) -> dict[str, Any]:
    """An event about NUMBER as a subscriber gets it."""
    data = {"event": name, "origin": "SMS_MT", "code": "N202", "to": NUMBER, "message_id": None}
    own = {"id": facts.pop("id", "event.0"), "type": f"skycore.{name}", "time": ROW["created_at"]}
    return own | {"data": data | facts}
