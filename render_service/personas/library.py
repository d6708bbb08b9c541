"""The persona library: built-in personas and those that callers add, with their reference clips.

Built-in personas are files of the renderer; added ones are in the object store under ``personas/{id}/``. A deletion is recorded in
the persona's record before its clips are removed, so that one that was cut short is finished by the next start. An embedding is
valid for the encoder that computed it: if another encoder is loaded, the clips are embedded again when the persona is read.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from render_service.personas.clips import MAX_CLIP_BYTES, MAX_CLIPS, Clip, DecodedClips
from render_service.personas.persona import Persona
from render_service.renderers.renderer import Renderer
from servicekit.clock import Clock
from servicekit.errors import AlreadyExists, FailedPrecondition, FieldViolation, InvalidFields, NotFound, ServiceError
from servicekit.logs import logger
from servicekit.store.object_store import ObjectStore

_log = logger(__name__)
_ID = re.compile(r"[a-z][a-z0-9-]{0,62}")
_MAX_PREFIX_CHARACTERS = 500
_MAX_RECORD_BYTES = 1024 * 1024


class PersonaLibrary:
    """The built-in personas and those added by callers. Safe for several threads."""

    def __init__(self, *, renderer: Renderer, built_in: Path, store: ObjectStore, clock: Clock) -> None:
        self._renderer = renderer
        self._store = store
        self._clock = clock
        self._adding = threading.Lock()  # of two calls that add the same id at once, one gets PERSONA_EXISTS
        self._built_in = {p.id: p for p in map(self._read_built_in, sorted(built_in.glob("*/persona.json")))}

    def get(self, persona_id: str) -> Persona:
        """The persona. Raises NotFound PERSONA_NOT_FOUND, which lists up to 20 that exist."""
        found = self._built_in.get(persona_id)
        if found is None and _ID.fullmatch(persona_id):
            found = self._read_added(persona_id)
        if found is None:
            known = ", ".join([p.id for p in self.all()][:20])
            raise NotFound(
                f"persona_id must be one of {known}, got {persona_id[:80]!r}",
                reason="PERSONA_NOT_FOUND",
                metadata={"persona_id": persona_id[:80], "known": known},
            )
        return found

    def all(self) -> tuple[Persona, ...]:
        """Every persona, by id."""
        added = filter(None, map(self._read_added, self._added_ids()))
        return tuple(sorted([*self._built_in.values(), *added], key=lambda p: p.id))

    def add(self, persona_id: str, prefix: str, clips: Sequence[Clip], announced: Sequence[str] = ()) -> Persona:
        """Embed the clips and store the persona. The record is written last, so no reader sees a persona without its clips.

        ``announced`` are the SHA-256 of the clips that the caller meant to send; empty: not checked. Raises InvalidFields,
        InvalidAudio and AlreadyExists PERSONA_EXISTS.
        """
        _check_new(persona_id, prefix, clips)
        _check_announced(clips, announced)
        with self._adding:
            return self._add(persona_id, prefix, clips)

    def _add(self, persona_id: str, prefix: str, clips: Sequence[Clip]) -> Persona:
        if persona_id in self._built_in or self._read_record(persona_id) is not None:
            raise AlreadyExists(
                f"the persona {persona_id!r} exists already; choose another id, or delete it first",
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
        self._store.delete_prefix(_folder(persona_id))  # what an addition or a deletion left that was cut short
        try:
            for i, clip in enumerate(clips):
                self._store.put_bytes(_clip_key(persona_id, i), clip.data, content_type="application/octet-stream")
            self._store.put_bytes(_record_key(persona_id), _record(persona), content_type="application/json")
        except ServiceError:
            if self._read_record(persona_id) is None:  # else only the store's answer was lost
                self._store.delete_prefix(_folder(persona_id))
                raise
        return persona

    def remove(self, persona_id: str) -> None:
        """Remove an added persona. Raises NotFound, and FailedPrecondition WRONG_STATE for a built-in one."""
        if self.get(persona_id).built_in:
            raise FailedPrecondition(
                f"{persona_id!r} is built into the renderer and cannot be deleted",
                reason="WRONG_STATE",
                metadata={"persona_id": persona_id},
            )
        record = {"id": persona_id, "deleting": True}
        self._store.put_bytes(_record_key(persona_id), json.dumps(record).encode(), content_type="application/json")
        self._finish_deletion(persona_id)

    def finish_deletions(self) -> None:
        """Finish the deletions that were cut short. Called at the start; what the store refuses is left to the next one."""
        try:
            for persona_id in self._added_ids():
                if self._read_record(persona_id) is None:
                    self._finish_deletion(persona_id)
        except ServiceError as error:
            _log.warning("finishing deletions of personas failed", message=error.message)

    def _finish_deletion(self, persona_id: str) -> None:
        """Remove the clips, then the record."""
        for key in list(self._store.keys(_folder(persona_id))):
            if key != _record_key(persona_id):
                self._store.delete(key)
        self._store.delete(_record_key(persona_id))

    @property
    def _encoder_sha256(self) -> str:
        return next(model.sha256 for model in self._renderer.info.models if model.role == "persona")

    def _embed(self, clips: Sequence[Clip]) -> tuple[float, ...]:
        return tuple(float(x) for x in self._renderer.embed_persona(DecodedClips(clips)))

    def _read_built_in(self, path: Path) -> Persona:
        facts = json.loads(path.read_text(encoding="utf-8"))
        clips = [Clip(data=file.read_bytes()) for file in sorted(path.parent.glob("clip-*.flac"))]
        return self._current(facts, clips, built_in=True)

    def _read_added(self, persona_id: str) -> Persona | None:
        facts = self._read_record(persona_id)
        if facts is None:
            return None
        is_stale = facts["encoderSha256"] != self._encoder_sha256
        keys = [_clip_key(persona_id, i) for i in range(len(facts["clipSha256"]))] if is_stale else []
        clips = [Clip(data=self._store.read(key, max_bytes=MAX_CLIP_BYTES)) for key in keys]
        return self._current(facts, clips, built_in=False)

    def _added_ids(self) -> list[str]:
        """The ids that have a record, also one of a deletion."""
        return [key.split("/")[1] for key in self._store.keys("personas/") if key.endswith("/persona.json")]

    def _read_record(self, persona_id: str) -> dict[str, Any] | None:
        """An added persona's record; None where there is none, or only one that it is being deleted."""
        key = _record_key(persona_id)
        if self._store.stat(key) is None:
            return None
        facts: dict[str, Any] = json.loads(self._store.read(key, max_bytes=_MAX_RECORD_BYTES))
        return None if facts.get("deleting") else facts

    def _current(self, facts: dict[str, object], clips: Sequence[Clip], *, built_in: bool) -> Persona:
        is_current = facts["encoderSha256"] == self._encoder_sha256
        created = facts.get("createdAt")
        return Persona(
            id=str(facts["id"]),
            prefix=str(facts["prefix"]),
            embedding=tuple(facts["embedding"]) if is_current else self._embed(clips),  # type: ignore[arg-type]
            clip_sha256=tuple(facts["clipSha256"]),  # type: ignore[arg-type]
            encoder_sha256=self._encoder_sha256,
            built_in=built_in,
            created_at=datetime.fromisoformat(str(created)) if created else None,
        )


