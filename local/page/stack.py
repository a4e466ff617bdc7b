"""The deployed stack as the page reaches it, described by .local/stack.json."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from local.client import Client

SHOWN = ("api_url", "region", "stack_name", "event_queue_url", "parameters")  # no key, no token
TIMEOUT_S = 40.0  # API Gateway gives up after 29


class NotUpError(Exception):
    """The stack is not deployed."""


class Stack:
    """Reads the file again whenever it changes. Its methods block: call them in threads."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._written = 0
        self._description: dict[str, Any] | None = None
        self._made: dict[str, Any] = {}

    def description(self) -> dict[str, Any] | None:
        """Return what the file holds, or None if there is no file."""
        try:
            written = self.file.stat().st_mtime_ns
            if written != self._written:
                self._description = json.loads(self.file.read_text(encoding="utf-8"))
                self._written, self._made = written, {}
        except (OSError, ValueError):  # missing, or being written
            self._description, self._written = None, 0
        return self._description

    def needed(self) -> dict[str, Any]:
        """Return what the file holds. Raises NotUpError if there is no file."""
        found = self.description()
        if found is None:
            raise NotUpError("the stack is not up yet")
        return found

    def visible(self) -> dict[str, Any]:
        """Return what the browser may know of the stack."""
        found = self.description()
        if found is None:
            return {"up": False}
        return {"up": True, **{name: found[name] for name in SHOWN}}

    def client(self) -> Client:
        """Return a client of the API that signs with the local caller's key. Raises NotUpError."""
        from local.client import Client  # noqa: PLC0415 - boto3 slows the start

        found = self.needed()
        if "caller" not in self._made:
            self._made["caller"] = Client(found, timeout=TIMEOUT_S)
        caller: Client = self._made["caller"]
        return caller

    def admin(self, service: str) -> Any:
        """Return an AWS client with the local administrator's key. Raises NotUpError."""
        import boto3  # noqa: PLC0415 - it slows the start
        from botocore.config import Config  # noqa: PLC0415

        found = self.needed()
        if service not in self._made:
            session: Any = boto3.Session(
                found["admin_access_key_id"],
                found["admin_secret_access_key"],
                region_name=found["region"],
            )
            # The page asks again by itself; a retry must not outlive a stop.
            once = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1})
            self._made[service] = session.client(
                service, endpoint_url=found["endpoint_url"], config=once
            )
        return self._made[service]
