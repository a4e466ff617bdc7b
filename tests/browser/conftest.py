"""The page in a real browser, in front of the deployed local stack."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, Response

API_KEY = "local0simulator0key0000000000000"
ASKED = re.compile("/_(control|page)/(?!feed|static)").search
SECONDS = 240_000  # milliseconds for what takes two seconds on a quiet machine


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="run make test-page")
    if running.chromium() is None:
        pytest.skip(running.MISSING)
    playwright.expect.set_options(timeout=SECONDS)  # else five seconds
    with playwright.sync_playwright() as started:
        browser = running.launched(started)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def stack(browser: Browser) -> Iterator[dict[str, Any]]:
    with running.brought_up("MaxCallsPerMinute=1000 MaxCallsPerDay=100000") as description:
        yield description


@pytest.fixture(scope="session")
def url(stack: dict[str, Any]) -> str:
    address: str = stack["simulator_url"]
    return address


@pytest.fixture
def fresh(url: str) -> None:
    """Reset the simulator: an empty journal, an open API port and no faults."""
    running.control(url, "reset", {})
    running.control(url, "line", {"open": True}, "PATCH")
    calm = {"faults": {}, "mode": "normal", "outcome_for_number": {}}
    running.control(url, "settings", calm, "PATCH")


@pytest.fixture
def page(browser: Browser, stack: dict[str, Any], fresh: None) -> Iterator[Page]:
    """The page at 1600 x 1000.

    A script's error, a refused file or a secret in what the browser got fails the test.
    """
    secrets = [stack[f"{user}secret_access_key"] for user in ("", "admin_")]
    secrets += [stack["postback_url"].rpartition("/")[2], API_KEY]
    got: list[Response] = []
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    made = context.new_page()
    made.set_default_timeout(SECONDS)
    wrong: list[str] = []
    made.on("pageerror", lambda error: wrong.append(str(error)))
    made.on("requestfailed", lambda request: wrong.append(request.url))
    made.on("response", lambda answer: got.append(answer) if ASKED(answer.url) else None)
    made.goto(stack["simulator_url"])
    made.get_by_text("The stack is up").wait_for()
    made.get_by_label("text *").wait_for()
    yield made
    made.unroute_all(behavior="ignoreErrors")
    told = {answer.url for answer in got if any(secret in text_of(answer) for secret in secrets)}
    seen = [each for each in wrong if "/_page/feed" not in each and "example.com" not in each]
    context.close()
    assert not seen
    assert not told


def text_of(answer: Response) -> str:
    from playwright.sync_api import Error  # here, because it may be missing

    try:
        text: str = answer.text()
    except Error:  # the page did not wait for it
        return ""
    return text
