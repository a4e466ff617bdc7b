"""The kept files of an inbound MMS, fetched for the browser, which the emulator refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests

from skycore_simulator.page.pictures import KINDS

if TYPE_CHECKING:
    from local.page.stack import Stack

TIMEOUT_S = 10.0
TEXT = "text/plain; charset=utf-8"


def kept_files(stack: Stack, event_id: str) -> list[dict[str, Any]] | None:
    """Return the files of an event as the API lists them; None until they are kept.

    Raises LookupError for an unknown event, NotUpError.
    """
    answer = stack.client().request("GET", f"/postbacks/{quote(event_id, safe='')}")
    if answer.status_code == 404:
        raise LookupError("no event has this id")
    answer.raise_for_status()
    files: list[dict[str, Any]] | None = answer.json()["media"]
    return files


def file_names(stack: Stack, event_id: str) -> list[dict[str, Any]] | None:
    """Return what the browser may know of the files: no links."""
    files = kept_files(stack, event_id)
    if files is None:
        return None
    return [
        {
            "name": file["url"].rpartition("/")[2],
            "bytes": file.get("bytes"),
            "is_picture": str(file.get("type")).startswith("image/"),
            "error": file.get("error"),
        }
        for file in files
    ]


def read_file(stack: Stack, event_id: str, place: int) -> tuple[bytes, str]:
    """Return a file's content and the type to serve it with. Raises LookupError, NotUpError.

    The content is a stranger's: what is not a picture by its first bytes is text or a download.
    """
    files = kept_files(stack, event_id) or []
    if place >= len(files) or "link" not in files[place]:
        raise LookupError("this file was not kept")
    answer = requests.get(files[place]["link"], timeout=TIMEOUT_S)
    answer.raise_for_status()
    content = answer.content
    for beginning, (_, kind) in KINDS.items():
        if content.startswith(beginning):
            return content, kind
    is_text = str(files[place].get("type")).startswith("text/plain")
    return content, TEXT if is_text else "application/octet-stream"
