"""Captions with three axes: instrumentation, mood and tempo; independent of the persona.

Each axis has a value, which the composer follows, and words for it in the text. The text may omit one axis; the composer still
follows its value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

import numpy as np

from render_service.composer.style import MOOD_SHAPES, Instrumentation, Mood, Style
from render_service.composer.style_words import INSTRUMENT_WORDS, MOOD_WORDS
from render_service.music.key import Key, Mode

_OMIT_SHARE = 0.12
_TWO_FAMILIES_SHARE = 0.35


class TempoWords(Enum):
    """Tempo in words; the value is the range in beats per minute."""

    SLOW = (62.0, 84.0)
    MODERATE = (88.0, 110.0)
    UPBEAT = (114.0, 134.0)
    FAST = (138.0, 170.0)


_TEMPO_WORDS = {
    TempoWords.SLOW: (
        "slow",
        "at a slow tempo",
        "slow and unhurried",
        "downtempo",
        "a slow ballad tempo",
        "in no hurry",
    ),
    TempoWords.MODERATE: ("mid-tempo", "at a moderate tempo", "medium pace", "walking pace", "a steady mid tempo"),
    TempoWords.UPBEAT: ("upbeat", "at an upbeat tempo", "danceable tempo", "lively pace", "a brisk groove"),
    TempoWords.FAST: ("fast", "at a fast tempo", "very fast", "racing", "a rapid pace", "breakneck tempo"),
}
_JOINERS = (" and ", " with ", " over ", " plus ")
_TEMPLATES = (
    "{mood} track with {instruments}, {tempo}",
    "{mood}, {instruments}, {tempo}",
    "{tempo}, {mood} song, {instruments}",
    "{instruments}, {mood} mood, {tempo}",
    "a {mood} tune led by {instruments}, {tempo}",
    "{tempo} and {mood}: {instruments}",
    "{instruments} playing something {mood}, {tempo}",
    "song with {instruments}; {mood}; {tempo}",
    "{mood} {instruments} music, {tempo}",
    "make it {mood}, use {instruments}, {tempo}",
)


@dataclass(frozen=True, kw_only=True)
class Caption:
    """``text`` has words for all axes or all but one; the other fields are the values that the composer follows."""

    text: str
    instrumentation: tuple[Instrumentation, ...]
    mood: Mood
    tempo_words: TempoWords

    @property
    def style(self) -> Style:
        """The values that the composer follows, without the tempo."""
        return Style(instrumentation=self.instrumentation, mood=self.mood)


def draw_caption(rng: np.random.Generator) -> Caption:
    """A uniform random value for each axis, and a text for them."""
    families = tuple(Instrumentation)
    count = 2 if rng.random() < _TWO_FAMILIES_SHARE else 1
    picked = tuple(families[i] for i in rng.permutation(len(families))[:count])
    mood = tuple(Mood)[rng.integers(len(Mood))]
    tempo = tuple(TempoWords)[rng.integers(len(TempoWords))]
    return Caption(text=write_text(rng, picked, mood, tempo), instrumentation=picked, mood=mood, tempo_words=tempo)


def write_text(rng: np.random.Generator, families: tuple[Instrumentation, ...], mood: Mood, tempo: TempoWords) -> str:
    """A random text for these values; 12 % of the texts omit one axis."""
    instruments = _JOINERS[rng.integers(len(_JOINERS))].join(_pick(rng, INSTRUMENT_WORDS[f]) for f in families)
    words = {
        "instruments": instruments,
        "mood": _pick(rng, MOOD_WORDS[mood]),
        "tempo": _pick(rng, _TEMPO_WORDS[tempo]),
    }
    if rng.random() < _OMIT_SHARE:
        del words[tuple(words)[rng.integers(3)]]
        parts = [list(words.values())[i] for i in rng.permutation(2)]
        return ", ".join(parts)
    text = re.sub(r"\ba (?=[aeiou])", "an ", _pick(rng, _TEMPLATES).format(**words))
    return text[0].upper() + text[1:] if rng.random() < 0.4 else text


def draw_bpm(rng: np.random.Generator, words: TempoWords) -> float:
    """A whole number of beats per minute in the range of the words."""
    low, high = words.value
    return float(rng.integers(int(low), int(high) + 1))


def draw_key(rng: np.random.Generator, mood: Mood) -> Key:
    """A uniform random tonic; major or minor with the mood's probability."""
    tonic = int(rng.integers(12))
    minor = rng.random() < MOOD_SHAPES[mood].minor_share
    return Key(tonic=tonic, mode=Mode.MINOR if minor else Mode.MAJOR)


def _pick(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[rng.integers(len(options))]
