"""Keyed hashes (HMAC): without the stack's HashSecret, no number or short text can be guessed.

The secret is generated once and never rotated: what is stored under its hashes, such as the opt-out
of a person whose data was erased, could not be found under another one.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skycore.aws.secrets import Secret

KEYED = "k1:"  # before a hash where an unkeyed one of an earlier release may stand


def is_available() -> bool:
    """Return whether this process has a secret; the environment of the first release names none."""
    return bool(os.environ.get("HASH_SECRET"))


def read_secret() -> None:
    """Read the secret, which is then kept for minutes, or longer while it cannot be read again.

    Raises botocore's errors, and RuntimeError if it has no value.
    """
    if is_available():
        _key(os.environ["HASH_SECRET"])


def keyed_hash(purpose: str, text: str) -> str:
    """Return 64 hexadecimal digits; hashes for different purposes cannot be compared.

    Raises what `read_secret` raises, and KeyError if this process has no secret.
    """
    message = f"{purpose}\0{text}".encode("utf-8", "surrogatepass")
    return hmac.new(_key(os.environ["HASH_SECRET"]), message, hashlib.sha256).hexdigest()


def keyed_fingerprint(stored: str) -> str:
    """Return a request's fingerprint in the keyed form; earlier releases stored a digest alone.

    Without a secret it stays unchanged. Raises what `read_secret` raises.
    """
    if stored.startswith(KEYED) or not is_available():
        return stored
    return KEYED + keyed_hash("fingerprint", stored)


@cache
def _secret(name: str) -> Secret:
    from skycore.aws.secrets import Secret  # noqa: PLC0415 - `messages` seldom needs boto3

    return Secret(name)


def _key(name: str) -> bytes:
    value = next(_secret(name).values(), "")
    if not value:
        raise RuntimeError("HashSecret has no value")
    return value.encode()
