"""Replies are labelled as Skycore's presumably are: with a type that is not XML."""

import pytest
import requests

from simulator_harness import Skycore, request_xml
from skycore_simulator.tables import table

SMS = {"FROM": "60856", "TEXT": "Hello"}
WITH_REPLY = [
    name for name in table("modes") if name not in ("silent", "reset_before", "reset_after", "half")
]
# How HTTParty, which the public Ruby client uses, chooses a parser: the client needs the text
# itself, so every call fails where HTTParty parses the reply as XML or JSON.
PARSED_BY_HTTPARTY = ("text/xml", "application/xml", "application/json", "text/csv")


def media_type(answer: requests.Response) -> str:
    return answer.headers.get("Content-Type", "").partition(";")[0]


@pytest.mark.parametrize(
    "xml",
    [request_xml("loginUser"), request_xml("sendSMS", TO="1", **SMS), "<REQUEST"],
    ids=["success", "failure", "unreadable"],
)
@pytest.mark.parametrize("transport", ["form", "raw"])
def test_the_public_ruby_client_gets_text(skycore: Skycore, transport: str, xml: str) -> None:
    body = {"xml": xml} if transport == "form" else xml.encode()
    answer = skycore.session.post(skycore.url, data=body)
    assert "<RESPONSE>" in answer.text
    assert media_type(answer) == "text/html"
    assert media_type(answer) not in PARSED_BY_HTTPARTY


@pytest.mark.parametrize("mode", WITH_REPLY)
def test_no_mode_labels_its_reply_as_xml(skycore: Skycore, mode: str) -> None:
    skycore.set(slow_seconds=0, trickle_seconds=0)
    xml = request_xml("sendSMS", TO=table("modes")[mode]["to"], **SMS)
    answer = skycore.session.post(skycore.url, data={"xml": xml}, allow_redirects=False)
    assert media_type(answer) not in PARSED_BY_HTTPARTY


@pytest.mark.parametrize("mode", ["normal", "trickle", "truncated"])
def test_a_client_can_ask_for_another_type(skycore: Skycore, mode: str) -> None:
    skycore.set(reply_content_type="application/xml; charset=utf-8", mode=mode, trickle_seconds=0)
    answer = skycore.post(request_xml("loginUser"))
    assert answer.headers["Content-Type"] == "application/xml; charset=utf-8"


@pytest.mark.parametrize("value", ["", "xml", "text/xml\r\nX-A: b", "text/xml\n", "text/ä", 1])
def test_an_invalid_type_is_refused(skycore: Skycore, value: object) -> None:
    url = f"{skycore.server.url}_control/settings"
    answer = skycore.session.patch(url, json={"reply_content_type": value})
    assert answer.status_code == 400
    assert "reply_content_type" in answer.json()["error"]


@pytest.mark.parametrize("path", ["", "index.php?action=sendsms", "elsewhere"])
def test_no_browser_runs_what_a_reply_contains(skycore: Skycore, path: str) -> None:
    answer = skycore.session.get(skycore.server.url + path)
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
