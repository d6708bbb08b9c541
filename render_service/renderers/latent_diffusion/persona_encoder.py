"""The persona encoder: reference clips to a vector that describes how instruments, voice and room sound.

Trained contrastively (training/persona.py) on an unlimited number of generated personas, so that it generalises to
personas that are added later.

Letters: ``B`` batch, ``N`` standardised bands, ``F`` frames, ``E`` embedding size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from render_service.renderers.latent_diffusion.front_end import FrontEnd


@dataclass(frozen=True, kw_only=True)
class PersonaEncoderConfig:
    """``bands`` is ``N``; ``embedding_size`` is ``E``; clips are read in windows of ``window_frames`` frames."""

    bands: int = 192
    width: int = 160
    layers: int = 4
    embedding_size: int = 64
    window_frames: int = 344


class PersonaEncoder(nn.Module):
    """Strided convolutions, mean and deviation over time, and a projection normalised to length 1."""

    def __init__(self, config: PersonaEncoderConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.bands] + [config.width] * config.layers
        self.layers = nn.ModuleList(nn.Conv1d(i, o, 5, stride=2, padding=2) for i, o in pairwise(widths))
        self.norms = nn.ModuleList(nn.GroupNorm(1, config.width) for _ in range(config.layers))
        self.read = nn.Linear(2 * config.width, config.embedding_size)

    def forward(self, bands: Tensor) -> Tensor:
        """Standardised bands ``(B, N, F)`` to unit vectors ``(B, E)``."""
        x = bands
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = functional.gelu(norm(layer(x)))
        statistics = torch.cat([x.mean(dim=-1), x.std(dim=-1)], dim=-1)
        return functional.normalize(self.read(statistics), dim=-1)


def embed_clips(
    encoder: PersonaEncoder, front_end: FrontEnd, clips: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Pool clips ``(2, T)``, full scale 1.0, into one vector of length 1, ``(E,)``. All windows have the same weight.

    Clips are normalised to one level first, so that the embedding does not depend on it.
    """
    size = encoder.config.window_frames * front_end.spec.hop_samples
    windows = (window for clip in clips for window in _windows(_normalise_level(clip), size))
    with torch.inference_mode():
        batches = (torch.from_numpy(window)[None].to(front_end.filterbank.device) for window in windows)
        vectors = [encoder(front_end.standardise(front_end.analyse(batch))) for batch in batches]
        pooled = torch.cat(vectors).mean(dim=0)
        return functional.normalize(pooled, dim=0).cpu().numpy().astype(np.float32)


LEVEL_RMS = 0.1


def _normalise_level(clip: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale to a root mean square of :data:`LEVEL_RMS` over both channels; silence is not scaled."""
    rms = float(np.sqrt(np.mean(np.square(clip, dtype=np.float64))))
    return clip if rms < 1e-6 else (clip * (LEVEL_RMS / rms)).astype(np.float32)


def _windows(clip: NDArray[np.float32], size: int) -> list[NDArray[np.float32]]:
    """Windows of ``size`` samples that cover the clip; the last ends with it. A shorter clip is repeated to fill one."""
    length = clip.shape[1]
    if length <= size:
        return [np.ascontiguousarray(np.tile(clip, (1, -(-size // length)))[:, :size])]
    starts = sorted({*range(0, length - size + 1, size), length - size})
    return [np.ascontiguousarray(clip[:, start : start + size]) for start in starts]
