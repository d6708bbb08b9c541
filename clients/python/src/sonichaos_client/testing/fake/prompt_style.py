"""Instruments and moods that a prompt names by listed words. The services also match other wordings by their meaning."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from sonichaos.render.v1 import render_pb2

# The words of the captions that the starter weights were trained with.
INSTRUMENT_WORDS: Mapping[str, Sequence[str]] = {
    "piano": ("piano", "grand piano", "piano chords", "upright piano", "keys", "a piano"),
    "electric piano": ("electric piano", "rhodes", "electric keys", "e-piano", "a rhodes piano", "wurlitzer"),
    "acoustic guitar": (
        "acoustic guitar",
        "strummed guitar",
        "fingerpicked guitar",
        "acoustic strumming",
        "folk guitar",
    ),
    "electric guitar": ("electric guitar", "guitar riffs", "rock guitar", "electric guitars", "guitars with an amp"),
    "strings": ("strings", "string section", "violins and cellos", "orchestral strings", "a string ensemble"),
    "synths": ("synths", "synthesizer", "synth pads", "analog synths", "arpeggiated synth", "electronic textures"),
    "organ": ("organ", "hammond organ", "drawbar organ", "church organ", "an organ"),
    "brass": ("brass", "horns", "horn section", "brass stabs", "trumpets and trombones"),
    "mallets": ("mallets", "vibraphone", "marimba", "bells and mallets", "glockenspiel", "tuned percussion"),
}
MOOD_WORDS: Mapping[str, Sequence[str]] = {
    "happy": ("happy", "cheerful", "sunny", "joyful", "feel-good", "playful"),
    "uplifting": ("uplifting", "hopeful", "inspiring", "triumphant", "warm and hopeful"),
    "energetic": ("energetic", "driving", "powerful", "high-energy", "punchy", "intense and exciting"),
    "calm": ("calm", "relaxed", "peaceful", "gentle", "laid-back", "mellow"),
    "dreamy": ("dreamy", "ethereal", "floating", "hazy", "airy", "spacious"),
    "sad": ("sad", "melancholic", "heartbroken", "sorrowful", "wistful", "lonely"),
    "dark": ("dark", "brooding", "ominous", "gloomy", "shadowy", "moody"),
    "tense": ("tense", "anxious", "suspenseful", "restless", "nervous", "urgent"),
}

_MAX_INSTRUMENTS = 2
_NEGATED = re.compile(
    r"\b(?:no|not|without|minus|except)\b[^.,;:!?]*?(?=[.,;:!?]|\bbut\b|\bjust\b|\bonly\b|$)|\b\w+[\s-]free\b",
    re.IGNORECASE,
)


def read_instruments(prompt: str) -> list[render_pb2.RecognizedValue]:
    """Up to two instrument families, in the order of the prompt."""
    return list(_recognized(INSTRUMENT_WORDS, prompt))[:_MAX_INSTRUMENTS]


def read_mood(prompt: str) -> render_pb2.RecognizedValue | None:
    """The first mood."""
    return next(_recognized(MOOD_WORDS, prompt), None)


def _recognized(table: Mapping[str, Sequence[str]], prompt: str) -> Iterator[render_pb2.RecognizedValue]:
    """Each value whose words the prompt has, with the first of them; what is negated does not count."""
    owner = {word: value for value, words in table.items() for word in words}
    longest_first = sorted(owner, key=len, reverse=True)
    pattern = "|".join(re.escape(word).replace("\\ ", r"\s+") for word in longest_first)
    text = _NEGATED.sub(lambda negated: "\0" * len(negated.group()), prompt)
    seen: set[str] = set()
    for match in re.finditer(rf"\b(?:{pattern})\b", text, re.IGNORECASE):
        value = owner[" ".join(match.group().lower().split())]
        if value not in seen:
            seen.add(value)
            yield render_pb2.RecognizedValue(value=value, text=match.group(), listed=True)
