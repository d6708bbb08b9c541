"""Reads instrument families and a mood from the free text of a prompt.

A listed word decides. Every other clause is compared by a text encoder with the listed words and with phrases and scenes
(style_scenes.py), so that wordings count that no list has.

Letters: ``N`` texts, ``A`` words and scenes, ``V`` values of an axis and, last, the neutral ones, ``W`` width of the encoder.
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
from render_service.composer.style_anchors import read_vectors
from render_service.composer.style_scenes import INSTRUMENT_SCENES, MOOD_SCENES, NEUTRAL_SCENES
from render_service.composer.style_words import (
    INSTRUMENT_WORDS,
    MOOD_WORDS,
    MORE_INSTRUMENT_WORDS,
    MORE_MOOD_WORDS,
    NEUTRAL_WORDS,
)

SentenceEncoder = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to vectors of length 1, ``(N, W)``. Deterministic."""

# Chosen on the development wordings of benchmarks/wordings.json, without the words that a wording shares with the lists; the first
# such that a tenth of the scenes of moods are read as families.
_FAMILY_THRESHOLD = 0.13
_MOOD_THRESHOLD = 0.20
_NEAREST = 3
_RIDGE = 3.0
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
    """Reads prompts. Safe for several threads.

    The vectors of the listed words are the stored ones if those are of the weights with ``encoder_sha256``; otherwise the words are
    encoded once, when the first prompt needs them.
    """

    def __init__(self, encode: SentenceEncoder, *, encoder_sha256: str | None = None) -> None:
        self._encode = encode
        self._encoder_sha256 = encoder_sha256
        families = {f: INSTRUMENT_WORDS[f] + MORE_INSTRUMENT_WORDS[f] for f in Instrumentation}
        moods = {m: MOOD_WORDS[m] + MORE_MOOD_WORDS[m] for m in Mood}
        self._families = _Axis(families, INSTRUMENT_SCENES, threshold=_FAMILY_THRESHOLD)
        self._moods = _Axis(moods, MOOD_SCENES, threshold=_MOOD_THRESHOLD)
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
        clauses = _clauses(text)
        if clauses and (len(families) < MAX_FAMILIES or not moods):
            vectors = _unit(self._encode(clauses) - self._anchors.mean)
            unlisted = [i for i, clause in enumerate(clauses) if not self._families.listed(clause)]
            families += self._families.named(self._anchors.family_scores(vectors[unlisted]))
            moods = moods or self._moods.named(self._anchors.mood_scores(vectors))
        return _reading(families, moods)

    @property
    def anchor_texts(self) -> list[str]:
        """The words and scenes that prompts are compared with, those of the families first."""
        return [*self._families.anchors, *self._moods.anchors]

    @cached_property
    def _anchors(self) -> _Anchors:
        texts = self.anchor_texts
        vectors = None if self._encoder_sha256 is None else read_vectors(self._encoder_sha256, texts)
        if vectors is None:
            vectors = self._encode(texts)
        return _Anchors.of(vectors, self._families.owners, self._moods.owners)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Anchors:
    """Vectors of all words and scenes without what they have in common, ``mean`` ``(W,)``, and how texts are compared with them.

    ``families`` and ``moods`` ``(A, W)`` with the index of the value that each belongs to, ``(A,)``; ``mood_weights`` ``(A, V)``.
    """

    mean: NDArray[np.float32]
    families: NDArray[np.float32]
    family_owners: NDArray[np.intp]
    moods: NDArray[np.float32]
    mood_weights: NDArray[np.float64]

    @classmethod
    def of(
        cls, vectors: NDArray[np.float32], family_owners: NDArray[np.intp], mood_owners: NDArray[np.intp]
    ) -> _Anchors:
        """Of encoded anchors, those of the families first. Without their mean, similarities spread more."""
        mean: NDArray[np.float32] = vectors.mean(axis=0)
        centred = _unit(vectors - mean)
        families, moods = centred[: family_owners.size], centred[family_owners.size :]
        return cls(
            mean=mean,
            families=families,
            family_owners=family_owners,
            moods=moods,
            mood_weights=_ridge_weights(moods, mood_owners),
        )

    def family_scores(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Mean of the three nearest anchors of a value and of all of them: ``(N, W) -> (N, V)``."""
        cosines = _products(vectors, self.families)
        scores = np.zeros((vectors.shape[0], int(self.family_owners.max()) + 1))
        for value in range(scores.shape[1]):
            own = np.sort(cosines[:, self.family_owners == value], axis=1)
            scores[:, value] = 0.5 * (own[:, -_NEAREST:].mean(axis=1) + own.mean(axis=1))
        return scores

    def mood_scores(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Kernel ridge regression on the anchors: ``(N, W) -> (N, V)``, 0 where nothing is known."""
        return _products(_products(vectors, self.moods), self.mood_weights.T)


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


def _products(rows: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """``(N, W), (A, W) -> (N, A)``. By einsum: a product this small is not worth the threads of a BLAS under load."""
    return np.asarray(np.einsum("nw,aw->na", rows, others), dtype=np.float64)


def _ridge_weights(anchors: NDArray[np.float32], owners: NDArray[np.intp]) -> NDArray[np.float64]:
    """Weights ``(A, V)`` of the anchors ``(A, W)``; values with many anchors do not count more than others."""
    counts = np.bincount(owners)
    targets = np.eye(counts.size)[owners] - 1.0 / counts.size
    damping = _RIDGE * counts[owners] / counts.mean()
    return np.asarray(np.linalg.solve(_products(anchors, anchors) + np.diag(damping), targets), dtype=np.float64)


class _Axis(Generic[_Value]):
    """The values of one axis, their listed words, and with scenes and neutral phrases their anchors.

    A text names the value with the highest score if that reaches the threshold and the score of the neutral anchors.
    """

    def __init__(
        self, words: Mapping[_Value, Sequence[str]], scenes: Mapping[_Value, Sequence[str]], *, threshold: float
    ) -> None:
        self._values, self._threshold = tuple(words), threshold
        self._owner = {word: value for value, options in words.items() for word in options}
        longest_first = sorted(self._owner, key=len, reverse=True)
        self._pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})\b")
        groups = [*((*words[value], *scenes[value]) for value in self._values), (*NEUTRAL_WORDS, *NEUTRAL_SCENES)]
        self.anchors = [anchor for group in groups for anchor in group]
        self.owners = np.repeat(np.arange(len(groups)), [len(group) for group in groups])

    def listed(self, text: str) -> list[_Value]:
        """The values whose words the text has, in its order."""
        return list(dict.fromkeys(self._owner[match.group()] for match in self._pattern.finditer(text)))

    def named(self, scores: NDArray[np.float64]) -> list[_Value]:
        """The values that texts with ``scores`` ``(N, V)`` name, the surest first."""
        sureness: dict[_Value, float] = {}
        for row in scores:
            best = int(row[:-1].argmax())
            if row[best] >= max(self._threshold, row[-1]):
                value = self._values[best]
                sureness[value] = max(float(row[best]), sureness.get(value, -1.0))
        return sorted(sureness, key=lambda v: -sureness[v])
