"""What the client does to servers, resolvers and networks that break the rules."""

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest
import requests

from skycore.client.client import SkycoreClient
from skycore.client.connections import Bounds
from skycore.client.errors import HttpRefused, NotSent, OutcomeUnknown
from skycore.client.request import Credentials
from skycore.client.transport import exchange, mount_adapter, new_session
from tests.patience import PATIENCE_SECONDS
from tests.unit.client.skycore_server import Behaviour, accepting, answer, in_turn, serve

KEY = Credentials(api_key="k")
SMS = {"from": "60856", "text": "Hello"}
SUCCESS = "<RESPONSE><STATUS>Success</STATUS><TRACKINGID>T1</TRACKINGID></RESPONSE>"
SENT = answer(SUCCESS)
DEADLINE_SECONDS = 3.0  # far more than any case here takes


def http(body: str, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def success_for(request: bytes) -> str:
    """A success that names the request's own recipient, in TO and in the tracking id."""
    found = re.search(r"<TO>(\d+)</TO>", unquote_plus(request.decode()))
    assert found
    return SUCCESS.replace("T1", f"T{found[1]}").replace("</R", f"<TO>{found[1]}</TO></R")


def send(client: SkycoreClient, number: int, **options: Any) -> str:
    """What became of one message: its tracking id, or the name of the error."""
    deadline = time.monotonic() + options.pop("within", DEADLINE_SECONDS)
    fields = {"to": f"1774319000{number}", **SMS}
    try:
        reply = client.call("sendSMS", fields, prepared=True, deadline=deadline, **options)
    except (NotSent, OutcomeUnknown) as error:
        return type(error).__name__
    return str(reply.fields["tracking_id"])


def pieces(*parts: bytes, pause: float = 0.0, times: int = 1) -> Behaviour:
    """Send these bytes again and again, and close the connection."""

    def behave(connection: socket.socket, _: bytes) -> None:
        for _number in range(times):
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
        connection.close()

    return behave


# A reply belongs to its request.

INTERIM = {
    "100": ["100 Continue"],
    "102": ["102 Processing"],
    "103": ["103 Early Hints\r\nLink: </x>; rel=preload"],
    "an unknown one": ["199 Something"],
    "several": ["100 Continue", "103 Early Hints\r\nA: b", "102 Processing", "102 Processing"],
}


@pytest.mark.parametrize("name", INTERIM)
def test_interim_responses_are_skipped(name: str) -> None:
    def behave(connection: socket.socket, request: bytes) -> None:
        for line in INTERIM[name]:
            connection.sendall(f"HTTP/1.1 {line}\r\n\r\n".encode())
            time.sleep(0.02)
        connection.sendall(http(success_for(request)))

    with serve(behave) as server, SkycoreClient(server.url, KEY) as client:
        assert [send(client, n) for n in (1, 2)] == ["T17743190001", "T17743190002"]
    assert server.connections == 1


def test_a_reply_that_comes_twice_is_not_the_next_message_s() -> None:
    def behave(connection: socket.socket, request: bytes) -> None:
        if len(server.requests) == 2:  # the first reply again, while its successor is awaited
            connection.sendall(http(success_for(server.requests[0])))
        else:
            connection.sendall(http(success_for(request)))

    with serve(behave) as server, SkycoreClient(server.url, KEY) as client:
        assert send(client, 1) == "T17743190001"
        assert send(client, 2) == "OutcomeUnknown"
        assert send(client, 3) == "T17743190003"
    assert server.connections == 2


NOT_UNDERSTOOD = {
    "a page": http("<html>maintenance</html>"),
    "an empty body": http(""),
    "a half reply": http("<RESPONSE><STATUS>Success</STATUS>"),
    "another number": http(SUCCESS.replace("</R", "<TO>15005550006</TO></R")),
    "both a success and an error": http(SUCCESS.replace("</R", "<ERRORCODE>E110</ERRORCODE></R")),
    "a redirect": http("", "302 Found\r\nLocation: /x"),
    "a server error": http(SUCCESS, "500 Internal Server Error"),
    "a gateway's refusal": http("<html>slow down</html>", "400 Bad Request"),
}


@pytest.mark.parametrize("name", NOT_UNDERSTOOD)
def test_the_connection_is_closed_unless_its_reply_was_understood(name: str) -> None:
    def behave(connection: socket.socket, _: bytes) -> None:
        connection.sendall(NOT_UNDERSTOOD[name])

    with serve(in_turn(behave, SENT)) as server, SkycoreClient(server.url, KEY) as client:
        assert [send(client, 1), send(client, 2)] == ["OutcomeUnknown", "T1"]
    assert server.connections == 2


SURPLUS = [
    http("", "400 Bad Request\r\nConnection: close"),
    http(SUCCESS),
    b"0\r\n\r\n",
    b"\n",
]


@pytest.mark.parametrize("pause", [0.0, 0.02], ids=["at once", "later"])
@pytest.mark.parametrize("surplus", SURPLUS)
def test_bytes_that_nobody_asked_for_close_the_connection(surplus: bytes, pause: float) -> None:
    arrived = threading.Event()

    def late(connection: socket.socket) -> None:
        connection.sendall(surplus)
        arrived.set()

    def behave(connection: socket.socket, _: bytes) -> None:
        if pause:
            connection.sendall(http(SUCCESS))
            threading.Timer(pause, late, [connection]).start()
        else:
            connection.sendall(http(SUCCESS) + surplus)
            arrived.set()

    with serve(in_turn(behave, SENT)) as server, SkycoreClient(server.url, KEY) as client:
        assert send(client, 1) == "T1"
        assert arrived.wait(PATIENCE_SECONDS)
        assert send(client, 2) == "T1"
    assert server.connections == 2


# Reading ends.

NEVER_ENDING = {
    "interim responses": pieces(b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.01, times=300),
    "a flood of interim responses": pieces(
        b"HTTP/1.1 102 Processing\r\n\r\n" * 1000, times=100_000
    ),
    "a header": pieces(b"HTTP/1.1 200 OK\r\nA: ", *[b"a"] * 300, pause=0.01),
    "headers": pieces(b"HTTP/1.1 200 OK\r\n", *[b"A: b\r\n"] * 300, pause=0.01),
    "a chunked body": pieces(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        *[b"1\r\nx\r\n"] * 300,
        pause=0.01,
    ),
    "an endless chunk size": pieces(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"0"] * 300, pause=0.01
    ),
    "a body without a length": pieces(
        b"HTTP/1.1 200 OK\r\n\r\n<RESPONSE>", *[b" "] * 300, pause=0.01
    ),
    "an error page": pieces(
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 999\r\n\r\n", *[b"x"] * 300, pause=0.01
    ),
    "a redirect's body": pieces(
        b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", b"x" * 2**20, times=100
    ),
}


