"""Calls from end to end, against a server that answers as told."""

import socket
import ssl
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest

from skycore.client import connections
from skycore.client.client import SkycoreClient
from skycore.client.errors import (
    CredentialsMissing,
    InvalidRequest,
    NotReady,
    NotSent,
    OutcomeUnknown,
    Refused,
)
from skycore.client.request import Credentials
from tests.unit.client.skycore_server import Behaviour, answer, in_turn, serve

OLD, NEW = Credentials(api_key="old-key"), Credentials(api_key="new-key")
SMS = {"to": "+1 774-319-9144", "from": "60856", "text": "Ä & <b>\r\n"}
SENT = answer("<RESPONSE><STATUS>Success</STATUS><TRACKINGID>T1</TRACKINGID></RESPONSE>")


def refusal(code: str, info: str = "") -> Behaviour:
    return answer(
        f"<RESPONSE><STATUS>Failure</STATUS><ERRORCODE>{code}</ERRORCODE>"
        f"<ERRORINFO>{info}</ERRORINFO></RESPONSE>"
    )


def test_post_is_one_form_field() -> None:
    with serve(SENT) as server, SkycoreClient(server.url, OLD) as client:
        assert client.call(" SENDsms ", SMS).fields["tracking_id"] == "T1"
    head = server.requests[0].partition(b"\r\n\r\n")[0].lower()
    assert head.startswith(b"post /index.php http/1.1\r\n")
    assert b"content-type: application/x-www-form-urlencoded" in head
    assert parse_qs(server.bodies[0].decode(), strict_parsing=True) == {
        "xml": [
            (
                "<REQUEST><ACTION>sendSMS</ACTION><API_KEY>old-key</API_KEY><TO>17743199144</TO>"
                "<FROM>60856</FROM><TEXT>Ä &amp; &lt;b&gt;&#13;\n</TEXT></REQUEST>"
            )
        ]
    }


@pytest.mark.parametrize("suffix", ["", "?", "?a=b", "?a=b&"])
def test_get_is_a_query(suffix: str) -> None:
    with serve(SENT) as server, SkycoreClient(server.url + suffix, OLD) as client:
        client.call("sendSMS", SMS, transport="get")
    request = server.requests[0].partition(b" HTTP/1.1")[0].decode()
    method, _, path = request.partition(" ")
    query = parse_qs(path.partition("?")[2], strict_parsing=True)
    query.pop("a", None)
    assert method == "GET"
    assert query == {
        "action": ["sendsms"],
        "api_key": ["old-key"],
        "to": ["17743199144"],
        "from": ["60856"],
        "text": ["Ä & <b>\r\n"],
    }


@pytest.mark.parametrize("name", ["sendMMS", "saveMMS"])
def test_slides_have_no_get_form(name: str) -> None:
    client = SkycoreClient("http://127.0.0.1:9/", OLD)
    with client, pytest.raises(InvalidRequest) as caught:
        client.call(name, {}, transport="get")
    assert caught.value.errors[0].field == "transport"
    assert name in caught.value.errors[0].detail


def test_bad_calls_send_nothing() -> None:
    with serve(SENT) as server, SkycoreClient(server.url, OLD) as client:
        with pytest.raises(InvalidRequest) as caught:
            client.call("sendPigeon", {})
        assert [error.field for error in caught.value.errors] == ["action"]
        with pytest.raises(InvalidRequest):
            client.call("sendSMS", {**SMS, "to": "60856"})
    client = SkycoreClient(server.url, Credentials(user="u"))
    with client, pytest.raises(CredentialsMissing, match="no Skycore API key"):
        client.call("sendSMS", SMS)
    assert server.connections == 0


def test_prepared_fields_are_sent_as_they_are() -> None:
    prepared = {"to": "2025550123", "from": "60856", "text": "a" * 200}
    with serve(SENT) as server, SkycoreClient(server.url, OLD) as client:
        client.call("sendSMS", prepared, prepared=True)
        with pytest.raises(InvalidRequest):
            client.call("sendSMS", prepared)
    assert b"2025550123" in server.bodies[0]


def test_default_region_is_the_clients() -> None:
    with serve(SENT) as server, SkycoreClient(server.url, OLD, default_region="FR") as client:
        client.call("sendSMS", {**SMS, "to": "2025550123"})  # too long for France
    assert len(server.requests) == 1


def source(*keys: Credentials) -> tuple[list[bool], Callable[[bool], Credentials]]:
    asked: list[bool] = []

    def give(refresh: bool) -> Credentials:
        asked.append(refresh)
        return keys[len(asked) - 1]

    return asked, give


@pytest.mark.parametrize("code", ["E102", "E103", "E104"])
def test_refused_key_is_read_again_and_tried_once_more(code: str) -> None:
    asked, give = source(OLD, NEW)
    with (
        serve(in_turn(refusal(code), SENT)) as server,
        SkycoreClient(server.url, give) as client,
    ):
        assert client.call("sendSMS", SMS).fields["tracking_id"] == "T1"
    assert asked == [False, True]
    assert [b"new-key" in body for body in server.bodies] == [False, True]


