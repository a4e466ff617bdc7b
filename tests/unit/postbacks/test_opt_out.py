"""Only a message that is nothing but the word stops or starts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skycore.postbacks.opt_out_keywords import START_WORDS, STOP_WORDS, opt_out_of, opt_out_of_mms


@pytest.mark.parametrize("word", sorted(STOP_WORDS))
@pytest.mark.parametrize("form", ["{}", " {} ", "{}.", "¡{}!", '"{}"', "\n{}\n"])
def test_every_stop_word_in_any_case_and_dress(word, form):
    for text in (word, word.lower(), word.title()):
        assert opt_out_of(form.format(text)) == "stop"


@pytest.mark.parametrize("word", sorted(START_WORDS))
def test_every_start_word(word):
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
        ("cancel my order", None),
        ("the end", None),
        ("", None),
        (None, None),
        ("...", None),
        ("👍", None),
    ],
)
def test_sentences(text, said):
    assert opt_out_of(text) == said


@given(st.text())
def test_any_text_has_an_answer(text):
    assert opt_out_of(text) in {None, "stop", "start", "possible"}


@pytest.mark.parametrize(
    ("text", "subject", "said"),
    [
        ("STOP", None, "stop"),
        ("stop.", " ", "stop"),
        (None, "Stop", "stop"),
        ("", "STOP ALL", "stop"),
        ("STOP", "Unsubscribe", "stop"),
        ("club", "STOP", "possible"),
        ("STOP", "Hello", "possible"),
        (None, "please stop", "possible"),
        ("START", None, "start"),
        ("START", "yes", "start"),
        (None, "Yes", None),
        ("START", "Hello", None),
        ("START", "STOP", "possible"),
        (None, "Look", None),
        (None, None, None),
    ],
)
def test_an_mms_counts_by_its_words(text, subject, said):
    assert opt_out_of_mms(text, subject) == said
