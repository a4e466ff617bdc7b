"""Only a message that is nothing but the word stops or starts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skycore.postbacks.opt_out_keywords import opt_out_of, opt_out_of_mms, opt_out_words

STOP_WORDS = [
    *("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"),
    *("REMOVE", "ARRET"),
]
START_WORDS = ["START", "UNSTOP"]


def test_the_words_are_those_of_the_contract() -> None:
    by_meaning = {meaning: {w for w, m in opt_out_words().items() if m == meaning}
                  for meaning in ("stop", "start")}  # fmt: skip
    assert by_meaning == {"stop": set(STOP_WORDS), "start": set(START_WORDS)}


@pytest.mark.parametrize("word", STOP_WORDS)
@pytest.mark.parametrize("form", ["{}", " {} ", "{}.", "¡{}!", '"{}"', "\n{}\n"])
def test_every_stop_word_in_any_case_and_dress(word: Any, form: str) -> None:
    for text in (word, word.lower(), word.title()):
        assert opt_out_of(form.format(text)) == "stop"


@pytest.mark.parametrize("word", START_WORDS)
def test_every_start_word(word: str) -> None:
    assert opt_out_of(word.lower() + " ") == "start"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("we have to STOP this bill", "possible"),
        ("please stop", "possible"),
        ("opt out please", "possible"),
        ("Opt-Out", "stop"),
        ("STOP ALL", "stop"),
        ("stop it, start again", "possible"),
        ("nonstop fun", None),
        ("the bus stops here", None),
        ("Yes please", None),
        ("YES", None),
        ("yes!", None),
        ("cancel my order", None),
        ("the end", None),
        ("", None),
        (None, None),
        ("...", None),
        ("👍", None),
    ],
)
def test_sentences(text: str | None, said: str | None) -> None:
    assert opt_out_of(text) == said


@given(st.text())
def test_any_text_has_an_answer(text: Any) -> None:
    assert opt_out_of(text) in {None, "stop", "start", "possible"}


@pytest.mark.parametrize(
    ("text", "subject", "said"),
    [
        ("STOP", None, "stop"),
        ("stop.", " ", "stop"),
        (None, "Stop", "stop"),
        ("", "STOP ALL", "stop"),
        ("STOP", "Unsubscribe", "stop"),
        ("club", "STOP", "stop"),
        ("STOP", "Hello", "stop"),
        (None, "please stop", "possible"),
        ("START", None, "start"),
        ("START", "start", "start"),
        ("START", "yes", None),
        (None, "Start", None),
        ("START", "Hello", None),
        ("START", "STOP", "stop"),
        (None, "Look", None),
        (None, None, None),
    ],
)
def test_an_mms_counts_by_its_words(
    text: str | None, subject: str | None, said: str | None
) -> None:
    assert opt_out_of_mms(text, subject) == said


@pytest.mark.parametrize(
    "text",
    ["ARRÊT", "arrêt", "ARRE\u0302T", "\uff33\uff34\uff2f\uff30", "\uff53\uff54\uff4f\uff50",
     "S\u200bT\u200bO\u200bP", "STOP\ufe0f",
     "\u202dSTOP\u202c", "s.t.o.p", "STOP\u3000", "\u00a0stop\u2003", "«Stop»", "ⓢⓣⓞⓟ", "STOP 🙏"],
)  # fmt: skip
def test_case_accents_width_marks_and_spaces_do_not_matter(text: str) -> None:
    assert opt_out_of(text) == "stop"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("STOP STOP", "stop"),
        ("STOP!! STOP!!", "stop"),
        ("stop\nStop\nSTOP", "stop"),
        ("STOPSTOP", "stop"),
        ("stop all stop all", "stop"),
        ("opt out, OPT-OUT", "stop"),
        ("Stop. Unsubscribe.", "stop"),
        ("START START", "start"),
        ("stop start", "possible"),
        ("STOP.\n\nSent from my iPhone", "possible"),
        ("STOP " * 100, "stop"),
        ("STOP" * 60, "stop"),
        ("STOP" * 60_000, "stop"),
    ],
)
def test_a_repeated_word_counts_once(text: str, said: str) -> None:
    assert opt_out_of(text) == said


@pytest.mark.parametrize(
    "text",
    ["St0p", "STPO", "Stopp", "unsuscribe", "remove me", "Unsubscribe me", "TD", "BAJA", "salir",
     "Désabonner", "désinscription", "Abmelden", "aufhören", "SAIR", "Cancelar", "basta", "СТОП",
     "Отписаться", "στοπ", "إيقاف", "退订", "停止", "ストップ", "수신거부", "बंद", "IPTAL"],
)  # fmt: skip
def test_near_misses_and_other_languages_are_for_a_person_to_read(text: str) -> None:
    assert opt_out_of(text) == "possible"


def test_words_of_the_parameter_stop_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOP_WORDS", "BAJA,Désabonner, 退订,,")
    for text in ("baja!", "DESABONNER", "退订", "Baja baja"):
        assert opt_out_of(text) == "stop"
    assert opt_out_of("quiero la baja") == "possible"
    assert opt_out_of("salir") == "possible"


def test_an_empty_parameter_adds_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOP_WORDS", "")
    assert opt_out_of("...") is None
    monkeypatch.setenv("STOP_WORDS", "!,-")
    assert opt_out_of("...") is None


def test_a_keyword_that_stops_is_not_lost_behind_the_subject_of_an_mms() -> None:
    assert opt_out_of_mms(None, "NoSubject", "STOP") == "stop"
    assert opt_out_of_mms("hello", None, "STOP") == "stop"
    assert opt_out_of_mms(None, None, "START") == "start"
    assert opt_out_of_mms(None, "hello", "START") is None


@pytest.mark.parametrize(
    "text",
    ["STOP60856", "stop1", "60856stop", "please STOP60856", "Unsubscribe60856", "STØP",
     "\u0455\u0442\u043e\u0440", "S\u0422OP", "STOP\u03a1\u0391", "TTOP", "no más", "No mas!",
     "ne plus recevoir", "ne plus recevoir svp", "stopp bitte", "revoke consent", "opt me out",
     "opt me out please", "desinscribir", "desinscribirme", "停止发送", "STOPSTOP60856"],
)  # fmt: skip
def test_no_near_miss_is_left_unread(text: str) -> None:
    assert opt_out_of(text) == "possible"


@pytest.mark.parametrize(
    "text", ["FINE", "parade", "during the day", "the bus stops here", "para ti", "Ende gut",
             "STOR", "\u0440\u043e\u0442"]
)  # fmt: skip
def test_words_that_only_share_letters_ask_for_nothing(text: str) -> None:
    assert opt_out_of(text) is None
