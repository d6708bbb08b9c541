"""Requests as the service's own values. A malformed field becomes a field violation with its path in the request."""

from __future__ import annotations

import json
from datetime import datetime

from google.protobuf import json_format
from google.protobuf.message import Message

from jobs_service.value_messages import read_licence, read_requested_stem_mode, read_stem, read_time
from render_service.brief import (
    DEFAULT_SECONDS,
    DEFAULT_TARGET_LUFS,
    MAX_PROMPT_CHARACTERS,
    SECONDS_RANGE,
    Brief,
    check_brief,
    check_prompt,
)
from render_service.composer.given import GivenChords, GivenMidi, GivenScore
from render_service.composer.midi.smf import MidiError
from render_service.music.chord_text import ChordTextError
from render_service.music.key import Key, KeyFormatError
from render_service.music.tempo_map import TempoMap, TempoMapError, TempoPoint
from render_service.personas.library import check_persona_id
from render_service.rerender import BarRange
from render_service.usecases.rerender_stem import StemChange
from servicekit.caller_fields import check_priority, check_text
from servicekit.delivery.names import STEMS, StemName
from servicekit.errors import FieldViolation, InvalidFields
from sonichaos.jobs.v1 import brief_pb2
from sonichaos.render.v1 import render_pb2

MAX_START_S = 86400.0
"""Latest start of a tempo point: beyond any take or upload, and far below where a beat has no place between two doubles."""
MIN_STRENGTH = 0.001
"""Least share of noise: with less, the share of the original is 1.0 to the last bit of a float."""
_STEM_NAMES = ", ".join(f"STEM_{stem.name}" for stem in STEMS)


def read_brief(message: brief_pb2.Brief, *, now: datetime, priority: int = 0) -> Brief:
    """The brief of a CreateRender. Raises :class:`InvalidFields` naming every field that is wrong, and the call's priority."""
    violations = check_priority(priority)
    tempo_map = _read_tempo(message, violations, root="brief.")
    score = _read_score(message, violations)
    brief = Brief(
        prompt=message.prompt,
        persona_id=message.persona_id,
        seed=message.seed if message.HasField("seed") else None,
        seconds=message.seconds or _default_seconds(score, tempo_map, violations),
        tempo_map=tempo_map,
        key=_read_key(message.key, violations, root="brief."),
        instrumental=message.instrumental,
        stems=message.stems,
        stem_mode=read_requested_stem_mode(message.stem_mode, violations, field="brief.stem_mode"),
        labels=dict(message.labels),
        licence=read_licence(message.licence, violations, field="brief.licence"),
        expires_at=_read_expire_time(message, violations),
        lyrics=message.lyrics,
        loop=message.loop,
        target_lufs=message.target_lufs if message.HasField("target_lufs") else DEFAULT_TARGET_LUFS,
        score=score,
    )
    if message.persona_id:  # without one the answer lists those that exist
        violations += check_persona_id(message.persona_id, "brief.persona_id")
    violations += check_brief(brief, now=now)
    if violations:
        raise InvalidFields(violations)
    return brief


def read_stem_change(message: render_pb2.RerenderStemRequest) -> StemChange:
    """The change of a RerenderStem. Raises :class:`InvalidFields` naming every field that is wrong."""
    violations = check_priority(message.priority)
    stem = read_stem(message.stem)
    if stem is None:
        violations.append(FieldViolation("stem", f"must be one of {_STEM_NAMES}, got {message.stem}"))
    violations += check_text(message.prompt, "prompt", max_characters=MAX_PROMPT_CHARACTERS)
    if message.persona_id:
        violations += check_persona_id(message.persona_id, "persona_id")
    change = StemChange(
        job_id=message.job_id,
        base_version=message.base_version,
        stem=stem or StemName.OTHER,
        persona_id=message.persona_id,
        prompt=message.prompt if message.prompt.strip() else "",
        seed=message.seed if message.HasField("seed") else None,
        from_noise=message.from_noise,
        strength=_read_strength(message, violations),
        region=_read_region(message, violations),
        allow_drift=message.allow_drift,
        tempo_map=_read_tempo(message, violations, root=""),
        key=_read_key(message.key, violations, root=""),
        new_part=message.new_part,
    )
    if violations:
        raise InvalidFields(violations)
    return change


def read_analyzed_prompt(prompt: str) -> str:
    """The prompt of an AnalyzePrompt. Raises InvalidFields."""
    if violations := check_prompt(prompt, "prompt"):
        raise InvalidFields(violations)
    return prompt


def read_reported_stem(value: brief_pb2.Stem.ValueType) -> StemName:
    """The stem of a GetDriftReport, drums by default. Raises InvalidFields."""
    stem = StemName.DRUMS if value == brief_pb2.STEM_UNSPECIFIED else read_stem(value)
    if stem is None:
        raise InvalidFields([FieldViolation("stem", f"must be one of {_STEM_NAMES}, got {value}")])
    return stem


