"""Floats to 24-bit integers and to bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from servicekit.audio.pcm24 import (
    FULL_SCALE,
    MAX_SAMPLE,
    MIN_SAMPLE,
    from_pcm24,
    pack_pcm24,
    to_pcm24,
    to_pcm24_saturated,
    unpack_pcm24,
)
from servicekit.errors import Internal

PCM = hnp.arrays(np.int32, st.tuples(st.just(2), st.integers(0, 200)), elements=st.integers(MIN_SAMPLE, MAX_SAMPLE))


@given(PCM)
@settings(deadline=None)
def test_integers_survive_float32(pcm: NDArray[np.int32]) -> None:
    """Every 24-bit integer, its ends included, is exact as float32 and comes back as itself."""
    waveform = from_pcm24(pcm)
    assert waveform.dtype == np.float32
    assert (waveform.astype(np.float64) * FULL_SCALE == pcm).all()
    assert (to_pcm24(waveform, stage="TEST") == pcm).all()


@given(PCM)
@settings(deadline=None)
def test_integers_survive_bytes(pcm: NDArray[np.int32]) -> None:
    """Packed samples are interleaved, little endian, three bytes each, and come back as themselves."""
    data = b"".join(pack_pcm24(pcm))
    assert data == b"".join(int(v).to_bytes(3, "little", signed=True) for frame in pcm.T for v in frame)
    assert (unpack_pcm24(data) == pcm).all()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_rounds_to_nearest_ties_to_even(kind: type) -> None:
    """Rounding is to nearest, ties to even, on both sides of zero."""
    units = np.array([[0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49, 0.51]] * 2)
    pcm = to_pcm24((units / FULL_SCALE).astype(kind), stage="TEST")
    assert pcm[0].tolist() == [0, 2, 2, 0, -2, -2, 0, 1]


def test_beyond_full_scale_is_counted_or_refused() -> None:
    """+1.0 is beyond the highest integer and -1.0 is not; the strict way refuses, the other holds and counts."""
    waveform = np.array([[1.0, -1.0, 2.0], [0.0, -1.5, MAX_SAMPLE / FULL_SCALE]], dtype=np.float32)
    pcm, beyond = to_pcm24_saturated(waveform, stage="TEST")
    assert pcm.tolist() == [[MAX_SAMPLE, MIN_SAMPLE, MAX_SAMPLE], [0, MIN_SAMPLE, MAX_SAMPLE]]
    assert beyond == 3
    with pytest.raises(Internal, match="3 samples beyond full scale") as caught:
        to_pcm24(waveform, stage="TEST")
    assert caught.value.reason == "INTERNAL"


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("convert", [to_pcm24, to_pcm24_saturated])
def test_not_finite_names_the_stage(broken: float, convert: type) -> None:
    """NaN or infinity anywhere fails, naming the stage that gave it."""
    waveform = np.zeros((2, 70_000), dtype=np.float32)
    waveform[1, 69_999] = broken
    with pytest.raises(Internal) as caught:
        convert(waveform, stage="VOCODE")
    assert caught.value.reason == "NOT_FINITE"
    assert caught.value.metadata == {"stage": "VOCODE"}
