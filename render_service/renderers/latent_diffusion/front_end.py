"""Audio to mid/side log-mel, and spectra back to audio. All rates of the renderer are defined here.

Letters: ``B`` batch, ``C`` mid and side (2), ``T`` samples, ``K`` bins, ``M`` bands, ``F`` frames. Magnitudes are
those of an unnormalised Hann STFT of full scale 1.0; log-mel is natural log.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

_SPARSE_BAND_WEIGHT = 0.5  # a band with less total weight interpolates between two bins


@dataclass(frozen=True, kw_only=True)
class FrontEndSpec:
    """Rates and bands. All other rates of the renderer follow from these by exact division."""

    sample_rate_hz: int = 44100
    window_samples: int = 2048
    hop_samples: int = 512
    bands: int = 96
    low_hz: float = 30.0
    high_hz: float = 20000.0
    bend_hz: float = 150.0
    floor: float = 1e-2
    frames_per_latent: int = 4

    @property
    def id(self) -> str:
        """Names the front end. Latents and weights carry it and can be read by the same front end only."""
        return (
            f"ms-logmel{self.bands}-ln{self.bend_hz:g}-{self.low_hz:g}-{self.high_hz:g}-w{self.window_samples}"
            f"-h{self.hop_samples}-x{self.frames_per_latent}-f{self.floor:g}-{self.sample_rate_hz}"
        )

    @property
    def bins(self) -> int:
        """Number of STFT bins, ``K``."""
        return self.window_samples // 2 + 1

    @property
    def latent_samples(self) -> int:
        """Samples per latent frame."""
        return self.hop_samples * self.frames_per_latent

    def latent_frames(self, samples: int) -> int:
        """Number of latent frames that cover ``samples``, rounded up."""
        return -(-samples // self.latent_samples)


def filterbank(spec: FrontEndSpec) -> NDArray[np.float32]:
    """Triangular filters of equal width on the scale ``ln(1 + f / bend)``, peak 1: ``(M, K)``.

    The scale is nearly linear below the bend, so that semitones stay distinct down to the bass. Chroma of copy-synthesis
    measured 0.982, against 0.902 for Slaney's mel scale with as many bands.
    """
    low, high = (math.log1p(f / spec.bend_hz) for f in (spec.low_hz, spec.high_hz))
    edges_hz = spec.bend_hz * np.expm1(np.linspace(low, high, spec.bands + 2))
    bin_hz = spec.sample_rate_hz / spec.window_samples
    bins_hz = np.arange(spec.bins) * bin_hz
    left, centre, right = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    rising = (bins_hz - left) / (centre - left)
    falling = (right - bins_hz) / (right - centre)
    bank = np.clip(np.minimum(rising, falling), 0.0, None)
    for band in np.flatnonzero(bank.sum(axis=1) < _SPARSE_BAND_WEIGHT):
        position = edges_hz[1 + band] / bin_hz
        below = int(position)
        bank[band] = 0.0
        bank[band, below : below + 2] = (1.0 - (position - below), position - below)
    return bank.astype(np.float32)


class FrontEnd(nn.Module):
    """The filterbank and the statistics of its bands, both stored in the checkpoint."""

    filterbank: Tensor
    band_mean: Tensor
    band_deviation: Tensor
    window: Tensor

    def __init__(self, spec: FrontEndSpec) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("filterbank", torch.from_numpy(filterbank(spec)))
        self.register_buffer("band_mean", torch.zeros(2, spec.bands))
        self.register_buffer("band_deviation", torch.ones(2, spec.bands))
        self.register_buffer("window", torch.hann_window(spec.window_samples), persistent=False)

    def spectrum(self, stereo: Tensor) -> Tensor:
        """Left/right ``(B, 2, T)`` to complex mid/side ``(B, C, K, F)``; ``T`` must be a multiple of the hop.

        Frame ``f`` is centred on sample ``(f + 0.5) * hop``, so ``F = T / hop`` exactly.
        """
        left, right = stereo[:, 0], stereo[:, 1]
        mid_side = torch.stack([(left + right) * 0.5, (left - right) * 0.5], dim=1)
        return self.transform(mid_side)

    def transform(self, signal: Tensor) -> Tensor:
        """STFT of ``(B, C, T)``: complex ``(B, C, K, F)``. :meth:`overlap_add` is its inverse."""
        margin = (self.spec.window_samples - self.spec.hop_samples) // 2
        padded = functional.pad(signal, (margin, margin))
        frames = padded.unfold(-1, self.spec.window_samples, self.spec.hop_samples) * self.window
        spectrum: Tensor = rearrange(torch.fft.rfft(frames), "b c f k -> b c k f")
        return spectrum

    def overlap_add(self, spectrum: Tensor) -> Tensor:
        """Inverse STFT of complex ``(B, C, K, F)``: ``(B, C, F * hop)``, the least-squares inverse of :meth:`transform`."""
        spec = self.spec
        frames = torch.fft.irfft(rearrange(spectrum, "b c k f -> b c f k"), n=spec.window_samples) * self.window
        margin = (spec.window_samples - spec.hop_samples) // 2
        signal = _overlap(frames, spec.hop_samples)
        envelope = _overlap((self.window * self.window).expand(1, 1, spectrum.shape[-1], -1), spec.hop_samples)
        normalised: Tensor = signal / envelope.clamp(min=1e-8)
        return normalised[..., margin : signal.shape[-1] - margin]

    def log_mel(self, magnitude: Tensor) -> Tensor:
        """Magnitudes ``(B, C, K, F)`` to log-mel ``(B, C, M, F)``: ``ln(bank @ magnitude + floor)``."""
        return torch.log(torch.matmul(self.filterbank, magnitude) + self.spec.floor)

    def standardise(self, log_mel: Tensor) -> Tensor:
        """Log-mel ``(B, C, M, F)`` to bands ``(B, C*M, F)`` with zero mean and unit deviation each."""
        scaled = (log_mel - self.band_mean[..., None]) / self.band_deviation[..., None]
        return rearrange(scaled, "b c m f -> b (c m) f")

    def restore(self, bands: Tensor) -> Tensor:
        """The inverse of :meth:`standardise`: ``(B, C*M, F)`` to log-mel ``(B, C, M, F)``."""
        scaled = rearrange(bands, "b (c m) f -> b c m f", c=2)
        return scaled * self.band_deviation[..., None] + self.band_mean[..., None]

    def analyse(self, stereo: Tensor) -> Tensor:
        """Left/right ``(B, 2, T)`` to log-mel ``(B, C, M, F)``."""
        return self.log_mel(self.spectrum(stereo).abs())


def _overlap(frames: Tensor, hop: int) -> Tensor:
    """Overlap-add frames ``(B, C, F, W)``: ``(B, C, (F - 1) * hop + W)``. The hop must divide the window."""
    pieces = rearrange(frames, "b c f (p h) -> p b c f h", h=hop)
    count = pieces.shape[0]
    padded = [functional.pad(piece, (0, 0, i, count - 1 - i)) for i, piece in enumerate(pieces)]
    total = torch.stack(padded).sum(dim=0)
    return rearrange(total, "b c f h -> b c (f h)")
