"""What a prompt says about tempo, key and voice, in words or numbers.

Only plain, unambiguous wording counts ("120 bpm", "in F# minor", "slow", "instrumental"); all other words steer the renderer as
text. The words and ranges are those that the shipped weights were trained with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeVar

from render_service.music.key import Key, Mode
from render_service.music.tempo_map import BPM_RANGE

T = TypeVar("T")

_BPM = re.compile(r"\b(\d{2,3}(?:\.\d+)?)\s*(?:bpm|beats per minute)\b", re.IGNORECASE)
_KEY = re.compile(r"\b(?:in|key of)\s+([A-Ga-g](?:#|b|♯|♭| sharp| flat)?)[\s-]*(major|minor)\b", re.IGNORECASE)
_INSTRUMENTAL = re.compile(
    r"\b(?:instrumental|no (?:vocals?|voices?|singing)|without (?:vocals?|voices?|singing))\b", re.IGNORECASE
)

# Longer phrases first: "very slow" is not "slow", "mid-tempo" is not "tempo". Ranges in beats a minute.
_TEMPO_WORDS: tuple[tuple[str, tuple[float, float]], ...] = (
    (r"mid[\s-]?tempo|moderate|medium pace|walking pace|steady mid tempo", (88.0, 110.0)),
    (r"down[\s-]?tempo|slow|unhurried|in no hurry|ballad", (62.0, 84.0)),
    (r"up[\s-]?tempo|upbeat|danceable|lively|brisk", (114.0, 134.0)),
    (r"fast|racing|rapid|breakneck", (138.0, 170.0)),
)
_MOOD_MODES: tuple[tuple[str, Mode], ...] = (
    (
        r"sad|melancholic|heartbroken|sorrowful|wistful|lonely|dark|brooding|ominous|gloomy|shadowy|moody|tense|anxious|suspenseful",
        Mode.MINOR,
    ),
    (r"happy|cheerful|sunny|joyful|feel-good|playful|uplifting|hopeful|triumphant", Mode.MAJOR),
)


@dataclass(frozen=True, kw_only=True)
class PromptFacts:
    """What the prompt says. ``bpm`` is a number it names, ``bpm_range`` what its words mean, ``mode`` what its mood suggests.

    ``tempo_quote`` has the words that say the tempo, as they are written: those of the number, if there is one. Empty: none do.
    """

    bpm: float | None
    bpm_range: tuple[float, float] | None
    tempo_quote: str
    key: Key | None
    mode: Mode | None
    instrumental: bool


def read_prompt(prompt: str) -> PromptFacts:
    """Read a prompt. A number out of range is not a tempo."""
    low, high = BPM_RANGE
    number = _BPM.search(prompt)
    bpm = float(number.group(1)) if number and low <= float(number.group(1)) <= high else None
    named = _KEY.search(prompt)
    key = None
    if named and not _is_article(named, prompt):
        tonic = re.sub(
            r"\s*sharp", "#", re.sub(r"\s*flat", "b", named.group(1), flags=re.IGNORECASE), flags=re.IGNORECASE
        )
        key = Key.parse(f"{tonic} {named.group(2).lower()}")
    bpm_range, tempo_words = _first(_TEMPO_WORDS, prompt)
    return PromptFacts(
        bpm=bpm,
        bpm_range=bpm_range,
        tempo_quote=tempo_words if number is None or bpm is None else number.group(),
        key=key,
        mode=_first(_MOOD_MODES, prompt)[0],
        instrumental=_INSTRUMENTAL.search(prompt) is not None,
    )


def _is_article(named: re.Match[str], prompt: str) -> bool:
    """The "a" of "in a minor key" names no tonic."""
    return (
        named.group(1) == "a"
        and re.match(r"[\s-]+(?:key|mode|mood|scale|tonality)\b", prompt[named.end() :]) is not None
    )


def _first(table: tuple[tuple[str, T], ...], prompt: str) -> tuple[T | None, str]:
    """The value of the first row of which the prompt has a word, and that word; None and nothing without one."""
    for words, value in table:
        if found := re.search(rf"\b(?:{words})\b", prompt, re.IGNORECASE):
            return value, found.group()
    return None, ""
