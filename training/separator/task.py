"""The separator's training task: random mixes of stems, and the loss.

Letters: ``B`` batch, ``S`` sources (4), ``C`` channels (2), ``T`` samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from servicekit.delivery.names import STEMS
from training.corpus.store import FULL_SCALE
from training.separator.net import SEGMENT_SAMPLES, SOURCES

_ROWS = [STEMS.index(source) for source in SOURCES]  # demucs' order -> index in the corpus
_REMIX_SHARE = 0.5  # share of crops whose stems come from four songs instead of one
_GAIN_DB = 4.0
_ERROR_FLOOR = 1e-2  # of the mix's energy; with -30 dB silence was the cheapest answer and the vocals stem fell silent
_WEIGHTS = (0.8, 0.8, 1.0, 1.4)  # in the order of SOURCES; vocals are learnt last
_MAGNITUDE_WEIGHT = 0.3  # of the magnitudes' error; the waveform's has 1
_WINDOWS = (512, 2048)


@dataclass(frozen=True, kw_only=True)
class SeparatorTask:
    """A net, and the stems of songs to mix crops from, each int16 ``(S, C, T)`` in the corpus' order. ``batch`` crops per step.

    Stems may be on the device already; crops are then cut and mixed there.
    """

    net: nn.Module
    stems: Sequence[Tensor]
    batch: int
    device: torch.device
    name: str = "separator"

    def loss(self, generator: torch.Generator, step: int) -> tuple[Tensor, Mapping[str, float]]:
        """Error of each source in dB of the mix's energy, with a floor of -20 dB, plus the magnitudes' mean error."""
        del step
        stems = torch.stack([self._draw(generator) for _ in range(self.batch)])
        mix = stems.sum(1)
        estimate = self.net.train()(mix)
        errors_db = relative_error_db(estimate, stems, mix)
        spectral = sum(_magnitude_error(estimate, stems, mix, window) for window in _WINDOWS) / len(_WINDOWS)
        figures = {source: float(db) for source, db in zip(SOURCES, errors_db.detach().mean(0), strict=True)}
        weighted = errors_db * torch.tensor(_WEIGHTS, device=errors_db.device)
        return weighted.mean() / 10.0 + _MAGNITUDE_WEIGHT * spectral, figures

    def _draw(self, generator: torch.Generator) -> Tensor:
        """Stems of one crop ``(S, C, T)``, from one song or from several, with random gains, signs and swapped sides."""
        count = len(SOURCES)
        one_song = float(torch.rand((), generator=generator)) >= _REMIX_SHARE
        first = self._crop(generator)
        rows = [first[0]] + [first[row] if one_song else self._crop(generator)[row] for row in range(1, count)]
        gains = 10.0 ** ((2.0 * torch.rand(count, generator=generator) - 1.0) * _GAIN_DB / 20.0)
        signs = torch.randint(0, 2, (count,), generator=generator) * 2.0 - 1.0
        swapped = torch.randint(0, 2, (count,), generator=generator).tolist()
        sides = torch.stack([row.flip(0) if swap else row for row, swap in zip(rows, swapped, strict=True)])
        return sides * (gains * signs).to(self.device)[:, None, None]

    def _crop(self, generator: torch.Generator) -> Tensor:
        song = self.stems[int(torch.randint(0, len(self.stems), (), generator=generator))]
        start = int(torch.randint(0, song.shape[-1] - SEGMENT_SAMPLES, (), generator=generator))
        crop = song[_ROWS, :, start : start + SEGMENT_SAMPLES]
        return crop.to(self.device, torch.float32) / FULL_SCALE


def relative_error_db(estimate: Tensor, truth: Tensor, mix: Tensor) -> Tensor:
    """Error in dB of the mix's energy, finite for silent sources unlike SI-SDR.

    ``estimate`` and ``truth`` ``(B, S, C, T)``, ``mix`` ``(B, C, T)``; result ``(B, S)``.
    """
    energy = mix.square().sum((-2, -1))[:, None] + 1e-6
    error = (estimate - truth).square().sum((-2, -1))
    return 10.0 * torch.log10(error / energy + _ERROR_FLOOR)


def _magnitude_error(estimate: Tensor, truth: Tensor, mix: Tensor, window: int) -> Tensor:
    """Mean difference of magnitudes as a share of the mix's mean magnitude; phases are ignored."""

    def magnitudes(audio: Tensor) -> Tensor:
        hann = torch.hann_window(window, device=audio.device)
        frames = torch.stft(audio.flatten(0, -2), window, window // 2, window=hann, return_complex=True)
        return (frames.real.square() + frames.imag.square() + 1e-10).sqrt()

    distance = (magnitudes(estimate) - magnitudes(truth)).abs().mean()
    return distance / (magnitudes(mix).mean() + 1e-4)
