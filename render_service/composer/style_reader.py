"""Reads instrument families and a mood from the free text of a prompt.

A listed word decides. Every other clause is compared with the listed words by a text encoder, so that wordings count that no list
has. Letters: ``N`` texts, ``A`` listed words, ``W`` width of the encoder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from render_service.composer.score import MAX_FAMILIES
from render_service.composer.style import Instrumentation, Mood
from render_service.composer.style_words import (
    INSTRUMENT_WORDS,
    MOOD_WORDS,
    MORE_INSTRUMENT_WORDS,
    MORE_MOOD_WORDS,
    NEUTRAL_WORDS,
)

SentenceEncoder = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to vectors of length 1, ``(N, W)``. Deterministic."""

# Chosen on the development wordings of benchmarks/wordings.json.
_FAMILY_THRESHOLD = 0.23
_MOOD_THRESHOLD = 0.16
_NEAREST = 2
_CACHED_PROMPTS = 16  # an admission reads its prompt for the key and again for the score
_MAX_BATCH = 48  # clauses times the words of the longest and its two ends: bounds the time of an admission
_LONGEST_CLAUSE = 16  # words
_NEGATED = re.compile(
    r"\b(?:no|not|without|minus|except)\b[^.,;:!?]*?(?=[.,;:!?]|\bbut\b|\bjust\b|\bonly\b|$)|\b\w+[\s-]free\b"
)
_CLAUSE_END = re.compile(r"[.,;:!?()\n]|\b(?:and|with|over|plus)\b")

_Value = TypeVar("_Value", bound=Enum)


@dataclass(frozen=True, kw_only=True)
class StyleReading:
    """What a prompt says: up to two families, the plainest first, and a mood. Empty and None: nothing."""

    families: tuple[Instrumentation, ...]
    mood: Mood | None


class StyleReader:
    """Reads prompts. The listed words are encoded once, when the first prompt needs them. Safe for several threads."""

    def __init__(self, encode: SentenceEncoder) -> None:
        self._encode = encode
        families = {f: INSTRUMENT_WORDS[f] + MORE_INSTRUMENT_WORDS[f] for f in Instrumentation}
        moods = {m: MOOD_WORDS[m] + MORE_MOOD_WORDS[m] for m in Mood}
        self._families = _Axis(families, threshold=_FAMILY_THRESHOLD)
        self._moods = _Axis(moods, threshold=_MOOD_THRESHOLD)
        self._words = [*self._families.words, *self._moods.words, *NEUTRAL_WORDS]
        self._cached = lru_cache(maxsize=_CACHED_PROMPTS)(self._read)

    def read(self, prompt: str) -> StyleReading:
        """Read a prompt. The same text always gives the same reading."""
        return self._cached(prompt)

    def read_listed(self, prompt: str) -> StyleReading:
        """What the listed words alone say, without the text encoder."""
        text = _plain(prompt)
        return _reading(self._families.listed(text), self._moods.listed(text))

    def _read(self, prompt: str) -> StyleReading:
        text = _plain(prompt)
        families, moods = self._families.listed(text), self._moods.listed(text)
        if len(families) < MAX_FAMILIES or not moods:
            similarities = self._similarities(_clauses(text))
            unlisted = [similar for clause, similar in similarities.items() if not self._families.listed(clause)]
            families += self._families.nearest(unlisted)
            moods = moods or self._moods.nearest(list(similarities.values()))
        return _reading(families, moods)

    def _similarities(self, texts: Sequence[str]) -> dict[str, dict[str, float]]:
        """For each text its cosine with each listed and neutral word."""
        if not texts:
            return {}
        # By einsum: a product this small is not worth the threads of a BLAS, which wait for one another under load.
        cosines = np.einsum("nw,aw->na", _unit(self._encode(texts) - self._mean), self._anchors)
        return {
            text: dict(zip(self._words, map(float, row), strict=True)) for text, row in zip(texts, cosines, strict=True)
        }

    @cached_property
    def _vectors(self) -> NDArray[np.float32]:
        return self._encode(self._words)

    @cached_property
    def _mean(self) -> NDArray[np.float32]:
        """What all words have in common, ``(W,)``. Without it, similarities spread more."""
        mean: NDArray[np.float32] = self._vectors.mean(axis=0)
        return mean

    @cached_property
    def _anchors(self) -> NDArray[np.float32]:
        """The words without their mean, of length 1, ``(A, W)``."""
        return _unit(self._vectors - self._mean)


def _plain(prompt: str) -> str:
    """In lower case, without what is negated."""
    return _NEGATED.sub(" ", " ".join(prompt.lower().split()))


def _reading(families: Sequence[Instrumentation], moods: Sequence[Mood]) -> StyleReading:
    return StyleReading(families=tuple(dict.fromkeys(families))[:MAX_FAMILIES], mood=moods[0] if moods else None)


def _clauses(text: str) -> list[str]:
    """The different clauses, as many as fit into :data:`_MAX_BATCH`; a long one is cut."""
    found: list[str] = []
    longest = 0
    for clause in dict.fromkeys(part.strip() for part in _CLAUSE_END.split(text)):
        words = clause.split()[:_LONGEST_CLAUSE]
        longest = max(longest, len(words))
        if (len(found) + 1) * (longest + 2) > _MAX_BATCH:
            break
        if words:
            found.append(" ".join(words))
    return found


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


class _Axis(Generic[_Value]):
    """The values of one axis and their words.

    A text and a value are as similar as the mean of the two most similar words of the value. A text names its most similar
    value if they are at least as similar as the threshold, and more similar than the text and the neutral words.
    """

    def __init__(self, words: Mapping[_Value, Sequence[str]], *, threshold: float) -> None:
        self.words = [word for options in words.values() for word in options]
        self._options, self._threshold = words, threshold
        self._owner = {word: value for value, options in words.items() for word in options}
        longest_first = sorted(self.words, key=len, reverse=True)
        self._pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})\b")

    def listed(self, text: str) -> list[_Value]:
        """The values whose words the text has, in its order."""
        return list(dict.fromkeys(self._owner[match.group()] for match in self._pattern.finditer(text)))

    def nearest(self, similarities: Sequence[Mapping[str, float]]) -> list[_Value]:
        """The values that the texts name, the surest first."""
        sureness: dict[_Value, float] = {}
        for similar in similarities:
            scores = {value: self._score(similar, options) for value, options in self._options.items()}
            value = max(scores, key=lambda v: scores[v])
            if scores[value] >= max(self._threshold, self._score(similar, NEUTRAL_WORDS)):
                sureness[value] = max(scores[value], sureness.get(value, -1.0))
        return sorted(sureness, key=lambda v: -sureness[v])

    def _score(self, similar: Mapping[str, float], words: Sequence[str]) -> float:
        best = sorted((similar[word] for word in words), reverse=True)[:_NEAREST]
        return sum(best) / len(best)
