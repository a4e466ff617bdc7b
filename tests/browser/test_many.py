"""Ten thousand messages do not slow the page.

Times are the renderer's CPU time: what else the machine does is not the page's fault.
"""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.running import PYTHON, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

LONGEST_TASK = """() => {
  window.longest = 0;
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) window.longest = Math.max(longest, duration);
  }).observe({ type: "longtask" });
}"""


BUSY = "() => { let n = 0; for (let i = 0; i < 3e8; i++) n += i % 7; return n; }"


class Renderer:
    """The CPU time of the browser's pages."""

    def __init__(self, browser: Browser) -> None:
        self._session = browser.new_browser_cdp_session()

    def cpu_s(self) -> float:
        rows = self._session.send("SystemInfo.getProcessInfo")["processInfo"]
        total: float = sum(row["cpuTime"] for row in rows if row["type"] == "renderer")
        return total

    def slowdown(self, page: Page) -> float:
        """Return how much longer work takes now than its CPU time: 1 on a quiet machine."""
        began, used = time.monotonic(), self.cpu_s()
        page.evaluate(BUSY)
        return max(1.0, (time.monotonic() - began) / (self.cpu_s() - used))


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
        assert program.stdin
        yield program
        program.stdin.close()


def test_ten_thousand_messages(browser: Browser, crowd: subprocess.Popen[str]) -> None:
    assert crowd.stdin
    assert crowd.stdout
    url = crowd.stdout.readline().strip()
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    renderer = Renderer(browser)
    used = renderer.cpu_s()
    page.goto(url)
    expect(page.locator("#traffic li").first).to_be_visible()
    opened_s = renderer.cpu_s() - used
    expect(page.locator("#phone .bubble").first).to_be_visible()
    slowdown = renderer.slowdown(page)
    page.evaluate(LONGEST_TASK)

    crowd.stdin.write("more\n")
    crowd.stdin.flush()
    page.get_by_label("Find or add a handset").fill("17740000999")
    expect(page.locator("#handset-list button").first).to_contain_text("+1 774 000 0999")
    newest = page.locator("#traffic li", has_text="SMS_10999")
    expect(newest.first).to_be_visible()
    slowdown = max(slowdown, renderer.slowdown(page))  # the burst came between
    longest_ms = page.evaluate("window.longest") / slowdown
    elements = page.evaluate("document.querySelectorAll('*').length")
    heap_mb = page.evaluate("performance.memory.usedJSHeapSize / 1e6")

    for _ in range(2):
        page.locator("#traffic").get_by_role("button", name="Show older").click()
        page.wait_for_timeout(100)
    used = renderer.cpu_s()
    page.get_by_label("Filter the traffic").fill("17740000042")
    expect(page.locator("#traffic li", has_text="+1 774 000 0042")).to_have_count(4)
    filtered_s = renderer.cpu_s() - used
    page.close()
    print(
        f"10,000 messages: opened in {opened_s:.2f} s, {elements} elements, {heap_mb:.0f} MB; "
        f"longest task in a burst of 1,000 more {longest_ms:.0f} ms; filtered in {filtered_s:.2f} s"
    )
    assert opened_s < 5
    assert elements < 6_000
    assert longest_ms < 500
    assert filtered_s < 3
