"""The persona library: the built-in personas and those that callers add, with their reference clips.

Built-in ones come with the renderer as files; added ones live in the object store under ``personas/{id}/``. An embedding
holds for the encoder that made it: where another encoder is loaded, the clips are embedded again when the persona is read.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import soundfile

from render_service.personas.persona import Persona
from render_service.renderers.renderer import Renderer, Waveform
from servicekit.clock import Clock
from servicekit.errors import AlreadyExists, FailedPrecondition, FieldViolation, InvalidAudio, InvalidFields, NotFound
from servicekit.store.object_store import ObjectStore

ID_PATTERN = re.compile(r"^[a-z][a-z0-9-]{0,62}$")
MAX_CLIPS = 32
MAX_CLIP_BYTES = 32 * 1024 * 1024
MAX_TOTAL_BYTES = 256 * 1024 * 1024
MIN_CLIP_SECONDS = 1.0
MAX_CLIP_SECONDS = 120.0
_MAX_RECORD_BYTES = 1024 * 1024
_RATE_HZ = 44100


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One reference clip as it was sent: bytes of an audio file that libsndfile reads."""

    data: bytes

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes, lower-case hex."""
        return hashlib.sha256(self.data).hexdigest()

    def waveform(self, *, name: str) -> Waveform:
        """Decode to ``(2, T)`` at 44100 Hz. Raises :class:`InvalidAudio` naming the clip."""
        try:
            with soundfile.SoundFile(io.BytesIO(self.data)) as file:
                rate, frames = file.samplerate, file.frames
                _check_clip(name, rate, frames / max(rate, 1))
                samples = file.read(dtype="float32", always_2d=True)[:, :2].T
        except soundfile.LibsndfileError as error:
            raise InvalidAudio(
                f"{name} is not an audio file that can be read: {error.error_string}", metadata={"detail": name}
            ) from None
        if not np.isfinite(samples).all():
            raise InvalidAudio(f"{name} holds samples that are NaN or infinite", metadata={"detail": name})
        if float(np.sqrt(np.mean(np.square(samples)))) < 1e-4:
            raise InvalidAudio(f"{name} is silent", metadata={"detail": name})
        return np.ascontiguousarray(np.broadcast_to(samples, (2, samples.shape[1])), dtype=np.float32)


def _check_clip(name: str, rate: int, seconds: float) -> None:
    if rate != _RATE_HZ:
        raise InvalidAudio(f"{name} has {rate} Hz; convert it to 44100 Hz first", metadata={"detail": name})
    if not MIN_CLIP_SECONDS <= seconds <= MAX_CLIP_SECONDS:
        wanted = f"{MIN_CLIP_SECONDS:g} to {MAX_CLIP_SECONDS:g} s"
        raise InvalidAudio(f"{name} lasts {seconds:.2f} s; a reference clip lasts {wanted}", metadata={"detail": name})


class PersonaLibrary:
    """The built-in personas and those added by callers. Safe for several threads."""

    def __init__(self, *, renderer: Renderer, built_in: Path, store: ObjectStore, clock: Clock) -> None:
        self._renderer = renderer
        self._store = store
        self._clock = clock
        self._adding = threading.Lock()  # of two that add the same id at once, one is told that it exists
        self._built_in = {p.id: p for p in map(self._read_built_in, sorted(built_in.glob("*/persona.json")))}

    def get(self, persona_id: str) -> Persona:
        """The persona. Raises :class:`NotFound` naming up to 20 known ones."""
        found = self._built_in.get(persona_id)
        if found is None and ID_PATTERN.match(persona_id):
            found = self._read_added(persona_id)
        if found is None:
            known = ", ".join([p.id for p in self.all()][:20])
            raise NotFound(
                f"no persona {persona_id[:80]!r}; known are: {known}",
                reason="PERSONA_NOT_FOUND",
                metadata={"persona_id": persona_id[:80], "known": known},
            )
        return found

    def all(self) -> tuple[Persona, ...]:
        """Every persona, by id."""
        records = [key for key in self._store.keys("personas/") if key.endswith("/persona.json")]
        added = filter(None, (self._read_added(key.split("/")[1]) for key in records))
        return tuple(sorted([*self._built_in.values(), *added], key=lambda p: p.id))

    def add(self, persona_id: str, prefix: str, clips: Sequence[Clip], announced: Sequence[str] = ()) -> Persona:
        """Embed the clips and keep everything. Visible only once whole: the record is written last.

        ``announced`` are the SHA-256 of the clips that were meant to come; none: not checked.
        """
        _check_new(persona_id, prefix, clips)
        _check_announced(clips, announced)
        with self._adding:
            return self._add(persona_id, prefix, clips)

    def _add(self, persona_id: str, prefix: str, clips: Sequence[Clip]) -> Persona:
        if persona_id in self._built_in or self._store.stat(_record_key(persona_id)) is not None:
            raise AlreadyExists(
                f"a persona {persona_id!r} exists; choose another id or remove it first",
                reason="PERSONA_EXISTS",
                metadata={"persona_id": persona_id},
            )
        persona = Persona(
            id=persona_id,
            prefix=prefix.strip(),
            embedding=self._embed(clips),
            clip_sha256=tuple(clip.sha256 for clip in clips),
            encoder_sha256=self._encoder_sha256,
            built_in=False,
            created_at=self._clock.now(),
        )
        for i, clip in enumerate(clips):
            self._store.put_bytes(_clip_key(persona_id, i), clip.data, content_type="application/octet-stream")
        self._store.put_bytes(_record_key(persona_id), _record(persona), content_type="application/json")
        return persona

    def remove(self, persona_id: str) -> None:
        """Remove an added persona, its record first."""
        if self.get(persona_id).built_in:
            raise FailedPrecondition(
                f"{persona_id!r} comes with the renderer and stays",
                reason="WRONG_STATE",
                metadata={"persona_id": persona_id},
            )
        self._store.delete(_record_key(persona_id))
        self._store.delete_prefix(f"personas/{persona_id}/")

    @property
    def _encoder_sha256(self) -> str:
        return next(model.sha256 for model in self._renderer.info.models if model.role == "persona")

    def _embed(self, clips: Sequence[Clip]) -> tuple[float, ...]:
        waveforms = [clip.waveform(name=f"clip {i}") for i, clip in enumerate(clips)]
        return tuple(float(x) for x in self._renderer.embed_persona(waveforms))

    def _read_built_in(self, path: Path) -> Persona:
        facts = json.loads(path.read_text(encoding="utf-8"))
        clips = [Clip(data=file.read_bytes()) for file in sorted(path.parent.glob("clip-*.flac"))]
        return self._current(facts, clips, built_in=True)

    def _read_added(self, persona_id: str) -> Persona | None:
        key = _record_key(persona_id)
        if self._store.stat(key) is None:
            return None
        facts = json.loads(self._store.read(key, max_bytes=_MAX_RECORD_BYTES))
        stale = facts["encoderSha256"] != self._encoder_sha256
        keys = [_clip_key(persona_id, i) for i in range(len(facts["clipSha256"]))] if stale else []
        clips = [Clip(data=self._store.read(key, max_bytes=MAX_CLIP_BYTES)) for key in keys]
        return self._current(facts, clips, built_in=False)

    def _current(self, facts: dict[str, object], clips: Sequence[Clip], *, built_in: bool) -> Persona:
        fresh = facts["encoderSha256"] == self._encoder_sha256
        created = facts.get("createdAt")
        return Persona(
            id=str(facts["id"]),
            prefix=str(facts["prefix"]),
            embedding=tuple(facts["embedding"]) if fresh else self._embed(clips),  # type: ignore[arg-type]
            clip_sha256=tuple(facts["clipSha256"]),  # type: ignore[arg-type]
            encoder_sha256=self._encoder_sha256,
            built_in=built_in,
            created_at=datetime.fromisoformat(str(created)) if created else None,
        )


def _check_new(persona_id: str, prefix: str, clips: Sequence[Clip]) -> None:
    found = []
    if not ID_PATTERN.match(persona_id):
        text = "wants 1 to 63 characters of a-z, 0-9 and -, starting with a letter"
        found.append(FieldViolation("header.persona_id", f"{text}, got {persona_id[:80]!r}"))
    if not 1 <= len(prefix.strip()) <= 500:
        found.append(FieldViolation("header.prefix", f"wants 1 to 500 characters, got {len(prefix.strip())}"))
    if not 1 <= len(clips) <= MAX_CLIPS:
        found.append(FieldViolation("chunk.clip_index", f"wants 1 to {MAX_CLIPS} clips, got {len(clips)}"))
    if found:
        raise InvalidFields(found)


def _check_announced(clips: Sequence[Clip], announced: Sequence[str]) -> None:
    """What came is what was announced, so that a stream cut between two clips makes no persona of the first."""
    if not announced:
        return
    wrong = [index for index, (clip, sha256) in enumerate(zip(clips, announced, strict=False)) if clip.sha256 != sha256]
    text = ""
    if len(clips) != len(announced):
        text = f"announces {len(announced)} clips, {len(clips)} came; send them again"
    elif wrong:
        text = f"announces other bytes than came for clip {wrong[0]}; send it again"
    if text:
        raise InvalidFields([FieldViolation("header.clip_sha256", text)])


def _record(persona: Persona) -> bytes:
    facts = {
        "id": persona.id,
        "prefix": persona.prefix,
        "embedding": list(persona.embedding),
        "clipSha256": list(persona.clip_sha256),
        "encoderSha256": persona.encoder_sha256,
        "createdAt": persona.created_at.isoformat() if persona.created_at else None,
    }
    return json.dumps(facts, ensure_ascii=False, sort_keys=True).encode()


def _record_key(persona_id: str) -> str:
    return f"personas/{persona_id}/persona.json"


def _clip_key(persona_id: str, index: int) -> str:
    return f"personas/{persona_id}/clip-{index:03d}"
