"""Each way in which a reply fails to arrive, and whether the message was sent all the same."""

import time
import xml.etree.ElementTree as ET

import pytest
import requests

from simulator_harness import PATIENCE_SECONDS, Skycore, request_xml
from skycore_simulator.tables import table

FROM = "60856"
ORDINARY = "17743199144"
MODES = table("modes")
NO_ANSWER = ("silent", "reset_before", "reset_after", "half")


def send(
    skycore: Skycore, to: str, text: str = "Hello", timeout: float = PATIENCE_SECONDS
) -> requests.Response:
    return skycore.post(request_xml("sendSMS", TO=to, FROM=FROM, TEXT=text), timeout=timeout)


@pytest.mark.parametrize("mode", MODES)
def test_a_request_is_accepted_or_ignored(skycore: Skycore, mode: str) -> None:
    skycore.set(slow_seconds=0.05, trickle_seconds=0)
    if mode in NO_ANSWER:
        with pytest.raises(requests.RequestException):
            send(skycore, MODES[mode]["to"], timeout=0.3 if mode == "silent" else PATIENCE_SECONDS)
    else:
        send(skycore, MODES[mode]["to"])
    skycore.session.close()
    until = time.monotonic() + PATIENCE_SECONDS
    # On a slow machine the client gives up before the simulator has read the request.
    while not (rows := skycore.control("GET", "requests")["requests"]):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert rows[-1]["mode"] == mode
    assert skycore.control("GET", "messages")["total"] == int(MODES[mode]["accepts"])


@pytest.mark.parametrize("how", ["setting", "value"])
def test_modes_can_be_chosen_in_two_more_ways(skycore: Skycore, how: str) -> None:
    if how == "setting":
        skycore.set(mode="http503")
    text = "skycore-mode-http503" if how == "value" else "Hello"
    assert send(skycore, ORDINARY, text).status_code == 503


@pytest.mark.parametrize(
    "mode, status, start",
    [
        ("http500", 500, b"<html>"),
        ("http503", 503, b""),
        ("http302", 302, b""),
        ("empty", 200, b""),
        ("garbage", 200, b"\x00\x01PK"),
        ("no_status", 200, b"<?xml version='1.0'?>\n<RESPONSE>\n</RESPONSE>"),
        ("failure_without_status", 200, b"<RESPONSE><ERRORCODE>E503<"),
        ("unknown_code", 200, b"<RESPONSE><STATUS>Failure</STATUS><ERRORCODE>E066<"),
        ("wrong_root", 200, b"<?xml version='1.0'?>\n<HTML>"),
    ],
)
def test_what_is_answered(skycore: Skycore, mode: str, status: int, start: bytes) -> None:
    xml = request_xml("sendSMS", TO=MODES[mode]["to"], FROM=FROM, TEXT="Hello")
    answer = skycore.session.post(skycore.url, data={"xml": xml}, allow_redirects=False)
    assert answer.status_code == status
    assert answer.content.startswith(start)
    assert bool(answer.content) == bool(start)


@pytest.mark.parametrize("mode", ["truncated", "bad_bytes", "loose_ampersand", "garbage"])
def test_what_cannot_be_parsed(skycore: Skycore, mode: str) -> None:
    answer = send(skycore, MODES[mode]["to"])
    with pytest.raises(ET.ParseError):
        ET.fromstring(answer.content)


def test_huge_is_ten_megabytes(skycore: Skycore) -> None:
    assert len(send(skycore, MODES["huge"]["to"]).content) > 10_000_000


def test_followed_redirects_are_counted(skycore: Skycore) -> None:
    send(skycore, MODES["http302"]["to"])
    assert skycore.control("GET", "counts")["redirects_followed"] == 1


def test_down_and_up_again(skycore: Skycore) -> None:
    skycore.control("POST", "down", {"seconds": 1})
    refused = 0
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        try:
            with requests.Session() as session:
                session.trust_env = False
                session.get(skycore.server.url, timeout=PATIENCE_SECONDS)
            if refused:
                break
        except requests.ConnectionError:
            refused += 1
        time.sleep(0.01)
    assert refused
    assert send(skycore, ORDINARY).status_code == 200
