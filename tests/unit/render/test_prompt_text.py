"""The text of a prompt as it is read, and where in the prompt each part of it comes from."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from render_service.composer.prompt_text import PromptText

WORDS = ("Dark", "STRINGS", "no", "drums", "but", "without", "grand", "drum-free", "İstanbul", "ΟΔΟΣ", "and", "piano")
PIECES = st.sampled_from([*WORDS, " ", "  ", "\n", "\t", ", ", ". ", "-", "(", "\u2003", "é", "ß"])
PROMPTS = st.lists(PIECES, max_size=60).map("".join) | st.text(max_size=200)


def letters(text: str) -> str:
    """Without spaces, and with one spelling of the two small sigmas, of which lower() takes the final one at the end of a word."""
    return "".join(text.lower().split()).replace("ς", "σ")


@given(PROMPTS)
def test_every_part_is_quoted_as_it_was_written(prompt: str) -> None:
    """Each word of the text is, but for its case, the part of the prompt that is quoted for it, and quotes stand in their order."""
    read = PromptText.of(prompt)
    assert len(read.origins) == len(read.text)
    assert list(read.origins) == sorted(read.origins)
    for word in re.finditer(r"\S+", read.text):
        quote = read.quote(*word.span())
        assert quote in prompt
        assert letters(quote) == letters(word.group())


@given(PROMPTS)
def test_a_clause_is_quoted_from_its_first_word_to_its_last(prompt: str) -> None:
    """A part that is not read, because it is negated, may stand within it."""
    for clause in PromptText.of(prompt).clauses():
        assert clause.quote in prompt
        assert clause.quote == clause.quote.strip()
        remaining = iter(letters(clause.quote))
        assert all(letter in remaining for letter in letters(clause.text))


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("Warm \n Grand\tPIANO", "warm grand piano"),
        ("synths without piano or strings", "synths  "),
        ("no guitar but strings", " but strings"),
        ("a drum-free song", "a   song"),
        ("", ""),
        (" \n", ""),
    ],
)
def test_what_is_negated_is_not_read(prompt: str, text: str) -> None:
    """Up to the end of the clause, or to a word that ends the negation; all white space is one space."""
    assert PromptText.of(prompt).text == text


def test_clauses_are_different_and_cut_after_16_words() -> None:
    """Quotes keep the spelling of the prompt."""
    long = " ".join(f"Word{number}" for number in range(20))
    found = PromptText.of(f"Dark  Pads, dark pads; {long} and Strings (no drums)").clauses()
    assert [clause.quote for clause in found] == ["Dark  Pads", " ".join(long.split()[:16])]
    assert found[0].text == "dark pads"
    assert found[1].text == found[1].quote.lower()
