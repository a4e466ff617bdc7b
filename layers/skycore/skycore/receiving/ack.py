"""Queue a postback. Skycore is answered 200 only once SQS has it."""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass
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
REFRESH_SECONDS = 30.0  # at most this often an unknown token makes an environment read the secret
LOG_SECONDS = 60.0  # at most this often an environment logs a wrong token; the metric counts each


@dataclass
class _WrongTokens:
    """The wrong tokens of this execution environment since its last log line about them."""

    since_last_line: int = 0
    next_line_at: float = 0.0  # time.monotonic()


_wrong_tokens = _WrongTokens()


def acknowledge(body: bytes, token: str, *, secret: Secret, queue_url: str) -> None:
    """Queue the raw bytes, the time of arrival and the token's fingerprint.

    The body is not parsed. Raises Problem: message_not_found for a wrong token (nothing is stored),
    too_large, and not_stored if SQS did not accept it, so that Skycore posts it again.
    """
    arrived = timestamps.now()
    try:
        if not _is_valid_token(secret, token):
            _count_wrong_token(len(body))
            # 404, as for a path that does not exist. There is no problem code for a wrong token:
            # naming it would confirm to someone who guesses tokens that the route is right.
            raise Problem("message_not_found", "there is no such address")
        if len(body) > MAX_BYTES:
            metrics.count("TooLargePostbacks")
            log.error("postback refused: too large", extra={"bytes": len(body)})
            raise Problem("too_large", f"a postback must be at most {MAX_BYTES} bytes")
        send_postback(queue_url, body, arrived, token_fingerprint=fingerprint(token))
    except (BotoCoreError, ClientError) as error:
        log_exception("postback not queued", error, bytes=len(body))
        raise Problem("not_stored", "the postback was not queued; post it again") from None


def _count_wrong_token(size: int) -> None:
    """Count a wrong token; log one a minute, because in a flood each line costs money."""
    metrics.count("WrongTokens")
    _wrong_tokens.since_last_line += 1
    now = time.monotonic()
    if now >= _wrong_tokens.next_line_at:
        fields = {"bytes": size, "count": _wrong_tokens.since_last_line}
        log.warning("postback with a wrong token", extra=fields)
        _wrong_tokens.since_last_line, _wrong_tokens.next_line_at = 0, now + LOG_SECONDS


def _is_valid_token(secret: Secret, token: str) -> bool:
    """Return whether `token` is the current or the previous one, read again if it is neither."""
    return _is_one_of(token, secret.values()) or _is_one_of(
        token, secret.values(not_older_than=REFRESH_SECONDS)
    )


def _is_one_of(token: str, values: Iterable[str]) -> bool:
    """Compare `token` with each value in constant time, the next value only if this one differs.

    `values` is lazy: the previous token is read only if the current one does not match.
    """
    given = token.encode("utf-8", "surrogatepass")
    return any(hmac.compare_digest(given, value.encode()) for value in values)
