"""Make foreign text safe to show: it cannot control a terminal, reorder a line or begin one."""

from __future__ import annotations

import sys
import traceback
from typing import Any

_UNSEEN = "\N{REPLACEMENT CHARACTER}"
_TABLE: dict[int, str] = {
    # Control characters as their pictures, such as ␛ and ␊, a tab as a space.
    **{code: chr(0x2400 + code) for code in range(0x20)},
    0x09: " ",
    0x7F: "\N{SYMBOL FOR DELETE}",
    # C1, which many terminals obey like ESC and a letter.
    **dict.fromkeys(range(0x80, 0xA0), _UNSEEN),
    # Line and paragraph separators, and whatever turns the direction of writing.
    **dict.fromkeys((0x2028, 0x2029, 0x061C, 0x200E, 0x200F), _UNSEEN),
    **dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), _UNSEEN),
    # Halves of a surrogate pair, which no terminal's encoding has.
    **dict.fromkeys(range(0xD800, 0xE000), _UNSEEN),
}


def clean(text: str) -> str:
    """Return `text` as one line with harmless characters alone, one for each."""
    return text.translate(_TABLE)


def clean_lines(text: str) -> str:
    """Return a text of several lines, each cleaned; line breaks in `text` stay."""
    return "\n".join(map(clean, text.split("\n")))


def show_exception(*error: Any) -> None:
    """Write the traceback of an unforeseen error, whose text may quote others: an excepthook."""
    sys.stderr.write(clean_lines("".join(traceback.format_exception(*error))))
