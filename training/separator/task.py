"""The separator's training task: the loss of a random batch.

Letters: ``B`` batch, ``S`` sources (4), ``C`` channels (2), ``T`` samples, ``K`` bins, ``F`` frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from training.separator.crops import CropSource
from training.separator.net import SAMPLE_RATE_HZ, SOURCES

_ERROR_FLOOR = 1e-2  # of the mix's energy; with -30 dB silence was the cheapest answer and the vocals stem fell silent
_WEIGHTS = (0.8, 0.8, 1.0, 1.4)  # in the order of SOURCES; vocals are learnt last
_MAGNITUDE_WEIGHT = 0.3  # of the magnitudes' error; the waveform's has 1
_TREBLE_WEIGHT = 0.05  # of the magnitudes' error above _TREBLE_HZ, which the error of all magnitudes hardly contains
_SUM_WEIGHT = 0.1  # with 0.2, its gradient at the starter's weights was as large as the waveform error's
_SILENCE_WEIGHT = 0.3  # likewise with 0.5
_SILENCE_FLOOR = 1e-4  # of the mix's energy
_SILENT = 1e-6  # of the mix's energy; below it a block of a stem counts as silent
_BLOCK_SAMPLES = 4096
_WINDOWS = (512, 2048)
_TREBLE_HZ = 6000.0
_LITTLE_TREBLE = 0.1  # of the mix's mean magnitude; errors of less treble than this count less


@dataclass(frozen=True, kw_only=True)
class SeparatorTask:
    """A net, and where its crops come from. ``batch`` crops per step."""

    net: nn.Module
    crops: CropSource
    batch: int
    name: str = "separator"

    def loss(self, generator: torch.Generator, step: int) -> tuple[Tensor, Mapping[str, float]]:
        """Sum of four terms.

        - the error of each source in dB of the mix's energy, with a floor of -20 dB
        - the mean error of magnitudes, and once more of those above 6 kHz
        - mixture consistency: the error of the sources' sum in dB of the mix's energy, with the same floor
        - silence: the level of sources where they should be silent in dB of the mix's energy, with a floor of -40 dB
        """
        del step
        stems = torch.stack([self.crops.draw(generator) for _ in range(self.batch)])
        mix = stems.sum(1)
        estimate = self.net.train()(mix)
        errors_db = relative_error_db(estimate, stems, mix)
        spectral = sum(_magnitude_error(estimate, stems, mix, window) for window in _WINDOWS) / len(_WINDOWS)
        sum_db = relative_error_db(estimate.sum(1, keepdim=True), mix[:, None], mix).mean()
        level_db, share = leakage_db(estimate, stems, mix)
        figures = {source: float(db) for source, db in zip(SOURCES, errors_db.detach().mean(0), strict=True)}
        figures["sum"] = float(sum_db.detach())
        figures["leakage"] = float(((level_db * share).sum() / share.sum().clamp(min=1e-6)).detach())
        weighted = errors_db * torch.tensor(_WEIGHTS, device=errors_db.device)
        decibels = weighted.mean() + _SUM_WEIGHT * sum_db + _SILENCE_WEIGHT * (level_db * share).mean()
        return decibels / 10.0 + _MAGNITUDE_WEIGHT * spectral, figures


def relative_error_db(estimate: Tensor, truth: Tensor, mix: Tensor) -> Tensor:
    """Error in dB of the mix's energy, finite for silent sources unlike SI-SDR.

    ``estimate`` and ``truth`` ``(B, S, C, T)``, ``mix`` ``(B, C, T)``; result ``(B, S)``.
    """
    energy = mix.square().sum((-2, -1))[:, None] + 1e-6
    error = (estimate - truth).square().sum((-2, -1))
    return 10.0 * torch.log10(error / energy + _ERROR_FLOOR)


def leakage_db(estimate: Tensor, truth: Tensor, mix: Tensor) -> tuple[Tensor, Tensor]:
    """Level of ``estimate`` in the blocks of 93 ms in which ``truth`` is silent, and the share of such blocks.

    The level is in dB of the mix's mean energy, at least -40. Shapes as in :func:`relative_error_db`, ``T`` a multiple of 4096;
    both results ``(B, S)``. Without silent blocks the level is -40 and the share 0.
    """
    mean = mix.square().mean((-2, -1))[:, None, None] + 1e-10
    blocks = "b s c (n t) -> b s n (c t)"
    silent = (rearrange(truth, blocks, t=_BLOCK_SAMPLES).square().mean(-1) < _SILENT * mean).to(estimate.dtype)
    energy = rearrange(estimate, blocks, t=_BLOCK_SAMPLES).square().mean(-1) / mean
    level = (energy * silent).sum(-1) / silent.sum(-1).clamp(min=1.0)
    return 10.0 * torch.log10(level + _SILENCE_FLOOR), silent.mean(-1)


def _magnitude_error(estimate: Tensor, truth: Tensor, mix: Tensor, window: int) -> Tensor:
    """Mean difference of magnitudes as a share of the mix's mean magnitude; phases are ignored.

    The treble's share is added with a weight of its own.
    """

    def magnitudes(audio: Tensor) -> Tensor:
        hann = torch.hann_window(window, device=audio.device)
        frames = torch.stft(audio.flatten(0, -2), window, window // 2, window=hann, return_complex=True)
        return (frames.real.square() + frames.imag.square() + 1e-10).sqrt()  # (.., K, F)

    distance, of_mix = (magnitudes(estimate) - magnitudes(truth)).abs(), magnitudes(mix)
    treble = slice(round(_TREBLE_HZ * window / SAMPLE_RATE_HZ), None)
    mean = of_mix.mean() + 1e-4
    treble_mean = of_mix[:, treble].mean() + _LITTLE_TREBLE * mean
    treble_error = distance[:, treble].mean() / treble_mean
    return distance.mean() / mean + _TREBLE_WEIGHT / _MAGNITUDE_WEIGHT * treble_error
