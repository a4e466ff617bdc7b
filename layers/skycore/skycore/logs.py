"""The one logger. Nothing is logged but what is named here to be safe.

The API key, the postback token, message texts and full numbers are in no log line: callers log
ids, codes and counts, a number only through `masked`, and an exception only as its type and the
place in our code where it was raised, because the texts of foreign exceptions quote their input.
As the last line of defence, secrets that this process has read are blotted out of every line.

Every line carries the ids of the invocation, and the lines of a message those of the message.
"""

from __future__ import annotations

import json
import logging
import os
import traceback
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

if TYPE_CHECKING:
    from collections.abc import Mapping

SHORTEST_SECRET = 6  # characters; blotting out a shorter one would spoil ordinary words
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
    """A log line as JSON, without the secrets that are known."""
    text = json.dumps(fields, default=str, separators=(",", ":"), ensure_ascii=False)
    for secret in tuple(_secrets):  # another thread may be adding to them
        if secret in text:
            text = text.replace(secret, "(hidden)")
    # Half a surrogate pair, which JSON may hold, has no UTF-8; the line must be written still.
    return text.encode("utf-8", "backslashreplace").decode()


class _Ids(logging.Filter):
    """Puts the ids of the invocation and of the message on a line, unless it has its own."""

    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in (_invocation | dict(_message.get())).items():
            if value and not hasattr(record, name):
                setattr(record, name, value)
        return True


# Lambda wants the time of a line in RFC 3339.
log = Logger(service="skycore", level=LEVEL, json_serializer=_line, use_rfc3339=True, utc=True)
log.addFilter(_Ids())
# The logger's own level would give way to the level that Lambda lets through, which may not rise
# over INFO for the metrics' sake.
logging.getLogger(log.name).setLevel(LEVEL)

# Libraries say nothing: urllib3 quotes the URL of a reply whose headers it cannot parse, and in a
# URL the key may be. What they raise is logged by us.
for _library in LIBRARIES:
    logging.getLogger(_library).setLevel(logging.CRITICAL + 1)


def reset_context(**ids: str | None) -> None:
    """Starts an invocation: from here on every line, on any thread, has these ids."""
    _invocation.clear()
    _invocation.update({name: value for name, value in ids.items() if value})
    bind_message()


def invocation_ids() -> Mapping[str, str]:
    """The ids of the running invocation."""
    return _invocation


def bind_message(*, message_id: str | None = None, tracking_id: str | None = None) -> None:
    """From here on, and until it is called again, this thread's lines are about this message."""
    _message.set({"message_id": message_id, "tracking_id": tracking_id})


def redact_secret(*secrets: str | None) -> None:
    """Blots these texts out of every line that is yet to come, as they are and as JSON has them."""
    for secret in secrets:
        if secret and len(secret) >= SHORTEST_SECRET:
            _secrets[secret] = None
            _secrets[json.dumps(secret)[1:-1]] = None
            _secrets[json.dumps(secret, ensure_ascii=False)[1:-1]] = None


def mask_number(number: str | None) -> str | None:
    """The last two digits of a number: enough to recognise it, too little to call it."""
    return f"…{number[-2:]}" if number else None


def log_exception(what: str, error: BaseException, **known: object) -> None:
    """Logs that `what` failed: the error's type, AWS's code for it, and where; never its text."""
    frames = traceback.extract_tb(error.__traceback__)
    place = [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in frames[-3:]]
    code = _aws_code(error)
    told = {"error": type(error).__name__, "place": place} | ({"aws_code": code} if code else {})
    log.error(what, extra=told | known)


def _aws_code(error: BaseException) -> str | None:
    """AWS's word for what it refused, such as AccessDeniedException; botocore's or PynamoDB's."""
    code = getattr(error, "cause_response_code", None)
    response = getattr(error, "response", None)
    if code is None and isinstance(response, dict):
        code = response.get("Error", {}).get("Code")
    return code if isinstance(code, str) else None
