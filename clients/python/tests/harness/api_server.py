"""A small HTTP server that answers as a test says, and remembers what it was asked."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from botocore.credentials import Credentials

from skycore_client import Client

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """The client's clock: a pause moves it and takes no time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


PATIENT, HASTY = 60.0, 0.5  # seconds that a client waits: a busy machine is slow to answer


def client_of(url: str, read_seconds: float = PATIENT) -> Client:
    credentials = Credentials("AKIDEXAMPLE", "secret", "session")
    return Client(url, region="eu-west-1", credentials=credentials, read_seconds=read_seconds)


@dataclass
class Request:
    """A request as it arrived: `target` is the path with the query string, not decoded."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    """An answer; `silent`: none until the test ends, `cut`: the connection closes instead."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    cut: bool = False


def problem(status: int, code: str, *, retryable: bool = False, **members: Any) -> Answer:
    """Return an answer with problem details."""
    body = {"status": status, "code": code, "detail": "why", "retryable": retryable, **members}
    return Answer(status, body, {"Retry-After": "1"} if retryable else {})


SMS = {"to": "+17743199144", "from": "60856", "text": "Hello"}
ACCEPTED = {
    "message_id": "m-1",
    "status": "accepted",
    "tracking_id": "t-1",
    "to": "17743199144",
    "from": "60856",
    "client_reference": "order-1",
    "new_field": 1,
}
SENT = Answer(201, ACCEPTED)


def queued(changes: dict[int, dict[str, Any]] | None = None) -> Callable[[Request], Answer]:
    """Return what answers batches as the API does; `changes` are results that differ, by index."""

    def answer(request: Request) -> Answer:
        body = request.json()
        rows: list[dict[str, Any]] = [
            {"message_id": row["to"], "status": "queued"}
            for row in body.get("messages") or body["recipients"]
        ]
        for index, change in (changes or {}).items():
            rows[index] |= change
        return Answer(202, {"messages": rows, "summary": {}})

    return answer


def to(count: int) -> list[dict[str, str]]:
    return [{"to": str(n)} for n in range(count)]


class ApiServer:
    """Answers with `answers`, in order; the last one is repeated."""

    def __init__(self) -> None:
        self.answers: list[Answer | Callable[[Request], Answer]] = []
        self.requests: list[Request] = []
        self._ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def keys(self) -> list[str | None]:
        """Return the Idempotency-Key of each request."""
        return [request.headers.get("idempotency-key") for request in self.requests]

    def close(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _next(self, request: Request) -> Answer:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer if isinstance(answer, Answer) else answer(request)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = server._next(Request(self.command, self.path, headers, body))
                if answer.silent:
                    server._ended.wait()
                self.close_connection = True
                if not answer.silent and not answer.cut:
                    self._answer(answer)

            def _answer(self, answer: Answer) -> None:
                content = answer.body
                if not isinstance(content, bytes):
                    content = json.dumps(content).encode()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def signature_of(request: Request, secret: str) -> tuple[str, str]:
    """Return the scope and the signature that a request must have by AWS's description."""
    given = request.headers["authorization"]
    signed = given.split("SignedHeaders=")[1].split(",")[0].split(";")
    path, _, query = request.target.partition("?")
    canonical = [
        request.method,
        quote(path, safe="/-_.~"),  # of every service but S3: encoded once more
        "&".join(sorted(query.split("&"))),
        *(f"{name}:{' '.join(request.headers[name].split())}" for name in signed),
        "",
        ";".join(signed),
        hashlib.sha256(request.body).hexdigest(),
    ]
    time = request.headers["x-amz-date"]
    scope = given.split("Credential=")[1].split(",")[0].split("/", 1)[1]
    hashed = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashed}"
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return scope, hmac.digest(key, to_sign.encode(), "sha256").hex()
