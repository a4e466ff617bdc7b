"""Run the AWS emulator behind a guard: it serves this clone's stack only.

The emulator alone answers every web page (CORS), every Host, and gives all rights to a built-in key
whose signature it does not check; its functions are plain processes of the developer. So the guard
refuses browsers, foreign hosts, unsigned requests other than those to the API, and the built-in key
without the secret of this run. All other keys are the emulator's to check. Copies of a function
share their unpacked layers.

`python emulator_guard.py SECRET_FILE`, with the emulator's own Python; it listens as the
environment says (BIND_HOST, GATEWAY_PORT).
"""

from __future__ import annotations

import hashlib
import hmac
import sys
import threading
import zipfile
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Scope = dict[str, Any]
    App = Callable[[Scope, Any, Any], Awaitable[None]]

LOCAL_NAMES = {"127.0.0.1", "localhost", "::1"}
# Browsers send at least one of these with everything that a page of another site can ask for.
# Sec-Fetch-Mode alone comes from Node's fetch: a browser adds Sec-Fetch-Site and -Dest to it.
BROWSER_HEADERS = ("origin", "sec-fetch-site", "sec-fetch-dest", "access-control-request-")
# Served unsigned: the API, which checks signatures itself, and HEALTH.
API_PATH = "/_aws/execute-api/"
HEALTH = "/_ministack/health"
SECRET_HEADER = "x-amz-security-token"  # every AWS SDK sends AWS_SESSION_TOKEN in it


class Guard:
    """An ASGI application before the emulator's.

    `key_of` returns the access key id that the emulator reads in headers and a query, "" for none.
    `is_root` says whether the emulator gives that key all rights without checking its signature.
    """

    def __init__(
        self,
        app: App,
        secret: str,
        key_of: Callable[[dict[str, str], dict[str, list[str]]], str],
        is_root: Callable[[str], bool],
    ) -> None:
        self._app, self._secret = app, secret
        self._key_of, self._is_root = key_of, is_root

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Pass the request on, or answer 403 with the reason."""
        if scope["type"] == "websocket":  # the stack has no WebSocket API
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http" and (reason := self.refusal(scope)):
            await _forbid(send, reason)
        else:
            await self._app(scope, receive, send)

    def refusal(self, scope: Scope) -> str | None:
        """Return why a request is refused, or None."""
        headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        if any(name.startswith(BROWSER_HEADERS) for name in headers):
            return "requests from web pages are refused"
        if not _is_local(headers.get("host", "")):
            return "use 127.0.0.1 or localhost as the host name"
        path = scope["path"]
        is_api = path.startswith(API_PATH)
        if path.startswith("/_") and not is_api:
            is_health = path == HEALTH and scope["method"] == "GET"
            return None if is_health else "the emulator's own routes are closed"
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        # A request that names two keys must not be judged by one of them.
        keys = {self._key_of(headers, {}), self._key_of({}, query)} - {""}
        if not keys:
            unsigned = is_api and "authorization" not in headers
            return None if unsigned else "requests must be signed"
        if any(map(self._is_root, keys)) and not self._has_secret(headers):
            return "the built-in key is closed; use the keys in .local/stack.json"
        return None

    def _has_secret(self, headers: dict[str, str]) -> bool:
        return hmac.compare_digest(
            headers.get(SECRET_HEADER, "").encode("latin-1"), self._secret.encode()
        )


def _is_local(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in LOCAL_NAMES
    except ValueError:  # not a host name
        return False


async def _forbid(send: Any, reason: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": reason.encode()})


class LayersOnce(zipfile.ZipFile):
    """A zip whose layers are unpacked once; each copy of a function has a link to the folder.

    The emulator unpacks them for each copy that it starts, and serves
    nobody else for the second that it takes.
    """

    _unpacking = threading.Lock()

    def namelist(self) -> list[str]:
        """Return no name of a layer: the emulator checks each, and extractall does so too."""
        return [] if self._is_layer() else super().namelist()

    def extractall(self, path: Any = None, members: Any = None, pwd: bytes | None = None) -> None:
        """Unpack the zip; if it is a layer that was unpacked before, link to its folder."""
        if not self._is_layer():
            super().extractall(path, members, pwd)
            return
        digest = hashlib.sha256(Path(str(self.filename)).read_bytes()).hexdigest()
        shared = Path(path).parents[1] / f"layer-{digest}"
        with self._unpacking:
            if not shared.exists():
                partly = shared.with_suffix(".partly")
                super().extractall(partly, super().namelist())
                partly.rename(shared)
        Path(path).rmdir()
        Path(path).symlink_to(shared)

    def _is_layer(self) -> bool:
        return Path(str(self.filename)).name.startswith("layer_")


def main() -> None:
    """Start the emulator behind the guard; does not return before it ends."""
    secret = Path(sys.argv[1]).read_text()
    runtime: Any = import_module("ministack.core.lambda_runtime")
    credentials = runtime.execution_credentials

    def unguessable(config: dict[str, Any]) -> Any:
        """Return a function's credentials, which the emulator derives from its names alone."""
        # The path of a role's ARN goes into them, and nowhere else.
        role = str(config.get("Role", "")).replace(":role/", f":role/{secret}/", 1)
        return credentials({**config, "Role": role})

    runtime.zipfile = SimpleNamespace(**{**vars(zipfile), "ZipFile": LayersOnce})
    runtime.execution_credentials = unguessable  # before the services take it from there
    emulator: Any = import_module("ministack.app")
    router: Any = import_module("ministack.core.router")
    evaluator: Any = import_module("ministack.core.iam_evaluator")
    emulator.app = Guard(
        emulator.app, secret, router.extract_access_key_id, evaluator.is_root_access_key
    )
    sys.argv = ["ministack"]
    emulator.main()


if __name__ == "__main__":
    main()
