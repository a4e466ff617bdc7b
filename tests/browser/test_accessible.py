"""For everyone: any width, either colour scheme, keyboard alone, and what screen readers need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.actions import SECONDS, new_number, postbacks, send, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

VIEWS = ("handsets", "traffic", "yours")
TOO_WIDE = """() => [...document.querySelectorAll('body *')]
  .filter((each) => !each.closest('.sr, pre, .handset-list, .skip'))
  .filter((each) => each.checkVisibility() && each.getBoundingClientRect().right > innerWidth + 1)
  .map((each) => each.outerHTML.slice(0, 120))"""


@pytest.fixture
def filled(browser: Browser, page: Page, url: str) -> Iterator[Any]:
    """Opens the page, with things on it, at a width and in a colour scheme."""
    number = new_number()
    send(page, number)
    expect(postbacks(page, "N202")).to_have_count(1, timeout=SECONDS)
    opened = []

    def opening(width: int, scheme: str) -> Page:
        size = {"width": width, "height": 900}
        context = browser.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce")
        opened.append(context)
        made = context.new_page()
        made.goto(url)
        made.get_by_text("The stack is up").wait_for()
        made.locator("#send-button").wait_for(state="attached")
        made.locator("#phone .bubble").first.wait_for(state="attached")
        return made

    yield opening
    for context in opened:
        context.close()


def everything(page: Page, view: str) -> None:
    """Opens what can be opened in one part of the page."""
    if page.locator("nav.views").is_visible():
        page.locator(f"nav.views button[data-view={view}]").click()
    if view == "traffic":
        for row in page.locator("#traffic summary").all():
            row.click()
        page.locator("#traffic .tries").first.wait_for()
    if view == "yours":
        page.get_by_label("Action", exact=True).select_option("sendMMS")
        for more in page.locator("#send .more-fields > summary").all():
            more.click()
        page.get_by_role("button", name="Show as curl").click()
        page.get_by_role("button", name="Send", exact=True).scroll_into_view_if_needed()


# One page is filled for all widths of a test: that takes longer than to look at it.
def test_nothing_hinders_anyone(filled: Any) -> None:
    for width, scheme in ((360, "dark"), (1000, "dark"), (1600, "light")):
        without_violations(filled(width, scheme))


def without_violations(page: Page) -> None:
    for view in VIEWS:
        everything(page, view)
        found = Axe().run(page, options={"resultTypes": ["violations"]})
        assert found.violations_count == 0, found.generate_report()
        for tab in ("Events", "Queues") if view == "yours" else ():
            page.get_by_role("tab", name=tab).click()
            panel = page.locator(f"#panel-{tab.lower()}")
            panel.locator("summary").first.wait_for()
            found = Axe().run(page, options={"resultTypes": ["violations"]})
            assert found.violations_count == 0, found.generate_report()
    page.get_by_role("tab", name="Try this").click()
    page.locator("#panel-try li").first.hover()
    page.locator("#faults summary").click()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_nothing_is_cut_off_or_scrolls_sideways(filled: Any) -> None:
    for width in (360, 760, 1600):
        fits(filled(width, "light"), width)


def fits(page: Page, width: int) -> None:
    for view in VIEWS:
        everything(page, view)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(TOO_WIDE) == []
    for tab in ("Events", "Queues", "Messages"):
        page.get_by_role("tab", name=tab).click()
        page.locator(f"#panel-{tab.lower()} summary").first.click()
        assert page.evaluate(TOO_WIDE) == []
    page.get_by_role("tab", name="Try this").click()
    assert page.evaluate(TOO_WIDE) == []
    page.locator("#faults summary").click()
    assert page.evaluate(TOO_WIDE) == []


def test_by_keyboard_alone(page: Page) -> None:
    number = new_number()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Action", exact=True)).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Control+A")
    page.keyboard.type(f"+{number}")
    page.keyboard.press("Enter")
    expect(page.locator("#send-result .outcome")).to_contain_text("201", timeout=SECONDS)
    page.get_by_role("tab", name="Messages").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Events")).to_be_focused()
    rows = page.locator("#panel-events summary")
    # Accepted, sent and delivered: a later event would take the place of the first row.
    expect(rows.filter(has_text=shown(number))).to_have_count(3, timeout=SECONDS)
    row = rows.first
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(row).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#panel-events pre")).to_contain_text('"specversion": "1.0"')
    expect(page.locator("#handset-list button", has_text=shown(number))).to_be_visible()


def test_the_parts_have_names(page: Page) -> None:
    for name in ("Handsets", "Traffic", "Your side"):
        expect(page.get_by_role("region", name=name, exact=True)).to_be_visible()
    expect(page.get_by_role("main")).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page.locator("#status")).to_have_attribute("role", "status")
    expect(page.locator("#send-result")).to_have_attribute("role", "status")
