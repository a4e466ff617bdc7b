"""Calls of many entries: leaving some out, and saying so as the service would."""

from __future__ import annotations

import json
import math
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tests.chaos.faults import PARTIAL_SHARE

_FORM_ENTRY = re.compile(r"PublishBatchRequestEntries\.(?:member|entry)\.(\d+)\.(.+)")


def can_be_cut(operation: str, body: bytes) -> bool:
    """Whether the call has entries of which some can be left out."""
    return operation in _ENTRIES and len(_ENTRIES[operation](_read(operation, body))) > 1


def cut(operation: str, body: bytes) -> tuple[bytes, list[Any]]:
    """The call without its last entries, and these."""
    request = _read(operation, body)
    entries = _ENTRIES[operation](request)
    keep = len(entries) - math.ceil(PARTIAL_SHARE * len(entries))
    refused = entries[keep:]
    del entries[keep:]
    return _write(operation, request), refused


def complete(operation: str, answer: bytes, request: bytes, refused: list[Any]) -> bytes:
    """The answer of the call that was cut, as if the service had refused the rest of `request`."""
    if operation == "PublishBatch":
        return _with_failed(answer.decode(), refused).encode()
    told = json.loads(answer)
    if operation == "SendMessageBatch":
        told["Failed"] = [{**_FAILED, "Id": entry["Id"]} for entry in refused]
    else:
        ((table, asked),) = json.loads(request)["RequestItems"].items()
        left = {**asked, "Keys": refused} if operation == "BatchGetItem" else refused
        told["UnprocessedKeys" if operation == "BatchGetItem" else "UnprocessedItems"] = {
            table: left
        }
    return json.dumps(told).encode()


_FAILED = {"Code": "InternalError", "SenderFault": False}


def _only(request: dict[str, Any]) -> Any:
    """What is asked of the one table."""
    (asked,) = request["RequestItems"].values()
    return asked


_ENTRIES: dict[str, Any] = {
    "BatchGetItem": lambda request: _only(request)["Keys"],
    "BatchWriteItem": _only,
    "SendMessageBatch": lambda request: request["Entries"],
    "PublishBatch": lambda request: request["Entries"],
}


def _read(operation: str, body: bytes) -> dict[str, Any]:
    if operation != "PublishBatch":
        request: dict[str, Any] = json.loads(body)
        return request
    entries: dict[int, list[tuple[str, str]]] = {}
    others: list[tuple[str, str]] = []
    for name, value in parse_qsl(body.decode(), keep_blank_values=True):
        entry = _FORM_ENTRY.fullmatch(name)
        if entry:
            entries.setdefault(int(entry[1]), []).append((entry[2], value))
        else:
            others.append((name, value))
    return {"Others": others, "Entries": [entries[number] for number in sorted(entries)]}


def _write(operation: str, request: dict[str, Any]) -> bytes:
    if operation != "PublishBatch":
        return json.dumps(request).encode()
    fields = request["Others"] + [
        (f"PublishBatchRequestEntries.member.{number}.{name}", value)
        for number, entry in enumerate(request["Entries"], start=1)
        for name, value in entry
    ]
    return urlencode(fields).encode()


def _with_failed(answer: str, refused: list[Any]) -> str:
    failed = "".join(
        f"<member><Id>{dict(entry)['Id']}</Id><Code>InternalError</Code>"
        "<SenderFault>false</SenderFault></member>"
        for entry in refused
    )
    text = re.sub(r"<Failed\s*/>|<Failed>\s*</Failed>", "", answer)
    end = "</PublishBatchResult>"
    return text.replace(end, f"<Failed>{failed}</Failed>{end}")
