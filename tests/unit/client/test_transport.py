"""What the client knows after each way in which a call can end."""

import gzip
import logging
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from requests.adapters import HTTPAdapter

from skycore.client.client import SkycoreClient
from skycore.client.errors import NotReady, NotSent, OutcomeUnknown
from skycore.client.request import Credentials
from tests.unit.client.skycore_server import Behaviour, Server, answer, in_turn, serve

KEY = "Kx8kZq3vT5pY7nB2mW9rD4sF6gH1jL0c"
SMS = {"to": "+17743199144", "from": "60856", "text": "a secret text"}
SUCCESS = (
    "<RESPONSE><STATUS>Success</STATUS><TRACKINGID>T1</TRACKINGID><TO>17743199144</TO></RESPONSE>"
)
LINGER_AND_RESET = struct.pack("ii", 1, 0)


def call(server: Server, **options: float) -> str:
    timeout = (options.get("connect", 1.0), options.get("read", 1.0))
    deadline = time.monotonic() + options.get("within", 20.0)
    with SkycoreClient(server.url, Credentials(api_key=KEY)) as client:
        reply = client.call("sendSMS", SMS, timeout=timeout, deadline=deadline)
    return str(reply.fields["tracking_id"])


def reset(connection: socket.socket, _: bytes) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_AND_RESET)
    connection.close()


def close(connection: socket.socket, _: bytes) -> None:
    connection.close()


def silent(_: socket.socket, __: bytes) -> None:
    time.sleep(1.2)


def raw(*pieces: bytes, pause: float = 0.0, then_close: bool = True) -> Behaviour:
    def behave(connection: socket.socket, _: bytes) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        if then_close:
            connection.close()

    return behave


def trickled(text: str) -> Behaviour:
    return raw(*(bytes([byte]) for byte in text.encode()), pause=0.05)


HEAD = f"HTTP/1.1 200 OK\r\nContent-Length: {len(SUCCESS)}\r\n\r\n"
TEN_MEGABYTES = f"<RESPONSE><STATUS>Success</STATUS><TRACKINGID>T1</TRACKINGID>{' ' * 10**7}"

