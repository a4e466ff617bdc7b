"""The page's parts beyond the first message."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.actions import (
    SECONDS,
    carrier_says,
    handset,
    message,
    new_number,
    postbacks,
    send,
    shown,
)
from tests.browser.running import PYTHON, ROOT, control

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


def choose(page: Page, action: str) -> Locator:
    page.get_by_label("Action", exact=True).select_option(action)
    return page.locator("#send")


def submit(page: Page, label: str = "Send") -> Locator:
    page.locator("#send").get_by_role("button", name=label, exact=True).click()
    outcome = page.locator("#send-result .outcome")
    expect(outcome).to_be_visible(timeout=SECONDS)
    return outcome


def test_every_action_is_in_the_form_and_answers(page: Page, url: str) -> None:
    actions = page.locator("#action option").all_text_contents()
    assert len(actions) == 34
    control(url, "reset", {})
    for action in ("getMmsIds", "createMMSCampaign", "deleteMMSID"):
        choose(page, action)
        expect(submit(page, f"Call {action}")).to_contain_text("200 Success")


def test_errors_are_at_their_fields(page: Page) -> None:
    form = choose(page, "sendMMS")
    form.get_by_label("to *").fill("774-319-9144")
    form.get_by_label("image", exact=True).fill("no address")
    expect(submit(page)).to_contain_text("422 invalid_request")
    for label in ("to *", "image"):
        field = form.get_by_label(label, exact=True)
        expect(field).to_have_attribute("aria-invalid", "true")
        described = field.get_attribute("aria-describedby") or ""
        error = page.locator(f"#{described.split()[-1]}")
        expect(error).to_be_visible()
    expect(form.get_by_label("to *")).to_be_focused()


def test_an_mms_with_its_slides_and_as_a_fallback_sms(page: Page) -> None:
    number = new_number()
    form = choose(page, "sendMMS")
    form.get_by_label("to *").fill(f"+{number}")
    form.get_by_role("button", name="Add slide").click()
    second = form.locator(".group").nth(1)
    second.locator("summary").click()
    second.get_by_label("pdf").fill("https://example.com/invoice.pdf")
    expect(submit(page)).to_contain_text("201")
    bubble = handset(page, number).locator(".bubble.out")
    expect(bubble.get_by_role("img", name="Picture of slide 1")).to_be_visible(timeout=SECONDS)
    expect(bubble.get_by_role("link", name="invoice.pdf")).to_be_visible()

    form.get_by_label("to *").fill("+15005550008")
    expect(submit(page)).to_contain_text("201")
    fallback = handset(page, "15005550008").locator(".bubble.out").last
    expect(fallback).to_contain_text("SMS instead of an MMS", timeout=SECONDS)
    expect(fallback.get_by_role("link")).to_have_attribute(
        "href", re.compile("^https://mms.example/")
    )


@pytest.mark.parametrize("kind", ["curl", "python"])
def test_what_is_shown_to_copy_does_the_same(page: Page, stack: dict[str, Any], kind: str) -> None:
    number = new_number()
    form = page.locator("#send")
    form.get_by_label("to *").fill(f"+{number}")
    form.get_by_label("text *").fill('It\'s $HOME, "quoted"\nand \\n, ünïcödé')
    form.get_by_label("Idempotency-Key").fill(f"key of {number}'s")
    form.get_by_role("button", name=f"Show as {'curl' if kind == 'curl' else 'Python'}").click()
    program = page.locator(".snippet pre").inner_text()
    for secret in (stack["secret_access_key"], stack["access_key_id"]):
        assert secret not in program
    command = ["bash", "-c", program] if kind == "curl" else [str(PYTHON), "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert '"accepted"' in done.stdout.replace("'", '"'), done.stdout + done.stderr
    expect(handset(page, number).locator(".bubble")).to_contain_text('It\'s $HOME, "quoted"')
    expect(submit(page)).to_contain_text("replayed")


def test_a_queued_message_waits_while_skycore_is_down(page: Page, url: str) -> None:
    number = new_number()
    control(url, "line", {"open": False}, "PATCH")
    page.get_by_label("Queue it").check()
    send(page, number, answer="202 queued")
    row = message(page, number)
    expect(row.locator(".chip").first).to_have_text("queued")
    page.get_by_role("tab", name="Queues").click()
    queue = page.locator("#panel-queues li", has_text="SendQueue")
    expect(queue).to_contain_text("delayed", timeout=SECONDS)
    dead = page.locator("#panel-queues li", has_text="Postback").last
    dead.locator("summary").click()
    expect(dead).to_contain_text("It is empty")
    page.get_by_role("tab", name="Messages").click()
    row.locator("summary").click()
    row.get_by_role("button", name="Cancel").click()
    expect(row.locator(".chip").first).to_have_text("cancelled", timeout=SECONDS)


def test_what_is_left_of_the_limits(page: Page) -> None:
    page.get_by_role("tab", name="Queues").click()
    minute, day = (
        page.get_by_role("meter", name=f"Calls left in this {name}") for name in ("minute", "day")
    )
    expect(minute).to_have_attribute("max", "1000", timeout=SECONDS)
    expect(page.locator("#limits li")).to_have_count(2)
    before = int(day.get_attribute("value") or 0)
    assert 0 < before <= 100_000
    send(page, new_number())
    expect(day).to_have_attribute("value", str(before - 1), timeout=SECONDS)
    expect(page.locator("#limits")).to_contain_text(
        f"{before - 1} of 100000 calls left in this day"
    )
    assert int(minute.get_attribute("value") or 0) < 1000


def test_an_error_deep_in_the_form_is_in_sight(page: Page) -> None:
    form = choose(page, "sendMMS")
    form.get_by_label("to *").fill(f"+{new_number()}")
    for fold in form.locator(".more-fields").all():
        fold.evaluate("fold => (fold.open = true)")
    form.get_by_label("expires at").fill("yesterday")
    for fold in form.locator(".more-fields").all():
        fold.evaluate("fold => (fold.open = false)")
    expect(submit(page)).to_contain_text("422 invalid_request")
    expect(form.get_by_label("expires at")).to_be_focused()


def test_faults(page: Page) -> None:
    page.locator("#faults summary").click()
    for label, answer in (
        ("Half replies", "504 outcome_unknown"),
        ("Reset, not accepted", "504 outcome_unknown"),
        ("Throttling", "429 rate_limited"),
    ):
        slider = page.get_by_role("slider", name=label)
        slider.focus()
        page.keyboard.press("End")
        expect(slider).to_have_attribute("aria-valuetext", "100 %")
        expect(page.locator("#faults summary")).to_contain_text("100 %")
        send(page, new_number(), answer=answer)
        page.get_by_role("button", name="Clear all faults").click()
        expect(page.locator("#faults summary")).to_contain_text("none")


def test_the_traffic_is_filtered(page: Page) -> None:
    numbers = new_number(), new_number()
    for number in numbers:
        send(page, number)
    page.get_by_label("Filter the traffic").fill(numbers[0])
    requests = page.locator("#traffic li", has_text="sendSMS")
    expect(requests).to_have_count(1)
    expect(requests).to_contain_text(shown(numbers[0]))
    page.locator("#traffic-kind").select_option("postbacks")
    expect(requests).to_have_count(0)


def test_a_malformed_postback_is_told_as_it_is(page: Page) -> None:
    number = new_number()
    carrier_says(page, number, "Delivered")
    send(page, number)
    postback = postbacks(page, "N202").last
    expect(postback.locator(".answer")).to_contain_text("200", timeout=SECONDS)
    postback.locator("summary").click()
    postback.get_by_role("button", name="Malformed").click()
    again = postbacks(page, "N202").first
    expect(again.locator(".answer")).to_contain_text("200", timeout=SECONDS)


def test_the_users_own_queue_keeps_every_event(page: Page, stack: dict[str, Any]) -> None:
    number = new_number()
    send(page, number)
    expect(message(page, number).locator(".chip").first).to_have_text("delivered", timeout=SECONDS)
    reading = (
        "import json, sys; from local.client import Client;"
        "client = Client(json.loads(sys.stdin.read()));"
        "found = [event for _ in range(60) for event in client.receive(0)];"
        "print(json.dumps([e['type'] for e in found if e['data'].get('to') == sys.argv[1]]))"
    )
    done = subprocess.run(
        [str(PYTHON), "-c", reading, number],
        cwd=ROOT,
        input=json.dumps(stack),
        capture_output=True,
        text=True,
        check=True,
    )
    wanted = ["skycore.message_accepted", "skycore.sms_delivered", "skycore.sms_sent"]
    assert sorted(json.loads(done.stdout)) == wanted
