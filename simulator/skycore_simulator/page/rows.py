"""Journal entries as rows of the page's lists, and whole for a row that is opened."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any

from skycore_simulator.journal import Message, Postback, Request
from skycore_simulator.tables import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from skycore_simulator.journal import Entry, Journal

PAGE_SIZE = 200  # rows
DISCOVERY = ("N501", "N502", "E501", "E502")  # codes of device discovery
FAILURES = ("N103", "N802", "N803", "N811")  # codes of failures that do not begin with E
FAILURE_WORDS = ("failed", "rejected", "expired", "not supported")
MAX_TEXT_LENGTH = 2_000  # characters of a message in a bubble


def row(entry: Entry) -> dict[str, Any]:
    """Return one entry for a list."""
    if isinstance(entry, Message):
        shown = entry.as_json()
        shown["text"] = entry.text[:MAX_TEXT_LENGTH]
        shown["handset"] = handset(entry)
        discovered = any(code in DISCOVERY for code in entry.codes)
        fields = shown.pop("fields")
        if discovered:
            shown["discovery"] = {"title": fields.get("DDMTITLE"), "text": fields.get("DDMTEXT")}
        return shown
    if isinstance(entry, Postback):
        return {
            "id": entry.id,
            "time": entry.time,
            "code": entry.code,
            **_meaning(entry),
            "tracking_id": entry.tracking_id,
            "content_type": entry.content_type,
            "delivered": entry.delivered,
            "gave_up": entry.gave_up,
            "tries": len(entry.tries),
            "answer": _answer(entry.tries[-1]) if entry.tries else "",
        }
    return {
        "id": entry.id,
        "time": entry.time,
        "action": entry.action or entry.asked or "?",
        "to": str(entry.fields.get("TO") or entry.fields.get("MOBILE") or ""),
        "code": entry.code,
        "tracking_id": entry.tracking_id,
        "mode": entry.mode,
        "answered": bool(entry.reply),
    }


def _meaning(postback: Postback) -> dict[str, Any]:
    """Return whom a postback is about, what it says in words, and whether that is a failure.

    STATUS wins over the code: N202 with "Message Sent/Failed" is a failure.
    """
    facts = postback.notification.facts if postback.notification else {}
    inbound = postback.code in ("N211", "N401")
    number = facts.get("FROM" if inbound else "TO") or facts.get("MOBILE") or facts.get("EMAIL")
    words = table("postback_words").get(postback.code, "sent by hand")
    status = str(facts.get("STATUS") or "").removeprefix("Message ").removeprefix("Sent/")
    if status and postback.code not in DISCOVERY:
        words = "not supported" if status == "NotSupported" else status.lower()
    failed = postback.code.startswith("E") or postback.code in FAILURES or words in FAILURE_WORDS
    return {"number": number or "", "words": words, "failed": failed}


def whole(entry: Entry) -> dict[str, Any]:
    """Return one entry with its texts, but without the postback URL, which is a secret."""
    if isinstance(entry, Postback):
        shown = entry.as_json()
        shown["other_forms"] = entry.notification is not None
        shown["tries"] = [
            {"time": each["time"], "seconds": each.get("seconds"), "answer": _answer(each)}
            for each in entry.tries
        ]
        return {**row(entry), **shown}
    if isinstance(entry, Request):
        return {**row(entry), **asdict(entry)}
    return row(entry)


def handset(message: Message) -> str:
    """Return the number of the phone."""
    return message.to if message.direction == "out" else message.sender


def newest(entries: Iterable[Entry], before: int | None, words: str = "") -> list[dict[str, Any]]:
    """Return up to PAGE_SIZE rows, newest first: older than the id `before`, containing `words`."""
    wanted = words.casefold()
    found = (
        row(entry)
        for entry in entries
        if (before is None or entry.id < before) and (not wanted or wanted in _words(entry))
    )
    return list(islice(found, PAGE_SIZE))


def handsets(journal: Journal, words: str = "") -> list[dict[str, Any]]:
    """Return up to PAGE_SIZE phones with the newest message of each, last used first."""
    found: dict[str, dict[str, Any]] = {}
    for message in _phones(journal):
        number = handset(message)
        if number in found or words not in number:
            continue
        found[number] = row(message)
        if len(found) == PAGE_SIZE:
            break
    return list(found.values())


def conversation(journal: Journal, number: str, before: int | None) -> list[dict[str, Any]]:
    """Return up to PAGE_SIZE messages of one phone, newest first."""
    own = (message for message in _phones(journal) if handset(message) == number)
    return newest(own, before)


def _phones(journal: Journal) -> Iterator[Message]:
    return (message for message in reversed(journal.messages) if message.kind in ("sms", "mms"))


def _words(entry: Entry) -> str:
    if isinstance(entry, Request):
        return f"{entry.action} {entry.code} {entry.text}".casefold()
    if isinstance(entry, Postback):
        return f"{entry.code} {entry.body.decode('utf-8', 'replace')}".casefold()
    return f"{entry.to} {entry.sender} {entry.text}".casefold()


def _answer(attempt: dict[str, Any]) -> str:
    status = attempt.get("status")
    return str(status) if status else str(attempt.get("error") or "")
