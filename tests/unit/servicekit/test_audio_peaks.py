"""Peaks of waveforms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from servicekit.audio.pcm24 import MAX_SAMPLE, MIN_SAMPLE, Pcm24, blocks
from servicekit.audio.peaks import find_peaks
from tests.support.stored_audio import noise, plain_peaks

PCM = hnp.arrays(np.int32, st.tuples(st.just(2), st.integers(0, 200)), elements=st.integers(MIN_SAMPLE, MAX_SAMPLE))


def peaks_of(pcm: Pcm24, points: int, block_frames: int) -> tuple[list[int], list[int]]:
    """Both arrays as lists."""
    frames = pcm.shape[1]
    found = find_peaks((pcm[:, block] for block in blocks(frames, block_frames)), frames=frames, points=points)
    assert found.frames == frames
    return found.minima.tolist(), found.maxima.tolist()


@given(PCM, st.integers(1, 300), st.integers(1, 250))
@settings(deadline=None)
def test_each_point_has_the_extremes_of_its_share(pcm: Pcm24, points: int, block_frames: int) -> None:
    """For any length, number of points (also above that of frames) and size of blocks, over both channels."""
    assert peaks_of(pcm, points, block_frames) == plain_peaks(pcm, points)


@pytest.mark.parametrize(("frames", "points"), [(100_003, 1024), (100_003, 8192), (8191, 8192), (65_537, 7)])
def test_the_shares_of_long_files_are_exact(frames: int, points: int) -> None:
    """Odd lengths, across the borders of blocks of a usual size."""
    pcm = noise(frames)
    assert peaks_of(pcm, points, 1 << 16) == plain_peaks(pcm, points)


def test_peaks_are_rounded_away_from_zero() -> None:
    """Minima down, maxima up; the highest maximum is 32767."""
    values = [MAX_SAMPLE, MIN_SAMPLE, 1, -1, 256, -256, 0, 32767 << 8]
    minima, maxima = peaks_of(np.array([values] * 2, dtype=np.int32), points=len(values), block_frames=3)
    assert minima == [32767, -32768, 0, -1, 1, -1, 0, 32767]
    assert maxima == [32767, -32768, 1, 0, 1, -1, 0, 32767]


def test_an_empty_file_has_no_points() -> None:
    """No frames, no points."""
    assert peaks_of(np.empty((2, 0), dtype=np.int32), points=9, block_frames=9) == ([], [])


@pytest.mark.parametrize("frames", [9, 11])
def test_a_wrong_length_is_an_error(frames: int) -> None:
    """Blocks that end before or after the announced length."""
    with pytest.raises(ValueError, match="samples a channel"):
        find_peaks([noise(10)], frames=frames, points=4)
