"""The one logger. Nothing is logged but what is named here to be safe.

The API key, the postback token, message texts and full numbers are in no log line: callers log
ids, codes and counts, a number only through `masked`, and an exception only as its type and the
place in our code where it was raised, because the texts of foreign exceptions quote their input.
"""

from __future__ import annotations

import os
import traceback

from aws_lambda_powertools import Logger

log = Logger(service="skycore", level=os.environ.get("LOG_LEVEL", "INFO"))


def masked(number: str | None) -> str | None:
    """The last two digits of a number: enough to recognise it, too little to call it."""
    return f"…{number[-2:]}" if number else None


def log_exception(what: str, error: BaseException, **known: object) -> None:
    """Logs that `what` failed: the error's type and where, never its text."""
    frames = traceback.extract_tb(error.__traceback__)
    place = [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in frames[-3:]]
    log.error(what, extra={"error": type(error).__name__, "place": place, **known})
