"""Log as JSON, without the API key, the postback token, message texts or full numbers.

Callers log ids, codes and counts, a number only through `mask_number`, and an exception only
through `log_exception`, because exceptions of libraries quote their input. As a last line of
defence, every line is searched for the secrets that this process has read.

Every line has the ids of the invocation, and lines about a message have the message's ids.
"""

from __future__ import annotations

import json
import logging
import os
import re
import traceback
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

if TYPE_CHECKING:
    from collections.abc import Mapping

SHORTEST_SECRET = 6  # characters; replacing a shorter one would spoil ordinary words
LEVEL = os.environ.get("LOG_LEVEL", "INFO")
LIBRARIES = (
    "aws_lambda_powertools",
    "boto3",
    "botocore",
    "charset_normalizer",
    "pynamodb",
    "requests",
    "urllib3",
)

_NO_MESSAGE: Mapping[str, str | None] = MappingProxyType({})
_invocation: dict[str, str] = {}  # a process has one invocation at a time, on all its threads
_message: ContextVar[Mapping[str, str | None]] = ContextVar("message", default=_NO_MESSAGE)
_secrets: dict[str, None] = {}


def _line(fields: Mapping[str, Any]) -> str:
    """Return a log line as JSON, without known secrets."""
    text = json.dumps(fields, default=str, separators=(",", ":"), ensure_ascii=False)
    for secret in tuple(_secrets):  # another thread may be adding to them
        if secret in text:
            text = text.replace(secret, "(hidden)")
    text = _OF_TERMINALS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    # Half a surrogate pair, which JSON may hold, has no UTF-8; write the line anyway.
    return text.encode("utf-8", "backslashreplace").decode()


# Characters of an id that control a terminal or turn the direction of writing. JSON escapes those
# below U+0020 itself.
_OF_TERMINALS = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class _Ids(logging.Filter):
    """Add the ids of the invocation and of the message, unless the line has its own."""

    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in (_invocation | dict(_message.get())).items():
            if value and not hasattr(record, name):
                setattr(record, name, value)
        return True


# Lambda wants the time of a line in RFC 3339.
log = Logger(service="skycore", level=LEVEL, json_serializer=_line, use_rfc3339=True, utc=True)
log.addFilter(_Ids())
# Powertools would lower the level to Lambda's own, which must stay at INFO or below: metrics are
# lines without a level.
logging.getLogger(log.name).setLevel(LEVEL)

# Silence libraries: urllib3 logs the URL of a reply whose headers it cannot parse, and the URL may
# hold the key. What they raise, this package logs.
for _library in LIBRARIES:
    logging.getLogger(_library).setLevel(logging.CRITICAL + 1)


def reset_context(**ids: str | None) -> None:
    """Start an invocation: every later line, on any thread, has these ids."""
    _invocation.clear()
    _invocation.update({name: value for name, value in ids.items() if value})
    bind_message()


def invocation_ids() -> Mapping[str, str]:
    """Return the ids of the running invocation."""
    return _invocation


def bind_message(
    *, message_id: str | None = None, tracking_id: str | None = None, caller: str | None = None
) -> None:
    """Add a message's ids and caller to this thread's lines until the next call."""
    _message.set({"message_id": message_id, "tracking_id": tracking_id, "caller": caller})


def redact_secret(*secrets: str | None) -> None:
    """Hide these texts in every later line, as they are and as JSON writes them."""
    for secret in secrets:
        if secret and len(secret) >= SHORTEST_SECRET:
            _secrets[secret] = None
            _secrets[json.dumps(secret)[1:-1]] = None
            _secrets[json.dumps(secret, ensure_ascii=False)[1:-1]] = None


def mask_number(number: str | None) -> str | None:
    """Return the last two digits: enough to recognise a number, too few to call it."""
    return f"…{number[-2:]}" if number else None


def log_exception(what: str, error: BaseException, **fields: object) -> None:
    """Log that `what` failed: the error's type, AWS's code, and the place; never its text."""
    frames = traceback.extract_tb(error.__traceback__)
    place = [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in frames[-3:]]
    code = _aws_code(error)
    own = {"error": type(error).__name__, "place": place} | ({"aws_code": code} if code else {})
    log.error(what, extra=own | fields)


def _aws_code(error: BaseException) -> str | None:
    """Return AWS's code, such as AccessDeniedException, of a botocore or PynamoDB error."""
    code = getattr(error, "cause_response_code", None)
    response = getattr(error, "response", None)
    if code is None and isinstance(response, dict):
        code = response.get("Error", {}).get("Code")
    return code if isinstance(code, str) else None
