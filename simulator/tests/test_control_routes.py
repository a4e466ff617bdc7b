"""The control API, and the program itself."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import requests

import skycore_simulator
from simulator_harness import PATIENCE_SECONDS, Receiver, Skycore
from skycore_simulator.command_line import build_parser, main
from skycore_simulator.settings import Settings

SMS = {"TO": "17743199144", "FROM": "60856", "TEXT": "Hello"}


@pytest.mark.parametrize(
    "changes, word",
    [
        ({"mood": "bad"}, "no setting"),
        ({"mode": "bad"}, "one of normal"),
        ({"outcome": "lost"}, "one of delivered"),
        ({"retry_seconds": "2"}, "type float"),
        ({"max_per_second": True}, "type int"),
        ({"max_per_second": -1}, "negative"),
        ({"next_errors": ["503"]}, "not an error code"),
        ({"next_errors": [503]}, "type str"),
        ({"error_for_action": {"sendFax": "E503"}}, "no action"),
        ({"postback_format": "v3"}, "one of v1"),
    ],
)
def test_wrong_settings_change_nothing(
    skycore: Skycore, changes: dict[str, Any], word: str
) -> None:
    before = skycore.control("GET", "settings")
    url = f"{skycore.server.url}_control/settings"
    answer = skycore.session.patch(url, json={"shuffle": True, **changes})
    assert answer.status_code == 400
    assert word in answer.json()["error"]
    assert skycore.control("GET", "settings") == before


@pytest.mark.parametrize(
    "changes, faults",
    [
        ({"weather": {"half": 5}}, {"half": 5}),
        ({"faults": {"half": 5}}, {"half": 5}),
        ({"faults": {"half": 5}, "weather": {"E106": 9}}, {"half": 5}),
        ({"weather": {"E106": 9}, "faults": {"half": 5}}, {"half": 5}),
    ],
    ids=str,
)
def test_faults_keep_their_older_name(
    skycore: Skycore, changes: dict[str, Any], faults: dict[str, int]
) -> None:
    shown = skycore.control("PATCH", "settings", changes)
    assert shown == skycore.control("GET", "settings")
    assert shown["faults"] == shown["weather"] == faults


def test_null_is_the_default() -> None:
    settings = Settings().changed({"retry_seconds": 7, "senders": ["1"]})
    assert settings.changed({"retry_seconds": None, "senders": None}) == Settings()


@pytest.mark.parametrize(
    "method, path, body, status",
    [
        ("POST", "inbound", '{"from": "1"}', 400),
        ("POST", "inbound", '{"from": "1", "to": "2", "files": "a"}', 400),
        ("POST", "inbound", "[]", 400),
        ("POST", "inbound", "{", 400),
        ("POST", "postback", '{"body": "a"}', 400),
        ("POST", "postback", '{"times": 0}', 400),
        ("POST", "down", "{}", 400),
        ("POST", "notify", '{"tracking_id": "x", "code": "N202"}', 404),
        ("GET", "requests?limit=x", "", 400),
        ("GET", "nothing", "", 404),
    ],
)
def test_wrong_calls_have_reasons(
    skycore: Skycore, method: str, path: str, body: str, status: int
) -> None:
    answer = skycore.session.request(method, f"{skycore.server.url}_control/{path}", data=body)
    assert answer.status_code == status


def test_journals_come_in_pages(skycore: Skycore) -> None:
    for number in range(5):
        skycore.call("sendSMS", **{**SMS, "TEXT": str(number)})
    page = skycore.control("GET", "messages?limit=2")
    assert page["total"] == 5
    assert [each["text"] for each in page["messages"]] == ["3", "4"]
    first = skycore.control("GET", "messages")["messages"][0]["id"]
    rest = skycore.control("GET", f"messages?after={first}&limit=2")["messages"]
    assert [each["text"] for each in rest] == ["1", "2"]
    assert skycore.control("GET", "messages?to=1")["total"] == 0
    assert skycore.control("GET", f"messages?to={SMS['TO']}")["total"] == 5


def test_any_postback_can_be_sent_and_repeated(skycore: Skycore, receiver: Receiver) -> None:
    skycore.control("POST", "postback", {"body": "<POSTBACK", "content_type": "a/b", "times": 3})
    every_byte = "AAECA/8="
    made = skycore.control("POST", "postback", {"body_base64": every_byte})
    skycore.settle()
    assert [body for _, body in receiver.got].count(b"<POSTBACK") == 3
    again = {"repeat": made["ids"][0], "times": 2}
    skycore.control("POST", "postback", again)
    skycore.settle()
    assert [body for _, body in receiver.got].count(b"\x00\x01\x02\x03\xff") == 3


@pytest.mark.parametrize("code, status", [("E202", "failed"), ("N202", "delivered")])
def test_the_carrier_may_say_more(
    skycore: Skycore, receiver: Receiver, code: str, status: str
) -> None:
    tracking_id = skycore.call("sendSMS", **{**SMS, "TO": "15005550006"})["TRACKINGID"]
    skycore.settle()
    skycore.control("POST", "notify", {"tracking_id": tracking_id, "code": code})
    skycore.settle()
    assert receiver.codes() == ["N201", code]
    (message,) = skycore.control("GET", "messages")["messages"]
    assert message["status"] == status


def test_the_carrier_of_one_subscriber_says_more(skycore: Skycore, receiver: Receiver) -> None:
    skycore.set(outcome="no_receipt")
    skycore.call("sendSavedMMSCampaign", MMSID="1001", TOCAMPAIGN="501")
    skycore.settle()
    first, *others = skycore.control("GET", "messages")["messages"]
    assert {other["tracking_id"] for other in others} == {first["tracking_id"]}
    step = {"tracking_id": first["tracking_id"], "to": first["to"], "code": "E102"}
    skycore.control("POST", "notify", step)
    skycore.settle()
    kept = skycore.control("GET", "messages")["messages"]
    assert [message["status"] for message in kept] == ["failed", *("sent" for _ in others)]


def test_events_as_they_happen(skycore: Skycore) -> None:
    found: list[str] = []
    url = f"{skycore.server.url}_control/events"
    ready = threading.Event()

    def watch() -> None:
        with requests.Session() as session:
            session.trust_env = False
            with session.get(url, stream=True, timeout=PATIENCE_SECONDS) as answer:
                ready.set()
                for line in answer.iter_lines(chunk_size=1):
                    found.append(line.decode())
                    if len(found) == 6:
                        return

    thread = threading.Thread(target=watch)
    thread.start()
    ready.wait(5)
    skycore.call("sendSMS", **{**SMS, "TO": "15005550007"})
    thread.join(5)
    assert [line for line in found if line.startswith("event")] == [
        "event: message",
        "event: request",
    ]
    shown = json.loads(found[1].removeprefix("data: "))
    assert shown["text"] == "Hello"


def test_reset_forgets_all_but_the_settings(skycore: Skycore) -> None:
    skycore.call("sendSMS", **SMS)
    skycore.call("deleteMMSID", MMSID="1001")
    skycore.set(postback_delay=0.5)
    skycore.control("POST", "reset")
    counts = skycore.control("GET", "counts")
    assert (counts["requests"], counts["calls"], counts["messages"]) == (0, 0, 0)
    assert "1001" in skycore.call("getMmsIds")["MMSIDS"]
    assert skycore.control("GET", "settings")["postback_delay"] == 0.5


def run(*options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "skycore_simulator", *options]
    environment = {**os.environ, "PYTHONPATH": str(Path(skycore_simulator.__file__).parents[1])}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_the_program_starts_serves_and_stops(skycore: Skycore, receiver: Receiver) -> None:
    options = ["--port", "0", "--api-key", "k", "--postback-url", receiver.url]
    with run(*options, "--postback-delay", "3600", "--max-per-second", "1") as program:
        assert program.stdout is not None
        line = program.stdout.readline()
        assert line.startswith("skycore simulator on http://127.0.0.1:")
        url = line.split()[-1]
        query = "?action=sendsms&api_key=k&to=17743199144&from=60856&text=a+b"
        replies = [skycore.session.get(url + query).text for _ in range(2)]
        assert "Success" in replies[0]
        assert "E106" in replies[1]
        program.send_signal(signal.SIGTERM)
        assert program.wait(PATIENCE_SECONDS) == 0  # the postback that is due in an hour is dropped


def test_a_taken_port_is_named(skycore: Skycore) -> None:
    with run("--port", str(skycore.server.port)) as program:
        _, problem = program.communicate(timeout=PATIENCE_SECONDS)
    assert program.returncode == 1
    assert f"port {skycore.server.port}: it is in use; choose another with --port" in problem


@pytest.mark.parametrize(
    "options, word",
    [
        (["--port", "70000"], "--port must be"),
        (["--log-file", "/no/such/folder/log"], "--log-file /no/such/folder/log: No such"),
        (["--retry-seconds", "-1"], "retry_seconds must not be negative"),
    ],
)
def test_a_wrong_command_line_is_named(
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    word: str,
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(options)
    assert stopped.value.code == 2
    assert word in capsys.readouterr().err


def test_the_help_names_every_option() -> None:
    text = build_parser().format_help()
    for option in (
        "port",
        "host",
        "api-key",
        "postback-url",
        "user",
        "password",
        "retry-seconds",
        "postback-delay",
        "max-per-second",
        "max-per-minute",
        "max-per-day",
        "log-file",
        "no-page",
        "api-port",
        "reply-content-type",
        "version",
    ):
        assert f"--{option}" in text
