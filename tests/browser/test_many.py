"""Ten thousand messages do not slow the page."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.running import PYTHON, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

LONGEST_TASK = """() => {
  window.longest = 0;
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) window.longest = Math.max(longest, duration);
  }).observe({ type: "longtask" });
}"""


@pytest.fixture
def crowd() -> Iterator[subprocess.Popen[str]]:
    command = [str(PYTHON), "-m", "tests.browser.crowd"]
    path = f"{ROOT}:{ROOT}/layers/skycore:{ROOT}/simulator"
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        yield program
        program.stdin.close()


def test_ten_thousand_messages(browser: Browser, crowd: subprocess.Popen[str]) -> None:
    url = crowd.stdout.readline().strip()
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    began = time.monotonic()
    page.goto(url)
    expect(page.locator("#traffic li").first).to_be_visible()
    opened_s = time.monotonic() - began
    expect(page.locator("#phone .bubble").first).to_be_visible()
    page.evaluate(LONGEST_TASK)

    crowd.stdin.write("more\n")
    crowd.stdin.flush()
    page.get_by_label("Find or add a handset").fill("17740000999")
    expect(page.locator("#handset-list button").first).to_contain_text("+1 774 000 0999")
    newest = page.locator("#traffic li", has_text="SMS_10999")
    expect(newest.first).to_be_visible(timeout=30_000)
    longest_ms = page.evaluate("window.longest")
    elements = page.evaluate("document.querySelectorAll('*').length")
    heap_mb = page.evaluate("performance.memory.usedJSHeapSize / 1e6")

    for _ in range(2):
        page.locator("#traffic").get_by_role("button", name="Show older").click()
        page.wait_for_timeout(100)
    began = time.monotonic()
    page.get_by_label("Filter the traffic").fill("17740000042")
    expect(page.locator("#traffic li", has_text="+1 774 000 0042")).to_have_count(4)
    filtered_s = time.monotonic() - began
    page.close()
    print(
        f"10,000 messages: opened in {opened_s:.2f} s, {elements} elements, {heap_mb:.0f} MB; "
        f"longest task in a burst of 1,000 more {longest_ms:.0f} ms; filtered in {filtered_s:.2f} s"
    )
    assert opened_s < 5
    assert elements < 6_000
    assert longest_ms < 500
    assert filtered_s < 3
