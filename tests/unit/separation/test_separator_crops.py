"""The crops that the separator trains on, from songs whose samples tell where they come from."""

from __future__ import annotations

import torch

from training.corpus.store import FULL_SCALE
from training.separator.crops import CropSource
from training.separator.net import SEGMENT_SAMPLES

CPU = torch.device("cpu")
GAIN = 10.0 ** (4.0 / 20.0)


def level_song(levels: tuple[int, int, int, int], samples: int = 2 * SEGMENT_SAMPLES) -> torch.Tensor:
    """A song whose stems are constant, in the corpus' order: drums, bass, vocals, other."""
    return torch.tensor(levels, dtype=torch.int16)[:, None, None].expand(4, 2, samples).contiguous()


def draws(source: CropSource, count: int) -> torch.Tensor:
    """``(count, S, C, T)`` in the units of int16."""
    generator = torch.Generator().manual_seed(0)
    return torch.stack([source.draw(generator) for _ in range(count)]) * FULL_SCALE


def is_level(peaks: torch.Tensor, level: int) -> torch.Tensor:
    """Whether peaks are a level with a gain of at most 4 dB."""
    return (peaks > level / GAIN - 1) & (peaks < level * GAIN + 1)


def test_crops_are_in_the_order_of_the_net() -> None:
    """Demucs has other before vocals, the corpus vocals before other."""
    crops = draws(CropSource(songs=[level_song((10, 100, 1000, 10000))], device=CPU), 20)
    assert crops.shape == (20, 4, 2, SEGMENT_SAMPLES)
    peaks = crops.abs().amax((2, 3))
    for source, level in enumerate((10, 100, 10000, 1000)):
        heard = peaks[:, source] > 0
        assert heard.any()
        assert is_level(peaks[heard, source], level).all()


def test_some_crops_reach_beyond_the_start_or_the_end() -> None:
    """What lies beyond is silence, and at least half of such a crop is inside the song."""
    crops = draws(CropSource(songs=[level_song((1000, 1000, 1000, 1000))], device=CPU), 40)
    sounding = crops.abs().amax(2) > 0
    heard = sounding[sounding.any(-1)]  # a row for each stem that is not silenced
    assert not heard[:, 0].all(), "no stem begins after its crop"
    assert not heard[:, -1].all(), "no stem ends before its crop"
    assert heard[:, 0].float().mean() > 0.7
    assert (heard.float().mean(1) >= 0.5).all()


def test_stems_are_silenced_at_random() -> None:
    """About one in ten."""
    crops = draws(CropSource(songs=[level_song((1000, 1000, 1000, 1000))], device=CPU), 40)
    silent = crops.abs().amax((2, 3)) == 0
    assert 0.03 < silent.float().mean() < 0.2


def test_a_crop_has_one_sound_only() -> None:
    """Composed stems never meet stems in the renderer's sound, also where stems of several songs are mixed."""
    songs = [level_song((100, 100, 100, 100)) for _ in range(2)]
    rendered = [level_song((10000, 10000, 10000, 10000)) for _ in range(2)]
    crops = draws(CropSource(songs=songs, rendered=rendered, rendered_share=0.3, device=CPU), 40)
    peaks = crops.abs().amax((2, 3))
    composed, in_renderer_sound = is_level(peaks, 100).any(1), is_level(peaks, 10000).any(1)
    assert not (composed & in_renderer_sound).any()
    assert 0.1 < in_renderer_sound.float().mean() < 0.5


def test_a_song_may_be_shorter_than_a_crop() -> None:
    """It lies somewhere inside, the rest is silence."""
    crops = draws(CropSource(songs=[level_song((1000, 1000, 1000, 1000), 4096)], device=CPU), 10)
    lengths = (crops.abs().amax((1, 2)) > 0).sum(1)
    assert crops.shape[-1] == SEGMENT_SAMPLES
    assert (lengths >= 4096).all()
