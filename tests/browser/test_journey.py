"""What a newcomer tries first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from tests.browser.actions import (
    SECONDS,
    carrier_says,
    events,
    handset,
    message,
    new_number,
    postbacks,
    reply_with_picture,
    send,
    shown,
)

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page


def test_an_sms_arrives_and_is_delivered(page: Page) -> None:
    number = new_number()
    send(page, number, "Your parcel is here.")
    phone = handset(page, number)
    expect(phone.locator(".bubble.out")).to_contain_text("Your parcel is here.")
    expect(phone.locator(".bubble.out .chip")).to_have_text("delivered", timeout=SECONDS)
    row = message(page, number)
    expect(row.locator(".chip").first).to_have_text("delivered", timeout=SECONDS)
    row.locator("summary").click()
    for step in ("message sending", "message accepted", "sms sent", "sms delivered"):
        expect(row.locator(".timeline")).to_contain_text(step, timeout=SECONDS)


def test_the_traffic_shows_request_and_postbacks(page: Page, stack: dict[str, Any]) -> None:
    number = new_number()
    send(page, number)
    traffic = page.locator("#traffic")
    request = traffic.locator("li", has_text="sendSMS").filter(has_text=shown(number))
    request.locator("summary").click()
    expect(request.locator("pre").first).to_contain_text(f"<TO>{number}</TO>")
    expect(request.locator("pre").first).to_contain_text("<API_KEY>********</API_KEY>")
    expect(request.locator("pre").last).to_contain_text("<STATUS>Success</STATUS>")
    postback = postbacks(page, "N202").first
    expect(postback.locator(".answer")).to_contain_text("200", timeout=SECONDS)
    postback.locator("summary").click()
    expect(postback.locator("pre")).to_contain_text("<CODE>N202</CODE>")
    expect(postback.locator(".tries tbody tr")).to_have_count(1)


def test_a_reply_becomes_an_event(page: Page) -> None:
    number = new_number()
    send(page, number)
    phone = handset(page, number)
    phone.get_by_label("Reply", exact=True).fill("Thank you & goodbye")
    phone.get_by_role("button", name="Reply").click()
    expect(phone.locator(".bubble.in")).to_contain_text("Thank you & goodbye")
    expect(events(page, "sms_received", "Thank you & goodbye")).to_have_count(1, timeout=SECONDS)


def test_a_reply_with_a_picture_is_an_mms(page: Page, tmp_path: Path) -> None:
    number = new_number()
    send(page, number)
    phone = handset(page, number)
    reply_with_picture(phone, tmp_path)
    image = phone.locator(".bubble.in img")
    expect(image).to_be_visible(timeout=SECONDS)
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1
    expect(events(page, "mms_received")).not_to_have_count(0, timeout=SECONDS)


def test_the_carrier_says_it_by_hand(page: Page) -> None:
    for says, status in BY_HAND.items():
        number = new_number()
        carrier_says(page, number, "Nothing (by hand)")
        send(page, number)
        phone = handset(page, number)
        expect(phone.locator(".bubble .chip")).to_have_text("sent", timeout=SECONDS)
        row = message(page, number)
        expect(row.locator(".chip").first).to_have_text("sent", timeout=SECONDS)
        phone.get_by_role("button", name=says).click()
        expect(row.locator(".chip").first).to_have_text(status, timeout=SECONDS)
        row.locator("summary").click()  # here the API says it
        now = row.locator(".row-body .facts .chip").first
        expect(now).to_have_text(status, timeout=SECONDS)
        expect(phone.get_by_role("button", name=says)).to_have_count(0)


def test_the_carrier_says_next(page: Page) -> None:
    number = new_number()
    carrier_says(page, number, "Failed")
    send(page, number)
    expect(message(page, number).locator(".chip").first).to_have_text("failed", timeout=SECONDS)


def test_stop_refuses_the_next_send_and_start_takes_it_back(page: Page) -> None:
    number = new_number()
    send(page, number)
    phone = handset(page, number)
    phone.get_by_role("button", name="STOP").click()
    expect(phone.locator(".bubble.in")).to_have_count(1, timeout=SECONDS)
    expect(events(page, "sms_received", "STOP")).to_have_count(1, timeout=SECONDS)
    send(page, number, answer="422 recipient_opted_out")
    page.wait_for_timeout(1_000)  # of a STOP and a START of the same second the STOP holds
    phone.get_by_role("button", name="START").click()
    expect(events(page, "sms_received", "START")).to_have_count(1, timeout=SECONDS)
    send(page, number)


def test_with_skycore_off_a_send_is_503(page: Page) -> None:
    number = new_number()
    page.locator("#faults summary").click()
    page.get_by_role("switch", name="Down").check()
    expect(page.locator("#faults summary")).to_contain_text("Skycore is down")
    send(page, number, answer="503 skycore_unreachable")
    page.get_by_role("button", name="Clear all faults").click()
    expect(page.locator("#faults summary")).to_contain_text("none")
    send(page, number)


def test_a_postback_twice_is_one_event(page: Page) -> None:
    number = new_number()
    send(page, number)
    rows = postbacks(page, "N202")
    expect(rows.first.locator(".answer")).to_contain_text("200", timeout=SECONDS)
    expect(events(page, "sms_delivered", shown(number))).to_have_count(1, timeout=SECONDS)
    first = rows.last
    first.locator("summary").click()
    first.get_by_role("button", name="Twice").click()
    expect(rows).to_have_count(3)
    first.get_by_role("button", name="As v2 JSON").click()
    expect(rows).to_have_count(4)
    for place in range(4):
        expect(rows.nth(place).locator(".answer")).to_contain_text("200", timeout=SECONDS)
    # A reply sent after them is an event when they would be.
    phone = handset(page, number)
    phone.get_by_label("Reply", exact=True).fill("Last")
    phone.get_by_role("button", name="Reply").click()
    expect(events(page, "sms_received", "Last")).to_have_count(1, timeout=SECONDS)
    expect(events(page, "sms_delivered", shown(number))).to_have_count(1)


BY_HAND = {
    "Delivered": "delivered",
    "Failed": "failed",
    "Expired": "expired",
    "Blocked": "failed",
}