@pytest.mark.parametrize(
    ("keys", "code", "requests"),
    [
        ((OLD, OLD), "E104", 1),  # nobody has set a newer one
        ((OLD, NEW), "E104", 2),  # the newer one is refused as well
        ((OLD, NEW), "E105", 1),  # not a matter of the key
        ((OLD, NEW), "E106", 1),
    ],
)
def test_refusals_are_told(keys: tuple[Credentials, ...], code: str, requests: int) -> None:
    _, give = source(*keys)
    with serve(refusal(code)) as server:
        client = SkycoreClient(server.url, give)
        with client, pytest.raises(Refused) as caught:
            client.call("sendSMS", SMS)
    assert caught.value.code == code
    assert len(server.requests) == requests


def test_fixed_credentials_are_not_tried_twice() -> None:
    with serve(refusal("E104")) as server:
        client = SkycoreClient(server.url, OLD)
        with client, pytest.raises(Refused):
            client.call("sendSMS", SMS)
    assert len(server.requests) == 1


def test_unreadable_answer_after_the_newer_key_is_unknown() -> None:
    _, give = source(OLD, NEW)
    with (
        serve(in_turn(refusal("E104"), answer("<RESPONSE>"))) as server,
        SkycoreClient(server.url, give) as client,
        pytest.raises(OutcomeUnknown),
    ):
        client.call("sendSMS", SMS)
    assert len(server.requests) == 2


class OutError(Exception):
    """A stranger's error, whose text must not get out."""


def failing(*keys: Credentials) -> Callable[[bool], Credentials]:
    left = list(keys)

    def give(_: bool) -> Credentials:
        if not left:
            raise OutError("old-key")
        return left.pop(0)

    return give


@pytest.mark.parametrize(("keys", "requests"), [((), 0), ((OLD,), 1)], ids=["first", "refresh"])
def test_credentials_that_cannot_be_read(keys: tuple[Credentials, ...], requests: int) -> None:
    with serve(refusal("E104")) as server:
        client = SkycoreClient(server.url, failing(*keys))
        with client, pytest.raises(NotSent) as caught:
            client.call("sendSMS", SMS)
    assert caught.value.reason == "credentials not read"
    assert "old-key" not in "".join(traceback.format_exception(caught.value))
    assert len(server.requests) == requests


def test_a_request_that_cannot_be_written_was_not_sent() -> None:
    with serve(SENT) as server, SkycoreClient(server.url, OLD) as client:
        with pytest.raises(NotSent):
            client.call("sendSMS", {**SMS, "text": "\ud800"}, prepared=True)
        with pytest.raises(NotSent):
            client.call("sendSMS", 5)  # type: ignore[arg-type]
    assert server.requests == []


def test_before_write_comes_before_each_request_that_skycore_counts() -> None:
    _, give = source(OLD, NEW)
    came: list[int] = []
    with (
        serve(in_turn(refusal("E104"), SENT)) as server,
        SkycoreClient(server.url, give) as client,
    ):
        client.call("sendSMS", SMS, before_write=lambda: came.append(len(server.requests)))
    assert came == [0, 1]


@pytest.mark.parametrize("requests", [0, 1], ids=["the first request", "with newer credentials"])
def test_what_before_write_raises_comes_out_as_it_is(requests: int) -> None:
    _, give = source(OLD, NEW, NEW)
    behaviour = in_turn(*[refusal("E104")] * requests, SENT)
    error = OutError("too late")

    def refuse() -> None:
        if len(server.requests) == requests:
            raise error

    with serve(behaviour) as server, SkycoreClient(server.url, give) as client:
        with pytest.raises(OutError) as caught:
            client.call("sendSMS", SMS, before_write=refuse)
        assert caught.value is error
        assert len(server.requests) == requests
        client.call("sendSMS", SMS)
    assert server.connections == 1, "what was ready to be written to is not thrown away"


def test_before_write_is_not_called_without_a_connection() -> None:
    with serve(SENT) as server:
        pass
    came: list[None] = []
    with SkycoreClient(server.url, OLD) as client, pytest.raises(NotSent):
        client.call("sendSMS", SMS, before_write=lambda: came.append(None))
    assert came == []


def test_a_connection_that_closes_while_before_write_waits_is_not_written_to() -> None:
    open_ones: list[socket.socket] = []

    def keep_open(connection: socket.socket, request: bytes) -> None:
        open_ones.append(connection)
        SENT(connection, request)

    def hang_up() -> None:
        while open_ones:
            open_ones.pop().shutdown(socket.SHUT_RDWR)

    with serve(in_turn(keep_open, SENT)) as server, SkycoreClient(server.url, OLD) as client:
        client.call("sendSMS", SMS)
        reply = client.call("sendSMS", SMS, before_write=hang_up)
    assert reply.fields["tracking_id"] == "T1"
    assert server.connections == 2


