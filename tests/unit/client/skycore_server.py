"""A server on the loopback interface that answers as a test tells it to."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Behaviour = Callable[[socket.socket, bytes], None]


@dataclass
class Accepting:
    """A port that is listened on, and how many connections were accepted."""

    port: int
    connections: int = 0


@dataclass
class Server:
    """``requests`` are the bytes of each request."""

    url: str
    accepted: Accepting = field(default_factory=lambda: Accepting(0))
    requests: list[bytes] = field(default_factory=list)

    @property
    def connections(self) -> int:
        return self.accepted.connections

    @property
    def bodies(self) -> list[bytes]:
        return [request.partition(b"\r\n\r\n")[2] for request in self.requests]


def answer(body: str | bytes, status: str = "200 OK", headers: str = "") -> Behaviour:
    """Answer with a length, and keep the connection."""
    content = body.encode() if isinstance(body, str) else body

    def behave(connection: socket.socket, _: bytes) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n{headers}\r\n"
        connection.sendall(head.encode() + content)

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """One behaviour for each request, the last for all that follow."""
    left = list(behaviours)

    def behave(connection: socket.socket, request: bytes) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(connection, request)

    return behave


@contextmanager
def accepting(behave: Callable[[socket.socket], None]) -> Iterator[Accepting]:
    """Listen on a free port; each connection is handled in a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    accepted = Accepting(listener.getsockname()[1])

    def guarded(connection: socket.socket) -> None:
        try:
            behave(connection)
        except (OSError, ValueError):
            connection.close()  # the client has gone

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            accepted.connections += 1
            threading.Thread(target=guarded, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield accepted
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


@contextmanager
def serve(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Run a server with this behaviour for each request."""
    requests: list[bytes] = []
    stopping = threading.Event()

    def talk(connection: socket.socket) -> None:
        with connection if tls is None else tls.wrap_socket(connection, True) as stream:
            while not stopping.is_set() and (request := _read_request(stream)):
                requests.append(request)
                behaviour(stream, request)

    with accepting(talk) as accepted:
        scheme = "https" if tls else "http"
        try:
            yield Server(f"{scheme}://127.0.0.1:{accepted.port}/index.php", accepted, requests)
        finally:
            stopping.set()


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return b""
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body
