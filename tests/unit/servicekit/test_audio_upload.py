"""Recordings that callers bring."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from servicekit.audio.pcm24 import FULL_SCALE, MAX_SAMPLE, MIN_SAMPLE
from servicekit.audio.upload import Encoding, UploadReader, read_upload, read_upload_header
from servicekit.errors import InvalidAudio

HOUR_S = 3600.0


def refused(path: Path, *, max_seconds: float = HOUR_S) -> str:
    """Why a file is refused."""
    with pytest.raises(InvalidAudio) as caught:
        read_upload(path, read_upload_header(path, max_seconds=max_seconds))
    assert caught.value.reason == "INVALID_AUDIO"
    return caught.value.metadata["detail"]


def written(path: Path, samples: NDArray[np.generic], subtype: str, rate_hz: int = 44100, fmt: str = "WAV") -> Path:
    """A WAV by libsndfile, ``(T, C)``."""
    soundfile.write(path, samples, rate_hz, subtype=subtype, format=fmt)
    return path


def integers(frames: int, channels: int, bits: int) -> NDArray[np.int32]:
    """Noise over all of the range, its ends included, ``(T, C)``."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    noise = np.random.default_rng(0).integers(low, high, (frames, channels), dtype=np.int64, endpoint=True)
    noise[0], noise[1] = low, high
    return noise.astype(np.int32)


@pytest.mark.parametrize("fmt", ["WAV", "WAVEX"])
@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("channels", [1, 2])
def test_integers_come_through_exactly(tmp_path: Path, fmt: str, bits: int, channels: int) -> None:
    """16 and 24 bits, mono and stereo, plain and extensible, are read as the integers that they are; mono is doubled."""
    samples = integers(70_001, channels, bits)
    path = written(tmp_path / "a.wav", samples << (32 - bits), f"PCM_{bits}", fmt=fmt)
    upload = read_upload_header(path, max_seconds=HOUR_S)
    assert (upload.frames, upload.channels) == (70_001, channels)
    pcm = read_upload(path, upload)
    assert pcm.shape == (2, 70_001)
    assert (pcm == (samples << (24 - bits)).T).all()


def test_8_bits(tmp_path: Path) -> None:
    """8 bits, which WAV keeps unsigned, are widened exactly."""
    path = written(tmp_path / "a.wav", integers(500, 2, 8) << 24, "PCM_U8")
    assert (read_upload(path, read_upload_header(path, max_seconds=HOUR_S)) == integers(500, 2, 8).T << 16).all()


def test_32_bits_round_ties_to_even(tmp_path: Path) -> None:
    """32-bit integers are rounded to the nearest 24-bit one, ties to even, and held at the top."""
    values = np.array([128, 384, -128, -384, 129, 2**31 - 1, -(2**31), 255], dtype=np.int32)
    path = written(tmp_path / "a.wav", np.stack([values, values], axis=1), "PCM_32")
    pcm = read_upload(path, read_upload_header(path, max_seconds=HOUR_S))
    assert pcm[0].tolist() == [0, 2, 0, -2, 1, MAX_SAMPLE, MIN_SAMPLE, 1]


