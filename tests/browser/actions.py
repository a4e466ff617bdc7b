"""What a person does on the page."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page

SECONDS = 240_000  # milliseconds
PNG = bytes.fromhex(  # one pixel
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63"
    "6860f8cf0000030101001889d3d40000000049454e44ae426082"
)


def new_number() -> str:
    """A number that no other test uses."""
    return f"1774{secrets.randbelow(10**7):07d}"


def shown(number: str) -> str:
    """A number as the page writes it."""
    return f"+1 {number[1:4]} {number[4:7]} {number[7:]}"


def send(page: Page, number: str, text: str = "Hello", answer: str | None = "201 accepted") -> None:
    """Fills in the form and sends; waits for the answer."""
    form = page.locator("#send")
    form.get_by_label("to *").fill(f"+{number}")
    form.get_by_label("text *").fill(text)
    form.get_by_role("button", name="Send", exact=True).click()
    if answer:
        expect(page.locator("#send-result .outcome")).to_contain_text(answer, timeout=SECONDS)


def handset(page: Page, number: str) -> Locator:
    """Opens the phone with this number."""
    page.locator("#handset-list button", has_text=shown(number)).click()
    phone = page.locator("#phone")
    expect(phone.get_by_role("heading", name=shown(number))).to_be_visible(timeout=SECONDS)
    return phone


def reply_with_picture(phone: Locator, folder: Path) -> None:
    """Replies with a picture, from a file in the folder."""
    picture = folder / "cat.png"
    picture.write_bytes(PNG)
    phone.locator("input[type=file]").set_input_files(picture)
    phone.get_by_role("button", name="Reply").click()


def carrier_says(page: Page, number: str, what: str) -> None:
    """Chooses what becomes of the next message to a number that has none yet."""
    page.get_by_label("Find or add a handset").fill(number)
    page.get_by_role("button", name="Open", exact=True).click()
    phone = page.locator("#phone")
    expect(phone.get_by_role("heading", name=shown(number))).to_be_visible(timeout=SECONDS)
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        page.get_by_label("Next outcome").select_option(what)
    page.get_by_label("Find or add a handset").fill("")


def postbacks(page: Page, code: str) -> Locator:
    """Return the postbacks with this code, newest first."""
    return page.locator("#traffic li", has=page.locator(".code", has_text=code))


def message(page: Page, number: str) -> Locator:
    """The newest message to a number, on the user's side."""
    return page.locator("#panel-messages li", has_text=shown(number)).first


def events(page: Page, *words: str) -> Locator:
    """The events that hold these words in their line."""
    page.get_by_role("tab", name="Events").click()
    rows = page.locator("#panel-events li summary")
    for word in words:
        rows = rows.filter(has_text=word)
    return rows
