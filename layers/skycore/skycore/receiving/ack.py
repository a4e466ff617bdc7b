"""A postback comes in: the queue has it before Skycore hears 200."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from skycore import metrics, timestamps
from skycore.aws.queues import send_postback
from skycore.aws.secrets import fingerprint
from skycore.logs import log, log_exception
from skycore.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from skycore.aws.secrets import Secret

MAX_BYTES = 262_144  # 256 KiB; Skycore's postbacks are a few kB
UNKNOWN_TOKEN_SECONDS = 30.0  # an unknown token makes a copy read the secret afresh this rarely


def acknowledge(body: bytes, token: str, *, secret: Secret, queue_url: str) -> None:
    """Puts the raw bytes, the time of arrival and the token's fingerprint into the queue.

    The body is not parsed. Raises Problem: too_large, message_not_found for a wrong token (nothing
    is stored), and not_stored if the queue does not have it, so that Skycore posts it again.
    """
    if len(body) > MAX_BYTES:
        raise Problem("too_large", f"a postback is at most {MAX_BYTES} bytes")
    arrived = timestamps.now()
    try:
        if not _knows(secret, token):
            metrics.count("WrongTokens")
            log.warning("postback with a wrong token", extra={"bytes": len(body)})
            raise Problem("message_not_found", "no such address")
        send_postback(queue_url, body, arrived, token=fingerprint(token))
    except (BotoCoreError, ClientError) as error:
        log_exception("postback not queued", error, bytes=len(body))
        raise Problem("not_stored", "the postback was not queued; post it again") from None


def _knows(secret: Secret, token: str) -> bool:
    """Whether `token` is the current or the previous one, each compared in constant time."""
    return _is_one_of(token, secret.values()) or _is_one_of(
        token, secret.values(not_older_than=UNKNOWN_TOKEN_SECONDS)
    )


def _is_one_of(token: str, values: Iterable[str]) -> bool:
    """Asks for the previous value only if the current one is not it."""
    given = token.encode("utf-8", "surrogatepass")
    return any(hmac.compare_digest(given, value.encode()) for value in values)
