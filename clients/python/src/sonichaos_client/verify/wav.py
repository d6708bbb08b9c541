"""Checks a WAV's header against docs/contract.md, section 3 and reads its samples in blocks."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from sonichaos_client.verify.report import CheckFailure, Rule
from sonichaos_client.verify.zip_layout import Member

RATE_HZ = 44100
FRAME_BYTES = 6
BLOCK_FRAMES = 1 << 16

_CHUNK = struct.Struct("<4sI")
_FMT = (1, 2, RATE_HZ, RATE_HZ * FRAME_BYTES, FRAME_BYTES, 24)
_BEXT = struct.Struct("<256s32s32s10s8sQH64s5h180s")
_MAX_HEADER_BYTES = 64 * 1024
_UNKNOWN = 0x7FFF


@dataclass(frozen=True, kw_only=True)
class WavSamples:
    """Position of a WAV's samples in the ZIP."""

    name: str
    offset: int
    frames: int

    def blocks(self, file: BinaryIO) -> Iterator[NDArray[np.int32]]:
        """Samples ``(2, N)`` as 24-bit integers, in order."""
        for start in range(0, self.frames, BLOCK_FRAMES):
            frames = min(BLOCK_FRAMES, self.frames - start)
            file.seek(self.offset + start * FRAME_BYTES)
            data = np.frombuffer(file.read(frames * FRAME_BYTES), dtype=np.uint8).reshape(frames, 2, 3)
            low = data[:, :, 0].astype(np.int32) | data[:, :, 1].astype(np.int32) << 8
            yield (low | data[:, :, 2].view(np.int8).astype(np.int32) << 16).T


def check_wav(
    file: BinaryIO, member: Member, manifest: Mapping[str, Any] | None
) -> tuple[WavSamples | None, tuple[CheckFailure, ...]]:
    """The position of the samples of ``member``, None if they cannot be read, and the failed checks of its header.

    ``manifest`` must match the schema; without one its facts are not compared.
    """
    file.seek(member.offset)
    head = file.read(min(member.size, _MAX_HEADER_BYTES))
    failures: list[CheckFailure] = []

    def fail(rule: Rule, message: str) -> None:
        failures.append(CheckFailure(rule, member.name, message))

    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        fail("riff", "not a RIFF WAVE file")
        return None, tuple(failures)
    riff_bytes = int.from_bytes(head[4:8], "little")
    if riff_bytes + 8 != member.size:
        fail("riff", f"the RIFF header states {riff_bytes + 8} bytes, the file has {member.size}")
    chunks, data = _chunks(head)
    if data is None:
        fail("riff", "no data chunk in the first 64 KiB")
        return None, tuple(failures)
    offset, data_bytes = data
    if offset + data_bytes > member.size:
        fail("riff", f"truncated: the data chunk states {data_bytes} bytes, the file has {member.size - offset}")
        return None, tuple(failures)
    format_ok = _check_format(chunks.get(b"fmt "), data_bytes, failures, member.name)
    _check_bext(chunks.get(b"bext"), manifest, failures, member.name)
    _check_comment(chunks.get(b"LIST"), manifest, failures, member.name)
    frames = data_bytes // FRAME_BYTES
    if manifest is not None and frames != manifest["frames"]:
        fail("frames", f"expected {manifest['frames']} frames, got {frames}")
    samples = WavSamples(name=member.name, offset=member.offset + offset, frames=frames)
    return (samples if format_ok else None), tuple(failures)


def _chunks(head: bytes) -> tuple[dict[bytes, bytes], tuple[int, int] | None]:
    """The chunks before the samples; offset and size of the samples."""
    chunks: dict[bytes, bytes] = {}
    at = 12
    while at + _CHUNK.size <= len(head):
        name, size = _CHUNK.unpack_from(head, at)
        at += _CHUNK.size
        if name == b"data":
            return chunks, (at, size)
        chunks.setdefault(name, head[at : at + size])
        at += size + size % 2
    return chunks, None


