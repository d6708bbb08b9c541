"""The persona library: built-in personas and those that callers add, with their reference clips.

Built-in personas are files of the renderer, and every tenant has them. An added one belongs to the tenant that added it, and no
other tenant sees it. It is in the object store under ``personas/{id}/{addition}/`` (the tenant ``local``) or
``tenants/{tenant}/personas/{id}/{addition}/``, a folder that only one call of `PersonaLibrary.add` writes to: calls in other
processes, or of a process that was suspended, can neither replace nor remove another addition's files. A deletion is recorded in
the addition's record before its clips are removed, so that one that was cut short is finished by the next start. An embedding is
valid for the encoder that computed it: if another encoder is loaded, the clips are embedded again when the persona is read.
"""

from __future__ import annotations

import json
import random
import re
import secrets
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from render_service.personas.clip_files import BuiltInClips, CheckedClip, ClipFile, unknown_clip
from render_service.personas.clips import MAX_CLIP_BYTES, MAX_CLIPS, Clip, DecodedClips
from render_service.personas.persona import Persona
from render_service.renderers.renderer import Renderer
from servicekit.access.caller import LOCAL_TENANT
from servicekit.clock import Clock
from servicekit.errors import (
    AlreadyExists,
    DataLoss,
    FailedPrecondition,
    FieldViolation,
    InvalidFields,
    NotFound,
    ServiceError,
    Unavailable,
)
from servicekit.logs import logger
from servicekit.store.object_store import ObjectStore

_log = logger(__name__)
_LOCAL_FOLDER = "personas"
_TENANTS_FOLDER = "tenants"
PERSONA_FOLDERS = (_LOCAL_FOLDER, _TENANTS_FOLDER)
"""The folders of the store in which added personas lie."""
_RECORD = "persona.json"
_RETRY_AFTER_S = 1.0
_ADDITIONS = 10
_MAX_PAUSE_S = 0.05
"""Before the second addition of a persona; doubled before each further one."""
_ID = re.compile(r"[a-z][a-z0-9-]{0,62}")
_MAX_PREFIX_CHARACTERS = 500
_MAX_RECORD_BYTES = 1024 * 1024
_PERSONA_FILE = re.compile(rf"({_LOCAL_FOLDER}|{_TENANTS_FOLDER}/[^/]+/{_LOCAL_FOLDER})/.+")


