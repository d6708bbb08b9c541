"""Bytes of an upload to samples in units of 24-bit integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from servicekit.audio.pcm24 import FULL_SCALE, MAX_SAMPLE, MIN_SAMPLE, unpack_pcm24
from servicekit.audio.upload.layout import Encoding, UploadFormat, invalid_audio

Units = NDArray[np.int32] | NDArray[np.float64]
"""``(channels, N)``: integers where the encoding has 24 bits or fewer, else float64 that is not rounded yet."""


def decode(data: bytes, upload: UploadFormat, start_frame: int) -> Units:
    """Interleaved samples, of which the first is frame ``start_frame``, for errors. Raises InvalidAudio for bad floats."""
    order = ">" if upload.big_endian else "<"
    match upload.encoding:
        case Encoding.PCM8:
            return _planar((np.frombuffer(data, np.uint8).astype(np.int32) - 128) << 16, upload)
        case Encoding.PCM8_SIGNED:
            return _planar(np.frombuffer(data, np.int8).astype(np.int32) << 16, upload)
        case Encoding.PCM16:
            return _planar(np.frombuffer(data, f"{order}i2").astype(np.int32) << 8, upload)
        case Encoding.PCM24:
            little = np.frombuffer(data, np.uint8).reshape(-1, 3)[:, ::-1].tobytes() if upload.big_endian else data
            return unpack_pcm24(little, channels=upload.channels)
        case Encoding.PCM32:
            return _planar(np.frombuffer(data, f"{order}i4") / 256.0, upload)
        case Encoding.FLOAT32:
            with np.errstate(invalid="ignore"):  # a signalling NaN, which is refused below
                samples = np.frombuffer(data, f"{order}f4").astype(np.float64)
        case Encoding.FLOAT64:
            samples = np.frombuffer(data, f"{order}f8").astype(np.float64)
    _check_floats(samples, upload, start_frame)
    return _planar(samples * FULL_SCALE, upload)


def rounded(units: Units) -> NDArray[np.int32]:
    """The nearest 24-bit integers, ties to even, saturated."""
    if units.dtype == np.int32:
        return units.astype(np.int32, copy=False)
    return np.clip(np.rint(units), MIN_SAMPLE, MAX_SAMPLE).astype(np.int32)


def _planar(samples: NDArray[np.generic], upload: UploadFormat) -> Units:
    planar: Units = np.ascontiguousarray(samples.reshape(-1, upload.channels).T)
    return planar


def _check_floats(samples: NDArray[np.float64], upload: UploadFormat, start_frame: int) -> None:
    bad = ~(np.abs(samples) <= 1.0)
    if not bad.any():
        return
    first = int(bad.argmax())
    at_s = (start_frame + first // upload.channels) / upload.rate_hz
    value = float(samples[first])
    if np.isfinite(value):
        raise invalid_audio(f"at {at_s:.3f} s a sample is {value:g}, beyond full scale; lower its level to at most 1.0")
    raise invalid_audio(
        f"at {at_s:.3f} s a sample is {'NaN' if np.isnan(value) else 'infinite'}; write it again with an audio editor"
    )