def _check_format(body: bytes | None, data_bytes: int, failures: list[CheckFailure], name: str) -> bool:
    if body is None or len(body) < 16:
        failures.append(CheckFailure("format", name, "no fmt chunk before the samples"))
        return False
    if (fields := struct.unpack("<HHIIHH", body[:16])) != _FMT:
        got = f"format tag {fields[0]}, {fields[1]} channels, {fields[2]} Hz, {fields[5]} bits"
        failures.append(
            CheckFailure("format", name, f"expected PCM (tag 1), 2 channels, {RATE_HZ} Hz, 24 bits, got {got}")
        )
        return False
    if data_bytes % FRAME_BYTES:
        failures.append(CheckFailure("format", name, f"{data_bytes} bytes of samples are not a whole number of frames"))
        return False
    return True


def _check_bext(
    body: bytes | None, manifest: Mapping[str, Any] | None, failures: list[CheckFailure], name: str
) -> None:
    if body is None or len(body) < _BEXT.size:
        failures.append(CheckFailure("bext", name, "no bext chunk of version 2"))
        return
    description, _, _, date, time, reference, version, _, lufs, _, peak, _, _, _ = _BEXT.unpack(body[: _BEXT.size])
    if version != 2:
        failures.append(CheckFailure("bext", name, f"expected bext version 2, got {version}"))
    if reference != 0:
        failures.append(CheckFailure("bext", name, f"expected TimeReference 0, got {reference}"))
    if manifest is None:
        return
    text = description.rstrip(b"\0").decode("ascii", "replace")
    origin = origin_of(manifest, name)
    expected = (manifest["jobId"], f"version {origin['version']}", name.removesuffix(".wav"))
    failures += [
        CheckFailure("bext", name, f"the description lacks {part!r}: {text!r}") for part in expected if part not in text
    ]
    moment = f"{date.decode('ascii', 'replace')}T{time.decode('ascii', 'replace')}Z"
    if moment != origin["createdAt"]:
        failures.append(CheckFailure("bext", name, f"expected the time {origin['createdAt']}, got {moment!r}"))
    facts = facts_of(manifest, name)
    if facts is not None:
        _check_level("loudness", lufs, facts["lufs"], failures, name)
        _check_level("true peak", peak, facts["truePeakDbtp"], failures, name)


def _check_level(what: str, stored: int, value: float | None, failures: list[CheckFailure], name: str) -> None:
    """EBU Tech 3285: hundredths as int16; 0x7FFF if unknown or beyond 99.99."""
    in_range = value is not None and abs(value) <= 99.99
    expected = round(value * 100) if value is not None and in_range else _UNKNOWN
    if abs(stored - expected) > in_range:
        failures.append(CheckFailure("bext", name, f"expected a {what} of {expected} hundredths, got {stored}"))


def _check_comment(
    body: bytes | None, manifest: Mapping[str, Any] | None, failures: list[CheckFailure], name: str
) -> None:
    comment = _info_text(body or b"", b"ICMT")
    expected = ["generated by ai", "separated by ai"]
    if manifest is not None:
        expected = expected[1:] if origin_of(manifest, name)["source"] == "separated" else expected[:1]
    if not any(words in comment.lower() for words in expected):
        message = f"the LIST/INFO comment must contain {' or '.join(expected)!r}, got {comment!r}"
        failures.append(CheckFailure("comment", name, message))


def _info_text(body: bytes, chunk_id: bytes) -> str:
    if body[:4] != b"INFO":
        return ""
    at = 4
    while at + _CHUNK.size <= len(body):
        name, size = _CHUNK.unpack_from(body, at)
        at += _CHUNK.size
        if name == chunk_id:
            return body[at : at + size].rstrip(b"\0").decode("utf-8", "replace")
        at += size + size % 2
    return ""


def origin_of(manifest: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Version, time and source of the version that created a WAV; a re-render copies stems of earlier versions."""
    own = {
        "version": manifest["version"],
        "createdAt": manifest["createdAt"],
        "source": "separated" if manifest["prompt"] is None else "generated",
    }
    copied: Mapping[str, Any] = manifest.get("rerender", {}).get("kept", {})
    facts: Mapping[str, Any] = copied.get(name.removesuffix(".wav"), own)
    return facts


def facts_of(manifest: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """The manifest's entry for one WAV; None if there is none."""
    facts: Mapping[str, Any] | None
    if name == "bounce.wav":
        facts = manifest["bounce"]
    else:
        stems = manifest["stems"]
        facts = stems and stems["files"].get(name.removesuffix(".wav"))
    return facts
