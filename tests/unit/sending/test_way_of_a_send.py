"""One `POST /messages` stays readable: it passes through few files of the layer."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from skycore.client.reply import Reply
from skycore.sending import delivery
from skycore.sending.delivery import SendContext
from skycore.sending.rate_limit import RateLimiter
from skycore.table.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, ModuleType

LAYER = Path(delivery.__file__).parents[1]
WEB = {"handler.py", "http.py", "settings.py"}
CLIENT = {"client", "phone_numbers.py"}
MAX_FILES = 20  # of sending, the table and what they stand on; five are the limiter and the pause
MAX_FILES_IN_ALL = 28  # with the client's and the web part's
TRIES = 5
EVENT = Path(__file__).parents[3] / "events" / "send"


class Skycore:
    """A client that accepts every message."""

    def ready(self, *, count: int = 1, **_: Any) -> int:
        return count

    def call(self, *_: Any, before_write: Any, **__: Any) -> Reply:
        before_write()
        return Reply("sendSMS", {"tracking_id": "T1"})


@pytest.mark.in_memory("traces a call over the table in memory")
@pytest.mark.usefixtures("table", "outside")
def test_a_send_passes_through_few_files(
    app: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Count the files of the layer in which a function runs during one `POST /messages`.

    The call goes through the handler of a warm process, with limits, over a table in memory, and
    to a client that accepts it. Two numbers are bounded: all of the layer's files, and those
    without the client's and the web part's (WEB, CLIENT). `functions/send/app.py` is in
    neither, and neither are modules that are imported but run nothing.
    """
    limiter = RateLimiter(Limits(per_second=10))
    context = SendContext(Skycore(), limiter, "send", 90)  # type: ignore[arg-type]
    module = app("send")
    monkeypatch.setattr(module, "send_context", lambda: context)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    event = json.loads((EVENT / "sms.json").read_text())
    event["body"] = json.dumps({"to": "+17743199144", "from": "60856", "text": "Hello"})
    event["isBase64Encoded"] = False
    module.handler(event, None)  # a warm process has read its environment
    files: set[str] = set()

    def note(frame: FrameType, _event: str, _argument: object) -> None:
        if frame.f_code.co_filename.startswith(f"{LAYER}/"):  # quick: every call comes here
            files.add(frame.f_code.co_filename.removeprefix(f"{LAYER}/"))

    for number in range(TRIES):
        event["headers"]["Idempotency-Key"] = f"send {number}"  # a repeat makes no call
        files.clear()
        sys.setprofile(note)
        try:
            answer = module.handler(event, None)
        finally:
            sys.setprofile(None)
        if answer["statusCode"] != 429:  # a busy machine misses its slot
            break
    assert answer["statusCode"] == 201, answer["body"]
    domain = {name for name in files - WEB if name.split("/")[0] not in CLIENT}
    assert len(domain) <= MAX_FILES, " ".join(sorted(domain))
    assert len(files) <= MAX_FILES_IN_ALL, " ".join(sorted(files))


ENVIRONMENT = {
    "TABLE_NAME": "table",
    "SKYCORE_URL": "http://127.0.0.1:9/",
    "API_KEY_SECRET": "secret",
    "SEND_QUEUE_URL": "send",
    "DEFAULT_REGION": "US",
    "ALLOWED_COUNTRY_CODES": "",
    "EVENT_RETENTION_DAYS": "90",
    "MAX_CALLS_PER_SECOND": "10",
    "MAX_CALLS_PER_MINUTE": "0",
    "MAX_CALLS_PER_DAY": "0",
    "PRIORITY_SHARE": "20",
}
