"""Between the wire's messages and the service's own values. Pure translation: what is malformed becomes a field violation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from render_service.brief import Brief, ResolvedBrief, Source, check_brief
from render_service.music.key import Key, KeyFormatError
from render_service.music.tempo_map import TempoMap, TempoMapError, TempoPoint
from render_service.personas.persona import Persona
from servicekit.delivery.manifest import Licence
from servicekit.delivery.names import LicenceCoverage, StemMode
from servicekit.errors import FieldViolation, InvalidFields
from servicekit.journal.rows import AuditRow
from sonichaos.jobs.v1 import brief_pb2
from sonichaos.render.v1 import render_pb2

_STEM_MODES: Mapping[int, StemMode] = {
    brief_pb2.STEM_MODE_UNSPECIFIED: StemMode.EXACT,
    brief_pb2.STEM_MODE_EXACT: StemMode.EXACT,
    brief_pb2.STEM_MODE_RAW: StemMode.RAW,
}
_COVERS: Mapping[int, LicenceCoverage] = {
    brief_pb2.LICENCE_COVERAGE_UNSPECIFIED: LicenceCoverage.BOUNCE_AND_STEMS,
    brief_pb2.LICENCE_COVERAGE_BOUNCE: LicenceCoverage.BOUNCE,
    brief_pb2.LICENCE_COVERAGE_BOUNCE_AND_STEMS: LicenceCoverage.BOUNCE_AND_STEMS,
}


def read_brief(message: brief_pb2.Brief, *, now: datetime, default_seconds: float) -> Brief:
    """The brief as asked for. Raises :class:`InvalidFields` naming every field that is wrong."""
    found: list[FieldViolation] = []
    brief = Brief(
        prompt=message.prompt,
        persona_id=message.persona_id,
        seed=message.seed if message.HasField("seed") else None,
        seconds=message.seconds or default_seconds,
        tempo_map=read_tempo(message, found, root="brief."),
        key=read_key(message.key, found, root="brief."),
        instrumental=message.instrumental,
        stems=message.stems,
        stem_mode=_read_stem_mode(message.stem_mode, found),
        labels=dict(message.labels),
        licence=_read_licence(message.licence, found),
        expires_at=_read_time(message.expire_time, found) if message.HasField("expire_time") else None,
        lyrics=message.lyrics,
    )
    found += check_brief(brief, now=now)
    if found:
        raise InvalidFields(found)
    return brief


def read_tempo(
    message: brief_pb2.Brief | render_pb2.RerenderStemRequest, found: list[FieldViolation], *, root: str
) -> TempoMap | None:
    """The oneof ``tempo``; None where it is not given, or wrong, which ``found`` then says."""
    given = message.WhichOneof("tempo")
    try:
        if given == "bpm":
            return TempoMap.constant(message.bpm)
        if given == "tempo_map":
            return read_tempo_map(message.tempo_map)
    except TempoMapError as error:
        path = "bpm" if given == "bpm" else f"tempo_map.{error.field}"
        found.append(FieldViolation(f"{root}{path}", str(error)))
    return None


def read_tempo_map(message: brief_pb2.TempoMap) -> TempoMap:
    """Zeros take their defaults. Raises :class:`TempoMapError`."""
    points = tuple(
        TempoPoint(second=p.start_seconds, bpm=p.bpm, beats_per_bar=p.beats_per_bar or 4, beat_unit=p.beat_unit or 4)
        for p in message.points
    )
    return TempoMap(points=points, first_downbeat_s=message.first_downbeat_seconds, swing=message.swing_ratio or 0.5)


def read_key(text: str, found: list[FieldViolation], *, root: str) -> Key | None:
    """None where it is empty, or wrong, which ``found`` then says."""
    if not text:
        return None
    try:
        return Key.parse(text)
    except KeyFormatError as error:
        found.append(FieldViolation(f"{root}key", str(error)))
    return None


def _read_stem_mode(value: int, found: list[FieldViolation]) -> StemMode:
    if value not in _STEM_MODES:
        found.append(FieldViolation("brief.stem_mode", f"wants STEM_MODE_EXACT or STEM_MODE_RAW, got {value}"))
    return _STEM_MODES.get(value, StemMode.EXACT)


def _read_licence(message: brief_pb2.Licence, found: list[FieldViolation]) -> Licence:
    if message.covers not in _COVERS:
        found.append(FieldViolation("brief.licence.covers", f"wants a LicenceCoverage, got {message.covers}"))
    covers = _COVERS.get(message.covers, LicenceCoverage.BOUNCE_AND_STEMS)
    return Licence(tier=message.tier, licensee=message.licensee, terms=message.terms, covers=covers)


def _read_time(message: Timestamp, found: list[FieldViolation]) -> datetime | None:
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        found.append(FieldViolation("brief.expire_time", f"wants a timestamp, got {error}"))
    return None


def timestamp(moment: datetime) -> Timestamp:
    """A UTC time as a message."""
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def resolved_brief_json(resolved: ResolvedBrief) -> dict[str, Any]:
    """ResolvedBrief as proto-JSON, as the journal keeps it."""
    brief = resolved.brief
    message = brief_pb2.ResolvedBrief(
        prompt=brief.prompt,
        persona_id=brief.persona_id,
        seed=resolved.seed,
        seconds=brief.seconds,
        tempo_map=tempo_map_message(resolved.tempo_map),
        key=str(resolved.key),
        instrumental=resolved.instrumental,
        stems=brief.stems,
        stem_mode=brief_pb2.StemMode.Value(f"STEM_MODE_{brief.stem_mode.name}"),
        labels=brief.labels,
        licence=brief_pb2.Licence(
            tier=brief.licence.tier,
            licensee=brief.licence.licensee,
            terms=brief.licence.terms,
            covers=brief_pb2.LicenceCoverage.Value(f"LICENCE_COVERAGE_{brief.licence.covers.name}"),
        ),
        expire_time=timestamp(brief.expires_at) if brief.expires_at else None,
        tempo_source=resolved.tempo_source.value,
        key_source=resolved.key_source.value,
        seed_source=resolved.seed_source.value,
    )
    return json_format.MessageToDict(message)


def grid_brief_json(tempo_map: TempoMap, key: Key) -> dict[str, Any]:
    """The part of a ResolvedBrief that an upload lacks until the caller says it, as proto-JSON."""
    caller = Source.CALLER.value
    message = brief_pb2.ResolvedBrief(
        tempo_map=tempo_map_message(tempo_map), key=str(key), tempo_source=caller, key_source=caller
    )
    return json_format.MessageToDict(message)


def tempo_map_message(tempo_map: TempoMap) -> brief_pb2.TempoMap:
    """The tempo map as a message."""
    points = [
        brief_pb2.TempoPoint(start_seconds=p.second, bpm=p.bpm, beats_per_bar=p.beats_per_bar, beat_unit=p.beat_unit)
        for p in tempo_map.points
    ]
    return brief_pb2.TempoMap(
        points=points, first_downbeat_seconds=tempo_map.first_downbeat_s, swing_ratio=tempo_map.swing
    )


def canonical_json(message: Message) -> str:
    """What the caller sent, in one spelling: what a retry is compared by."""
    return json.dumps(json_format.MessageToDict(message), sort_keys=True, ensure_ascii=False)


def persona_message(persona: Persona) -> render_pb2.Persona:
    """The persona as a message."""
    return render_pb2.Persona(
        id=persona.id,
        prefix=persona.prefix,
        embedding=persona.embedding,
        clip_sha256=persona.clip_sha256,
        built_in=persona.built_in,
        create_time=timestamp(persona.created_at) if persona.created_at else None,
        encoder_sha256=persona.encoder_sha256,
    )


def audit_row_message(row: AuditRow) -> render_pb2.AuditRow:
    """The audit row as a message; an erased prompt is empty."""
    return render_pb2.AuditRow(
        sequence=row.sequence,
        job_id=row.job_id,
        version=row.version,
        kind=row.kind,
        body_json=row.body_json,
        prompt=row.prompt or "",
        previous_digest=row.previous_digest,
        digest=row.digest,
        create_time=timestamp(row.create_time),
    )
