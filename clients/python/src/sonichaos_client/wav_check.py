"""Checks a delivered WAV's header against docs/contract.md, section 3, and reads its samples in blocks.

Shares no code with the writer.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from sonichaos_client.finding import Finding, Rule
from sonichaos_client.zip_layout import Member

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
    """Where the samples of a WAV lie in the ZIP."""

    name: str
    offset: int
    frames: int

    def blocks(self, file: BinaryIO) -> Iterator[NDArray[np.int32]]:
        """``(2, N)`` integers in order."""
        for start in range(0, self.frames, BLOCK_FRAMES):
            frames = min(BLOCK_FRAMES, self.frames - start)
            file.seek(self.offset + start * FRAME_BYTES)
            data = np.frombuffer(file.read(frames * FRAME_BYTES), dtype=np.uint8).reshape(frames, 2, 3)
            low = data[:, :, 0].astype(np.int32) | data[:, :, 1].astype(np.int32) << 8
            yield (low | data[:, :, 2].view(np.int8).astype(np.int32) << 16).T


def check_wav(
    file: BinaryIO, member: Member, manifest: Mapping[str, Any] | None
) -> tuple[WavSamples | None, tuple[Finding, ...]]:
    """The samples of ``member``, None where there are none to read, and what is wrong with its header.

    ``manifest`` is one that keeps the schema, or None: then what it would say is not compared.
    """
    file.seek(member.offset)
    head = file.read(min(member.size, _MAX_HEADER_BYTES))
    found: list[Finding] = []

    def tell(rule: Rule, message: str) -> None:
        found.append(Finding(rule, member.name, message))

    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        tell("riff", "is no RIFF WAVE")
        return None, tuple(found)
    riff_bytes = int.from_bytes(head[4:8], "little")
    if riff_bytes + 8 != member.size:
        tell("riff", f"says that it has {riff_bytes + 8} bytes, and has {member.size}")
    chunks, data = _chunks(head)
    if data is None:
        tell("riff", "has no samples, or they begin too late")
        return None, tuple(found)
    offset, data_bytes = data
    if offset + data_bytes > member.size:
        tell("riff", f"is truncated: {data_bytes} bytes of samples are announced, {member.size - offset} are there")
        return None, tuple(found)
    formatted = _check_format(chunks.get(b"fmt "), data_bytes, found, member.name)
    _check_bext(chunks.get(b"bext"), manifest, found, member.name)
    _check_comment(chunks.get(b"LIST"), manifest, found, member.name)
    frames = data_bytes // FRAME_BYTES
    if manifest is not None and frames != manifest["frames"]:
        tell("frames", f"has {frames} frames, the manifest says {manifest['frames']}")
    samples = WavSamples(name=member.name, offset=member.offset + offset, frames=frames)
    return (samples if formatted else None), tuple(found)


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


def _check_format(body: bytes | None, data_bytes: int, found: list[Finding], name: str) -> bool:
    if body is None or len(body) < 16:
        found.append(Finding("format", name, "has no format chunk before its samples"))
        return False
    if (said := struct.unpack("<HHIIHH", body[:16])) != _FMT:
        words = f"format tag {said[0]}, {said[1]} channels, {said[2]} Hz, {said[5]} bits"
        found.append(Finding("format", name, f"has {words}; wanted PCM (tag 1), 2 channels, {RATE_HZ} Hz, 24 bits"))
        return False
    if data_bytes % FRAME_BYTES:
        found.append(Finding("format", name, f"has {data_bytes} bytes of samples, no whole number of frames"))
        return False
    return True


def _check_bext(body: bytes | None, manifest: Mapping[str, Any] | None, found: list[Finding], name: str) -> None:
    if body is None or len(body) < _BEXT.size:
        found.append(Finding("bext", name, "has no bext chunk of version 2"))
        return
    description, _, _, date, time, reference, version, _, lufs, _, peak, _, _, _ = _BEXT.unpack(body[: _BEXT.size])
    if version != 2:
        found.append(Finding("bext", name, f"has a bext chunk of version {version}, wanted 2"))
    if reference != 0:
        found.append(Finding("bext", name, f"has TimeReference {reference}, wanted 0"))
    if manifest is None:
        return
    text = description.rstrip(b"\0").decode("ascii", "replace")
    made = made_by(manifest, name)
    wanted = (manifest["jobId"], f"version {made['version']}", name.removesuffix(".wav"))
    found += [Finding("bext", name, f"has a description that lacks {w!r}: {text!r}") for w in wanted if w not in text]
    moment = f"{date.decode('ascii', 'replace')}T{time.decode('ascii', 'replace')}Z"
    if moment != made["createdAt"]:
        found.append(Finding("bext", name, f"has the time {moment!r}, the manifest says {made['createdAt']}"))
    facts = facts_of(manifest, name)
    if facts is not None:
        _check_level("loudness", lufs, facts["lufs"], found, name)
        _check_level("true peak", peak, facts["truePeakDbtp"], found, name)


def _check_level(what: str, said: int, value: float | None, found: list[Finding], name: str) -> None:
    """EBU Tech 3285: hundredths as int16; 0x7FFF for what is not known or beyond 99.99."""
    known = value is not None and abs(value) <= 99.99
    wanted = round(value * 100) if value is not None and known else _UNKNOWN
    if abs(said - wanted) > known:
        found.append(Finding("bext", name, f"has a {what} of {said} hundredths, the manifest's {value} is {wanted}"))


def _check_comment(body: bytes | None, manifest: Mapping[str, Any] | None, found: list[Finding], name: str) -> None:
    comment = _info_text(body or b"", b"ICMT")
    wanted = ["generated by ai", "separated by ai"]
    if manifest is not None:
        wanted = wanted[1:] if made_by(manifest, name)["source"] == "separated" else wanted[:1]
    if not any(words in comment.lower() for words in wanted):
        message = f"has the LIST/INFO comment {comment!r}, which does not say {' or '.join(wanted)!r}"
        found.append(Finding("comment", name, message))


def _info_text(body: bytes, wanted: bytes) -> str:
    if body[:4] != b"INFO":
        return ""
    at = 4
    while at + _CHUNK.size <= len(body):
        name, size = _CHUNK.unpack_from(body, at)
        at += _CHUNK.size
        if name == wanted:
            return body[at : at + size].rstrip(b"\0").decode("utf-8", "replace")
        at += size + size % 2
    return ""


def made_by(manifest: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Version, time and source of the version that made a WAV: a re-render keeps stems of earlier ones byte for byte."""
    own = {
        "version": manifest["version"],
        "createdAt": manifest["createdAt"],
        "source": "separated" if manifest["prompt"] is None else "generated",
    }
    kept: Mapping[str, Any] = manifest.get("rerender", {}).get("kept", {})
    facts: Mapping[str, Any] = kept.get(name.removesuffix(".wav"), own)
    return facts


def facts_of(manifest: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """What the manifest says of one WAV; None where it says nothing."""
    facts: Mapping[str, Any] | None
    if name == "bounce.wav":
        facts = manifest["bounce"]
    else:
        stems = manifest["stems"]
        facts = stems and stems["files"].get(name.removesuffix(".wav"))
    return facts
