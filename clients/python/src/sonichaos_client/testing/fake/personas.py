"""The personas of the fake: those that a script names, by default the ids of the starter weights, and those that callers add."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache

import numpy as np
from grpc import StatusCode

from sonichaos.render.v1 import render_pb2
from sonichaos_client.errors import FieldViolation
from sonichaos_client.testing.fake.checks import check_persona_id
from sonichaos_client.testing.fake.manifests import MODEL_SHA256
from sonichaos_client.testing.fake.records import timestamp
from sonichaos_client.testing.fake.refusals import Refusal, check, invalid
from sonichaos_client.testing.fake.tones import RATE_HZ
from sonichaos_client.testing.fake.upload_audio import check_clip

BUILT_IN: Mapping[str, str] = {
    "glass-orchard": "glassy chamber pop, roomy drums, high clear voice",
    "granite-road": "raw road band, loud room kit, picked bass",
    "harbour-brass": "soul revue, tight kit, fingered bass, strong voice",
    "midnight-808": "deep 808s, machine kit, low spoken-like voice",
    "neon-drift": "neon-lit synthwave voice, gated drums, wide stereo",
    "paper-lantern": "soft bedroom pop, close breathy voice, light kit",
    "rust-circuit": "gritty electronics, hard machine kit, growling synth bass",
    "velvet-lounge": "smoky lounge singer, brushed kit, upright bass",
}
"""Ids and prefixes."""

MAX_CLIPS = 32
MAX_CLIP_BYTES = 32 * 1024 * 1024
MAX_TOTAL_BYTES = 256 * 1024 * 1024
_MAX_PREFIX_CHARACTERS = 500
_EMBEDDING_SIZE = 64
_SHOWN = 20
_BUILT_IN_CLIPS = 2
_MEDIA_TYPES = {b"RIFF": "audio/wav", b"fLaC": "audio/flac", b"FORM": "audio/aiff", b"OggS": "audio/ogg"}


class Personas:
    """Built-in and added personas. ``built_in`` has their prefixes by id."""

    def __init__(self, built_in: Mapping[str, str] = BUILT_IN) -> None:
        self._clips = {name: [_tone_clip(name, number) for number in range(_BUILT_IN_CLIPS)] for name in built_in}
        self._built_in = {
            name: _persona(name, prefix, _digests(self._clips[name]), built_in=True)
            for name, prefix in built_in.items()
        }
        self._added: dict[str, render_pb2.Persona] = {}
        self._recorded: dict[str, render_pb2.Persona] = dict(self._built_in)

    def all(self) -> list[render_pb2.Persona]:
        """Every persona, by id."""
        return sorted([*self._built_in.values(), *self._added.values()], key=lambda persona: persona.id)

    def get(self, persona_id: str) -> render_pb2.Persona:
        """The persona. Raises PERSONA_NOT_FOUND, which lists up to 20 that exist."""
        found = self._built_in.get(persona_id) or self._added.get(persona_id)
        if found is None:
            known = ", ".join([persona.id for persona in self.all()][:_SHOWN])
            raise Refusal(
                StatusCode.NOT_FOUND,
                "PERSONA_NOT_FOUND",
                f"persona_id must be one of {known}, got {persona_id[:80]!r}",
                metadata={"persona_id": persona_id[:80], "known": known},
            )
        return found

    def clip(self, persona_id: str, index: int) -> bytes:
        """A reference clip. Raises PERSONA_NOT_FOUND, and FILE_NOT_FOUND for an index that no clip has."""
        clips = self._clips[self.get(persona_id).id]
        if index >= len(clips):
            count = len(clips)
            raise Refusal(
                StatusCode.NOT_FOUND,
                "FILE_NOT_FOUND",
                f"clip_index must be below {count}, the number of clips of the persona {persona_id!r}, got {index}",
                metadata={"persona_id": persona_id, "clips": str(count)},
            )
        return clips[index]

    def recorded(self, persona_id: str) -> render_pb2.Persona:
        """A persona that a job was made with, also after it was deleted."""
        return self._recorded[persona_id]

    def add(self, header: render_pb2.PersonaHeader, clips: Sequence[bytes], now: datetime) -> render_pb2.Persona:
        """Add a persona. Raises INVALID_FIELD, INVALID_AUDIO and PERSONA_EXISTS."""
        digests = _digests(clips)
        check(list(_violations(header, clips)))
        _check_announced(header.clip_sha256, digests)
        if header.persona_id in self._built_in or header.persona_id in self._added:
            raise Refusal(
                StatusCode.ALREADY_EXISTS,
                "PERSONA_EXISTS",
                f"the persona {header.persona_id!r} exists already; choose another id, or delete it first",
                metadata={"persona_id": header.persona_id},
            )
        for index, clip in enumerate(clips):
            check_clip(clip, f"clip {index}")
        persona = _persona(header.persona_id, header.prefix.strip(), digests, built_in=False)
        persona.create_time.CopyFrom(timestamp(now))
        self._added[persona.id] = self._recorded[persona.id] = persona
        self._clips[persona.id] = list(clips)
        return persona

    def remove(self, persona_id: str) -> None:
        """Remove an added persona. Raises PERSONA_NOT_FOUND, and WRONG_STATE for a built-in one."""
        if self.get(persona_id).built_in:
            raise Refusal(
                StatusCode.FAILED_PRECONDITION,
                "WRONG_STATE",
                f"{persona_id!r} is built into the renderer and cannot be deleted",
                metadata={"persona_id": persona_id},
            )
        del self._added[persona_id], self._clips[persona_id]

    def clear(self) -> int:
        """Remove all added personas; returns how many there were."""
        count = len(self._added)
        for name in self._added:
            del self._clips[name]
        self._added.clear()
        return count


def media_type(clip: bytes) -> str:
    """Of a clip, by its first bytes."""
    return _MEDIA_TYPES.get(clip[:4], "application/octet-stream")


@cache
def _tone_clip(name: str, number: int) -> bytes:
    """A clip of a second for a persona that comes with the fake: a tone that only it has."""
    hz = 110 + int.from_bytes(hashlib.sha256(f"{name} {number}".encode()).digest()[:2], "big") % 770
    tone: bytes = np.rint(8000 * np.sin(2 * np.pi * hz * np.arange(RATE_HZ) / RATE_HZ)).astype("<i2").tobytes()
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE_HZ, 2 * RATE_HZ, 2, 16)
    data = struct.pack("<4sI", b"data", len(tone)) + tone
    return struct.pack("<4sI4s", b"RIFF", 4 + len(fmt) + len(data), b"WAVE") + fmt + data


def _digests(clips: Sequence[bytes]) -> list[str]:
    return [hashlib.sha256(clip).hexdigest() for clip in clips]


def _persona(name: str, prefix: str, digests: Sequence[str], *, built_in: bool) -> render_pb2.Persona:
    seed = int.from_bytes(hashlib.sha256("\n".join([name, prefix, *digests]).encode()).digest()[:8], "big")
    values = np.random.default_rng(seed).standard_normal(_EMBEDDING_SIZE)
    return render_pb2.Persona(
        id=name,
        prefix=prefix,
        embedding=(values / np.linalg.norm(values)).astype(np.float32).tolist(),
        clip_sha256=digests,
        built_in=built_in,
        encoder_sha256=MODEL_SHA256,
    )


def _violations(header: render_pb2.PersonaHeader, clips: Sequence[bytes]) -> Iterator[FieldViolation]:
    yield from check_persona_id(header.persona_id, "header.persona_id")
    characters = len(header.prefix.strip())
    if not 1 <= characters <= _MAX_PREFIX_CHARACTERS:
        yield FieldViolation("header.prefix", f"must have 1 to {_MAX_PREFIX_CHARACTERS} characters, got {characters}")
    if not 1 <= len(clips) <= MAX_CLIPS:
        yield FieldViolation("chunk.clip_index", f"must be 1 to {MAX_CLIPS} clips, got {len(clips)}")


def _check_announced(announced: Sequence[str], digests: Sequence[str]) -> None:
    if not announced:
        return
    wrong = [index for index, pair in enumerate(zip(digests, announced, strict=False)) if pair[0] != pair[1]]
    text = ""
    if len(digests) != len(announced):
        text = f"must be the digests of all clips: {len(announced)} announced, got {len(digests)}; send them again"
    elif wrong:
        text = f"must be the digests of the clips, got other bytes for clip {wrong[0]}; send it again"
    if text:
        raise invalid("header.clip_sha256", text)