UNKNOWN: dict[str, tuple[Behaviour, str]] = {
    "reset after the write": (reset, "connection lost"),
    "closed without a reply": (close, "connection lost"),
    "silent": (silent, "in time"),
    "half a head": (raw(b"HTTP/1.1 200 OK\r\nConte"), "connection lost"),
    "half a body by its length": (raw(HEAD.encode() + SUCCESS[:60].encode()), "connection lost"),
    "half a body without a length": (
        raw(b"HTTP/1.1 200 OK\r\n\r\n" + SUCCESS[:60].encode()),
        "cut off",
    ),
    "half a chunked body": (
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<RESP\r\n"),
        "connection lost",
    ),
    "no HTTP": (raw(b"\x00\x01 hello\r\n\r\n"), "connection lost"),
    "a trickling head": (trickled("HTTP/1.1 200 OK\r\nA: b\r\n" * 20), "in time"),
    "a trickling body": (trickled(HEAD + SUCCESS), "in time"),
    "10 MB": (answer(f"{TEN_MEGABYTES}</RESPONSE>"), "too large"),
    "redirect": (answer(SUCCESS, "302 Found", "Location: /elsewhere\r\n"), "HTTP 302"),
    "redirect that keeps the method": (
        answer(SUCCESS, "307 Temporary Redirect", "Location: /elsewhere\r\n"),
        "HTTP 307",
    ),
    "500 with a success in it": (answer(SUCCESS, "500 Internal Server Error"), "HTTP 500"),
    "503 without a body": (answer("", "503 Service Unavailable"), "HTTP 503"),
    "half a head of an error": (raw(b"HTTP/1.1 403 Forbidden\r\nConte"), "connection lost"),
    "half an error page": (
        raw(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 50\r\n\r\n<html>"),
        "connection lost",
    ),
    "408 page": (answer("<html>no</html>", "408 Request Timeout"), "HTTP 408"),
    "403 with a success in it": (answer(SUCCESS, "403 Forbidden"), "HTTP 403"),
    "empty body": (answer(""), "empty reply"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_outcome_is_unknown_and_nothing_is_sent_again(name: str) -> None:
    behaviour, reason = UNKNOWN[name]
    began = time.monotonic()
    with serve(behaviour) as server, pytest.raises(OutcomeUnknown, match=reason):
        call(server, read=0.3)
    assert len(server.requests) == 1
    assert time.monotonic() - began < 2


def test_the_deadline_bounds_reading() -> None:
    began = time.monotonic()
    with serve(silent) as server, pytest.raises(OutcomeUnknown, match="in time"):
        call(server, read=15, within=0.5)
    assert time.monotonic() - began < 10


def test_no_time_left_sends_nothing() -> None:
    with serve(answer(SUCCESS)) as server, pytest.raises(NotReady, match="no time left"):
        call(server, within=-1)
    assert server.connections == 0


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with pytest.raises(NotSent, match="no connection"):
        call(Server(url))


def test_name_is_not_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(NotSent, match="name not resolved"):
        call(Server("http://skycore.invalid/"))


def test_connect_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:  # a full backlog takes no more connections
            filler.setblocking(False)
            filler.connect_ex(address)
        with pytest.raises(NotSent, match="connect timeout"):
            call(Server(f"http://127.0.0.1:{address[1]}/"), connect=0.2)
        for filler in fillers:
            filler.close()


def test_tls_handshake_that_hangs_sends_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(NotSent):
            call(Server(url), connect=0.2)


def test_tls_certificate_that_nobody_signed_sends_nothing(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serve(answer(SUCCESS), context) as server, pytest.raises(NotSent, match="TLS"):
        call(server)
    assert server.requests == []


def test_tls_keeps_connections(certificate: Path) -> None:
    with tls_client(certificate, answer(SUCCESS)) as (server, client):
        assert client.call("sendSMS", SMS).fields["tracking_id"] == "T1"
        assert client.call("sendSMS", SMS).fields["tracking_id"] == "T1"
    assert server.connections == 1


@pytest.mark.parametrize("name", ["reset after the write", "silent", "a trickling body"])
def test_tls_outcome_is_unknown_and_nothing_is_sent_again(certificate: Path, name: str) -> None:
    behaviour, _ = UNKNOWN[name]
    with tls_client(certificate, behaviour) as (server, client), pytest.raises(OutcomeUnknown):
        client.call("sendSMS", SMS)
    assert len(server.requests) == 1


@contextmanager
def tls_client(certificate: Path, behaviour: Behaviour) -> Iterator[tuple[Server, SkycoreClient]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serve(behaviour, context) as server, requests.Session() as session:
        session.trust_env = False
        session.verify = str(certificate)
        key = Credentials(api_key=KEY)
        yield server, SkycoreClient(server.url, key, session=session, read_timeout=0.5)


def test_unsent_calls_are_tried_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [ConnectionRefusedError(), ConnectionRefusedError()]
    connect = socket.socket.connect

    def flaky(self: socket.socket, address: tuple[str, int]) -> None:
        if failures:
            raise failures.pop()
        connect(self, address)

    with serve(answer(SUCCESS)) as server:
        monkeypatch.setattr(socket.socket, "connect", flaky)
        assert call(server) == "T1"
    assert len(server.requests) == 1


def test_repeats_stay_within_the_deadline() -> None:
    def elapsed() -> float:
        began = time.monotonic()
        with pytest.raises(NotSent):
            call(Server("http://127.0.0.1:9/"), within=0.05)
        return time.monotonic() - began

    # A busy machine may hold up one or two of three; without the deadline each takes longer.
    assert any(elapsed() < 0.3 for _ in range(3))


def test_a_kept_connection_is_used_again_at_once_but_not_after_a_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        serve(answer(SUCCESS)) as server,
        SkycoreClient(server.url, Credentials(api_key=KEY)) as client,
    ):
        client.call("sendSMS", SMS)
        client.call("sendSMS", SMS)
        assert server.connections == 1
        monkeypatch.setattr("skycore.client.connections._IDLE_SECONDS", 0.0)
        client.call("sendSMS", SMS)
        assert server.connections == 2


def test_a_connection_that_the_server_closed_is_noticed() -> None:
    closing = raw(HEAD.encode() + SUCCESS.encode())
    with serve(closing) as server, SkycoreClient(server.url, Credentials(api_key=KEY)) as client:
        client.call("sendSMS", SMS)
        time.sleep(0.05)
        client.call("sendSMS", SMS)
    assert server.connections == 2


def test_close_that_crosses_the_request_is_unknown() -> None:
    with (
        serve(in_turn(answer(SUCCESS), close)) as server,
        SkycoreClient(server.url, Credentials(api_key=KEY)) as client,
    ):
        client.call("sendSMS", SMS)
        with pytest.raises(OutcomeUnknown):
            client.call("sendSMS", SMS)
    assert len(server.requests) == 2


def test_compressed_reply_is_read_and_a_bomb_is_cut_off() -> None:
    packed = "Content-Encoding: gzip\r\n"
    with serve(answer(gzip.compress(SUCCESS.encode()), headers=packed)) as server:
        assert call(server) == "T1"
    bomb = gzip.compress(b"<RESPONSE>" + b" " * 10**7)
    with (
        serve(answer(bomb, headers=packed)) as server,
        pytest.raises(OutcomeUnknown, match="too large"),
    ):
        call(server)


def test_cookies_and_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with serve(answer(SUCCESS, headers="Set-Cookie: a=b\r\n")) as server:
        with SkycoreClient(server.url, Credentials(api_key=KEY)) as client:
            client.call("sendSMS", SMS)
            client.call("sendSMS", SMS)
        assert all(b"Cookie" not in request for request in server.requests)


class Foreign(HTTPAdapter):
    """An adapter that proves nothing."""


def test_a_foreign_adapter_does_not_take_the_place_of_ours() -> None:
    with requests.Session() as session, serve(reset) as server:
        session.mount("http://", Foreign())
        session.trust_env = False
        client = SkycoreClient(server.url, Credentials(api_key=KEY), session=session)
        with pytest.raises(OutcomeUnknown):
            client.call("sendSMS", SMS)
    with pytest.raises(NotSent):
        client.call("sendSMS", SMS)


def test_a_given_session_stays_open_and_is_guarded() -> None:
    with requests.Session() as session, serve(answer(SUCCESS)) as server:
        session.trust_env = False
        with SkycoreClient(server.url, Credentials(api_key=KEY), session=session) as client:
            client.call("sendSMS", SMS)
        assert session.get(server.url).status_code == 200


@pytest.mark.parametrize("transport", ["post", "get"])
@pytest.mark.parametrize("behaviour", [answer(SUCCESS), reset, answer("", "302 Found"), None])
def test_no_log_or_error_holds_key_text_or_number(
    transport: str,
    behaviour: Behaviour | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    told = ""
    with serve(behaviour or silent) as server:
        url = server.url if behaviour else "http://127.0.0.1:9/"
        with SkycoreClient(url, Credentials(api_key=KEY), connect_timeout=0.3) as client:
            try:
                told = repr(client.call("sendSMS", SMS, transport=transport))  # type: ignore[arg-type]
            except (NotSent, OutcomeUnknown) as error:
                told = f"{error!r} {error} {error.__cause__!r} {error.__context__!r}"
                logging.getLogger(__name__).exception("failed")
    for text in (told, caplog.text):
        assert KEY not in text
        assert "secret" not in text
        assert "7743199144" not in text
