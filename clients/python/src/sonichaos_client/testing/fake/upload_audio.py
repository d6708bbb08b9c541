"""Reads uploaded WAVs by the rules of separation_service: 44.1 kHz, mono or stereo, PCM of 8 to 32 bits or float."""

from __future__ import annotations

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
_UNKNOWN_SIZE = 0xFFFFFFFF
_MAX_CHUNKS = 4096
_PCM_TAG, _FLOAT_TAG, _EXTENSIBLE_TAG = 1, 3, 0xFFFE
_SUBTYPE_TAIL = bytes.fromhex("000000001000800000aa00389b71")
_ENCODINGS = {(_PCM_TAG, 1), (_PCM_TAG, 2), (_PCM_TAG, 3), (_PCM_TAG, 4), (_FLOAT_TAG, 4), (_FLOAT_TAG, 8)}
_CHUNK = struct.Struct("<4sI")
_FMT = struct.Struct("<HHIIHH")
_KINDS = {b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3", b"FORM": "AIFF"}
_CODED = (b"fLaC", b"OggS", b"FORM")
_COMMAND = f": ffmpeg -i FILE -ar {RATE_HZ} -c:a pcm_s24le FILE.wav"


@dataclass(frozen=True, kw_only=True)
class _Format:
    """A checked header: format tag and bytes per sample, channels, frames, and where the samples begin."""

    encoding: tuple[int, int]
    channels: int
    frames: int
    offset: int


def read_upload(data: bytes, *, max_seconds: float = MAX_SECONDS) -> Pcm:
    """The samples of a WAV, mono doubled. Raises INVALID_AUDIO saying what was expected and received."""
    found = _read_header(data, max_seconds)
    samples = _decode(data, found)
    stereo = np.repeat(samples, 2, axis=0) if found.channels == 1 else samples
    return np.ascontiguousarray(stereo, dtype=np.int32)


def check_clip(data: bytes, name: str) -> None:
    """A reference clip of a persona. Raises INVALID_AUDIO. Of coded formats only the kind is checked."""
    if data[:4] in _CODED:
        return
    if data[:4] != b"RIFF":
        raise _invalid_clip(name, "must be a readable audio file, got Format not recognised.")
    try:
        pcm = read_upload(data, max_seconds=_MAX_CLIP_SECONDS)
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


def _read_header(data: bytes, max_seconds: float) -> _Format:
    _check_riff(data[:12])
    at, fmt = 12, None
    for _ in range(_MAX_CHUNKS):
        if at + _CHUNK.size > len(data):
            raise invalid_audio("it ends before its samples: the WAV is truncated or has no data chunk")
        name, length = _CHUNK.unpack_from(data, at)
        at += _CHUNK.size
        if name == b"data":
            return _format(fmt, at, length, len(data), max_seconds)
        if name == b"fmt ":
            fmt = data[at : at + min(length, 40)]
        at += length + length % 2
    raise invalid_audio(f"its first {_MAX_CHUNKS} chunks hold no samples; write it again with an audio editor")


def _check_riff(head: bytes) -> None:
    if not head:
        raise invalid_audio("the file is empty")
    if head[:4] in {b"RF64", b"BW64", b"RIFX"}:
        raise invalid_audio(f"it is a WAV of the kind {head[:4].decode()}; convert it to plain RIFF WAV")
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        kind = _KINDS.get(head[:4], _KINDS.get(head[:3]))
        raise invalid_audio(
            f"it is {f'{kind}, ' if kind else ''}not a WAV; convert it to WAV at {RATE_HZ} Hz{_COMMAND}"
        )


def _format(fmt: bytes | None, offset: int, data_bytes: int, file_bytes: int, max_seconds: float) -> _Format:
    if fmt is None or len(fmt) < _FMT.size:
        raise invalid_audio("its samples come before a format chunk; write it again with an audio editor")
    tag, channels, rate_hz, _, block_align, bits = _FMT.unpack(fmt[: _FMT.size])
    if rate_hz != RATE_HZ:
        raise invalid_audio(f"it has {rate_hz} Hz; convert it to {RATE_HZ} Hz{_COMMAND}")
    if channels not in {1, 2}:
        raise invalid_audio(f"it has {channels} channels; mix it down to mono or stereo")
    encoding = _encoding(fmt, tag=tag, channels=channels, block_align=block_align, bits=bits)
    if data_bytes == _UNKNOWN_SIZE:
        raise invalid_audio("its header has no length, as in a WAV written to a pipe; write it to a file")
    if offset + data_bytes > file_bytes:
        there = max(file_bytes - offset, 0)
        raise invalid_audio(
            f"it is truncated: its header announces {data_bytes} bytes of samples, the file has {there}"
        )
    if data_bytes % block_align:
        raise invalid_audio(f"it is truncated: {data_bytes} bytes of samples are not a whole number of frames")
    frames = data_bytes // block_align
    if frames < _MIN_FRAMES:
        raise invalid_audio(f"it holds {frames} frames; at least {_MIN_FRAMES} are required")
    if frames > max_seconds * RATE_HZ:
        raise invalid_audio(f"it lasts {frames / RATE_HZ:.1f} s; at most {max_seconds:g} s are accepted")
    return _Format(encoding=encoding, channels=channels, frames=frames, offset=offset)


def _encoding(fmt: bytes, *, tag: int, channels: int, block_align: int, bits: int) -> tuple[int, int]:
    """Format tag and bytes per sample."""
    if tag == _EXTENSIBLE_TAG and len(fmt) == 40 and fmt[26:] == _SUBTYPE_TAIL:
        tag = int.from_bytes(fmt[24:26], "little")
    width = block_align // channels
    if (tag, width) in _ENCODINGS and block_align == channels * width and 8 * (width - 1) < bits <= 8 * width:
        return tag, width
    raise invalid_audio(
        f"its encoding (format tag {tag}, {bits} bits, {block_align} bytes per frame) is not supported; "
        "convert it to 16-bit or 24-bit PCM or to 32-bit float"
    )


def _decode(data: bytes, found: _Format) -> NDArray[np.int32]:
    """Interleaved samples to ``(channels, N)`` 24-bit integers."""
    tag, width = found.encoding
    raw = data[found.offset : found.offset + found.frames * found.channels * width]
    if tag == _FLOAT_TAG:
        samples = np.frombuffer(raw, "<f4" if width == 4 else "<f8").astype(np.float64)
        _check_floats(samples, found.channels)
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


def _check_floats(samples: NDArray[np.float64], channels: int) -> None:
    bad = ~(np.abs(samples) <= 1.0)
    if not bad.any():
        return
    first = int(bad.argmax())
    at_s = first // channels / RATE_HZ
    value = float(samples[first])
    if np.isfinite(value):
        raise invalid_audio(f"at {at_s:.3f} s a sample is {value:g}, beyond full scale; lower its level to at most 1.0")
    kind = "NaN" if np.isnan(value) else "infinite"
    raise invalid_audio(f"at {at_s:.3f} s a sample is {kind}; write it again with an audio editor")
