"""Message ids and fingerprints: the message ledger is the idempotency store."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = re.compile(r"[\x20-\x7e]{1,255}")


def valid_key(key: str) -> bool:
    """Whether `key` is 1 to 255 printable ASCII characters."""
    return KEY.fullmatch(key) is not None


def message_id(caller: str, key: str | None) -> str:
    """32 hex digits: of the caller's ARN and its Idempotency-Key, or random without a key."""
    if key is None:
        return secrets.token_hex(16)
    return hashlib.sha256(f"{caller}\n{key}".encode()).hexdigest()[:32]


def fingerprint(request: Mapping[str, Any]) -> str:
    """A digest of a request's body that does not depend on the order or spacing of its JSON."""
    text = json.dumps(request, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
