"""Training of the magnitude refiner, on true log-mels and on autoencoder reconstructions of them.

Letters: ``B`` batch, ``C`` mid and side, ``M`` bands, ``K`` bins, ``F`` frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from render_service.renderers.latent_diffusion.autoencoder import Autoencoder
from render_service.renderers.latent_diffusion.front_end import FrontEnd
from render_service.renderers.latent_diffusion.vocoder import MagnitudeInverse, MagnitudeRefiner
from training.features import SongFeatures

_FLOOR = 1e-2
_EDGE_FRAMES = 4  # frames at each end whose windows reach beyond the crop; excluded from the loss


class VocoderTask:
    """L1 of log magnitudes and of magnitudes, on crops of ``crop_frames`` frames."""

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
        """See :class:`training.loop.Task`. Half of the batch passes through the autoencoder."""
        del step
        device = self._front_end.band_mean.device
        audio = torch.stack([self._crop_of(generator) for _ in range(self._batch)]).to(device)
        with torch.no_grad():
            true = self._front_end.spectrum(audio).abs()
            log_mel = self._front_end.log_mel(true)
            half = self._batch // 2
            coded = self._autoencoder.decode(self._autoencoder.encode(self._front_end.standardise(log_mel[:half])))
            log_mel = torch.cat([self._front_end.restore(coded), log_mel[half:]])
            base = self._inverse.estimate(log_mel).clamp(min=1e-3)
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