def test_calls_use_the_credentials_that_ready_read() -> None:
    asked, give = source(OLD)
    with serve(SENT) as server, SkycoreClient(server.url, give) as client:
        client.ready()
        client.call("sendSMS", SMS)
        client.call("sendSMS", SMS)
    assert asked == [False]
    assert all(b"old-key" in body for body in server.bodies)


def test_newer_credentials_take_the_place_of_those_that_ready_read() -> None:
    asked, give = source(OLD, NEW)
    with (
        serve(in_turn(refusal("E104"), SENT)) as server,
        SkycoreClient(server.url, give) as client,
    ):
        client.ready()
        client.call("sendSMS", SMS)
        client.call("sendSMS", SMS)
    assert asked == [False, True]
    assert [b"new-key" in body for body in server.bodies] == [False, True, True]


def test_ready_says_what_is_missing_before_any_connection() -> None:
    with serve(SENT) as server:
        with SkycoreClient(server.url, failing()) as client, pytest.raises(NotReady):
            client.ready()
        client = SkycoreClient(server.url, Credentials())
        with client, pytest.raises(CredentialsMissing):
            client.ready()
    assert server.connections == 0


def test_ready_connects_for_the_call_that_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ConnectionRefusedError

    with serve(SENT) as server, SkycoreClient(server.url, OLD) as client:
        client.ready()
        client.ready()
        monkeypatch.setattr(socket.socket, "connect", refuse)
        assert server.requests == []
        client.call("sendSMS", SMS)
    assert server.connections == 1


def test_ready_opens_all_connections_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(5, timeout=30)
    connect = connections._connect
    connects = []

    def wait_for_the_others(*arguments: Any) -> socket.socket:
        connects.append(arguments)
        together.wait()
        return connect(*arguments)

    monkeypatch.setattr(connections, "_connect", wait_for_the_others)
    with serve(SENT) as server, SkycoreClient(server.url, OLD) as client:
        assert client.ready(count=5) == 5
        monkeypatch.setattr(connections, "_IDLE_SECONDS", 60.0)  # on a slow machine, too
        assert client.ready(count=5) == 5
    assert len(connects) == 5


def test_ready_counts_the_connections_that_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = connections._connect
    refused = iter([True, True])

    def connect_or_fail(*arguments: Any) -> socket.socket:
        if next(refused, False):
            raise ConnectionRefusedError
        return connect(*arguments)

    monkeypatch.setattr(connections, "_connect", connect_or_fail)
    with serve(SENT) as server, SkycoreClient(server.url, OLD) as client:
        assert client.ready(count=5) == 3


def test_ready_replaces_a_connection_that_will_not_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it was called since that connection was opened."""
    began = connections._clocks()
    connect = connections._connect
    connects = []

    def counted(*arguments: Any) -> socket.socket:
        connects.append(arguments)
        return connect(*arguments)

    monkeypatch.setattr(connections, "_connect", counted)
    with serve(SENT) as server, SkycoreClient(server.url, OLD) as client:
        for seconds in (0.0, 0.9, 1.5):
            now = tuple(clock + seconds for clock in began)
            monkeypatch.setattr(connections, "_clocks", lambda now=now: now)
            assert client.ready() == 1
    assert len(connects) == 2


def test_ready_leaves_it_to_the_call_to_say_why_there_is_no_connection() -> None:
    with serve(SENT) as server:
        pass
    with SkycoreClient(server.url, OLD) as client:
        client.ready()
        with pytest.raises(NotSent, match="no connection"):
            client.call("sendSMS", SMS)


def test_certificates_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[Any] = []
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *a, **_: loaded.append(a))
    connections.tls_context.cache_clear()
    with SkycoreClient("https://127.0.0.1:9/", OLD) as client:
        client.ready()
        client.ready()
        with pytest.raises(NotSent):
            client.call("sendSMS", SMS)
    connections.tls_context.cache_clear()
    assert len(loaded) == 1


@pytest.mark.parametrize("url", ["", "skycore.com", "ftp://skycore.com/", "https://", "/a"])
def test_base_url_must_be_absolute(url: str) -> None:
    with pytest.raises(ValueError, match="absolute"):
        SkycoreClient(url, OLD)


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sorted(sys.modules))"],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": "layers/skycore"},
    )
    return done.stdout


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ("client", ("boto3", "botocore", "pynamodb", "aws_lambda_powertools", "yaml")),
        ("validation, reply, errors, request", ("requests", "urllib3", "boto3")),
        ("errors, request", ("phonenumbers", "requests")),
    ],
)
def test_imports_bring_nothing_that_they_do_not_need(modules: str, absent: tuple[str, ...]) -> None:
    loaded = run(f"from skycore.client import {modules}").split()
    assert not set(absent) & set(loaded)
