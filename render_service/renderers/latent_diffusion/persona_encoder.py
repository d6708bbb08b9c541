"""Reference clips to a persona vector: what a voice, a kit and a room sound like, whatever is played.

Trained so that two songs of one persona lie close and songs of others far (training/persona.py), on personas drawn
without end, so that one added later finds a sensible place.

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
    """``bands`` is ``N``; ``embedding_size`` is ``E``; ``window_frames``: a clip is read in windows of this length."""

    bands: int = 192
    width: int = 160
    layers: int = 4
    embedding_size: int = 64
    window_frames: int = 344


class PersonaEncoder(nn.Module):
    """Strided convolutions, then mean and deviation over time, then a vector of length 1."""

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
    """Pool clips ``(2, T)`` at full scale 1.0 into one vector of length 1, ``(E,)``; every window counts the same.

    Clips are brought to one level first, so that a quiet recording is not another persona.
    """
    window = encoder.config.window_frames * front_end.spec.hop_samples
    pieces = [piece for clip in clips for piece in _windows(_levelled(clip), window)]
    with torch.inference_mode():
        heard = (torch.from_numpy(piece)[None].to(front_end.filterbank.device) for piece in pieces)
        vectors = [encoder(front_end.standardise(front_end.analyse(sound))) for sound in heard]
        pooled = torch.cat(vectors).mean(dim=0)
        return functional.normalize(pooled, dim=0).cpu().numpy().astype(np.float32)


LEVEL_RMS = 0.1


def _levelled(clip: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale so that the root mean square over both sides is :data:`LEVEL_RMS`; silence stays as it is."""
    rms = float(np.sqrt(np.mean(np.square(clip, dtype=np.float64))))
    return clip if rms < 1e-6 else (clip * (LEVEL_RMS / rms)).astype(np.float32)


def _windows(clip: NDArray[np.float32], size: int) -> list[NDArray[np.float32]]:
    """Windows of ``size`` samples that cover the clip, the last one moved back; a short clip is repeated to fill one."""
    length = clip.shape[1]
    if length <= size:
        return [np.ascontiguousarray(np.tile(clip, (1, -(-size // length)))[:, :size])]
    starts = sorted({*range(0, length - size + 1, size), length - size})
    return [np.ascontiguousarray(clip[:, start : start + size]) for start in starts]
