"""How much of each mel band above 1 kHz is bass, chords, lead and noise, and magnitudes and phases made of them.

A small net predicts the shares from the mel and the score. Within a band each group's energy then lies at the partials of its
notes, with their phases, and the noise lies between them (docs/decisions/0024-partials-from-the-score.md).

Letters: ``P`` groups of parts (3), ``C`` mid and side (2), ``M`` bands, ``K`` bins, ``L`` bins of the partials, ``F`` frames,
``D`` features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from render_service.renderers.latent_diffusion.front_end import FrontEnd
from render_service.renderers.latent_diffusion.phase_propagation import PropagatedPhases, Target
from render_service.renderers.latent_diffusion.score_partials import GROUPS, KIT_GROUPS, PartialSpectra, partial_bins
from render_service.renderers.latent_diffusion.vocoder import MagnitudeInverse

FEATURES = 7 + len(GROUPS) + KIT_GROUPS
_ABSENT = 1e-4  # level of a group in a band that has none of its partials
_ABSENT_LOGIT = -30.0
_FRAMES_AROUND, _BANDS_AROUND = 17, 5
_TINY = 1e-12
_MIN_MAGNITUDE = 1e-3
_CORRECTIONS = 4
_LOW_HZ, _HIGH_HZ = (700.0, 1100.0), (4300.0, 4900.0)
"""Nothing is changed below the first frequency and above the last."""


@dataclass(frozen=True, kw_only=True)
class PartialSharesConfig:
    """Width of the two hidden layers."""

    width: int = 32


class PartialShares(nn.Module):
    """The same small net for each band, frame and channel."""

    def __init__(self, config: PartialSharesConfig) -> None:
        super().__init__()
        self.config = config
        self.net = nn.Sequential(
            nn.Linear(FEATURES, config.width),
            nn.GELU(),
            nn.Linear(config.width, config.width),
            nn.GELU(),
            nn.Linear(config.width, 1 + len(GROUPS)),
        )

    def forward(self, features: Tensor, levels: Tensor) -> Tensor:
        """Shares of noise and of each group ``(C, M, F, 1 + P)``, of ``(C, M, F, D)`` and the groups' ``levels`` ``(P, M, F)``."""
        logits = self.net(features)
        absent = (levels < _ABSENT).permute(1, 2, 0).expand(*logits.shape[:-1], len(GROUPS))
        present = logits[..., 1:].masked_fill(absent, _ABSENT_LOGIT)
        return torch.softmax(torch.cat([logits[..., :1], present], dim=-1), dim=-1)


class Bands:
    """Bins to bands and back, over the bins of the partials."""

    def __init__(self, front_end: FrontEnd, bins: int) -> None:
        bank = front_end.filterbank
        self.bins = bins
        self._front_end = front_end
        self._mean = bank[:, :bins] / bank.sum(dim=1, keepdim=True)  # (M, L)
        self._spread = (bank / bank.sum(dim=0).clamp(min=1e-8)).T[:bins]  # (L, M): each row sums to 1
        self._size = bank.sum(dim=1)[:, None]

    def levels(self, power: Tensor) -> Tensor:
        """Mean of ``(..., L, F)`` over each band ``(..., M, F)``."""
        return torch.matmul(self._mean, power)

    def spread(self, bands: Tensor) -> Tensor:
        """``(..., M, F)`` interpolated over the bins ``(..., L, F)``."""
        return torch.matmul(self._spread, bands)

    def magnitudes(self, log_mel: Tensor) -> Tensor:
        """The smooth magnitudes ``(C, L, F)`` of a log-mel ``(C, M, F)``."""
        return self.spread((torch.exp(log_mel) - self._front_end.spec.floor).clamp(min=0.0) / self._size)


def features_of(front_end: FrontEnd, log_mel: Tensor, levels: Tensor, kit: Tensor) -> Tensor:
    """Features ``(C, M, F, D)`` of a log-mel ``(C, M, F)``, the groups' levels ``(P, M, F)`` and the kit ``(4, F)``."""
    mel = (log_mel - front_end.band_mean[..., None]) / front_end.band_deviation[..., None]
    held = functional.pad(mel, (1, 1), mode="replicate")
    over_time = _mean(mel, _FRAMES_AROUND)
    over_bands = _mean(mel.transpose(1, 2), _BANDS_AROUND).transpose(1, 2)
    position = torch.linspace(-1.0, 1.0, mel.shape[1], device=mel.device)[None, :, None]
    side = torch.tensor([1.0, -1.0], device=mel.device)[:, None, None]
    columns = [
        mel,
        held[..., 2:] - held[..., :-2],
        mel - over_time,
        mel - over_bands,
        (log_mel[:1] - log_mel[1:]) / 3.0,
        position,
        side,
        *(torch.log(levels + _ABSENT) / 3.0)[:, None],
        *kit[:, None, None],
    ]
    return torch.stack([column.expand_as(mel) for column in columns], dim=-1)


class ScoredMagnitudes:
    """Moves the energy of a mel's bands to the partials of the score."""

    def __init__(self, net: PartialShares, front_end: FrontEnd, inverse: MagnitudeInverse) -> None:
        bins = partial_bins(front_end.spec)
        self._net, self._front_end, self._inverse = net, front_end, inverse
        self._bands = Bands(front_end, bins)
        hz = torch.arange(bins) * front_end.spec.sample_rate_hz / front_end.spec.window_samples
        rising = (hz - _LOW_HZ[0]) / (_LOW_HZ[1] - _LOW_HZ[0])
        falling = (_HIGH_HZ[1] - hz) / (_HIGH_HZ[1] - _HIGH_HZ[0])
        self._range = torch.minimum(rising, falling).clamp(0.0, 1.0)[:, None].to(front_end.filterbank)

    def target(self, magnitude: Tensor, log_mel: Tensor, partials: PartialSpectra) -> Target:
        """``magnitude`` ``(C, K, F)`` of ``log_mel`` ``(C, M, F)`` with the partials' magnitudes and phases; the mel stays."""
        device = magnitude.device
        power, waves, kit = (
            torch.from_numpy(values).to(device) for values in (partials.power, partials.waves, partials.kit)
        )
        bands = self._bands
        levels = bands.levels(power)
        shares = self._net(features_of(self._front_end, log_mel, levels, kit), levels).permute(3, 0, 1, 2)
        smooth = bands.magnitudes(log_mel)
        scale = torch.sqrt(bands.spread(shares[1:]) / (bands.spread(levels)[:, None] + _TINY))
        tonal = (waves * scale).sum(dim=0) * smooth
        both = torch.sqrt(tonal.abs().square() + bands.spread(shares[0]) * smooth.square())
        low = magnitude[:, : bands.bins].clamp(min=_MIN_MAGNITUDE)
        mixed = low * (both.clamp(min=_MIN_MAGNITUDE) / low) ** self._range
        moved = torch.cat([mixed, magnitude[:, bands.bins :].clamp(min=_MIN_MAGNITUDE)], dim=1)
        return Target(
            magnitudes=self._inverse.correct(moved[None], log_mel[None], iterations=_CORRECTIONS)[0],
            known=PropagatedPhases(
                turns=torch.angle(tonal) / (2.0 * torch.pi),
                weight=self._range * (tonal.abs() / (both + _TINY)).square(),
            ),
        )


def _mean(values: Tensor, size: int) -> Tensor:
    """Moving average along the last axis, shorter at the ends."""
    return functional.avg_pool1d(values, size, 1, size // 2, count_include_pad=False)
