"""The Location header names a path that the caller can follow, whatever URL the API has."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import pytest

from skycore.http import path_below
from skycore.sending.idempotency import SendResult
from tests.unit.http.test_request import event

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT = "https://a1b2c3.execute-api.us-east-1.amazonaws.com"
DOMAIN = "https://sms.example.com"
CASES = {
    # requestContext.path, path of the event: the URL that was called, the one to be followed
    "default URL": (
        ("/v1/messages", "/messages"),
        (f"{DEFAULT}/v1/messages", f"{DEFAULT}/v1/messages/id"),
    ),
    "custom domain": (
        ("/messages", "/messages"),
        (f"{DOMAIN}/messages", f"{DOMAIN}/messages/id"),
    ),
    "custom domain with a base path": (
        ("/sms/v2/messages", "/sms/v2/messages"),
        (f"{DOMAIN}/sms/v2/messages", f"{DOMAIN}/sms/v2/messages/id"),
    ),
    "trailing slash": (
        ("/v1/messages/", "/messages/"),
        (f"{DEFAULT}/v1/messages/", f"{DEFAULT}/v1/messages/id"),
    ),
    "two slashes, which would name a host": (
        ("//messages", "//messages"),
        (f"{DOMAIN}//messages", f"{DOMAIN}/messages/id"),
    ),
    "no path in the context": (
        (None, "/messages"),
        (f"{DOMAIN}/messages", f"{DOMAIN}/messages/id"),
    ),
    "no path at all": (
        (None, None),
        (f"{DOMAIN}/messages", f"{DOMAIN}/messages/id"),
    ),
}


@pytest.mark.parametrize(("paths", "urls"), CASES.values(), ids=CASES)
def test_location_leads_to_the_message(paths: Any, urls: Any) -> None:
    context_path, path = paths
    location = path_below(event(requestContext={"path": context_path}, path=path), "id")
    assert urljoin(urls[0], location) == urls[1]


@pytest.mark.parametrize("status", [201, 202, 422, 504])
@pytest.mark.parametrize("replayed", [True, False])
def test_an_answer_about_a_message_names_its_place(
    app: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, status: int, replayed: bool
) -> None:
    headers = headers_of(
        app("send"), monkeypatch, SendResult(status, {"message_id": "id"}, replayed)
    )
    assert headers["Location"] == ["/v1/messages/id"]
    assert headers.get("Idempotency-Replayed") == (["true"] if replayed else None)


def test_without_a_message_there_is_no_location(
    app: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = SendResult(200, {"dry_run": True}, replayed=False)
    assert "Location" not in headers_of(app("send"), monkeypatch, result)


def headers_of(send: Any, monkeypatch: pytest.MonkeyPatch, result: Any) -> Any:
    """Return the headers with which `send` answers this result."""
    settings = SimpleNamespace(policy=lambda: None)
    monkeypatch.setattr(send, "load", lambda _: settings)
    monkeypatch.setattr(send, "send_context", lambda: None)
    monkeypatch.setattr(send, "send", lambda *_, **__: result)
    return send.handler(event(requestContext={"path": "/v1/messages"}), None)["multiValueHeaders"]