def canonical_json(message: Message) -> str:
    """A message in one spelling, by which a retry is compared with the first call."""
    return json.dumps(json_format.MessageToDict(message), sort_keys=True, ensure_ascii=False)


def canonical_rerender_json(message: render_pb2.RerenderStemRequest) -> str:
    """:func:`canonical_json` without what a retry may change: request id and priority."""
    content = render_pb2.RerenderStemRequest()
    content.CopyFrom(message)
    content.ClearField("request_id")
    content.ClearField("priority")
    return canonical_json(content)


def _read_tempo(
    message: brief_pb2.Brief | render_pb2.RerenderStemRequest, violations: list[FieldViolation], *, root: str
) -> TempoMap | None:
    """The oneof ``tempo``. None where it is not set or wrong; what is wrong is added to ``violations``."""
    given = message.WhichOneof("tempo")
    try:
        if given == "bpm":
            return TempoMap.constant(message.bpm)
        if given == "tempo_map":
            return _read_tempo_map(message.tempo_map)
    except TempoMapError as error:
        path = "bpm" if given == "bpm" else f"tempo_map.{error.field}"
        violations.append(FieldViolation(f"{root}{path}", str(error)))
    return None


def _read_tempo_map(message: brief_pb2.TempoMap) -> TempoMap:
    for index, point in enumerate(message.points):
        if point.start_seconds > MAX_START_S:
            text = f"must be at most {MAX_START_S:g}, got {point.start_seconds:g}"
            raise TempoMapError(f"points[{index}].start_seconds", text)
    points = tuple(
        TempoPoint(start_s=p.start_seconds, bpm=p.bpm, beats_per_bar=p.beats_per_bar or 4, beat_unit=p.beat_unit or 4)
        for p in message.points
    )
    return TempoMap(points=points, first_downbeat_s=message.first_downbeat_seconds, swing=message.swing_ratio or 0.5)


def _read_key(text: str, violations: list[FieldViolation], *, root: str) -> Key | None:
    if not text:
        return None
    try:
        return Key.parse(text)
    except KeyFormatError as error:
        violations.append(FieldViolation(f"{root}key", str(error)))
    return None


def _read_score(message: brief_pb2.Brief, violations: list[FieldViolation]) -> GivenScore | None:
    if not message.HasField("score"):
        return None
    given = message.score.WhichOneof("source")
    try:
        if given == "midi":
            return GivenMidi.read(message.score.midi)
        if given == "chords":
            return GivenChords.read(message.score.chords)
    except (MidiError, ChordTextError) as error:
        violations.append(FieldViolation(f"brief.score.{given}", str(error)))
    else:
        violations.append(FieldViolation("brief.score", "must have midi or chords, got neither"))
    return None


def _default_seconds(score: GivenScore | None, tempo_map: TempoMap | None, violations: list[FieldViolation]) -> float:
    """The length of a take whose brief has none: that of a MIDI file whose tempo is known, within the limits."""
    if not isinstance(score, GivenMidi):
        return DEFAULT_SECONDS
    low, high = SECONDS_RANGE
    try:
        tempo_map = tempo_map or score.tempo_map()
        return DEFAULT_SECONDS if tempo_map is None else min(max(score.seconds(tempo_map), low), high)
    except MidiError as error:
        violations.append(FieldViolation("brief.score.midi", str(error)))
        return DEFAULT_SECONDS


def _read_expire_time(message: brief_pb2.Brief, violations: list[FieldViolation]) -> datetime | None:
    if not message.HasField("expire_time"):
        return None
    moment = read_time(message.expire_time)
    if moment is None:
        violations.append(FieldViolation("brief.expire_time", "must be a time between the years 1 and 9999"))
    return moment


def _read_strength(message: render_pb2.RerenderStemRequest, violations: list[FieldViolation]) -> float | None:
    strength = message.strength
    if not strength:
        return None
    if not MIN_STRENGTH <= strength <= 1.0:
        violations.append(FieldViolation("strength", f"must be {MIN_STRENGTH:g} to 1, got {strength:g}"))
    elif message.from_noise:
        text = f"must not be set together with from_noise, got {strength:g}"
        violations.append(FieldViolation("strength", text))
    return strength


def _read_region(message: render_pb2.RerenderStemRequest, violations: list[FieldViolation]) -> BarRange | None:
    first, last = message.from_bar, message.to_bar
    if not first and not last:
        return None
    if not 1 <= first <= last:
        text = f"from_bar must be 1 or more and to_bar at least as much, or both 0 for the whole take, got {first} to {last}"
        violations.append(FieldViolation("from_bar", text))
        return None
    return BarRange(from_bar=first, to_bar=last)
