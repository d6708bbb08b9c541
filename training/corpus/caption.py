"""Captions with three axes: instrumentation, mood and tempo; independent of the persona.

Each axis has a value, which the composer follows, and words for it in the text. The text may omit one axis; the composer still
follows its value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

import numpy as np

from render_service.music.key import Key, Mode

_OMIT_SHARE = 0.12
_TWO_FAMILIES_SHARE = 0.35


class Instrumentation(Enum):
    """Instrument families of the stem "other"; the value is the family's plain name."""

    PIANO = "piano"
    ELECTRIC_PIANO = "electric piano"
    ACOUSTIC_GUITAR = "acoustic guitar"
    ELECTRIC_GUITAR = "electric guitar"
    STRINGS = "strings"
    SYNTHS = "synths"
    ORGAN = "organ"
    BRASS = "brass"
    MALLETS = "mallets"


class Mood(Enum):
    """Mood of a song; :data:`MOOD_SHAPES` has its effect on the music."""

    HAPPY = "happy"
    UPLIFTING = "uplifting"
    ENERGETIC = "energetic"
    CALM = "calm"
    DREAMY = "dreamy"
    SAD = "sad"
    DARK = "dark"
    TENSE = "tense"


class TempoWords(Enum):
    """Tempo in words; the value is the range in beats per minute."""

    SLOW = (62.0, 84.0)
    MODERATE = (88.0, 110.0)
    UPBEAT = (114.0, 134.0)
    FAST = (138.0, 170.0)


@dataclass(frozen=True, kw_only=True)
class MoodShape:
    """Effect of a mood on the music.

    ``minor_share``: probability of a minor key. The others range from -1 to 1 and shift the persona's values: ``brightness`` the
    spectrum, ``register`` the pitch of the parts, ``density`` the number of notes, ``force`` their velocity.
    """

    minor_share: float
    brightness: float
    register: float
    density: float
    force: float


MOOD_SHAPES = {
    Mood.HAPPY: MoodShape(minor_share=0.0, brightness=0.6, register=0.6, density=0.3, force=0.2),
    Mood.UPLIFTING: MoodShape(minor_share=0.1, brightness=0.4, register=0.4, density=0.1, force=0.3),
    Mood.ENERGETIC: MoodShape(minor_share=0.4, brightness=0.8, register=0.1, density=0.9, force=0.9),
    Mood.CALM: MoodShape(minor_share=0.15, brightness=-0.5, register=0.0, density=-0.8, force=-0.8),
    Mood.DREAMY: MoodShape(minor_share=0.35, brightness=-0.2, register=0.9, density=-0.5, force=-0.5),
    Mood.SAD: MoodShape(minor_share=1.0, brightness=-0.6, register=-0.3, density=-0.5, force=-0.4),
    Mood.DARK: MoodShape(minor_share=1.0, brightness=-1.0, register=-1.0, density=0.0, force=0.3),
    Mood.TENSE: MoodShape(minor_share=1.0, brightness=0.3, register=-0.2, density=0.6, force=0.6),
}

_INSTRUMENT_WORDS = {
    Instrumentation.PIANO: ("piano", "grand piano", "piano chords", "upright piano", "keys", "a piano"),
    Instrumentation.ELECTRIC_PIANO: (
        "electric piano",
        "rhodes",
        "electric keys",
        "e-piano",
        "a rhodes piano",
        "wurlitzer",
    ),
    Instrumentation.ACOUSTIC_GUITAR: (
        "acoustic guitar",
        "strummed guitar",
        "fingerpicked guitar",
        "acoustic strumming",
        "folk guitar",
    ),
    Instrumentation.ELECTRIC_GUITAR: (
        "electric guitar",
        "guitar riffs",
        "rock guitar",
        "electric guitars",
        "guitars with an amp",
    ),
    Instrumentation.STRINGS: (
        "strings",
        "string section",
        "violins and cellos",
        "orchestral strings",
        "a string ensemble",
    ),
    Instrumentation.SYNTHS: (
        "synths",
        "synthesizer",
        "synth pads",
        "analog synths",
        "arpeggiated synth",
        "electronic textures",
    ),
    Instrumentation.ORGAN: ("organ", "hammond organ", "drawbar organ", "church organ", "an organ"),
    Instrumentation.BRASS: ("brass", "horns", "horn section", "brass stabs", "trumpets and trombones"),
    Instrumentation.MALLETS: (
        "mallets",
        "vibraphone",
        "marimba",
        "bells and mallets",
        "glockenspiel",
        "tuned percussion",
    ),
}
_MOOD_WORDS = {
    Mood.HAPPY: ("happy", "cheerful", "sunny", "joyful", "feel-good", "playful"),
    Mood.UPLIFTING: ("uplifting", "hopeful", "inspiring", "triumphant", "warm and hopeful"),
    Mood.ENERGETIC: ("energetic", "driving", "powerful", "high-energy", "punchy", "intense and exciting"),
    Mood.CALM: ("calm", "relaxed", "peaceful", "gentle", "laid-back", "mellow"),
    Mood.DREAMY: ("dreamy", "ethereal", "floating", "hazy", "airy", "spacious"),
    Mood.SAD: ("sad", "melancholic", "heartbroken", "sorrowful", "wistful", "lonely"),
    Mood.DARK: ("dark", "brooding", "ominous", "gloomy", "shadowy", "moody"),
    Mood.TENSE: ("tense", "anxious", "suspenseful", "restless", "nervous", "urgent"),
}
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
    def shape(self) -> MoodShape:
        """The mood's effect on the music."""
        return MOOD_SHAPES[self.mood]


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
    instruments = _JOINERS[rng.integers(len(_JOINERS))].join(_pick(rng, _INSTRUMENT_WORDS[f]) for f in families)
    words = {
        "instruments": instruments,
        "mood": _pick(rng, _MOOD_WORDS[mood]),
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
