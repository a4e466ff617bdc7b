"""The page of the local stack while the stack is still coming up."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.actions import SECONDS
from tests.browser.running import PYTHON, ROOT, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page


@pytest.fixture
def stack_file(tmp_path: Path) -> Path:
    return tmp_path / "stack.json"


@pytest.fixture
def page(browser: Browser, stack_file: Path) -> Iterator[Page]:
    command = [str(PYTHON), "-m", "local.page", "--port", str(free_port())]
    paths = (ROOT, ROOT / "layers" / "skycore", ROOT / "simulator")
    with subprocess.Popen(
        [*command, "--stack-file", str(stack_file)],
        cwd=ROOT,
        env={
            "PYTHONPATH": ":".join(map(str, paths)),
            "PATH": "/usr/bin:/bin",
            "PYTHONUNBUFFERED": "1",
        },
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout
        page = browser.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("requestfailed", lambda request: wrong.append(request.url))
        page.goto(program.stdout.readline().split()[-1])
        yield page
        page.close()
        program.terminate()
    assert [each for each in wrong if "/_page/feed" not in each] == []


def test_the_column_waits_for_the_stack(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("Skycore on AWS")
    expect(page.locator("#status")).to_have_text("The stack is coming up…")
    expect(page.locator("#notice")).to_be_hidden()
    expect(page.locator("main > .column")).to_have_count(3)
    expect(page.locator("#send-button")).to_be_disabled()
    expect(page.locator(".skip")).to_have_attribute("href", "#send")
    page.get_by_label("Action", exact=True).select_option("sendMMS")
    page.get_by_role("button", name="Show as curl").click()
    expect(page.locator(".snippet pre")).to_contain_text("/messages")
    expect(page.locator(".snippet pre")).to_contain_text("/_page/extension/parcel.png")
    page.get_by_role("tab", name="Queues").click()
    expect(page.locator("#panel-queues")).to_contain_text("the stack is coming up")
    page.get_by_role("tab", name="Events").click()
    expect(page.locator("#panel-events")).to_contain_text("No event yet")


def test_one_column_at_a_time_on_a_narrow_screen(page: Page) -> None:
    page.set_viewport_size({"width": 400, "height": 800})
    for name, shown in (("Your side", "yours"), ("Traffic", "traffic"), ("Handsets", "handsets")):
        page.locator("nav.views").get_by_role("button", name=name).click()
        for column in ("handsets", "traffic", "yours"):
            expect(page.locator(f"#{column}")).to_be_visible(visible=column == shown)


def test_the_page_says_when_the_functions_call_another_skycore(
    page: Page, stack_file: Path
) -> None:
    other = "http://127.0.0.1:9999/"
    address = "http://127.0.0.1:9/"
    stack = {
        "api_url": f"{address}v1",
        "region": "us-east-1",
        "stack_name": "skycore",
        "endpoint_url": address,
        "event_topic_arn": "arn:aws:sns:us-east-1:0:topic",
        "event_queue_url": f"{address}queue",
        "admin_access_key_id": "admin",
        "admin_secret_access_key": "secret",
        "parameters": {"SkycoreUrl": other},
    }
    expect(page.locator("#send-button")).to_be_disabled()
    stack_file.write_text(json.dumps(stack))
    expect(page.locator("#status")).to_have_text("The stack is up", timeout=SECONDS)
    expect(page.locator("#notice")).to_contain_text(f"another Skycore ({other})")
    expect(page.locator("#send-button")).to_be_enabled()
    stack["parameters"] = {"SkycoreUrl": page.url}
    stack_file.write_text(json.dumps(stack))
    expect(page.locator("#notice")).to_be_hidden(timeout=SECONDS)
