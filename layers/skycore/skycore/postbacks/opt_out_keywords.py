"""What a handset's text says about being written to: STOP, START, or perhaps.

The words are those that US carriers and CTIA name. Only a message that is nothing but the word
counts; case, blanks and punctuation around it do not.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Literal

type OptOut = Literal["stop", "start", "possible"]

STOP_WORDS = frozenset(
    ("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT")
)
START_WORDS = frozenset(("START", "UNSTOP", "YES"))

# In the midst of a sentence only these are likely to be meant for us: people cancel and end much.
_HINTS = frozenset(("STOP", "STOPALL", "UNSUBSCRIBE", "OPTOUT"))
_NO_LETTER = re.compile(r"[\W_]+")


def opt_out_of(text: str | None) -> OptOut | None:
    """`stop` or `start` if the whole text is such a word, `possible` if a stop word is in it."""
    if not text:
        return None
    words = [word for word in _NO_LETTER.split(text.upper()) if word]
    whole = "".join(words)
    # "Opt-out", "STOP ALL", "s.t.o.p" are the word; "stop start" is none.
    if whole in STOP_WORDS:
        return "stop"
    if whole in START_WORDS:
        return "start"
    pairs = {first + second for first, second in pairwise(words)}
    return "possible" if _HINTS & ({*words} | pairs) else None


def opt_out_of_mms(text: str | None, subject: str | None) -> OptOut | None:
    """What an inbound MMS says, as far as its postback has its words.

    The text is as a rule a file at Skycore, of which there is only a URL; then the subject counts.
    It may stop and not start: a picture under the subject "Yes" asks for nothing.
    """
    said = {opt_out_of(words) for words in (text, subject) if words and words.strip()}
    if said == {"stop"}:
        return "stop"
    if said == {"start"} and text:
        return "start"
    return "possible" if said & {"stop", "possible"} else None
