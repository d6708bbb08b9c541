"""Training of the magnitude refiner, on true mels and on what the autoencoder makes of them.

The best linear map comes first, in closed form, as principal components do in the autoencoder; the net mends what it leaves.

Letters: ``B`` batch, ``C`` mid and side, ``M`` bands, ``K`` bins, ``F`` frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from render_service.latent_diffusion.autoencoder import Autoencoder
from render_service.latent_diffusion.front_end import FrontEnd
from render_service.latent_diffusion.vocoder import MagnitudeInverse, MagnitudeRefiner
from training.features import SongFeatures

_FLOOR = 1e-2
_RIDGE = 1e-3
_TAPS = 3  # frames that the first convolution sees
_FIT_FRAMES = 768  # of each song, from its middle
_FIT_EVERY = 3
_EDGE_FRAMES = 4  # where a crop's windows see its ends


def fit_linear(
    net: MagnitudeRefiner, front_end: FrontEnd, autoencoder: Autoencoder, songs: Sequence[SongFeatures]
) -> None:
    """Set first and last layer to the linear map of this rank that leaves the least squared log error; blocks pass through.

    Every second song is heard through the autoencoder. Reduced-rank regression (Izenman 1975) with a ridge.
    """
    inverse = MagnitudeInverse(front_end)
    size, outputs = _TAPS * net.config.bands + 1, 2 * net.config.bins
    covariance, cross = torch.zeros(size, size, dtype=torch.float64), torch.zeros(size, outputs, dtype=torch.float64)
    frames = 0
    for number, song in enumerate(songs):
        heard, lacking = _frames_of(song, front_end, inverse, autoencoder if number % 2 else None)
        covariance += (heard.T @ heard).double()
        cross += (heard.T @ lacking).double()
        frames += len(heard)
    ridge = _RIDGE * frames * torch.eye(size, dtype=torch.float64)
    full = torch.linalg.solve(covariance + ridge, cross)
    root = torch.linalg.cholesky(covariance + ridge)
    _, _, rows = torch.linalg.svd(root.T @ full, full_matrices=False)
    kept = rows[: net.config.width]
    entering = full @ kept.T
    with torch.no_grad():
        for block in net.blocks:
            block.narrow.weight.zero_()
            block.narrow.bias.zero_()
        net.enter.weight.zero_()
        net.enter.bias.zero_()
        net.leave.weight.zero_()
        width = len(kept)
        net.enter.weight[:width] = entering[:-1].T.reshape(width, net.config.bands, _TAPS).float()
        net.enter.bias[:width] = entering[-1].float()
        net.leave.weight[:, :width] = kept.T[..., None].float()
        net.leave.bias.zero_()


def _frames_of(
    song: SongFeatures, front_end: FrontEnd, inverse: MagnitudeInverse, autoencoder: Autoencoder | None
) -> tuple[Tensor, Tensor]:
    """What some frames of a song look like, and what the pseudo-inverse lacks there: ``(F, 3 N + 1)`` and ``(F, C K)``."""
    hop = front_end.spec.hop_samples
    count = min(_FIT_FRAMES, song.audio.shape[1] // hop) // front_end.spec.frames_per_latent
    count *= front_end.spec.frames_per_latent
    start = (song.audio.shape[1] // hop - count) // 2 * hop
    audio = torch.from_numpy(song.audio[:, start : start + count * hop].astype(np.float32) / 32767.0)[None]
    with torch.no_grad():
        true = front_end.spectrum(audio).abs()
        log_mel = front_end.log_mel(true)
        if autoencoder is not None:
            log_mel = front_end.restore(autoencoder.decode(autoencoder.encode(front_end.standardise(log_mel))))
        base = inverse.base(log_mel).clamp(min=1e-3)
        lacking = torch.log(true + _FLOOR) - torch.log(base + _FLOOR)
        bands = front_end.standardise(log_mel)
        context = functional.pad(bands, (_TAPS // 2, _TAPS // 2)).unfold(-1, _TAPS, 1)
        heard = rearrange(context, "1 n f t -> f (n t)")
    inside = slice(_EDGE_FRAMES, count - _EDGE_FRAMES, _FIT_EVERY)
    heard = torch.cat([heard, torch.ones(len(heard), 1)], dim=1)
    return heard[inside], rearrange(lacking, "1 c k f -> f (c k)")[inside]


class VocoderTask:
    """L1 of log magnitudes and of magnitudes, on crops of ``crop_frames``."""

    name = "vocoder"

    def __init__(
        self,
        net: MagnitudeRefiner,
        front_end: FrontEnd,
        autoencoder: Autoencoder,
        songs: Sequence[SongFeatures],
        *,
        batch: int = 8,
        crop_frames: int = 72,
    ) -> None:
        self.net: nn.Module = net
        self._refiner, self._front_end, self._autoencoder, self._songs = net, front_end, autoencoder, songs
        self._inverse = MagnitudeInverse(front_end)
        self._batch, self._crop = batch, crop_frames

    def loss(self, generator: torch.Generator, step: int) -> tuple[Tensor, Mapping[str, float]]:
        """See :class:`training.loop.Task`. Every second item is heard through the autoencoder."""
        del step
        device = self._front_end.band_mean.device
        audio = torch.stack([self._crop_of(generator) for _ in range(self._batch)]).to(device)
        with torch.no_grad():
            true = self._front_end.spectrum(audio).abs()
            log_mel = self._front_end.log_mel(true)
            half = self._batch // 2
            coded = self._autoencoder.decode(self._autoencoder.encode(self._front_end.standardise(log_mel[:half])))
            log_mel = torch.cat([self._front_end.restore(coded), log_mel[half:]])
            base = self._inverse.base(log_mel).clamp(min=1e-3)
        refined = base * torch.exp(self._refiner(self._front_end.standardise(log_mel)))
        inside = slice(_EDGE_FRAMES, self._crop - _EDGE_FRAMES)
        true, base, refined = true[..., inside], base[..., inside], refined[..., inside]
        error = _log_error(refined, true)
        linear = (refined - true).abs().mean() / true.mean()
        return error + linear, {"log_l1": float(error.detach()), "before": float(_log_error(base, true))}

    def _crop_of(self, generator: torch.Generator) -> Tensor:
        song = self._songs[int(torch.randint(len(self._songs), (), generator=generator))]
        hop = self._front_end.spec.hop_samples
        start = int(torch.randint(max(song.log_mel.shape[-1] - self._crop, 1), (), generator=generator)) * hop
        return torch.from_numpy(song.audio[:, start : start + self._crop * hop].astype(np.float32) / 32767.0)


def _log_error(magnitude: Tensor, true: Tensor) -> Tensor:
    return (torch.log(magnitude + _FLOOR) - torch.log(true + _FLOOR)).abs().mean()