@pytest.mark.parametrize(("subtype", "kind"), [("FLOAT", np.float32), ("DOUBLE", np.float64)])
def test_floats_round_ties_to_even(tmp_path: Path, subtype: str, kind: type) -> None:
    """Float samples up to full scale are rounded to the nearest integer; +1.0 is the highest one."""
    values = np.array([0.5 / FULL_SCALE, 1.5 / FULL_SCALE, 0.25, 1.0, -1.0, 0.0], dtype=kind)
    path = written(tmp_path / "a.wav", values, subtype)
    upload = read_upload_header(path, max_seconds=HOUR_S)
    assert upload.encoding is Encoding[{"FLOAT": "FLOAT32", "DOUBLE": "FLOAT64"}[subtype]]
    assert read_upload(path, upload)[1].tolist() == [0, 2, FULL_SCALE // 4, MAX_SAMPLE, MIN_SAMPLE, 0]


@pytest.mark.parametrize(
    ("value", "words"), [(np.nan, "NaN"), (np.inf, "infinite"), (-np.inf, "infinite"), (1.001, "beyond full scale")]
)
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_bad_floats_are_refused(tmp_path: Path, value: float, words: str, subtype: str) -> None:
    """NaN, infinity and what lies beyond full scale are refused, saying where."""
    samples = np.zeros((88_200, 2), dtype=np.float64)
    samples[66_150, 1] = value
    detail = refused(written(tmp_path / "a.wav", samples, subtype))
    assert words in detail
    assert "1.500 s" in detail


@pytest.mark.parametrize(
    ("samples", "rate_hz", "subtype", "words"),
    [
        (np.zeros((100, 2)), 48000, "PCM_16", "48000 Hz; convert it to 44100 Hz: ffmpeg"),
        (np.zeros((100, 6)), 44100, "PCM_16", "6 channels"),
        (np.zeros((0, 2)), 44100, "PCM_24", "0 frames"),
        (np.zeros((1, 2)), 44100, "PCM_24", "1 frames"),
        (np.zeros((100, 1)), 44100, "ULAW", "encoding"),
    ],
)
def test_wrong_formats_are_refused(
    tmp_path: Path, samples: NDArray[np.float64], rate_hz: int, subtype: str, words: str
) -> None:
    """Another rate, more channels, no samples or another encoding: each is refused in its own words."""
    assert words in refused(written(tmp_path / "a.wav", samples, subtype, rate_hz))


def test_too_long_is_refused(tmp_path: Path) -> None:
    """Longer than the limit is refused with both lengths."""
    path = written(tmp_path / "a.wav", np.zeros((44101, 1)), "PCM_16")
    assert "at most 1 s" in refused(path, max_seconds=1.0)
    assert read_upload_header(path, max_seconds=1.1).frames == 44101


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    """A WAV cut anywhere, in its header or in its samples, is refused and never taken for a shorter one."""
    whole = written(tmp_path / "whole.wav", integers(200, 2, 16) << 16, "PCM_16").read_bytes()
    cut = tmp_path / "cut.wav"
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])
        detail = refused(cut)
        if length >= 44:
            assert "truncated" in detail


