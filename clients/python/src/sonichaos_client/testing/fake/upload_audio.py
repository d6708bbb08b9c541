"""Reads uploaded WAVs by the rules of separation_service: mono or stereo, PCM of 8 to 32 bits or float.

Of a FLAC it reads the header only; a tone of the same length stands for its samples. RF64, W64 and AIFF are refused.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
from grpc import StatusCode
from numpy.typing import NDArray

from sonichaos_client.testing.fake.refusals import Refusal, invalid_audio
from sonichaos_client.testing.fake.tones import RATE_HZ, Pcm

MAX_UPLOAD_BYTES = 1 << 30
MAX_SECONDS = 3600.0
MAX_ANALYSED_SECONDS = 600.0
_MAX_CLIP_SECONDS = 120.0
_MIN_CLIP_SECONDS = 1.0
_MIN_CLIP_RMS = 1e-4
_MIN_FRAMES = 2
_FULL_SCALE = float(1 << 23)
_MAX_SAMPLE = (1 << 23) - 1
_MIN_RATE_HZ, _MAX_RATE_HZ, _MAX_UP = 8000, 384_000, 441
_UNKNOWN_SIZE = 0xFFFFFFFF
_MAX_CHUNKS = 4096
_PCM_TAG, _FLOAT_TAG, _EXTENSIBLE_TAG = 1, 3, 0xFFFE
_SUBTYPE_TAIL = bytes.fromhex("000000001000800000aa00389b71")
_ENCODINGS = {(_PCM_TAG, 1), (_PCM_TAG, 2), (_PCM_TAG, 3), (_PCM_TAG, 4), (_FLOAT_TAG, 4), (_FLOAT_TAG, 8)}
_CHUNK = struct.Struct("<4sI")
_FMT = struct.Struct("<HHIIHH")
_FMT_BYTES = 40
_HEAD_BYTES = 16
_STREAMINFO_BYTES = 34
_MAX_FLAC_BITS = 24
_TONE_HZ = 220
_KINDS = {b"OggS": "Ogg", b"ID3": "MP3"}
_NOT_READ = {b"RF64": "RF64", b"BW64": "RF64", b"riff": "W64", b"FORM": "AIFF"}
_CODED = (b"fLaC", b"OggS", b"FORM")
_FFMPEG = f"ffmpeg -i FILE -ar {RATE_HZ} -c:a pcm_s24le FILE.wav"


@dataclass(frozen=True, kw_only=True)
class Recording:
    """The samples of an upload at 44.1 kHz, and what was done to them, for the manifest."""

    pcm: Pcm
    processing: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Format:
    """A checked header: format tag and bytes per sample (tag 0: a FLAC), channels, rate, frames, and where the samples begin."""

    encoding: tuple[int, int]
    channels: int
    rate_hz: int
    source_frames: int
    offset: int

    @property
    def frames(self) -> int:
        """Samples a channel at 44.1 kHz."""
        return -(-self.source_frames * RATE_HZ // self.rate_hz)


def read_upload(data: bytes, *, max_seconds: float = MAX_SECONDS, resample: bool | None = None) -> Recording:
    """The samples of a recording, mono doubled. Raises INVALID_AUDIO saying what was expected and received.

    ``resample`` says whether another rate is converted; None: it is not, and the caller cannot ask for it.
    """
    found = _read_header(data)
    _check_format(found, max_seconds, resample)
    samples = _tone(found) if not found.encoding[0] else _decode(data, found)
    stereo = np.repeat(samples, 2, axis=0) if samples.shape[0] == 1 else samples
    if found.rate_hz == RATE_HZ:
        return Recording(pcm=np.ascontiguousarray(stereo, dtype=np.int32))
    text = f"rate conversion from {found.rate_hz} Hz to {RATE_HZ} Hz: linear interpolation of the fake"
    return Recording(pcm=_converted(stereo, found), processing=(text,))


def check_clip(data: bytes, name: str) -> None:
    """A reference clip of a persona. Raises INVALID_AUDIO. Of coded formats only the kind is checked."""
    if data[:4] in _CODED:
        return
    if data[:4] != b"RIFF":
        raise _invalid_clip(name, "must be a readable audio file, got Format not recognised.")
    try:
        pcm = read_upload(data, max_seconds=_MAX_CLIP_SECONDS).pcm
    except Refusal as refusal:
        raise _invalid_clip(name, f"cannot be used: {refusal.metadata['detail']}") from None
    seconds = pcm.shape[1] / RATE_HZ
    if not _MIN_CLIP_SECONDS <= seconds <= _MAX_CLIP_SECONDS:
        text = f"must last {_MIN_CLIP_SECONDS:g} to {_MAX_CLIP_SECONDS:g} s, got {seconds:.2f} s"
        raise _invalid_clip(name, text)
    samples = pcm / _FULL_SCALE
    if float(np.sqrt(np.mean(np.square(samples - samples.mean(axis=1, keepdims=True))))) < _MIN_CLIP_RMS:
        raise _invalid_clip(name, "must be audible, got silence or a constant")


def _invalid_clip(name: str, problem: str) -> Refusal:
    return Refusal(StatusCode.INVALID_ARGUMENT, "INVALID_AUDIO", f"{name} {problem}", metadata={"detail": name})


def _read_header(data: bytes) -> _Format:
    head = data[:_HEAD_BYTES]
    if not head:
        raise invalid_audio("the file is empty")
    if head[:4] == b"RIFX":
        raise invalid_audio("it is a WAV of the kind RIFX; convert it to plain RIFF WAV")
    if head[:4] in _NOT_READ:
        raise invalid_audio(f"it is {_NOT_READ[head[:4]]}, which the fake does not read; the services do")
    if len(head) < _HEAD_BYTES or head[:4] not in {b"RIFF", b"fLaC"}:
        kind = _KINDS.get(head[:4], _KINDS.get(head[:3]))
        what = f"{kind}, " if kind else ""
        raise invalid_audio(f"it is {what}not a WAV, RF64, W64, AIFF or FLAC file; convert it: {_FFMPEG}")
    return _read_flac(data) if head[:4] == b"fLaC" else _read_riff(data)


def _read_flac(data: bytes) -> _Format:
    head = data[4 : 8 + _STREAMINFO_BYTES]
    if len(head) < 4 + _STREAMINFO_BYTES or len(data) == 8 + _STREAMINFO_BYTES:
        raise invalid_audio("it is truncated: the FLAC ends before its samples")
    if head[0] & 0x7F or int.from_bytes(head[1:4], "big") != _STREAMINFO_BYTES:
        raise invalid_audio("its first metadata block is not STREAMINFO; write it again with an audio editor")
    # 20 bits of sample rate, 3 of channels - 1, 5 of bits - 1, 36 of frames.
    packed = int.from_bytes(head[14:22], "big")
    frames = packed & (1 << 36) - 1
    if not frames:
        raise invalid_audio("its header has no length, as in a FLAC written to a pipe; write it to a file")
    bits = (packed >> 36 & 0x1F) + 1
    if bits > _MAX_FLAC_BITS:
        raise _unsupported(f"FLAC, {bits} bits")
    return _Format(
        encoding=(0, 3), channels=(packed >> 41 & 0x7) + 1, rate_hz=packed >> 44, source_frames=frames, offset=0
    )


def _read_riff(data: bytes) -> _Format:
    if data[8:12] != b"WAVE":
        raise invalid_audio(f"it is a RIFF file, but not a WAV: its form is {data[8:12]!r}")
    at, fmt = 12, None
    for _ in range(_MAX_CHUNKS):
        if at + _CHUNK.size > len(data):
            raise invalid_audio("it ends before its samples: the file is truncated or has no data chunk")
        name, length = _CHUNK.unpack_from(data, at)
        at += _CHUNK.size
        if name == b"data":
            if length == _UNKNOWN_SIZE:
                raise invalid_audio("its header has no length, as in a WAV written to a pipe; write it to a file")
            return _wave_format(fmt, offset=at, data_bytes=length, file_bytes=len(data))
        if name == b"fmt ":
            fmt = data[at : at + min(length, _FMT_BYTES)]
        at += length + length % 2
    raise invalid_audio(f"its first {_MAX_CHUNKS} chunks hold no samples; write it again with an audio editor")


def _wave_format(fmt: bytes | None, *, offset: int, data_bytes: int, file_bytes: int) -> _Format:
    if fmt is None or len(fmt) < _FMT.size:
        raise invalid_audio("its samples come before a format chunk; write it again with an audio editor")
    tag, channels, rate_hz, _, block_align, bits = _FMT.unpack(fmt[: _FMT.size])
    if channels not in {1, 2}:
        raise invalid_audio(f"it has {channels} channels; mix it down to mono or stereo")
    encoding = _encoding(fmt, tag=tag, channels=channels, block_align=block_align, bits=bits)
    if offset + data_bytes > file_bytes:
        there = max(file_bytes - offset, 0)
        raise invalid_audio(
            f"it is truncated: its header announces {data_bytes} bytes of samples, the file has {there}"
        )
    if data_bytes % block_align:
        raise invalid_audio(f"it is truncated: {data_bytes} bytes of samples are not a whole number of frames")
    frames = data_bytes // block_align
    return _Format(encoding=encoding, channels=channels, rate_hz=rate_hz, source_frames=frames, offset=offset)


def _check_format(found: _Format, max_seconds: float, resample: bool | None) -> None:  # noqa: FBT001  three values
    if found.channels not in {1, 2}:
        raise invalid_audio(f"it has {found.channels} channels; mix it down to mono or stereo")
    rate_hz = found.rate_hz
    if rate_hz != RATE_HZ and not resample:
        offer = "" if resample is None else "set `resample` (--resample) to have it converted, or "
        raise invalid_audio(f"it has {rate_hz} Hz; {offer}convert it to {RATE_HZ} Hz: {_FFMPEG}")
    if not (_MIN_RATE_HZ <= rate_hz <= _MAX_RATE_HZ and RATE_HZ // math.gcd(rate_hz, RATE_HZ) <= _MAX_UP):
        raise invalid_audio(
            f"it has {rate_hz} Hz; rates from {_MIN_RATE_HZ} to {_MAX_RATE_HZ} Hz are converted whose ratio to "
            f"{RATE_HZ} Hz is simple, such as 48000 and 96000 Hz; convert it: {_FFMPEG}"
        )
    if found.frames < _MIN_FRAMES:
        raise invalid_audio(f"it holds {found.frames} frames; at least {_MIN_FRAMES} are required")
    if found.frames > max_seconds * RATE_HZ:
        seconds = found.frames / RATE_HZ
        raise invalid_audio(f"it lasts {seconds:.1f} s; at most {max_seconds:g} s are accepted")


def _tone(found: _Format) -> NDArray[np.int32]:
    """What stands for the samples of a FLAC."""
    t = np.arange(found.source_frames) / found.rate_hz
    tone = np.rint(0.25 * _FULL_SCALE * np.sin(2 * np.pi * _TONE_HZ * t))
    return np.asarray(tone, dtype=np.int32)[np.newaxis, :]


def _converted(stereo: NDArray[np.int32], found: _Format) -> Pcm:
    times = np.arange(found.frames) * (found.rate_hz / RATE_HZ)
    positions = np.arange(stereo.shape[1])
    both = [np.rint(np.interp(times, positions, channel)) for channel in stereo]
    return np.asarray(both, dtype=np.int32)


def _encoding(fmt: bytes, *, tag: int, channels: int, block_align: int, bits: int) -> tuple[int, int]:
    """Format tag and bytes per sample."""
    if tag == _EXTENSIBLE_TAG and len(fmt) == 40 and fmt[26:] == _SUBTYPE_TAIL:
        tag = int.from_bytes(fmt[24:26], "little")
    width = block_align // channels
    if (tag, width) in _ENCODINGS and block_align == channels * width and 8 * (width - 1) < bits <= 8 * width:
        return tag, width
    raise _unsupported(f"format tag {tag}, {bits} bits, {block_align} bytes per frame")


def _unsupported(encoding: str) -> Refusal:
    return invalid_audio(
        f"its encoding ({encoding}) is not supported; convert it to 16-bit or 24-bit PCM or to 32-bit float"
    )


def _decode(data: bytes, found: _Format) -> NDArray[np.int32]:
    """Interleaved samples to ``(channels, N)`` 24-bit integers."""
    tag, width = found.encoding
    raw = data[found.offset : found.offset + found.source_frames * found.channels * width]
    if tag == _FLOAT_TAG:
        with np.errstate(invalid="ignore"):  # a signalling NaN, which is refused below
            samples = np.frombuffer(raw, "<f4" if width == 4 else "<f8").astype(np.float64)
        _check_floats(samples, found)
        pcm = _nearest(samples * _FULL_SCALE)
    elif width == 1:
        pcm = (np.frombuffer(raw, np.uint8).astype(np.int32) - 128) << 16
    elif width == 2:
        pcm = np.frombuffer(raw, "<i2").astype(np.int32) << 8
    elif width == 3:
        triples = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        low = triples[:, 0].astype(np.int32) | triples[:, 1].astype(np.int32) << 8
        pcm = low | triples[:, 2].view(np.int8).astype(np.int32) << 16
    else:
        pcm = _nearest(np.frombuffer(raw, "<i4") / 256.0)
    return pcm.reshape(-1, found.channels).T


def _nearest(units: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.minimum(np.rint(units), _MAX_SAMPLE).astype(np.int32)


def _check_floats(samples: NDArray[np.float64], found: _Format) -> None:
    bad = ~(np.abs(samples) <= 1.0)
    if not bad.any():
        return
    first = int(bad.argmax())
    at_s = first // found.channels / found.rate_hz
    value = float(samples[first])
    if np.isfinite(value):
        raise invalid_audio(f"at {at_s:.3f} s a sample is {value:g}, beyond full scale; lower its level to at most 1.0")
    kind = "NaN" if np.isnan(value) else "infinite"
    raise invalid_audio(f"at {at_s:.3f} s a sample is {kind}; write it again with an audio editor")
