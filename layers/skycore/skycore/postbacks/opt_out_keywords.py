"""Find out what a person's text says about further messages: stop, start, or perhaps stop.

The words are data, in `opt_out_words.csv`; the parameter StopWords adds to them. Only a
message that is nothing but the word counts. Case, accents, width, punctuation, spaces and invisible
characters do not, and a word that is repeated counts once.
"""

from __future__ import annotations

import csv
import os
import re
import unicodedata
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

type OptOut = Literal["stop", "start", "possible"]

# Words that make a longer text `possible`. Of the others people cancel, end and remove much.
_HINTS = ("STOP", "STOPALL", "UNSUBSCRIBE", "OPTOUT", "ARRET")
_NO_LETTER = re.compile(r"[\W_]+")
_DIGITS = "0123456789"
_SHORTEST_BEGINNING = 5  # of other words begin, in ASCII, only longer ones
# Letters that look like others, or that no decomposition turns into others.
_LOOKALIKES = str.maketrans(
    "ØĐŁЅТОРАЕВСКМНХУІЈΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "ODLSTOPAEBCKMHXYIJABEZHIKMNOPTYX",
)


@cache
def opt_out_words() -> dict[str, OptOut]:
    """Return what each folded word means."""
    path = Path(__file__).with_name("opt_out_words.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return {
            "".join(_words(row["word"])): cast("OptOut", row["meaning"])
            for row in csv.DictReader(file)
        }


def opt_out_of(text: str | None) -> OptOut | None:
    """Return `stop` or `start` if the whole text is such a word, `possible` if it resembles one.

    Also `possible` is a text in which a word such as STOP stands among others, or with digits
    attached, or that begins with such a word.
    """
    if not text:
        return None
    words = _words(text)
    own = _own_stop_words(os.environ.get("STOP_WORDS", ""))
    meanings = opt_out_words() | dict.fromkeys(own, "stop")
    said = {meanings.get(whole) for whole in _wholes(words)}
    if "stop" in said or (words and all(meanings.get(word) == "stop" for word in words)):
        return "stop"
    if "start" in said:
        return "start"
    hints = {*_HINTS, *own}
    pairs = {first + second for first, second in set(pairwise(words))}
    bare = {word.strip(_DIGITS) for word in words}
    if "possible" in said or hints & ({*words} | pairs | bare):
        return "possible"
    if "".join(words).startswith((*_beginnings(), *own)):
        return "possible"
    return "possible" if _looks_like_stop(words) else None


def opt_out_of_mms(
    text: str | None, subject: str | None, keyword: str | None = None
) -> OptOut | None:
    """Return what an inbound MMS says, as far as its postback has its words.

    The text is as a rule a file at Skycore, of which there is only a URL; then the subject counts.
    Any of them may stop; the subject may not start: a picture under the subject "Start" asks for
    nothing.
    """
    said = {opt_out_of(words) for words in (text, keyword, subject) if words and words.strip()}
    if "stop" in said:
        return "stop"
    if said == {"start"} and (text or keyword):
        return "start"
    return "possible" if "possible" in said else None


@cache
def _beginnings() -> tuple[str, ...]:
    """Return the words that make a text `possible` that begins with one."""
    possible = (word for word, meaning in opt_out_words().items() if meaning == "possible")
    long = (word for word in possible if len(word) >= _SHORTEST_BEGINNING or not word.isascii())
    return (*_HINTS, *long)


def _looks_like_stop(words: list[str]) -> bool:
    """Return whether the text is a stop word, written with letters that look like its own."""
    seen = "".join(words).translate(_LOOKALIKES)
    return any(opt_out_words().get(whole) in {"stop", "possible"} for whole in (seen, _once(seen)))


def opt_out_of_media(said: Sequence[OptOut | None], said_before: OptOut | None) -> OptOut | None:
    """Return what an inbound MMS says once it is known what each text among its files says.

    `said_before` is what its postback said. One text that is a stop word is a stop, whatever the
    subject and the other texts are.
    """
    for meaning in ("stop", "possible"):
        if meaning in (*said, said_before):
            return cast("OptOut", meaning)
    return "start" if said and set(said) == {"start"} else said_before


@lru_cache(maxsize=8)
def _own_stop_words(parameter: str) -> tuple[str, ...]:
    """Return the folded words of the parameter StopWords, which commas separate."""
    return tuple(folded for word in parameter.split(",") if (folded := "".join(_words(word))))


def _words(text: str) -> list[str]:
    """Return the text's words, folded: capitals of one width without accents or marks."""
    return [word for word in _NO_LETTER.split("".join(map(_folded, text))) if word]


@lru_cache(maxsize=4_096)
def _folded(character: str) -> str:
    """Return the letters of a character, without the marks that go with them.

    Characters are decomposed one by one: the order of marks, which takes quadratic time to
    normalize in a long run of them, does not matter where all of them are dropped.
    """
    decomposed = unicodedata.normalize("NFKD", character.upper())
    kept = (c for c in decomposed if unicodedata.category(c) not in {"Mn", "Cf"})
    return "".join(kept).upper()


def _wholes(words: list[str]) -> set[str]:
    """Return the text as one word, as it is and with repetitions counted once.

    "Opt-out", "STOP ALL" and "s.t.o.p" are the word, and so is "STOP STOP".
    """
    whole = "".join(words)
    return {whole, "".join(dict.fromkeys(words)), _once(whole)}


def _once(whole: str) -> str:
    """Return what the text repeats, from its start to its end, or the text itself."""
    return whole[: (whole + whole).find(whole, 1)]
