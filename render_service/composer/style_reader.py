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

from render_service.composer.prompt_text import Clause, PromptText
from render_service.composer.score import MAX_FAMILIES
from render_service.composer.style import Instrumentation, Mood, Recognized, StyleReading
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
_Value = TypeVar("_Value", bound=Enum)


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
        text = PromptText.of(prompt)
        return _reading(self._families.listed(text), self._moods.listed(text))

    def _read(self, prompt: str) -> StyleReading:
        text = PromptText.of(prompt)
        families, moods = self._families.listed(text), self._moods.listed(text)
        clauses = text.clauses()
        if clauses and (len(families) < MAX_FAMILIES or not moods):
            vectors = _unit(self._encode([clause.text for clause in clauses]) - self._anchors.mean)
            unlisted = [i for i, clause in enumerate(clauses) if not self._families.is_listed(clause.text)]
            scores = self._anchors.family_scores(vectors[unlisted])
            families += self._families.named(scores, [clauses[i] for i in unlisted])
            moods = moods or self._moods.named(self._anchors.mood_scores(vectors), clauses)
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


def _reading(families: Sequence[Recognized[Instrumentation]], moods: Sequence[Recognized[Mood]]) -> StyleReading:
    different: dict[Instrumentation, Recognized[Instrumentation]] = {}
    for found in families:
        different.setdefault(found.value, found)
    return StyleReading(
        recognized_families=tuple(different.values())[:MAX_FAMILIES], recognized_mood=moods[0] if moods else None
    )


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

    def listed(self, text: PromptText) -> list[Recognized[_Value]]:
        """The values whose words the text has, in its order, each with its first word."""
        found: dict[_Value, Recognized[_Value]] = {}
        for match in self._pattern.finditer(text.text):
            value = self._owner[match.group()]
            found.setdefault(value, Recognized(value=value, quote=text.quote(*match.span()), listed=True))
        return list(found.values())

    def is_listed(self, text: str) -> bool:
        """Whether a text has a word of a value."""
        return self._pattern.search(text) is not None

    def named(self, scores: NDArray[np.float64], clauses: Sequence[Clause]) -> list[Recognized[_Value]]:
        """The values that ``clauses`` with ``scores`` ``(N, V)`` name, the surest first, each with its surest clause."""
        surest: dict[_Value, tuple[float, Clause]] = {}
        for row, clause in zip(scores, clauses, strict=True):
            best = int(row[:-1].argmax())
            value, sureness = self._values[best], float(row[best])
            if sureness >= max(self._threshold, row[-1]) and (value not in surest or sureness > surest[value][0]):
                surest[value] = sureness, clause
        in_order = sorted(surest.items(), key=lambda found: -found[1][0])
        return [Recognized(value=value, quote=clause.quote, listed=False) for value, (_, clause) in in_order]
