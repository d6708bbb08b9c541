"""Random crops of stems: what the separator trains on.

Letters: ``S`` sources (4), ``C`` channels (2), ``N`` samples of a song, ``T`` samples of a crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from servicekit.delivery.names import STEMS
from training.corpus.store import FULL_SCALE
from training.separator.net import SEGMENT_SAMPLES, SOURCES

_ROWS = [STEMS.index(source) for source in SOURCES]  # demucs' order -> index in the corpus
_REMIX_SHARE = 0.5  # share of crops whose stems come from four songs instead of one
_GAIN_DB = 4.0
_SILENCED_SHARE = 0.1  # of the stems
_EDGE_SHARE = 0.15  # of the crops; up to half of such a crop lies before the start or after the end of its song


@dataclass(frozen=True, kw_only=True)
class CropSource:
    """Draws crops from songs, stems int16 ``(S, C, N)`` in the corpus' order.

    A ``rendered_share`` of the crops comes from ``rendered``, songs in a renderer's sound, if there are any. The two sounds never
    meet in one crop. Stems may be on the device already; crops are then cut and mixed there.
    """

    songs: Sequence[Tensor]
    rendered: Sequence[Tensor] = ()
    rendered_share: float = 0.0
    device: torch.device

    def draw(self, generator: torch.Generator) -> Tensor:
        """Stems of one crop ``(S, C, T)`` in the order of :data:`SOURCES`; their sum is the mix.

        They come from one song or from several, with random gains, signs and swapped sides, some of them silenced.
        """
        songs = self.rendered if self.rendered and _chance(generator) < self.rendered_share else self.songs
        count = len(SOURCES)
        one_song = _chance(generator) >= _REMIX_SHARE
        first = self._crop(songs, generator)
        rows = [first[0]] + [first[row] if one_song else self._crop(songs, generator)[row] for row in range(1, count)]
        gains = 10.0 ** ((2.0 * torch.rand(count, generator=generator) - 1.0) * _GAIN_DB / 20.0)
        signs = torch.randint(0, 2, (count,), generator=generator) * 2.0 - 1.0
        swapped = torch.randint(0, 2, (count,), generator=generator).tolist()
        heard = (torch.rand(count, generator=generator) >= _SILENCED_SHARE).float()
        sides = torch.stack([row.flip(0) if swap else row for row, swap in zip(rows, swapped, strict=True)])
        return sides * (gains * signs * heard).to(self.device)[:, None, None]

    def _crop(self, songs: Sequence[Tensor], generator: torch.Generator) -> Tensor:
        song = songs[int(torch.randint(0, len(songs), (), generator=generator))]
        start = _start(song.shape[-1], generator)
        inside = song[_ROWS, :, max(start, 0) : start + SEGMENT_SAMPLES].to(self.device, torch.float32)
        before = max(-start, 0)
        padding = (before, SEGMENT_SAMPLES - before - inside.shape[-1])
        return functional.pad(inside, padding) / FULL_SCALE


def _start(samples: int, generator: torch.Generator) -> int:
    """First sample of a crop of a song; negative before its start. A song shorter than a crop is inside it."""
    inside = samples - SEGMENT_SAMPLES
    beyond = int(torch.randint(1, SEGMENT_SAMPLES // 2, (), generator=generator))
    edge, at_start = _chance(generator) < _EDGE_SHARE, _chance(generator) < 0.5
    if edge and inside > 0:
        return -beyond if at_start else inside + beyond
    return int(torch.randint(min(0, inside), max(0, inside) + 1, (), generator=generator))


def _chance(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator))
