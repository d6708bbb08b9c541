"""The bounce stage: limited, rounded to 24 bits, measured, and described by its manifest."""

from __future__ import annotations

import io

import numpy as np
import pytest

from render_service.bounce import MAX_TRUE_PEAK_DBTP, make_bounce
from servicekit.audio.wav import read_wav
from servicekit.errors import Internal
from tests.unit.render.test_audit import facts

FRAMES = 44_100


def waveform(peak: float) -> np.ndarray:
    """One second of noise with this peak, ``(2, T)``."""
    noise = np.random.default_rng(3).normal(0.0, 1.0, (2, FRAMES))
    return (noise * peak / np.abs(noise).max()).astype(np.float32)


def test_a_loud_waveform_is_limited_by_one_gain() -> None:
    """The true peak is at most -1 dBTP, the dynamics stay, and the gain is named in the manifest's processing."""
    loud = waveform(1.4)
    bounce = make_bounce(loud, facts())
    peak = bounce.loudness.true_peak_dbtp
    assert peak is not None
    assert MAX_TRUE_PEAK_DBTP - 0.2 < peak <= MAX_TRUE_PEAK_DBTP
    gain = bounce.samples() / loud
    assert np.ptp(gain[np.abs(loud) > 0.1]) < 1e-5
    assert bounce.manifest.processing[0] == "vocoder gain 0.5"
    assert bounce.manifest.processing[1].startswith("gain -")


def test_a_quiet_waveform_keeps_its_level() -> None:
    """Every sample is the nearest 24-bit integer, and no processing is added."""
    quiet = waveform(0.5)
    bounce = make_bounce(quiet, facts())
    assert np.array_equal(bounce.pcm, np.rint(quiet.astype(np.float64) * 2**23).astype(np.int32))
    assert bounce.manifest.processing == ("vocoder gain 0.5",)


def test_wav_and_manifest_agree() -> None:
    """The WAV reads back as the same samples; manifest and stored file have its digest, size and length."""
    bounce = make_bounce(waveform(0.5), facts())
    sink = io.BytesIO()
    bounce.wav.write_to(sink)
    assert np.array_equal(read_wav(io.BytesIO(sink.getvalue()), name="bounce"), bounce.pcm)
    assert bounce.manifest.bounce.sha256 == bounce.stored_file.sha256 == bounce.sha256
    assert bounce.stored_file.size_bytes == len(sink.getvalue())
    assert bounce.manifest.frames == FRAMES


def test_silence_has_no_loudness() -> None:
    """Loudness and true peak of silence are None, never -inf."""
    bounce = make_bounce(np.zeros((2, FRAMES), dtype=np.float32), facts())
    assert (bounce.loudness.lufs, bounce.loudness.true_peak_dbtp) == (None, None)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_waveform_that_is_not_finite_is_refused(value: float) -> None:
    """NOT_FINITE names the stage."""
    broken = waveform(0.5)
    broken[1, 7] = value
    with pytest.raises(Internal) as caught:
        make_bounce(broken, facts())
    assert (caught.value.reason, caught.value.metadata["stage"]) == ("NOT_FINITE", "BOUNCE")