@pytest.mark.parametrize("name", NEVER_ENDING)
def test_reading_ends(name: str) -> None:
    began = time.monotonic()
    with serve(NEVER_ENDING[name]) as server, SkycoreClient(server.url, KEY) as client:
        assert send(client, 1, timeout=(1.0, 0.2)) == "OutcomeUnknown"
        assert len(server.requests) == 1
    assert time.monotonic() - began < 1.5


def test_a_server_that_does_not_read_is_left_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, new_session() as session:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        mount_adapter(session, url)
        began, body = time.monotonic(), b"x" * 20_000_000
        with pytest.raises(OutcomeUnknown, match="in time"):
            post(session, url, body, Bounds(1.0, 9.0, began + 0.5, 1000))
        assert time.monotonic() - began < 2


def post(session: requests.Session, url: str, body: bytes, bounds: Bounds) -> int:
    with exchange(session, "POST", url, body=body, bounds=bounds) as reply:
        return reply.status


def test_a_refusal_before_all_was_read_is_understood() -> None:
    url, stop = refusing_server(http("<html>too large</html>", "413 Content Too Large"))
    with SkycoreClient(url, KEY) as client, pytest.raises(HttpRefused) as caught:
        client.call("sendSMS", {"to": "1", "text": "x" * 6_000_000}, prepared=True)
    assert caught.value.problem == "skycore_unreachable"
    stop()


def test_a_success_before_all_was_read_is_unknown() -> None:
    url, stop = refusing_server(http(SUCCESS))
    with SkycoreClient(url, KEY) as client, pytest.raises(OutcomeUnknown):
        client.call("sendSMS", {"to": "1", "text": "x" * 6_000_000}, prepared=True)
    stop()


def refusing_server(reply: bytes) -> tuple[str, Callable[[], None]]:
    """A server that answers at the first bytes, and reads no further."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(10)
            connection.sendall(reply)
            connection.shutdown(socket.SHUT_RD)
            time.sleep(0.3)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()

    def stop() -> None:
        thread.join(5)
        listener.close()

    return f"http://127.0.0.1:{listener.getsockname()[1]}/", stop


# Connecting ends, and counts once.


@pytest.fixture
def black_hole() -> Iterator[tuple[str, int]]:
    """An address at which connecting never ends: a full backlog takes no more connections."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address: tuple[str, int] = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        yield address
        for filler in fillers:
            filler.close()


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


def ends_within(seconds: float, url: str, reason: str, *, connect: float, within: float) -> bool:
    """Whether it is certain after so many seconds that nothing was sent.

    A busy machine may hold up one call or two, and a fault holds up all three. It may also take up
    all the time to connect: so "connect timeout" is a reason where the time is short.
    """
    return any(elapsed(url, reason, connect, within) < seconds for _ in range(3))