def _check_new(persona_id: str, prefix: str, clips: Sequence[Clip]) -> None:
    found = []
    if not _ID.fullmatch(persona_id):
        text = "must be 1 to 63 characters of a-z, 0-9 and -, starting with a letter"
        found.append(FieldViolation("header.persona_id", f"{text}, got {persona_id[:80]!r}"))
    if not 1 <= len(prefix.strip()) <= _MAX_PREFIX_CHARACTERS:
        text = f"must have 1 to {_MAX_PREFIX_CHARACTERS} characters, got {len(prefix.strip())}"
        found.append(FieldViolation("header.prefix", text))
    if not 1 <= len(clips) <= MAX_CLIPS:
        found.append(FieldViolation("chunk.clip_index", f"must be 1 to {MAX_CLIPS} clips, got {len(clips)}"))
    if found:
        raise InvalidFields(found)


def _check_announced(clips: Sequence[Clip], announced: Sequence[str]) -> None:
    """The clips are those that were announced: a stream cut between two clips must not become a persona."""
    if not announced:
        return
    wrong = [index for index, (clip, sha256) in enumerate(zip(clips, announced, strict=False)) if clip.sha256 != sha256]
    text = ""
    if len(clips) != len(announced):
        text = f"must be the digests of all clips: {len(announced)} announced, got {len(clips)}; send them again"
    elif wrong:
        text = f"must be the digests of the clips, got other bytes for clip {wrong[0]}; send it again"
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


def _folder(persona_id: str) -> str:
    return f"personas/{persona_id}"


def _record_key(persona_id: str) -> str:
    return f"{_folder(persona_id)}/persona.json"


def _clip_key(persona_id: str, index: int) -> str:
    return f"{_folder(persona_id)}/clip-{index:03d}"
