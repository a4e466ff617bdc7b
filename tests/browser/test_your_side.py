"""The column "Your side" shows what happens on the deployed stack, on the page and elsewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from tests.browser.actions import (
    SECONDS,
    events,
    handset,
    message,
    new_number,
    reply_with_picture,
    send,
    shown,
)
from tests.browser.running import LOCAL_DIR, PYTHON, ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page

NO_ANSWER = "15005550102"
CALL = (
    "import json, sys; from local.client import Client;"
    "given = json.loads(sys.stdin.read());"
    "answer = Client(given['stack']).request('POST', '/messages', given['body'], given['headers']);"
    "print(answer.status_code)"
)


def call(stack: dict[str, Any], number: str, **fields: str) -> None:
    """Send by the API, as another program does; with `send_at` it is queued."""
    body = {"to": f"+{number}", "from": "60856", "text": "Hello", **fields}
    headers = {"Prefer": "respond-async"} if "send_at" in fields else {}
    done = subprocess.run(
        [str(PYTHON), "-c", CALL],
        cwd=ROOT,
        input=json.dumps({"stack": stack, "body": body, "headers": headers}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() in ("201", "202"), done.stdout


def test_a_message_that_another_program_sends_appears(page: Page, stack: dict[str, Any]) -> None:
    number = new_number()
    call(stack, number, client_reference="order-4711")
    row = message(page, number)
    expect(row).to_contain_text("order-4711", timeout=SECONDS)
    expect(row.locator(".chip").first).to_have_text("delivered", timeout=SECONDS)
    expect(page.locator("#phone").get_by_role("heading")).to_have_text(shown(number))
    page.reload()
    expect(row.locator(".chip").first).to_have_text("delivered", timeout=SECONDS)


def test_a_scheduled_message_is_shown_and_cancelled(page: Page, stack: dict[str, Any]) -> None:
    number = new_number()
    in_a_month = page.evaluate("new Date(Date.now() + 30 * 86_400_000).toISOString()")
    call(stack, number, send_at=in_a_month)
    row = message(page, number)
    expect(row.locator(".chip").first).to_have_text("scheduled", timeout=SECONDS)
    expect(row.locator("summary")).to_contain_text("goes at")
    row.locator("summary").click()
    row.get_by_role("button", name="Cancel").click()
    expect(row.locator(".chip").first).to_have_text("cancelled", timeout=SECONDS)


def test_pressing_send_twice_sends_once(page: Page) -> None:
    number = new_number()
    send(page, number)
    page.locator("#send").get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#send-result")).to_contain_text("Nothing was sent twice", timeout=SECONDS)
    requests = page.locator("#traffic li", has_text="sendSMS").filter(has_text=shown(number))
    expect(requests).to_have_count(1)
    page.get_by_role("button", name="Send as a new message").click()
    expect(requests).to_have_count(2, timeout=SECONDS)


def test_an_unknown_message_has_possible_matches(page: Page) -> None:
    send(page, NO_ANSWER, answer="504 outcome_unknown")
    row = message(page, NO_ANSWER)
    expect(row.locator(".chip").first).to_have_text("unknown", timeout=SECONDS)
    expect(events(page, "sms_delivered", shown(NO_ANSWER))).not_to_have_count(0, timeout=SECONDS)
    page.get_by_role("tab", name="Messages").click()
    row.locator("summary").click()
    matches = row.get_by_role("list", name="Possible matches").locator("li")
    expect(matches.filter(has_text="sms delivered")).not_to_have_count(0, timeout=SECONDS)
    expect(row.locator(".detail")).to_have_text(re.compile("Detail: .+"))


def test_a_kept_picture_is_shown(page: Page, tmp_path: Path) -> None:
    number = new_number()
    send(page, number)
    phone = handset(page, number)
    reply_with_picture(phone, tmp_path)
    kept = events(page, "media_kept", shown(number))
    expect(kept).to_have_count(1, timeout=SECONDS)
    kept.click()
    image = page.get_by_role("list", name="Kept files").get_by_role("img")
    expect(image).to_be_visible(timeout=SECONDS)
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1


def test_an_erased_person_is_shown_without_a_number(page: Page) -> None:
    number = new_number()
    send(page, number)
    expect(message(page, number).locator(".chip").first).to_have_text("delivered", timeout=SECONDS)
    paths = (ROOT, ROOT / "layers" / "skycore", ROOT / "simulator")
    file = os.environ.get("TEST_STACK_FILE")
    local = str(Path(file).resolve().parent) if file else LOCAL_DIR
    done = subprocess.run(
        [str(PYTHON), "-m", "ops", "person", "erase", f"+{number}", "--yes"],
        cwd=ROOT,
        env={"PYTHONPATH": ":".join(map(str, paths)), "PATH": "/usr/bin:/bin", "LOCAL_DIR": local},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    erased = page.locator("#panel-messages li", has_text="erased").first
    expect(erased).to_be_visible(timeout=SECONDS)
    expect(page.locator("#panel-messages li", has_text=shown(number))).to_have_count(0)
