"""The rules for the slides of an MMS, in the order in which Skycore checks them."""

import re
from typing import Any
from urllib.parse import urlsplit

from skycore_simulator.replies import Element, RefusalError

MAX_SLIDES = 8
MAX_TEXT_LENGTH = 5000
MAX_DURATION = 60  # seconds; Skycore advises 30
OBJECTS = ("VCARD", "ICAL", "PDF", "PASSBOOK")
MEDIA = ("IMAGE", "AUDIO", "VIDEO")
NOT_FETCHED = {
    "IMAGE": "E351",
    "AUDIO": "E352",
    "VIDEO": "E353",
    "VCARD": "E355",
    "ICAL": "E356",
    "PDF": "E357",
    "PASSBOOK": "E358",
}
ENDINGS = {
    "IMAGE": {"gif", "jpg", "jpeg", "png"},
    "AUDIO": {"mp3", "wav"},
    "VIDEO": {"3gp", "mp4", "mpeg", "mpg", "avi", "wmv"},
}
_KNOWN_ENDINGS = set.union(*ENDINGS.values())


def check(slides: list[dict[str, Any]], echoed: list[Element]) -> None:
    """Raise RefusalError for the first invalid slide, with its number in the text."""
    if len(slides) > MAX_SLIDES:
        raise RefusalError("E225", echo=echoed)
    for number, slide in enumerate(slides, 1):
        code = _fault(slide)
        if code:
            place = MAX_TEXT_LENGTH if code == "E228" else number
            raise RefusalError(code, place, echoed)


def needs_encoding(slides: list[dict[str, Any]]) -> bool:
    """Return whether there is audio or video, which takes Skycore time to encode."""
    return any(slide.get("AUDIO") or slide.get("VIDEO") for slide in slides)


def _fault(slide: dict[str, Any]) -> str | None:
    content = [name for name in slide if name not in ("DURATION", "REPEATED") and slide[name]]
    if not content:
        return "E313"
    objects = [name for name in content if name in OBJECTS]
    media = [name for name in content if name in MEDIA]
    repeated = slide.get("REPEATED", [])
    faults = {
        "E223": len(objects) > 1 or any(name in OBJECTS for name in repeated),
        "E224": bool(objects and media),
        "E226": "AUDIO" in media and "VIDEO" in media,
        "E227": "VIDEO" in media and "IMAGE" in media,
        "E228": len(slide.get("TEXT", "")) > MAX_TEXT_LENGTH,
        "E229": bool(repeated) or any(_of_another_kind(name, slide[name]) for name in media),
        "E230": not _possible_duration(slide.get("DURATION", "")),
    }
    for code, present in faults.items():
        if present:
            return code
    bad = (name for name in (*media, *objects) if not _absolute(slide[name]))
    first = next(bad, None)
    return NOT_FETCHED[first] if first else None


def _absolute(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    readable = not re.search(r"\s", url)
    return parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and readable


def _of_another_kind(name: str, url: str) -> bool:
    ending = url.partition("?")[0].rpartition("/")[2].rpartition(".")[2].lower()
    return ending in _KNOWN_ENDINGS and ending not in ENDINGS[name]


def _possible_duration(duration: str) -> bool:
    if not duration.strip():
        return True
    return bool(re.fullmatch(r"[0-9]{1,3}", duration.strip())) and (
        1 <= int(duration) <= MAX_DURATION
    )
