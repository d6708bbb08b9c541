"""The bounce stage: faded, brought to its loudness, limited, rounded to 24 bits, measured, and described by its manifest."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np
import pytest

from render_service.audit import BounceFacts
from render_service.bounce import MAX_TRUE_PEAK_DBTP, make_bounce
from servicekit.audio.wav import read_wav
from servicekit.errors import Internal
from tests.unit.render.test_audit import facts

FRAMES = 44_100


def waveform(peak: float) -> np.ndarray:
    """One second of noise with this peak, ``(2, T)``."""
    noise = np.random.default_rng(3).normal(0.0, 1.0, (2, FRAMES))
    return np.asarray(noise * peak / np.abs(noise).max(), dtype=np.float32)


def beat(seconds: float = 4.0) -> np.ndarray:
    """Two noisy hits a second over a bass note, ``(2, T)``, as loud at its ends as anywhere."""
    t = np.arange(round(seconds * FRAMES)) / FRAMES
    hits = 0.25 * np.random.default_rng(4).standard_normal((2, t.size)) * np.exp(-8.0 * ((2.0 * t) % 1.0))
    return np.asarray(hits + 0.2 * np.cos(2.0 * np.pi * 55.0 * t), dtype=np.float32)


def asked(target_lufs: float, *, loop: bool = False) -> BounceFacts:
    """The facts of a take with a loudness target."""
    return facts(plan=replace(facts().plan, target_lufs=target_lufs, loop=loop))


@pytest.mark.parametrize("level", [0.3, 1.0, 20.0])
def test_takes_are_equally_loud(level: float) -> None:
    """Whatever the renderer's level, the loudness is the target's and the true peak at most -1 dBTP."""
    bounce = make_bounce(np.float32(level) * beat(), asked(-16.0))
    assert bounce.loudness.lufs == pytest.approx(-16.0, abs=0.1)
    assert bounce.loudness.true_peak_dbtp is not None
    assert bounce.loudness.true_peak_dbtp <= MAX_TRUE_PEAK_DBTP


def test_gain_limiter_and_fades_are_named() -> None:
    """In the order of the work, after what the renderer did."""
    lines = make_bounce(beat(), asked(-14.0)).manifest.processing
    assert lines[:2] == ("vocoder gain 0.5", "fade-in of 3 ms and fade-out of 10 ms")
    assert re.fullmatch(r"gain [+-]\d+\.\d\d dB for a loudness of -14 LUFS", lines[2])
    assert re.fullmatch(r"look-ahead limiter \(5 ms\) at -1 dBTP: at most \d\.\d\d dB of reduction", lines[3])
    assert len(lines) == 4


def test_a_target_that_is_not_reached_is_explained() -> None:
    """By what held it back: limiting, or the greatest gain."""
    limited, quiet = make_bounce(beat(), asked(-9.0)), make_bounce(np.float32(0.01) * beat(), asked(-16.0))
    for bounce, reason in ((limited, "6 dB of limiting"), (quiet, "20 dB of gain")):
        line = bounce.manifest.processing[2]
        reached = re.search(rf"LUFS, of which {reason} allows (-\d+\.\d) LUFS$", line)
        assert reached is not None
        assert bounce.loudness.lufs == pytest.approx(float(reached[1]), abs=0.15)


def test_a_take_begins_and_ends_at_zero() -> None:
    """3 ms and 10 ms of raised cosine; in between only the level changes."""
    plain = np.full((2, 2 * FRAMES), 0.25, dtype=np.float32)
    plain[:, ::2] *= -1.0
    samples = np.abs(make_bounce(plain, asked(-20.0)).samples())
    middle = samples[:, FRAMES]
    assert np.allclose(samples[:, [0, -1]], 0.0)
    assert np.allclose(samples[:, [66, -221]], middle[:, None] / 2.0, rtol=0.02)
    assert np.allclose(samples[:, 133:-442], middle[:, None])


def test_a_loop_is_not_faded() -> None:
    """Its ends go on in one another."""
    bounce = make_bounce(beat(), asked(-23.0, loop=True))
    gain = bounce.samples()[0, 9] / beat()[0, 9]
    assert np.allclose(bounce.samples(), gain * beat(), atol=1e-6)
    assert [line for line in bounce.manifest.processing if "fade" in line] == []


@pytest.mark.parametrize("audio", [0.0 * beat(1.0), 0.1 * beat(0.3), 0.1 * beat(0.01)])
def test_short_and_silent_takes_get_no_gain(audio: np.ndarray) -> None:
    """What has no loudness is only faded."""
    bounce = make_bounce(audio, asked(-16.0))
    assert bounce.loudness.lufs is None
    assert bounce.manifest.processing[1:] == ("fade-in of 3 ms and fade-out of 10 ms",)


def test_a_loud_waveform_of_an_old_plan_is_limited_by_one_gain() -> None:
    """Its replay is as before: true peak at most -1 dBTP, dynamics kept, the gain named in the manifest's processing."""
    loud = waveform(1.4)
    bounce = make_bounce(loud, facts())
    peak = bounce.loudness.true_peak_dbtp
    assert peak is not None
    assert MAX_TRUE_PEAK_DBTP - 0.2 < peak <= MAX_TRUE_PEAK_DBTP
    gain = bounce.samples() / loud
    assert np.ptp(gain[np.abs(loud) > 0.1]) < 1e-5
    assert bounce.manifest.processing[0] == "vocoder gain 0.5"
    assert bounce.manifest.processing[1].startswith("gain -")


def test_a_quiet_waveform_of_an_old_plan_keeps_its_level() -> None:
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
    file = bounce.file_at("")
    assert bounce.manifest.bounce.sha256 == file.sha256 == bounce.sha256
    assert file.size_bytes == len(sink.getvalue())
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