def elapsed(url: str, reason: str, connect: float, within: float) -> float:
    """The seconds until it is certain that nothing was sent."""
    began = time.monotonic()
    with SkycoreClient(url, KEY) as client, pytest.raises(NotSent, match=reason):
        client.call(
            "sendSMS",
            {"to": "1", **SMS},
            prepared=True,
            timeout=(connect, 5.0),
            deadline=began + within,
        )
    return time.monotonic() - began


@pytest.mark.parametrize("addresses", [1, 3, 10])
def test_the_time_to_connect_counts_once_for_all_addresses(
    addresses: int, black_hole: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, *[black_hole] * addresses)
    assert ends_within(0.4, "http://skycore.test/", "connect timeout", connect=0.2, within=0.21)


def test_no_time_to_connect_ends_after_the_deadline(
    black_hole: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, *[black_hole] * 5)
    assert ends_within(0.6, "http://skycore.test/", "connect timeout", connect=9.0, within=0.3)


def test_an_address_that_does_not_answer_leaves_time_for_the_next(
    black_hole: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(SENT) as server:
        resolve_to(monkeypatch, black_hole, ("127.0.0.1", server.accepted.port))
        with SkycoreClient("http://skycore.test/", KEY) as client:
            assert send(client, 1, timeout=(0.4, 1.0)) == "T1"


def test_a_resolver_that_hangs_ends_with_the_time_to_connect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(5) and [])
    assert ends_within(0.4, "http://skycore.test/", "connect timeout", connect=0.1, within=0.15)
    released.set()


@pytest.mark.parametrize("host", ["skycore.invalid", f"{'a' * 64}.test", "xn--.test"])
def test_a_name_that_does_not_exist_sends_nothing(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def fail(name: str, *rest: Any, **options: Any) -> Any:
        if name == "skycore.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return real(name, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert ends_within(
        2, f"http://{host}/", "name not resolved|connect timeout", connect=0.5, within=0.05
    )


def test_a_tls_handshake_that_trickles_ends_with_the_time_to_connect() -> None:
    def trickle(connection: socket.socket) -> None:
        with connection:
            for _ in range(100):
                connection.sendall(b"\x16")
                time.sleep(0.02)

    with accepting(trickle) as accepted:
        url = f"https://127.0.0.1:{accepted.port}/"
        assert ends_within(0.6, url, "TLS|connect timeout", connect=0.2, within=0.25)


@pytest.mark.parametrize(
    "first", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x28"]
)
def test_a_server_without_tls_is_sent_nothing(first: bytes) -> None:
    received: list[bytes] = []

    def refuse(connection: socket.socket) -> None:
        with connection:
            received.append(connection.recv(65536))
            connection.sendall(first)

    with accepting(refuse) as accepted:
        elapsed(
            f"https://127.0.0.1:{accepted.port}/", "TLS handshake failed", connect=2.0, within=2.0
        )
    assert b"<REQUEST>" not in b"".join(received)


# The leave to write is asked for last.


@pytest.mark.parametrize("slow", ["name resolution", "TCP", "TLS"])
def test_before_write_comes_after_everything_slow(
    slow: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments: dict[str, float] = {}

    def delayed(function: Callable[..., Any]) -> Callable[..., Any]:
        def wait(*arguments: Any, **options: Any) -> Any:
            time.sleep(0.15)
            result = function(*arguments, **options)
            if not getattr(arguments[0], "server_side", False):  # the handshake's other end
                moments["ready"] = time.monotonic()
            return result

        return wait

    def receive(connection: socket.socket, request: bytes) -> None:
        moments["received"] = time.monotonic()
        SENT(connection, request)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serve(receive, context) as server, requests.Session() as session:
        session.trust_env = False
        session.verify = str(certificate)
        if slow == "name resolution":
            monkeypatch.setattr(socket, "getaddrinfo", delayed(socket.getaddrinfo))
        elif slow == "TCP":
            monkeypatch.setattr(socket.socket, "connect", delayed(socket.socket.connect))
        else:
            handshake = delayed(ssl.SSLSocket.do_handshake)
            monkeypatch.setattr(ssl.SSLSocket, "do_handshake", handshake)
        client = SkycoreClient(server.url, KEY, session=session)
        asked = lambda: moments.setdefault("asked", time.monotonic())  # noqa: E731
        assert send(client, 1, before_write=asked) == "T1"
    assert moments["ready"] <= moments["asked"] <= moments["received"]


def test_a_message_that_may_not_be_written_any_more_keeps_its_connection() -> None:
    class TooLateError(Exception):
        pass

    def refuse() -> None:
        raise TooLateError

    with serve(SENT) as server, SkycoreClient(server.url, KEY) as client:
        with pytest.raises(TooLateError):
            send(client, 1, before_write=refuse)
        assert server.requests == []
        assert send(client, 1) == "T1"
    assert server.connections == 1


def test_unsent_is_said_of_a_server_that_has_gone() -> None:
    with serve(SENT) as server:
        pass
    assert ends_within(1, server.url, "no connection|connect timeout", connect=0.5, within=0.05)
