"""Ten thousand messages do not slow the page.

Times are the renderer's CPU time: what else the machine does is not the page's fault.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.running import PYTHON, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

# Work for the CPU, as a measure of its speed: about half a second on a laptop.
LOOP = "() => { let n = 0; for (let i = 0; i < 3e8; i++) n += i % 7; return n; }"


class Renderer:
    """The CPU time of the browser's pages."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._session = browser.new_browser_cdp_session()

    def cpu_s(self) -> float:
        rows = self._session.send("SystemInfo.getProcessInfo")["processInfo"]
        total: float = sum(row["cpuTime"] for row in rows if row["type"] == "renderer")
        return total

    def loop_s(self, page: Page) -> float:
        """Return the CPU time of a fixed piece of work: more on a slow machine or a shared core."""
        used = self.cpu_s()
        page.evaluate(LOOP)
        return self.cpu_s() - used

    @contextlib.contextmanager
    def tasks(self, page: Page) -> Iterator[list[float]]:
        """Yield a list that has the CPU times in seconds of the pages' tasks afterwards."""
        tasks: list[float] = []
        self._browser.start_tracing(page=page, categories=["toplevel"])
        yield tasks
        events = json.loads(self._browser.stop_tracing())["traceEvents"]
        names = {
            event["tid"]: event["args"]["name"]
            for event in events
            if event["name"] == "thread_name"
        }
        tasks += [
            event["tdur"] / 1e6
            for event in events
            if names.get(event["tid"]) == "CrRendererMain" and "tdur" in event
        ]


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

    loop_s = renderer.loop_s(page)
    with renderer.tasks(page) as tasks:
        crowd.stdin.write("more\n")
        crowd.stdin.flush()
        page.get_by_label("Find or add a handset").fill("17740000999")
        expect(page.locator("#handset-list button").first).to_contain_text("+1 774 000 0999")
        newest = page.locator("#traffic li", has_text="SMS_10999")
        expect(newest.first).to_be_visible()
    loop_s = max(loop_s, renderer.loop_s(page))  # the burst came between
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
        f"longest of {len(tasks)} tasks in a burst of 1,000 more {max(tasks):.2f} s (the loop: "
        f"{loop_s:.2f} s); filtered in {filtered_s:.2f} s"
    )
    assert opened_s < 5
    assert elements < 6_000
    assert max(tasks) < loop_s
    assert filtered_s < 3
