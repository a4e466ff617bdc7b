"""The Location header names a path that the caller can follow, whatever URL the API has."""

from __future__ import annotations

from urllib.parse import urljoin

import pytest

from skycore.http import read_request
from skycore.sending.idempotency import Sent
from tests.unit.http.test_request import event

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


@pytest.mark.parametrize("status", [201, 202, 422, 504])
@pytest.mark.parametrize(("paths", "urls"), CASES.values(), ids=CASES)
def test_location_leads_to_the_message(app, paths, urls, status):
    context_path, path = paths
    asked = read_request(event(requestContext={"path": context_path}, path=path))
    sent = Sent(status, {"message_id": "id"}, replayed=False)
    location = app("send")._answer(asked, sent)["headers"]["Location"]
    assert urljoin(urls[0], location) == urls[1]


def test_without_a_message_there_is_no_location(app):
    sent = Sent(200, {"dry_run": True}, replayed=False)
    assert "Location" not in app("send")._answer(read_request(event()), sent)["headers"]
