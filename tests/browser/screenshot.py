"""Makes README's picture of the page anew: python -m tests.browser.screenshot (make screenshot)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from playwright.sync_api import expect, sync_playwright

from tests.browser import running
from tests.browser.actions import SECONDS, events, handset, postbacks, send

if TYPE_CHECKING:
    from playwright.sync_api import Page

FILE = running.ROOT / "docs" / "page.png"
LARGEST = 300_000  # bytes: README is read on phones too
HANDSET, FAILING = "17743199144", "15005550002"


def play(page: Page, url: str) -> None:
    """A short story: a text, one that fails, a picture, a reply."""
    send(page, FAILING, "Your parcel is on its way.")
    send(page, HANDSET, "Your parcel is on its way: https://example.com/t/4711")
    page.get_by_label("Action", exact=True).select_option("sendMMS")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#send-result .outcome")).to_contain_text("201", timeout=SECONDS)
    running.control(url, "inbound", {"from": HANDSET, "to": "60856", "text": "Thank you!"})
    page.get_by_label("Action", exact=True).select_option("sendSMS")
    delivered = postbacks(page, "N102")
    expect(delivered.locator(".answer")).to_contain_text("200", timeout=SECONDS)
    expect(events(page, "sms_received")).to_have_count(1, timeout=SECONDS)
    expect(events(page, "mms_delivered")).to_have_count(1, timeout=SECONDS)
    page.get_by_role("tab", name="Messages").click()
    handset(page, HANDSET)
    page.locator("#traffic li", has_text="sendSMS").first.locator("summary").click()
    page.locator("#panel-messages li summary").nth(1).click()
    page.locator(".timeline").wait_for()
    page.mouse.move(0, 0)
    page.wait_for_timeout(500)  # a picture in the conversation loads, and rows come to rest


def main() -> int:
    """0 when the picture is there."""
    if running.chromium() is None:
        print(running.MISSING, file=sys.stderr)
        return 1
    with running.brought_up() as stack, sync_playwright() as playwright:
        browser = running.launched(playwright)
        page = browser.new_page(viewport={"width": 1440, "height": 920}, color_scheme="light")
        page.set_default_timeout(SECONDS)
        page.goto(stack["simulator_url"])
        page.get_by_text("The stack is up").wait_for()
        play(page, stack["simulator_url"])
        picture = page.screenshot(path=FILE, scale="css")
        browser.close()
    if len(picture) > LARGEST:
        print(f"{FILE} has {len(picture)} bytes; at most {LARGEST}", file=sys.stderr)
        return 1
    print(f"{FILE}: {len(picture)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