class PersonaLibrary:
    """The built-in personas, and for each tenant those that its callers added. Safe for several threads."""

    def __init__(self, *, renderer: Renderer, built_in: Path, store: ObjectStore, clock: Clock) -> None:
        self._renderer = renderer
        self._store = store
        self._clock = clock
        self._adding = threading.Lock()  # of two calls that add the same id at once, one gets PERSONA_EXISTS
        self._built_in = {p.id: p for p in map(self._read_built_in, sorted(built_in.glob("*/persona.json")))}
        self._built_in_clips = BuiltInClips(built_in)

    def get(self, tenant: str, persona_id: str) -> Persona:
        """The persona. Raises NotFound PERSONA_NOT_FOUND, also for another tenant's; it lists up to 20 that the tenant has."""
        found = self._built_in.get(persona_id)
        if found is None and _ID.fullmatch(persona_id):
            found = next(iter(self._read_added(_folder(tenant, persona_id))), None)
        if found is None:
            raise self._not_found(tenant, persona_id)
        return found

    def _not_found(self, tenant: str, persona_id: str) -> NotFound:
        known = ", ".join([p.id for p in self.all(tenant)][:20])
        return NotFound(
            f"persona_id must be one of {known}, got {persona_id[:80]!r}",
            reason="PERSONA_NOT_FOUND",
            metadata={"persona_id": persona_id[:80], "known": known},
        )

    def clip(self, tenant: str, persona_id: str, index: int) -> CheckedClip:
        """A reference clip as it was sent, checked against its digest.

        Raises NotFound as :meth:`get`, NotFound FILE_NOT_FOUND for an index that no clip has, and DataLoss DIGEST_MISMATCH.
        """
        file = self._clip_file(tenant, persona_id, index)
        try:
            return file.check()
        except DataLoss:
            self._clip_file(tenant, persona_id, index)  # raises NotFound if the persona was deleted meanwhile
            raise

    def _clip_file(self, tenant: str, persona_id: str, index: int) -> ClipFile:
        built_in = self._built_in.get(persona_id)
        if built_in is not None:
            keys, digests = self._built_in_clips.keys(persona_id), built_in.clip_sha256
        else:
            folder, facts = self._record(tenant, persona_id)
            digests = tuple(facts["clipSha256"])
            keys = [_clip_key(folder, i) for i in range(len(digests))]
        if not index < len(digests):
            raise unknown_clip(persona_id, index, len(digests))
        source = self._store if built_in is None else self._built_in_clips
        return ClipFile(source=source, key=keys[index], sha256=digests[index])

    def _record(self, tenant: str, persona_id: str) -> tuple[str, dict[str, Any]]:
        """The folder and the record of an added persona. Raises NotFound."""
        records = self._records(_folder(tenant, persona_id)) if _ID.fullmatch(persona_id) else {}
        for folder, facts in records.items():
            return folder, facts
        raise self._not_found(tenant, persona_id)

    def all(self, tenant: str) -> tuple[Persona, ...]:
        """Every persona of a tenant, by id: the built-in ones and its own."""
        added = {persona.id: persona for persona in reversed(self._read_added(persona_folder(tenant)))}
        return tuple(sorted({**added, **self._built_in}.values(), key=lambda p: p.id))

    def add(
        self, tenant: str, persona_id: str, prefix: str, clips: Sequence[Clip], announced: Sequence[str] = ()
    ) -> Persona:
        """Embed the clips and store the persona for the tenant.

        The record is written last, so no reader sees a persona without its clips.

        ``announced`` are the SHA-256 of the clips that the caller meant to send; empty: not checked. Raises InvalidFields,
        InvalidAudio and AlreadyExists PERSONA_EXISTS. Of calls in several processes that add the same id at once, one succeeds.
        """
        _check_new(persona_id, prefix, clips)
        _check_announced(clips, announced)
        with self._adding:
            return self._add(_folder(tenant, persona_id), persona_id, prefix, clips)

    def _add(self, below: str, persona_id: str, prefix: str, clips: Sequence[Clip]) -> Persona:
        """Two processes that stored the id at the same moment both withdraw, and add it again after pauses of random length.

        Each looks for records after it has stored its own, so two can never both find only their own. Who finds another's record
        before it stores its own gives up, so the last one that tries succeeds.
        """
        self._refuse_existing(below, persona_id)
        persona = Persona(
            id=persona_id,
            prefix=prefix.strip(),
            embedding=self._embed(clips),
            clip_sha256=tuple(clip.sha256 for clip in clips),
            encoder_sha256=self._encoder_sha256,
            built_in=False,
            created_at=self._clock.now(),
        )
        for number in range(_ADDITIONS):
            self._refuse_existing(below, persona_id)
            folder = f"{below}/{secrets.token_hex(8)}"
            self._put(folder, persona, clips)
            if len(self._records(below)) == 1:
                return persona
            self._delete(folder)
            time.sleep(random.SystemRandom().uniform(0.0, _MAX_PAUSE_S * 2**number))
        raise Unavailable(
            f"another call was adding the persona {persona_id!r} at the same moment, {_ADDITIONS} times; try again",
            reason="STORE_UNAVAILABLE",
            retry_after_s=_RETRY_AFTER_S,
        )

    def _refuse_existing(self, below: str, persona_id: str) -> None:
        if persona_id in self._built_in or self._records(below):
            raise AlreadyExists(
                f"the persona {persona_id!r} exists already; choose another id, or delete it first",
                reason="PERSONA_EXISTS",
                metadata={"persona_id": persona_id},
            )

    def _put(self, folder: str, persona: Persona, clips: Sequence[Clip]) -> None:
        """Store the clips, then the record; nothing stays of an addition that the store refuses."""
        try:
            for i, clip in enumerate(clips):
                self._store.put_bytes(_clip_key(folder, i), clip.data, content_type="application/octet-stream")
            self._store.put_bytes(_record_key(folder), _record(persona), content_type="application/json")
        except ServiceError:
            if self._store.stat(_record_key(folder)) is None:  # else only the store's answer was lost
                self._store.delete_prefix(folder)
                raise

    def remove(self, tenant: str, persona_id: str) -> None:
        """Remove a persona that the tenant added. Raises NotFound, and FailedPrecondition WRONG_STATE for a built-in one."""
        if self.get(tenant, persona_id).built_in:
            raise FailedPrecondition(
                f"{persona_id!r} is built into the renderer and cannot be deleted",
                reason="WRONG_STATE",
                metadata={"persona_id": persona_id},
            )
        for folder in self._records(_folder(tenant, persona_id)):
            self._delete(folder)

    def erase(self, tenant: str) -> int:
        """Remove every persona that a tenant added, and what additions that were cut short left; returns how many there were."""
        records = self._records(persona_folder(tenant))
        for folder in records:
            self._delete(folder)
        self._store.delete_prefix(persona_folder(tenant))
        return len(records)

    def finish_deletions(self) -> None:
        """Finish every tenant's deletions that were cut short. Called at the start; what the store refuses is left to the next."""
        try:
            for below in PERSONA_FOLDERS:
                for folder in filter(_PERSONA_FILE.fullmatch, self._folders(below)):
                    if self._read_record(folder) is None:
                        self._finish_deletion(folder)
        except ServiceError as error:
            _log.warning("finishing deletions of personas failed", message=error.message)

    def unnamed_keys(self, keys: Sequence[str]) -> list[str]:
        """Of some keys in `PERSONA_FOLDERS`, those of an addition without a record: it was cut short, or has not ended."""
        added = [key for key in keys if _PERSONA_FILE.fullmatch(key)]
        folders = {key.rpartition("/")[0] for key in added}
        named = {at for at in folders if _record_key(at) in keys or self._store.stat(_record_key(at)) is not None}
        return [key for key in added if key.rpartition("/")[0] not in named]

    def _delete(self, folder: str) -> None:
        self._store.put_bytes(_record_key(folder), b'{"deleting": true}', content_type="application/json")
        self._finish_deletion(folder)

    def _finish_deletion(self, folder: str) -> None:
        """Remove an addition's clips, then its record."""
        for key in list(self._store.keys(folder)):
            if key.rpartition("/")[0] == folder and key != _record_key(folder):
                self._store.delete(key)
        self._store.delete(_record_key(folder))

    @property
    def _encoder_sha256(self) -> str:
        return next(model.sha256 for model in self._renderer.info.models if model.role == "persona")

    def _embed(self, clips: Sequence[Clip]) -> tuple[float, ...]:
        return tuple(float(x) for x in self._renderer.embed_persona(DecodedClips(clips)))

    def _read_built_in(self, path: Path) -> Persona:
        facts = json.loads(path.read_text(encoding="utf-8"))
        clips = [Clip(data=file.read_bytes()) for file in sorted(path.parent.glob("clip-*.flac"))]
        return self._current(facts, clips, built_in=True)

    def _read_added(self, below: str) -> list[Persona]:
        """The added personas below a folder, in the order of their keys."""
        return [self._added(folder, facts) for folder, facts in self._records(below).items()]

    def _added(self, folder: str, facts: dict[str, Any]) -> Persona:
        is_stale = facts["encoderSha256"] != self._encoder_sha256
        keys = [_clip_key(folder, i) for i in range(len(facts["clipSha256"]))] if is_stale else []
        clips = [Clip(data=self._store.read(key, max_bytes=MAX_CLIP_BYTES)) for key in keys]
        return self._current(facts, clips, built_in=False)

    def _folders(self, below: str) -> list[str]:
        """The folders of additions that have a record, also one of a deletion. Earlier releases used the persona's own folder."""
        return [key.removesuffix(f"/{_RECORD}") for key in self._store.keys(below) if key.endswith(f"/{_RECORD}")]

    def _records(self, below: str) -> dict[str, dict[str, Any]]:
        """The records below a folder by the folders of their additions, without those that are being deleted."""
        found = ((folder, self._read_record(folder)) for folder in self._folders(below))
        return {folder: facts for folder, facts in found if facts is not None}

    def _read_record(self, folder: str) -> dict[str, Any] | None:
        """An addition's record; None where there is none, or only one that it is being deleted."""
        try:
            data = self._store.read(_record_key(folder), max_bytes=_MAX_RECORD_BYTES)
        except NotFound:  # deleted since it was listed
            return None
        facts: dict[str, Any] = json.loads(data)
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


def check_persona_id(persona_id: str, field: str) -> list[FieldViolation]:
    """What is wrong with the form of an id, which says nothing about whether such a persona exists."""
    if _ID.fullmatch(persona_id):
        return []
    text = "must be 1 to 63 characters of a-z, 0-9 and -, starting with a letter"
    return [FieldViolation(field, f"{text}, got {persona_id[:80]!r}")]


def _check_new(persona_id: str, prefix: str, clips: Sequence[Clip]) -> None:
    found = check_persona_id(persona_id, "header.persona_id")
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


def persona_folder(tenant: str) -> str:
    """The folder of the store in which the personas lie that a tenant added."""
    return _LOCAL_FOLDER if tenant == LOCAL_TENANT else f"{_TENANTS_FOLDER}/{tenant}/{_LOCAL_FOLDER}"


def _folder(tenant: str, persona_id: str) -> str:
    return f"{persona_folder(tenant)}/{persona_id}"


def _record_key(folder: str) -> str:
    return f"{folder}/{_RECORD}"


def _clip_key(folder: str, index: int) -> str:
    return f"{folder}/clip-{index:03d}"
