"""Stems fitted to a bounce: all blocks of `exact_stems` and `raw_stems` joined."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from separation_service.stems.exact_sum import FitFacts, exact_stems, raw_stems
from separation_service.stems.residual import CHOSEN, ResidualRule


@dataclass(frozen=True)
class Held:
    """Samples in memory, of a bounce ``(C, T)`` or of stems ``(S, C, T)``."""

    samples: NDArray[np.generic]

    @property
    def frames(self) -> int:
        """``T``."""
        return int(self.samples.shape[-1])

    def read(self, start: int, stop: int) -> NDArray[np.generic]:
        """A view."""
        return self.samples[..., start:stop]


def fitted(
    bounce: NDArray[np.int32],
    model: NDArray[np.float32],
    *,
    mode: Literal["exact", "raw"] = "exact",
    rule: ResidualRule = CHOSEN,
) -> tuple[NDArray[np.int32], FitFacts]:
    """Stems ``(S, C, T)`` and their facts."""
    blocks: list[NDArray[np.int32]] = []
    mix: Any = Held(bounce)
    stems: Any = Held(model)
    fit = raw_stems if mode == "raw" else partial(exact_stems, rule=rule)
    facts = fit(mix, stems, blocks.append)
    return np.concatenate(blocks, axis=-1), facts