def test_all_samples_and_more_are_taken(tmp_path: Path) -> None:
    """What follows the samples, or a chunk of odd length before them, does not matter."""
    whole = written(tmp_path / "a.wav", integers(200, 2, 16) << 16, "PCM_16").read_bytes()
    path = tmp_path / "b.wav"
    path.write_bytes(whole[:36] + struct.pack("<4sI", b"note", 3) + b"abc\0" + whole[36:] + b"LIST\xff\xff\0\0half")
    assert (read_upload(path, read_upload_header(path, max_seconds=HOUR_S)) == integers(200, 2, 16).T << 8).all()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"ID3\x04" + bytes(100), "MP3, not a WAV, RF64, W64, AIFF or FLAC file; convert it: ffmpeg -i FILE -ar 44100"),
        (b"OggS" + bytes(100), "Ogg"),
        (b"fLaC" + bytes(100), "STREAMINFO"),
        (b"fLaC" + bytes(20), "truncated"),
        (b"RIFF\0\0\0\0AVI " + bytes(100), "not a WAV"),
        (b"RIFX\0\0\0\0WAVE" + bytes(100), "RIFX"),
        (b"RF64" + bytes(100), "not a WAV"),
        (b"FORM\0\0\0\x248SVX" + bytes(100), "not an AIFF"),
        (bytes.fromhex("726966662e91cf11a5d628db04c10000") + bytes(100), "its form is not wave"),
        (b"RIFF\x24\0\0\0WAVEdata\x08\0\0\0" + bytes(8), "format chunk"),
        (b"RIFF\x24\0\0\0WAVE" + struct.pack("<4sI", b"junk", 0) * 5000, "chunks"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    """What is no WAV, or one of another kind, is refused in its own words, in bounded time."""
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    assert words in refused(path)


def test_wav_from_a_pipe_is_refused(tmp_path: Path) -> None:
    """A WAV that never learnt its own length is refused, saying how to make one that does."""
    whole = bytearray(written(tmp_path / "a.wav", np.zeros((100, 2)), "PCM_16").read_bytes())
    whole[40:44] = b"\xff" * 4
    path = tmp_path / "b.wav"
    path.write_bytes(whole)
    assert "pipe" in refused(path)


@given(
    changes=st.lists(st.tuples(st.integers(0, 127), st.integers(0, 255)), min_size=1, max_size=6),
    fmt=st.sampled_from(["WAV", "WAVEX", "RF64", "W64", "AIFF", "FLAC"]),
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_header_does_harm(tmp_path: Path, changes: list[tuple[int, int]], fmt: str) -> None:
    """Whatever bytes a header has, the file is refused as INVALID_AUDIO or read as no more frames than it holds."""
    data = bytearray(written(tmp_path / "a.wav", np.zeros((50, 2), dtype=np.int16), "PCM_16", fmt=fmt).read_bytes())
    for at, value in changes:
        data[at % len(data)] = value
    path = tmp_path / "b.wav"
    path.write_bytes(data)
    try:
        pcm = read_upload(path, read_upload_header(path, max_seconds=HOUR_S, resample=True))
    except InvalidAudio:
        return
    assert pcm.shape[0] == 2
    assert 2 <= pcm.shape[1] <= len(data) * 6


LOSSLESS = [
    ("RF64", 16, "FILE"),
    ("RF64", 24, "FILE"),
    ("W64", 16, "FILE"),
    ("W64", 24, "FILE"),
    ("AIFF", 8, "FILE"),
    ("AIFF", 16, "FILE"),
    ("AIFF", 24, "FILE"),
    ("AIFF", 16, "LITTLE"),
    ("AIFF", 24, "LITTLE"),
    ("FLAC", 8, "FILE"),
    ("FLAC", 16, "FILE"),
    ("FLAC", 24, "FILE"),
]


@pytest.mark.parametrize(("fmt", "bits", "endian"), LOSSLESS)
@pytest.mark.parametrize("channels", [1, 2])
def test_other_lossless_files_come_through_exactly(
    tmp_path: Path, fmt: str, bits: int, endian: str, channels: int
) -> None:
    """RF64, Wave64, AIFF of either byte order and FLAC are read as the integers that they are."""
    frames = 70_002  # libsndfile counts the padding of an odd number of 8-bit samples
    samples, path = integers(frames, channels, bits), tmp_path / "a"
    subtype = "PCM_S8" if bits == 8 else f"PCM_{bits}"
    soundfile.write(path, samples << (32 - bits), 44100, subtype=subtype, format=fmt, endian=endian)
    upload = read_upload_header(path, max_seconds=HOUR_S)
    assert (upload.container.value, upload.frames, upload.channels) == (fmt, frames, channels)
    assert (read_upload(path, upload) == (samples << (24 - bits)).T).all()


@pytest.mark.parametrize("fmt", ["RF64", "W64", "AIFF"])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE", "PCM_32"])
def test_wide_samples_of_other_files_are_rounded(tmp_path: Path, fmt: str, subtype: str) -> None:
    """Float and 32 bits in every container give the integers that they give in a WAV."""
    noise = np.random.default_rng(1).uniform(-1.0, 1.0, (500, 2))
    expected, path = written(tmp_path / "a.wav", noise, subtype), tmp_path / "b"
    soundfile.write(path, noise, 44100, subtype=subtype, format=fmt)
    pcm = [read_upload(one, read_upload_header(one, max_seconds=HOUR_S)) for one in (expected, path)]
    assert (pcm[0] == pcm[1]).all()


@pytest.mark.parametrize("fmt", ["RF64", "W64", "AIFF", "FLAC"])
def test_every_truncation_of_other_files_is_refused(tmp_path: Path, fmt: str) -> None:
    """Cut anywhere, a file is refused and never taken for a shorter one."""
    whole_path, cut = tmp_path / "whole", tmp_path / "cut"
    soundfile.write(whole_path, integers(200, 2, 16) << 16, 44100, subtype="PCM_16", format=fmt)
    whole = whole_path.read_bytes()
    assert read_upload(whole_path, read_upload_header(whole_path, max_seconds=HOUR_S)).shape == (2, 200)
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])
        refused(cut)


def test_an_aiff_whose_compression_and_bits_differ_is_refused(tmp_path: Path) -> None:
    """A sample of "42n1" has 24 bits. Read as 16, it would be noise."""
    path = tmp_path / "a.aifc"
    soundfile.write(path, integers(200, 2, 24) << 8, 44100, subtype="PCM_24", format="AIFF", endian="LITTLE")
    whole = path.read_bytes()
    at = whole.index(b"COMM") + 14
    assert (whole[at : at + 2], whole[at + 12 : at + 16]) == (b"\0\x18", b"42n1")
    path.write_bytes(whole[:at] + b"\0\x10" + whole[at + 2 :])
    assert "AIFF-C compression b'42n1', 16 bits" in refused(path)


