"""Fits the habits head to the persona vectors of a work folder's songs.

A fifth of the random personas is held out. The linear layer is a ridge regression on the others, with a strength for each output
that is chosen by cross-validation; the known personas are the named ones.

Letters: ``P`` personas, ``E`` embedding size, ``O`` outputs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open

from render_service.composer.habits import Habits
from render_service.music.tempo_map import STRAIGHT
from render_service.renderers.latent_diffusion.habits_head import (
    DENSITY,
    ELECTRONIC,
    OUTPUTS,
    PERCUSSION,
    SUB_BASS,
    SWING,
    SWINGS,
    VOICE,
    HabitsHead,
    HabitsHeadConfig,
)
from training.corpus.builtin_personas import personas
from training.training_set import persona_of

Array = NDArray[np.float64]

_FOLDS = 5
_STRENGTHS = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0, 100.0)  # the last one gives the mean
_LEAST_SWING = 0.51


class HabitsError(ValueError):
    """There are too few personas to learn from; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class KnownPersona:
    """A persona of the corpus. ``vectors``: one for each song, of length 1, ``(songs, E)``."""

    id: str
    habits: Habits
    vectors: Array

    @property
    def embedding(self) -> Array:
        """All songs pooled, of length 1, ``(E,)``."""
        return _unit(self.vectors.mean(axis=0))


@dataclass(frozen=True, kw_only=True)
class HabitError:
    """Error of one habit over personas, and the null's: the mean or the most frequent value of the training personas.

    ``error``: mean absolute error, or the share of wrong answers.
    """

    habit: str
    error: float
    null: float


def read_personas(folder: Path) -> list[KnownPersona]:
    """The personas of the composed songs in a folder of latents, by id."""
    vectors: dict[str, list[Array]] = {}
    habits: dict[str, Habits] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(str(path), framework="numpy") as file:
            song = json.loads(file.metadata()["song"])
            persona = persona_of(song["number"])
            if song["persona"] != persona.id:  # a recording
                continue
            pooled = file.get_tensor("persona_vectors").astype(np.float64).mean(axis=0)
        vectors.setdefault(persona.id, []).append(_unit(pooled))
        habits[persona.id] = persona.habits
    return [KnownPersona(id=i, habits=habits[i], vectors=np.stack(vectors[i])) for i in sorted(vectors)]


def fit_head(known: Sequence[KnownPersona]) -> tuple[HabitsHead, list[HabitError], list[HabitError]]:
    """The head, its errors on held-out random personas, and those on songs of the named personas that it was not fitted to.

    The head is fitted to all personas; the errors are those of heads that were not. Raises :class:`HabitsError`.
    """
    named_ids = [persona.id for persona in personas()]
    named = [persona for persona in known if persona.id in named_ids]
    others = [persona for persona in known if persona.id not in named_ids]
    if len(named) < len(named_ids) or len(others) < 2 * _FOLDS or min(len(p.vectors) for p in named) < 2:
        raise HabitsError(
            f"habits need two songs of each of {len(named_ids)} named personas and {2 * _FOLDS} random personas, got songs of "
            f"{len(named)} and {len(others)}; compose more songs (sonichaos-train latents)"
        )
    held_out = others[::_FOLDS]
    training = [persona for persona in others if persona not in held_out]
    unseen = _errors(_fit(named, training), held_out, training)
    halves = [[_part(persona, first) for persona in named] for first in (0, 1)]
    recalled = _errors(_fit(halves[0], training), halves[1], training)
    return _fit(named, others), unseen, recalled


def _part(persona: KnownPersona, first: int) -> KnownPersona:
    """The persona with every second of its songs."""
    return KnownPersona(id=persona.id, habits=persona.habits, vectors=persona.vectors[first::2])


def _fit(named: Sequence[KnownPersona], others: Sequence[KnownPersona]) -> HabitsHead:
    x = np.stack([persona.embedding for persona in others])
    y = np.stack([_targets(persona.habits) for persona in others])
    columns = [_ridge(x[known], column[known]) for column in y.T for known in [np.isfinite(column)]]
    head = HabitsHead(HabitsHeadConfig(embedding_size=x.shape[1], known_personas=len(named)))
    values = np.nan_to_num(np.stack([_targets(persona.habits) for persona in named]), nan=STRAIGHT)
    with torch.no_grad():
        head.known.copy_(torch.from_numpy(np.stack([persona.embedding for persona in named])))
        head.values.copy_(torch.from_numpy(values))
        head.linear.weight.copy_(torch.from_numpy(np.stack([weights for weights, _ in columns])))
        head.linear.bias.copy_(torch.tensor([bias for _, bias in columns]))
    return head.eval()


def _ridge(x: Array, y: Array) -> tuple[Array, float]:
    """Weights and bias, with the strength that predicts left-out folds best."""
    folds = np.arange(len(y)) % _FOLDS
    losses = []
    for strength in _STRENGTHS:
        fits = [_solve(x[folds != fold], y[folds != fold], strength) for fold in range(_FOLDS)]
        parts = [(x[folds == f] @ w + b - y[folds == f]) for f, (w, b) in enumerate(fits)]
        losses.append(float(np.square(np.concatenate(parts)).sum()))
    return _solve(x, y, _STRENGTHS[int(np.argmin(losses))])


def _solve(x: Array, y: Array, strength: float) -> tuple[Array, float]:
    mean_x, mean_y = x.mean(axis=0), float(y.mean())
    centred = x - mean_x
    gram = centred.T @ centred / len(y) + strength * np.eye(x.shape[1])
    weights: Array = np.linalg.solve(gram, centred.T @ (y - mean_y) / len(y))
    return weights, mean_y - float(mean_x @ weights)


def _targets(habits: Habits) -> Array:
    """The outputs ``(O,)`` that stand for habits; NaN for the swing of a persona that plays straight."""
    row = np.zeros(OUTPUTS)
    row[DENSITY], row[VOICE] = habits.density, habits.voice_pitch
    swings = habits.swing > _LEAST_SWING
    row[SWINGS], row[SWING] = swings, habits.swing if swings else np.nan
    row[ELECTRONIC], row[SUB_BASS] = habits.electronic_kit, habits.sub_bass
    row[PERCUSSION.start + habits.percussion] = 1.0
    return row


def _errors(head: HabitsHead, tested: Sequence[KnownPersona], training: Sequence[KnownPersona]) -> list[HabitError]:
    true = [persona.habits for persona in tested]
    read = [head.habits([float(x) for x in persona.embedding]) for persona in tested]
    seen = [persona.habits for persona in training]
    found = []
    for habit in ("density", "swing", "voice_pitch"):
        values = np.array([float(getattr(h, habit)) for h in true])
        got = np.array([float(getattr(h, habit)) for h in read])
        null = float(np.median([float(getattr(h, habit)) for h in seen]))
        found.append(_habit_error(habit, np.abs(got - values), np.abs(null - values)))
    for habit in ("electronic_kit", "sub_bass", "percussion"):
        answers = [int(getattr(h, habit)) for h in true]
        got = np.array([int(getattr(h, habit)) for h in read])
        usual = int(np.bincount([int(getattr(h, habit)) for h in seen]).argmax())
        found.append(_habit_error(habit, got != answers, np.array(answers) != usual))
    return found


def _habit_error(
    habit: str, errors: NDArray[np.floating | np.bool], null: NDArray[np.floating | np.bool]
) -> HabitError:
    return HabitError(habit=habit, error=float(np.mean(errors)), null=float(np.mean(null)))


def _unit(vector: Array) -> Array:
    scaled: Array = vector / np.linalg.norm(vector)
    return scaled
