"""The vocoder's first half: log-mel to STFT magnitudes, by a pseudo-inverse, a refining net and a correction of the mel.

phase.py then recovers the phases (docs/decisions/0011-vocoder.md).

Letters: ``B`` batch, ``C`` mid and side (2), ``M`` bands, ``N = C M``, ``K`` bins, ``F`` frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from render_service.renderers.latent_diffusion.autoencoder import ConvNextBlock
from render_service.renderers.latent_diffusion.front_end import FrontEnd

_MIN_MAGNITUDE = 1e-3  # a tenth of the front end's floor
_ESTIMATE_ITERATIONS = 3
_REFINED_ITERATIONS = 3
_MAX_LOG_STEP = 2.0


@dataclass(frozen=True, kw_only=True)
class VocoderConfig:
    """``refined``: whether the net refines the pseudo-inverse; ``iterations`` of phase recovery."""

    bands: int = 192
    bins: int = 1025
    width: int = 256
    blocks: int = 4
    refined: bool = True
    iterations: int = 24


class MagnitudeRefiner(nn.Module):
    """Predicts log corrections for every bin of mid and side, zero before training."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.config = config
        self.enter = nn.Conv1d(config.bands, config.width, 3, padding=1)
        self.blocks = nn.Sequential(*(ConvNextBlock(config.width) for _ in range(config.blocks)))
        self.leave = nn.Conv1d(config.width, 2 * config.bins, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]  # created above with a bias

    def forward(self, bands: Tensor) -> Tensor:
        """Standardised bands ``(B, N, F)`` to log corrections ``(B, C, K, F)``."""
        corrections: Tensor = rearrange(self.leave(self.blocks(self.enter(bands))), "b (c k) f -> b c k f", c=2)
        return corrections


class MagnitudeInverse:
    """The part without weights: estimates magnitudes by the pseudo-inverse of the filterbank, and corrects them."""

    def __init__(self, front_end: FrontEnd) -> None:
        self._front_end = front_end
        bank = front_end.filterbank
        self._inverse = torch.linalg.pinv(bank)
        self._band_weights = (bank / bank.sum(dim=0).clamp(min=1e-8)).T  # (K, M): each row sums to 1
        self._covered = (bank.sum(dim=0) > 0.0).to(bank.dtype)[:, None]  # (K, 1): 0 for bins outside all bands

    def estimate(self, log_mel: Tensor) -> Tensor:
        """Clipped and corrected pseudo-inverse: magnitudes ``(B, C, K, F)`` of ``(B, C, M, F)``."""
        mel = (torch.exp(log_mel) - self._front_end.spec.floor).clamp(min=0.0)
        magnitude = torch.matmul(self._inverse, mel).clamp(min=_MIN_MAGNITUDE)
        return self.correct(magnitude, log_mel, iterations=_ESTIMATE_ITERATIONS)

    def correct(self, magnitude: Tensor, log_mel: Tensor, *, iterations: int = _REFINED_ITERATIONS) -> Tensor:
        """Scale bins by the log error of their bands, so that the mel approaches ``log_mel``. Shapes as in :meth:`estimate`."""
        for _ in range(iterations):
            error = (log_mel - self._front_end.log_mel(magnitude)).clamp(-_MAX_LOG_STEP, _MAX_LOG_STEP)
            magnitude = magnitude * torch.exp(torch.matmul(self._band_weights, error))
        return magnitude * self._covered


def recover_magnitude(
    refiner: MagnitudeRefiner, inverse: MagnitudeInverse, front_end: FrontEnd, log_mel: Tensor
) -> Tensor:
    """Magnitudes ``(B, C, K, F)`` whose log-mel is close to ``log_mel`` ``(B, C, M, F)``."""
    estimate = inverse.estimate(log_mel)
    if not refiner.config.refined:
        return estimate
    refined = estimate.clamp(min=_MIN_MAGNITUDE) * torch.exp(refiner(front_end.standardise(log_mel)))
    return inverse.correct(refined, log_mel)