def test_a_damaged_flac_is_refused(tmp_path: Path) -> None:
    """A bit that changed in the samples is found, by the decoder or by the MD5 of the samples."""
    path = tmp_path / "a.flac"
    soundfile.write(path, integers(20_000, 2, 16) << 16, 44100, subtype="PCM_16", format="FLAC")
    whole = path.read_bytes()
    for at in range(100, len(whole), len(whole) // 20):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        path.write_bytes(damaged)
        refused(path)
    wrong_md5 = bytearray(whole)
    wrong_md5[30] ^= 1
    path.write_bytes(wrong_md5)
    assert "MD5" in refused(path)


def test_a_flac_without_a_length_is_refused(tmp_path: Path) -> None:
    """As a WAV from a pipe: nothing would tell a truncated one from a whole one."""
    path = tmp_path / "a.flac"
    soundfile.write(path, integers(500, 2, 16) << 16, 44100, subtype="PCM_16", format="FLAC")
    whole = bytearray(path.read_bytes())
    whole[21] &= 0xF0
    whole[22:26] = bytes(4)
    path.write_bytes(whole)
    assert "pipe" in refused(path)


@pytest.mark.parametrize("rate_hz", [48000, 22050, 96000, 8000])
def test_another_rate_is_converted_on_request(tmp_path: Path, rate_hz: int) -> None:
    """A tone keeps its pitch, level and phase, and the conversion is named; without the request the refusal says how to ask."""
    tone = 0.5 * np.sin(2 * np.pi * 997.0 * np.arange(rate_hz) / rate_hz)
    path = tmp_path / "a.wav"
    soundfile.write(path, tone, rate_hz, subtype="PCM_24", format="WAV")
    with pytest.raises(InvalidAudio, match="set `resample`"):
        read_upload_header(path, max_seconds=HOUR_S, resample=False)
    assert "resample" not in refused(path)
    reader = UploadReader(path, read_upload_header(path, max_seconds=HOUR_S, resample=True))
    pcm = np.concatenate(list(reader.blocks()), axis=1)
    assert pcm.shape == (2, 44100)
    expected = 0.5 * np.sin(2 * np.pi * 997.0 * np.arange(44100) / 44100)
    error = (pcm[0] / FULL_SCALE - expected)[6000:-6000]
    assert 20 * np.log10(error.std() / 0.3536) < -115.0
    assert len(reader.processing) == 1
    assert f"rate {rate_hz} Hz to 44100 Hz" in reader.processing[0]
    assert "0 samples beyond full scale" in reader.processing[0]


def test_what_a_conversion_lifts_beyond_full_scale_is_clipped_and_counted(tmp_path: Path) -> None:
    """A square wave at full scale overshoots; the integers stay within 24 bits and the manifest says how many were clipped."""
    square = np.sign(np.sin(2 * np.pi * 1000.0 * np.arange(48000) / 48000))
    path = tmp_path / "a.wav"
    soundfile.write(path, square, 48000, subtype="PCM_24", format="WAV")
    reader = UploadReader(path, read_upload_header(path, max_seconds=HOUR_S, resample=True))
    pcm = np.concatenate(list(reader.blocks()), axis=1)
    assert (pcm.min(), pcm.max()) == (MIN_SAMPLE, MAX_SAMPLE)
    assert reader.clipped > 1000
    assert f"{reader.clipped} samples beyond full scale clipped" in reader.processing[0]


@pytest.mark.parametrize("rate_hz", [44101, 4000, 500_000])
def test_rates_that_cannot_be_converted_are_refused(tmp_path: Path, rate_hz: int) -> None:
    """A rate without a simple ratio would need a filter of millions of taps; one out of range is no music."""
    path = written(tmp_path / "a.wav", np.zeros((500, 1)), "PCM_16", rate_hz)
    with pytest.raises(InvalidAudio, match="whose ratio"):
        read_upload_header(path, max_seconds=HOUR_S, resample=True)


def test_the_length_limit_counts_converted_seconds(tmp_path: Path) -> None:
    """A recording at 96 kHz has as many seconds after its conversion as before."""
    path = written(tmp_path / "a.wav", np.zeros((96_000, 1)), "PCM_16", 96_000)
    assert read_upload_header(path, max_seconds=1.0, resample=True).frames == 44100
    with pytest.raises(InvalidAudio, match=r"at most 0\.9 s"):
        read_upload_header(path, max_seconds=0.9, resample=True)
