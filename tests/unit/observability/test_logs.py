"""Log lines say which invocation and which message they are about, and no secret."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import requests

from skycore import logs, metrics
from skycore.handler import InvocationError, lambda_handler
from skycore.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTEXT = SimpleNamespace(aws_request_id="lambda-1")
EVENT = {"requestContext": {"requestId": "api-1"}}


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The lines that were written, as JSON, and as they are with `text`."""
    output = io.StringIO()
    handler = logs.log.registered_handler
    monkeypatch.setattr(handler, "stream", output)
    monkeypatch.setattr(logs, "_secrets", {})
    logs.reset_context()

    def written(*, text: bool = False) -> Any:
        found = output.getvalue().splitlines()
        return found if text else [json.loads(line) for line in found]

    yield written
    logs.reset_context()


def test_the_lines_of_a_request_have_its_ids(lines: Any) -> None:
    @lambda_handler
    def handler(_event: Any, _context: Any) -> Any:
        logs.log.info("one")
        with ThreadPoolExecutor(1) as pool:
            pool.submit(logs.log.info, "two").result()
        return 7

    assert handler(EVENT, CONTEXT) == 7
    logs.reset_context()
    logs.log.info("outside")
    one, two, outside = lines()
    for line in (one, two):
        assert (line["request_id"], line["api_request_id"]) == ("lambda-1", "api-1")
    assert "request_id" not in outside


def test_the_lines_of_a_message_have_its_ids_and_its_thread_alone(lines: Any) -> None:
    logs.bind_message(message_id="m1", tracking_id="t1")
    logs.log.info("one")

    def other() -> None:
        logs.bind_message(message_id="m2")
        logs.log.info("two")

    with ThreadPoolExecutor(1) as pool:
        pool.submit(other).result()
    logs.log.info("three", extra={"message_id": "its own"})
    logs.bind_message()
    logs.log.info("four")
    told = [(line.get("message_id"), line.get("tracking_id")) for line in lines()]
    assert told == [("m1", "t1"), ("m2", None), ("its own", "t1"), (None, None)]


def test_the_next_invocation_starts_without_a_message(lines: Any) -> None:
    @lambda_handler
    def handler(event: Any, _context: Any) -> None:
        logs.log.info("before")
        logs.bind_message(message_id=event["id"])
        metrics.count("Accepted")

    handler({"id": "m1"}, CONTEXT)
    handler({"id": "m2"}, None)
    assert all("message_id" not in line for line in lines())
    assert metrics._recorded == []


SECRETS = ['k"ey/with+signs', "clé-secrète-€", "plain-0123456789"]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_that_was_read_is_in_no_line(lines: Any, secret: str) -> None:
    logs.redact_secret(secret, None, "")
    logs.log.error("failed", extra={"url": f"https://x/?key={secret}&a=1", "list": [secret]})
    (line,) = lines(text=True)
    assert secret not in line
    assert json.dumps(secret)[1:-1] not in line
    assert line.count("(hidden)") == 2


def test_half_a_character_does_not_keep_a_line_from_being_written(lines: Any) -> None:
    logs.log.info("odd", extra={"tracking_id": "a\ud800b"})
    assert lines(text=True)[0].encode()


def test_short_words_are_not_blotted_out(lines: Any) -> None:
    logs.redact_secret("a", "level")
    logs.log.info("level a")
    assert lines()[0]["message"] == "level a"


@pytest.mark.parametrize("error", [ValueError("the text: Hello"), KeyError("17743199144")])
def test_what_an_error_quotes_is_not_told(lines: Any, error: Any) -> None:
    @lambda_handler
    def handler(_event: Any, _context: Any) -> None:
        metrics.count("Accepted")
        raise error

    with pytest.raises(InvocationError) as caught:
        handler({}, CONTEXT)
    assert str(caught.value) == type(error).__name__
    assert caught.value.__suppress_context__
    (line,) = lines()
    assert line["error"] == type(error).__name__
    assert "Hello" not in str(line)
    assert "17743199144" not in str(line)
    assert metrics._recorded == []


def test_what_is_missing_in_the_environment_is_told(lines: Any) -> None:
    @lambda_handler
    def handler(_event: Any, _context: Any) -> None:
        raise SettingsError("environment: missing: TABLE_NAME")

    with pytest.raises(SettingsError, match="TABLE_NAME"):
        handler({}, CONTEXT)
    assert lines() == []


def test_libraries_log_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for library in logs.LIBRARIES:
        logging.getLogger(library).critical("the URL: https://x/?api_key=k")
        logging.getLogger(f"{library}.connection").critical("the URL: https://x/?api_key=k")
    assert caplog.records == []


def test_a_reply_whose_headers_cannot_be_parsed_does_not_tell_its_url(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = b"HTTP/1.1 200 OK\r\n: nameless\r\nno colon\r\nContent-Length: 2\r\n\r\nok"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        requests.get(f"http://127.0.0.1:{server.getsockname()[1]}/?api_key=s3cr3t", timeout=5)
        thread.join()
    assert "s3cr3t" not in caplog.text


@pytest.mark.parametrize("lambda_level", [None, "INFO", "DEBUG"])
@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR"])
def test_the_level_is_the_stacks_whatever_lambda_lets_through(
    level: str, lambda_level: str | None
) -> None:
    known = {"LOG_LEVEL": level, "PYTHONPATH": os.pathsep.join(sys.path)}
    known |= {"AWS_LAMBDA_LOG_LEVEL": lambda_level} if lambda_level else {}
    script = """if True:
        from skycore.logs import log
        for level in ("debug", "info", "warning", "error"):
            getattr(log, level)("a line")
    """
    command = [sys.executable, "-W", "ignore", "-c", script]
    written = subprocess.run(command, env=known, check=True, capture_output=True, text=True)
    lines = [json.loads(line) for line in written.stdout.splitlines()]
    all_levels = ["DEBUG", "INFO", "WARNING", "ERROR"]
    assert [line["level"] for line in lines] == all_levels[all_levels.index(level) :]
    for line in lines:  # by RFC 3339, without which Lambda makes it another time and INFO
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["timestamp"])


def test_there_is_one_logger() -> None:
    loggers = logging.root.manager.loggerDict
    names = {name for name in loggers if name.split(".")[0] == "skycore"}
    assert names == {"skycore"}


def test_an_id_cannot_control_the_terminal_that_shows_the_log(lines: Any) -> None:
    hostile = "a\x9b2J\x85\x7f\u202e\u2066\u2028\u200fb\nFAKE"
    logs.log.info("odd", extra={"tracking_id": hostile})
    (line,) = lines(text=True)
    assert not set(hostile) - set("a2Jb\nFAKE") & set(line)
    assert lines()[0]["tracking_id"] == hostile
