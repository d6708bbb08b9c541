"""Fits the net that predicts how much of each mel band is bass, chords, lead and noise.

No shares are known, only the spectrum of a song. Its power at a bin scatters around the expected one, which follows from the shares
and from the partials of the score. The loss is the negative log-likelihood of a heavy-tailed distribution around it (a complex
Student t of four degrees of freedom), so that a partial that is out of tune does not outweigh all others.

Letters: ``C`` mid and side (2), ``P`` groups of parts (3), ``M`` bands, ``L`` bins, ``F`` frames, ``D`` features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from render_service.renderers.latent_diffusion.autoencoder import Autoencoder
from render_service.renderers.latent_diffusion.front_end import FrontEnd
from render_service.renderers.latent_diffusion.partial_shares import (
    Bands,
    PartialShares,
    PartialSharesConfig,
    features_of,
)
from render_service.renderers.latent_diffusion.score_partials import ScorePartials, partial_bins
from training.corpus.builtin_personas import personas
from training.corpus.compose import TRAINING_SEEDS, compose
from training.corpus.song import Song, perform

SEEDS = TRAINING_SEEDS[700_000_000:]
_SECONDS = 10.0
_RANGE_HZ = (700.0, 4800.0)
_MIN_POWER = 3e-5  # below the front end's floor
_CROP_FRAMES = 128
_RATE = 3e-3
_FREEDOM = 4.0


@dataclass(frozen=True, kw_only=True)
class PartialsExample:
    """What the fit needs of a song.

    Its ``power`` and a ``smooth`` one over its bands ``(C, L, F)``, ``comb`` ``(P, L, F)`` with mean 1 in each band, ``levels``
    ``(P, M, F)``, and the ``features`` ``(C, M, F, D)`` of its mel, true and after the autoencoder.
    """

    power: Tensor
    smooth: Tensor
    comb: Tensor
    levels: Tensor
    features: tuple[Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class FitErrors:
    """Losses: ``held_out`` songs, and ``null``, the same without any partials."""

    held_out: float
    null: float


def training_songs(count: int) -> Iterator[Song]:
    """Songs that no other training uses, every second one by a named persona."""
    for i in range(count):
        named = personas()[i // 2 % len(personas())] if i % 2 == 0 else None
        yield perform(compose(SEEDS[i], seconds=_SECONDS, persona=named))


def example_of(song: Song, front_end: FrontEnd, autoencoder: Autoencoder) -> PartialsExample:
    """Analyse a song."""
    spec = front_end.spec
    frames = spec.latent_frames(song.mix.shape[1]) * spec.frames_per_latent
    padded = np.pad(song.mix, ((0, 0), (0, frames * spec.hop_samples - song.mix.shape[1])))
    bands = Bands(front_end, partial_bins(spec))
    with torch.no_grad():
        magnitude = front_end.spectrum(torch.from_numpy(padded)[None]).abs()
        log_mel = front_end.log_mel(magnitude)
        decoded = front_end.restore(autoencoder.decode(autoencoder.encode(front_end.standardise(log_mel))))
        partials = ScorePartials(song.score, spec).spectra(0, frames)
        power, kit = torch.from_numpy(partials.power), torch.from_numpy(partials.kit)
        levels = bands.levels(power)
        return PartialsExample(
            power=magnitude[0, :, : bands.bins].square(),
            smooth=bands.magnitudes(log_mel[0]).square(),
            comb=power / (bands.spread(levels) + 1e-12),
            levels=levels,
            features=(
                features_of(front_end, log_mel[0], levels, kit),
                features_of(front_end, decoded[0], levels, kit),
            ),
        )


def fit_shares(
    examples: Sequence[PartialsExample],
    front_end: FrontEnd,
    *,
    steps: int,
    held_out: int,
    config: PartialSharesConfig | None = None,
) -> tuple[PartialShares, FitErrors]:
    """Fit on all but the last ``held_out`` examples. Deterministic."""
    torch.manual_seed(0)
    net = PartialShares(config or PartialSharesConfig())
    loss = _Loss(net, front_end, examples[0].power.shape[1])
    optimiser = torch.optim.Adam(loss.parameters(), lr=_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, total_iters=steps)
    generator = torch.Generator().manual_seed(0)
    known, rest = examples[: len(examples) - held_out], examples[len(examples) - held_out :]
    for _ in range(steps):
        losses = []
        for kind in (0, 1):
            example = known[int(torch.randint(len(known), (), generator=generator))]
            start = int(torch.randint(max(example.power.shape[-1] - _CROP_FRAMES, 1), (), generator=generator))
            losses.append(loss(example, kind, slice(start, start + _CROP_FRAMES)))
        optimiser.zero_grad()
        torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        optimiser.step()
        schedule.step()
    net.eval().requires_grad_(requires_grad=False)
    with torch.no_grad():
        found = [loss(one, kind, slice(None)) for one in rest for kind in (0, 1)]
        null = [loss.without_partials(one) for one in rest]
    return net, FitErrors(held_out=float(torch.stack(found).mean()), null=float(torch.stack(null).mean()))


class _Loss(nn.Module):
    """Mean over the range of the negative log-likelihood of the power around the one that the net expects."""

    def __init__(self, net: PartialShares, front_end: FrontEnd, bins: int) -> None:
        super().__init__()
        self.net, self._bands = net, Bands(front_end, bins)
        self.gain_log = nn.Parameter(
            torch.zeros(())
        )  # of power over squared mean magnitude, which depends on the sound
        bin_hz = front_end.spec.sample_rate_hz / front_end.spec.window_samples
        self._range = slice(*(round(hz / bin_hz) for hz in _RANGE_HZ))

    def forward(self, example: PartialsExample, kind: int, frames: slice) -> Tensor:
        """``kind`` of mel: 0 for the true one, 1 for the autoencoder's."""
        levels = example.levels[..., frames]
        shares = self._bands.spread(self.net(example.features[kind][:, :, frames], levels).permute(3, 0, 1, 2))
        expected = shares[0] + (shares[1:] * example.comb[:, None, :, frames]).sum(dim=0)
        return self._deviance(example.power[..., frames], expected * example.smooth[..., frames])

    def without_partials(self, example: PartialsExample) -> Tensor:
        """Of bands that are nothing but noise."""
        return self._deviance(example.power, example.smooth)

    def _deviance(self, power: Tensor, expected: Tensor) -> Tensor:
        found = power[:, self._range] + _MIN_POWER
        mean = expected[:, self._range] * self.gain_log.exp() + _MIN_POWER
        half = _FREEDOM / 2.0
        return (torch.log(mean / found) + (1.0 + half) * torch.log1p(found / (half * mean))).mean()
