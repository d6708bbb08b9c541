"""The fake reads from a prompt what the services read by listed words."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest

from render_service.composer.style_reader import StyleReader
from render_service.composer.style_words import INSTRUMENT_WORDS, MOOD_WORDS
from render_service.music.prompt_words import read_prompt
from sonichaos_client.testing.fake import music, prompt_style

PROMPTS = (
    *chain.from_iterable([*INSTRUMENT_WORDS.values(), *MOOD_WORDS.values()]),
    "Dark synths over a String  Section, slow",
    "not sad, happy; no piano but a rhodes",
    "synths without piano or strings, 93.5 BPM",
    "a drum-free piano, mid-tempo, in Bb major, instrumental",
    "organ, brass and mallets, in a minor key, up tempo, in no hurry",
    "999 bpm, fast, without vocals, key of F sharp minor",
    "a song",
)


def test_the_words_are_those_of_the_captions() -> None:
    """Of the services' lists."""
    assert {family.value: words for family, words in INSTRUMENT_WORDS.items()} == prompt_style.INSTRUMENT_WORDS
    assert {mood.value: words for mood, words in MOOD_WORDS.items()} == prompt_style.MOOD_WORDS


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_prompt_is_read_as_by_the_services(prompt: str) -> None:
    """Families, mood, tempo and key, each from the same words."""
    style = StyleReader(lambda texts: np.zeros((len(texts), 1), np.float32)).read_listed(prompt)
    families = [(found.value.value, found.quote) for found in style.recognized_families]
    assert [(found.value, found.text) for found in prompt_style.read_instruments(prompt)] == families
    mood = prompt_style.read_mood(prompt)
    expected = style.recognized_mood
    assert (mood and (mood.value, mood.text)) == (expected and (expected.value.value, expected.quote))
    facts = read_prompt(prompt)
    bpm_range = facts.bpm_range if facts.bpm is None else (facts.bpm, facts.bpm)
    assert music.prompt_tempo(prompt) == (None if bpm_range is None else (*bpm_range, facts.tempo_quote))
    assert music.prompt_key(prompt) == ("" if facts.key is None else str(facts.key))
    assert music.is_instrumental(prompt) is facts.instrumental
