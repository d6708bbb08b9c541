"""The habits head: a persona's embedding to how it plays.

Personas that training knew are recalled by their embedding; for any other the values are a linear function of it. What the
embedding does not tell comes out near the mean of all personas (docs/measurements.md, Habits).

Letters: ``B`` batch, ``E`` embedding size, ``K`` known personas, ``O`` outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from render_service.composer.habits import PERCUSSION_SETS, Habits
from render_service.music.tempo_map import STRAIGHT, SWING_RANGE

DENSITY, SWINGS, SWING, ELECTRONIC, SUB_BASS, VOICE = range(6)
PERCUSSION = slice(6, 6 + PERCUSSION_SETS)
OUTPUTS = 6 + PERCUSSION_SETS
"""Columns. Yes or no, and each percussion set, is 1 or 0; the swing is that of a persona that swings."""
_RECALL_COSINE = (
    0.79  # between the cosines of known personas' clips (2 % below .61, median .94) and of others (2 % above .84)
)
_RECALL_WIDTH = 0.03
_VOICE_RANGE = (40, 76)


@dataclass(frozen=True, kw_only=True)
class HabitsHeadConfig:
    """``E`` and ``K``."""

    embedding_size: int = 64
    known_personas: int = 12


class HabitsHead(nn.Module):
    """Attention over the known personas, with a linear layer for embeddings that are near none of them."""

    def __init__(self, config: HabitsHeadConfig) -> None:
        super().__init__()
        self.config = config
        self.known = nn.Parameter(torch.zeros(config.known_personas, config.embedding_size))
        self.values = nn.Parameter(torch.zeros(config.known_personas, OUTPUTS))
        self.linear = nn.Linear(config.embedding_size, OUTPUTS)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Embeddings of length 1 ``(B, E)`` to outputs ``(B, O)``."""
        cosines = embeddings @ functional.normalize(self.known, dim=-1).T
        weights = functional.softmax(functional.pad((cosines - _RECALL_COSINE) / _RECALL_WIDTH, (0, 1)), dim=-1)
        outputs: Tensor = weights[:, :-1] @ self.values + weights[:, -1:] * self.linear(embeddings)
        return outputs

    def habits(self, embedding: Sequence[float]) -> Habits:
        """The habits of a persona, each within its range. Safe for several threads."""
        with torch.inference_mode():
            row = self(torch.tensor([embedding], dtype=torch.float32))[0]
        swings = bool(row[SWINGS] > 0.5)
        swing = min(max(float(row[SWING]), STRAIGHT), SWING_RANGE[1])
        return Habits(
            density=round(min(max(float(row[DENSITY]), 0.0), 1.0), 2),
            swing=round(swing, 2) if swings else STRAIGHT,
            electronic_kit=bool(row[ELECTRONIC] > 0.5),
            percussion=int(row[PERCUSSION].argmax()),
            sub_bass=bool(row[SUB_BASS] > 0.5),
            voice_pitch=min(max(round(float(row[VOICE])), _VOICE_RANGE[0]), _VOICE_RANGE[1]),
        )
