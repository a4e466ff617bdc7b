"""Files come from the allowed hosts, from the address that was checked, and within bounds."""

from __future__ import annotations

import gzip
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any

import pytest

from skycore.client import download
from skycore.client.download import AllowedHosts, DownloadError, file_name
from skycore.client.media import MediaUrlError, is_public_address, media_url
from tests.unit.client.skycore_server import Server, accepting, answer, serve
from tests.unit.client.test_hostile_servers import pieces

if TYPE_CHECKING:
    from pathlib import Path

PUBLIC = "93.184.215.14"
HOSTS = AllowedHosts("https://secure.skycore.com/API/wxml/1.3/index.php", (".skycore.com",))
# Every kind of address that is not public, as a resolver gives it.
PRIVATE = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255"),
    *("192.168.1.1", "169.254.169.254", "169.254.170.2", "100.64.0.1", "192.0.0.8"),
    *("192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250"),
    *("240.0.0.1", "255.255.255.255"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1"),
    *("100::1", "2001:db8::1", "3fff::1", "5f00::1", "4000::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),  # IPv4-mapped
    *("::127.0.0.1", "::10.0.0.1"),  # IPv4-compatible
    *("::ffff:0:127.0.0.1", "::ffff:0:10.0.0.1"),  # IPv4-translated (RFC 2765)
    *("64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::10.0.0.1"),  # NAT64
    *("2002:7f00:1::", "2002:a00:1::1"),  # 6to4
    *("2001:0:4136:e378:8000:63bf:f5ff:fffe", "2001::1"),  # Teredo
]


def fetch(url: str, hosts: AllowedHosts = HOSTS, **bounds: Any) -> download.File:
    return download.download(url, hosts, **{"max_bytes": 1_000, "seconds": 3.0, **bounds})


def refused(url: str, hosts: AllowedHosts = HOSTS, **bounds: Any) -> DownloadError:
    with pytest.raises(DownloadError) as raised:
        fetch(url, hosts, **bounds)
    assert str(raised.value) == raised.value.code
    return raised.value


class Network:
    """What was resolved, and which addresses were connected to; none can be reached."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.resolved: list[str] = []
        self.connected: list[str] = []
        monkeypatch.setattr(socket, "getaddrinfo", self._resolve)
        monkeypatch.setattr(socket, "socket", self._socket)

    def _resolve(self, host: str, port: int, **_: Any) -> list[Any]:
        self.resolved.append(host)
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            (socket.AF_INET6, 1, 6, "", (one, port, 0, 0))
            if ":" in one
            else (socket.AF_INET, 1, 6, "", (one, port))
            for one in addresses
        ]

    def _socket(self, *_: Any) -> Any:
        network = self

        class Socket:
            def setsockopt(self, *_: Any) -> None: ...
            def settimeout(self, *_: Any) -> None: ...
            def close(self) -> None: ...

            def connect(self, address: tuple[Any, ...]) -> None:
                network.connected.append(address[0])
                raise OSError("unreachable")

        return Socket()


def of(server: Server) -> AllowedHosts:
    return AllowedHosts(server.url, ())


# --- Which hosts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://secure.skycore.com/mo/815/1.jpg",
        "http://secure.skycore.com/mo/815/1.jpg",
        "https://skycore.com/1.jpg",
        "https://a.b.SKYCORE.com./1.jpg",
        "https://media.skycore.com:443/1.jpg",
    ],
)
def test_a_media_host_is_asked_at_its_public_address(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    network = Network(monkeypatch, [PUBLIC])
    assert refused(url).code == "unreachable"
    assert network.connected == [PUBLIC]


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/1.jpg",
        "https://evilskycore.com/1.jpg",
        "https://skycore.com.example.com/1.jpg",
        "https://secure.skycore.com:8443/1.jpg",
        "http://secure.skycore.com:443/1.jpg",
        "https://127.0.0.1/1.jpg",
        "https://[::1]/1.jpg",
        "https://169.254.169.254/latest/meta-data/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://localhost/",
        "https://.skycore.com/1.jpg",
        "https://example.com#.skycore.com/1.jpg",
        "https://example.com?.skycore.com/1.jpg",
    ],
)
def test_no_other_host_is_resolved_or_asked(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    network = Network(monkeypatch, [PUBLIC])
    error = refused(url)
    assert (error.code, error.is_final) in {("host_not_allowed", True), ("invalid_url", True)}
    assert (network.resolved, network.connected) == ([], [])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "1.jpg",
        "file:///etc/passwd",
        "ftp://secure.skycore.com/1.jpg",
        "gopher://secure.skycore.com/",
        "https://",
        "https://secure.skycore.com:99999/",
        "https://user:secret@secure.skycore.com/1.jpg",
        "https://secure.skycore.com@example.com/1.jpg",
        "https://example.com\\@secure.skycore.com/1.jpg",
        "https://example.com\\.skycore.com/1.jpg",
        "https://secure.skycore.com/\r\nHost: example.com",
        "https://secure.skycore.com/\x00",
        "https://[::1",
    ],
)
def test_what_programs_may_read_differently_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    network = Network(monkeypatch, [PUBLIC])
    error = refused(url)
    assert (error.code, error.is_final) == ("invalid_url", True)
    assert (network.resolved, network.connected) == ([], [])


def test_a_host_without_a_dot_is_that_host_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(monkeypatch, [PUBLIC])
    hosts = AllowedHosts("https://secure.skycore.com/", ("cdn.example.com",))
    assert refused("https://cdn.example.com/1.jpg", hosts).code == "unreachable"
    assert refused("https://a.cdn.example.com/1.jpg", hosts).code == "host_not_allowed"
    assert network.resolved == ["cdn.example.com"]


# --- Which addresses -----------------------------------------------------------------------------


@pytest.mark.parametrize("address", PRIVATE)
def test_a_media_host_at_an_address_that_is_not_public_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, address: Any
) -> None:
    network = Network(monkeypatch, [address])
    error = refused("https://media.skycore.com/1.jpg")
    assert (error.code, error.is_final) == ("address_not_allowed", True)
    assert network.connected == []


@pytest.mark.parametrize("address", PRIVATE)
def test_one_address_that_is_not_public_among_others_is_enough(
    monkeypatch: pytest.MonkeyPatch, address: Any
) -> None:
    network = Network(monkeypatch, [PUBLIC, address])
    assert refused("https://media.skycore.com/1.jpg").code == "address_not_allowed"
    assert network.connected == []


@pytest.mark.parametrize("address", [one for one in PRIVATE if "%" not in one])
def test_the_same_addresses_are_refused_in_media_that_are_sent(address: Any) -> None:
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(MediaUrlError):
        media_url(f"https://{host}/1.jpg")


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:21f:cb07::1", "64:ff9b::5db8:d70e"])
def test_public_addresses_are_public(address: Any) -> None:
    assert is_public_address(address)


def test_a_name_is_resolved_once_and_the_checked_address_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding: the first answer is public, and every later one is the loopback."""
    network = Network(monkeypatch, [PUBLIC], ["127.0.0.1"])
    assert refused("https://media.skycore.com/1.jpg").code == "unreachable"
    assert network.resolved == ["media.skycore.com"]
    assert network.connected == [PUBLIC]


def test_skycores_own_host_may_be_anywhere_at_its_own_port_alone() -> None:
    with serve(answer(b"picture")) as server:
        url = server.url.replace("index.php", "media/1.png")
        assert fetch(url, of(server)).content == b"picture"
        other = AllowedHosts(server.url.replace(str(server.accepted.port), "1"), ("127.0.0.1",))
        assert refused(url, other).code == "host_not_allowed"
        assert refused(url.replace("http:", "https:"), of(server)).code == "host_not_allowed"
    assert server.connections == 1


def test_tls_is_checked_for_the_name(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serve(answer(b"picture"), tls=context) as server:
        error = refused(server.url, of(server))
    assert (error.code, error.is_final) == ("unreachable", False)
    assert server.requests == []


# --- What is answered ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["a b.png", "ä.png", "a%20b.png", "x@y.png"])
def test_a_path_that_nobody_misreads_is_requested(path: str) -> None:
    with serve(answer(b"x")) as server:
        fetch(server.url.replace("index.php", path), of(server))
    assert server.requests[0].startswith(b"GET /")


def test_a_file_comes_with_its_type() -> None:
    with serve(answer(b"\x00\xff", headers="Content-Type: Image/PNG; x=y\r\n")) as server:
        file = fetch(server.url, of(server))
    assert (file.content, file.type) == (b"\x00\xff", "image/png")
    (request,) = server.requests
    assert b"Authorization" not in request
    assert b"Cookie" not in request


@pytest.mark.parametrize("stated", ["", "Content-Type: <script>\r\n", "Content-Type: png\r\n"])
def test_what_is_no_type_is_stored_as_bytes(stated: str) -> None:
    with serve(answer(b"x", headers=stated)) as server:
        assert fetch(server.url, of(server)).type == "application/octet-stream"


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 T", "308 P"])
def test_a_redirect_is_not_followed(status: str) -> None:
    with accepting(lambda _: None) as elsewhere:
        location = f"Location: http://127.0.0.1:{elsewhere.port}/\r\n"
        with serve(answer(b"", status=status, headers=location)) as server:
            error = refused(server.url, of(server))
    assert (error.code, error.is_final) == (f"http_{status[:3]}", True)
    assert elsewhere.connections == 0


@pytest.mark.parametrize(
    ("status", "is_final"),
    [
        *((status, True) for status in (400, 401, 403, 404, 405, 410, 451)),
        *((status, False) for status in (408, 425, 429, 500, 502, 503, 504, 204)),
    ],
)
def test_a_refusal_is_final_and_a_failure_is_not(status: Any, is_final: Any) -> None:
    with serve(answer(b"", status=f"{status} x")) as server:
        error = refused(server.url, of(server))
    assert (error.code, error.is_final) == (f"http_{status}", is_final)
    assert server.connections == 1


@pytest.mark.parametrize(
    "behaviour",
    [
        answer(b"x" * 1_001),
        pieces(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n", b"x" * 300_000),
        pieces(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 10_000] * 100),
        pieces(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            *[b"fff\r\n" + b"x" * 0xFFF + b"\r\n"] * 100,
        ),
    ],
    ids=["long", "said to be endless", "without a length", "chunked"],
)
def test_a_body_that_is_too_large_is_not_read_to_its_end(behaviour: Any) -> None:
    with serve(behaviour) as server:
        error = refused(server.url, of(server))
    assert (error.code, error.is_final) == ("too_large", True)


def test_a_body_of_just_the_bytes_that_are_allowed_is_taken() -> None:
    with serve(answer(b"x" * 1_000)) as server:
        assert len(fetch(server.url, of(server)).content) == 1_000


GZIP = "Content-Encoding: GZIP\r\n"


def test_a_file_that_comes_compressed_unasked_is_unpacked() -> None:
    """Some stores have files in gzip alone; a stop word must be readable in them."""
    with serve(answer(gzip.compress(b"STOP"), headers=GZIP)) as server:
        assert fetch(server.url, of(server)).content == b"STOP"
    assert b"Accept-Encoding: identity" in server.requests[0]


@pytest.mark.parametrize(
    ("body", "headers", "code", "is_final"),
    [
        (gzip.compress(b"x" * 100_000), GZIP, "too_large", True),
        (gzip.compress(b"STOP")[:-4], GZIP, "unreachable", False),
        (b"STOP", GZIP, "unknown_encoding", True),
        (b"STOP", "Content-Encoding: br\r\n", "unknown_encoding", True),
        (b"STOP", "Content-Encoding: gzip, gzip\r\n", "unknown_encoding", True),
    ],
    ids=["bomb", "cut off", "not gzip", "br", "twice"],
)
def test_what_cannot_be_unpacked_within_its_bound_is_no_file(
    body: bytes, headers: str, code: str, is_final: bool
) -> None:
    with serve(answer(body, headers=headers)) as server:
        error = refused(server.url, of(server))
    assert (error.code, error.is_final) == (code, is_final)


SLOW = {
    "a byte now and then": pieces(
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", *[b"x"] * 50, pause=0.1
    ),
    "headers without end": pieces(b"HTTP/1.1 200 OK\r\n", *[b"A: b\r\n"] * 50, pause=0.1),
    "nothing": lambda connection, _: time.sleep(3),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_slow_or_endless_body_ends_in_time_and_is_tried_again(name: str) -> None:
    started = time.monotonic()
    with serve(SLOW[name]) as server:
        error = refused(server.url, of(server), seconds=0.5)
        assert time.monotonic() - started < 2
    assert (error.code, error.is_final) == ("timeout", False)


def test_a_body_that_breaks_off_is_tried_again() -> None:
    broken = pieces(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nx")
    with serve(broken) as server:
        error = refused(server.url, of(server))
    assert (error.code, error.is_final) == ("unreachable", False)


# --- Names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://secure.skycore.com/mo/1.jpg?a=1", "1.jpg"),
        ("https://secure.skycore.com/mo/a%20b%22%0d%0a.jpg", "a-b-.jpg"),
        ("https://secure.skycore.com/mo/..", "file"),
        ("https://secure.skycore.com/mo/.htaccess", "htaccess"),
        ("https://secure.skycore.com/mo/%E2%82%AC.png", "png"),
        ("https://secure.skycore.com/", "file"),
        (f"https://secure.skycore.com/x.{'y' * 95}.txt", "y" * 95 + ".txt"),
        (f"https://secure.skycore.com/{'x' * 200}.txt", "x" * 96 + ".txt"),
    ],
)
def test_a_files_name_is_safe_in_a_header_and_on_a_disk(url: str, name: str) -> None:
    assert file_name(url) == name
