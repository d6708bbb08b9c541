"""The brief of a CreateRender: checked as the services check it, then with every value decided."""

from __future__ import annotations

import math
import random
import secrets
from datetime import UTC, datetime

from grpc import StatusCode

from sonichaos.jobs.v1 import brief_pb2
from sonichaos_client.errors import FieldViolation
from sonichaos_client.testing.fake import music
from sonichaos_client.testing.fake.checks import (
    check_coverage,
    check_labels,
    check_licence,
    check_persona_id,
    check_priority,
    check_stem_mode,
    check_text,
)
from sonichaos_client.testing.fake.refusals import Refusal, check, invalid

RENDERER = "fake"
MAX_PROMPT_CHARACTERS = 2000
DEFAULT_TARGET_LUFS = -16.0
DEFAULT_SECONDS = 30.0
SECONDS_RANGE = (2.0, 180.0)
_TARGET_LUFS_RANGE = (-30.0, -9.0)
_MAX_LYRICS_CHARACTERS = 4000
_DRAWN_BPM_RANGE = (72.0, 150.0)
_BAR_LINE_S = 1e-3


def resolve(brief: brief_pb2.Brief, *, now: datetime, priority: int) -> brief_pb2.ResolvedBrief:
    """The brief with every value decided. Raises INVALID_FIELD with every field that is wrong."""
    found = check_priority(priority)
    tempo_map = music.read_tempo(brief, found, root="brief.")
    found += _check_score(brief)
    key = music.read_key(brief.key, found, root="brief.")
    found += check_stem_mode(brief.stem_mode, "brief.stem_mode")
    found += check_coverage(brief.licence, "brief.licence")
    if brief.persona_id:  # without one the answer lists those that exist
        found += check_persona_id(brief.persona_id, "brief.persona_id")
    found += _check(brief, now)
    check(found)
    return _resolved(brief, tempo_map, key)


def unsupported(field: str, problem: str) -> Refusal:
    """The error for a field that the fake's renderer cannot honour."""
    return Refusal(
        StatusCode.FAILED_PRECONDITION,
        "UNSUPPORTED_BY_RENDERER",
        f"the renderer {RENDERER!r} {problem}",
        metadata={"field": field, "renderer": RENDERER},
    )


def check_supported(brief: brief_pb2.Brief) -> None:
    """Refuse what the fake's renderer cannot do: it neither sings nor plays scores."""
    if brief.lyrics:
        raise unsupported("brief.lyrics", "cannot sing lyrics; leave them empty or load another renderer")
    if brief.HasField("score"):
        raise unsupported("brief.score", "plays no scores; leave score unset or load another renderer")


def _check_score(brief: brief_pb2.Brief) -> list[FieldViolation]:
    if not brief.HasField("score") or brief.score.WhichOneof("source"):
        return []
    return [FieldViolation("brief.score", "must have midi or chords, got neither")]


def _check(brief: brief_pb2.Brief, now: datetime) -> list[FieldViolation]:
    found = check_prompt(brief.prompt, "brief.prompt")
    if not brief.persona_id:
        found.append(FieldViolation("brief.persona_id", "must be the id of a persona (ListPersonas), got none"))
    found += check_seconds(brief.seconds or DEFAULT_SECONDS, "brief.seconds")
    low, high = _TARGET_LUFS_RANGE
    if not low <= _target_lufs(brief) <= high:
        text = f"must be {low:g} to {high:g} LUFS, got {_target_lufs(brief):g}"
        found.append(FieldViolation("brief.target_lufs", text))
    if brief.HasField("expire_time"):
        expires_at = brief.expire_time.ToDatetime(tzinfo=UTC)
        if expires_at <= now:
            found.append(FieldViolation("brief.expire_time", f"must be in the future, got {expires_at.isoformat()}"))
    found += check_text(brief.lyrics, "brief.lyrics", max_characters=_MAX_LYRICS_CHARACTERS)
    found += check_labels(brief.labels, "brief.labels")
    return found + check_licence(brief.licence, "brief.licence")


def check_prompt(prompt: str, field: str) -> list[FieldViolation]:
    """The prompt of a new take."""
    found = check_text(prompt, field, max_characters=MAX_PROMPT_CHARACTERS)
    if not prompt.strip():
        found.append(FieldViolation(field, f"must have 1 to {MAX_PROMPT_CHARACTERS} characters, got none"))
    return found


def check_seconds(seconds: float, field: str) -> list[FieldViolation]:
    """The length of a take."""
    low, high = SECONDS_RANGE
    return [] if low <= seconds <= high else [FieldViolation(field, f"must be {low:g} to {high:g}, got {seconds:g}")]


def _target_lufs(brief: brief_pb2.Brief) -> float:
    return brief.target_lufs if brief.HasField("target_lufs") else DEFAULT_TARGET_LUFS


def _resolved(brief: brief_pb2.Brief, tempo_map: brief_pb2.TempoMap | None, key: str) -> brief_pb2.ResolvedBrief:
    seed = brief.seed if brief.HasField("seed") else secrets.randbits(32)
    draws = random.Random(seed)  # noqa: S311  music, not a secret
    tempo_share, key_share = draws.random(), draws.random()
    tempo_source, key_source = "caller", "caller"
    if tempo_map is None:
        bpm = music.prompt_bpm(brief.prompt, tempo_share)
        tempo_source = "drawn" if bpm is None else "prompt"
        low, high = _DRAWN_BPM_RANGE
        tempo_map = music.constant(float(round(low + tempo_share * (high - low))) if bpm is None else bpm)
    if not key:
        key = music.prompt_key(brief.prompt)
        key_source = "prompt" if key else "drawn"
        key = key or music.drawn_key(key_share)
    seconds = brief.seconds or DEFAULT_SECONDS
    resolved = brief_pb2.ResolvedBrief(
        prompt=brief.prompt,
        persona_id=brief.persona_id,
        seed=seed,
        seconds=_loop_seconds(seconds, tempo_map) if brief.loop else seconds,
        tempo_map=tempo_map,
        key=key,
        instrumental=brief.instrumental or music.is_instrumental(brief.prompt),
        stems=brief.stems,
        stem_mode=brief.stem_mode or brief_pb2.STEM_MODE_EXACT,
        labels=brief.labels,
        licence=filled_licence(brief.licence),
        tempo_source=tempo_source,
        key_source=key_source,
        seed_source="caller" if brief.HasField("seed") else "drawn",
        loop=brief.loop,
        target_lufs=_target_lufs(brief),
    )
    if brief.HasField("expire_time"):
        resolved.expire_time.CopyFrom(brief.expire_time)
    return resolved


def filled_licence(licence: brief_pb2.Licence) -> brief_pb2.Licence:
    """The licence with its default coverage."""
    covers = licence.covers or brief_pb2.LICENCE_COVERAGE_BOUNCE_AND_STEMS
    return brief_pb2.Licence(tier=licence.tier, licensee=licence.licensee, terms=licence.terms, covers=covers)


def _loop_seconds(seconds: float, tempo_map: brief_pb2.TempoMap) -> float:
    """The last bar line up to ``seconds``."""
    first_s = tempo_map.first_downbeat_seconds
    if first_s > 0.0:
        raise invalid("brief.loop", f"needs a tempo map whose first downbeat is at 0 s, got {first_s:g} s")
    bars = music.bars_s(tempo_map, seconds + _BAR_LINE_S)[1:]
    if not bars:
        text = f"must have room for one bar of the loop, got {seconds:g} s; ask for more, or for a faster tempo"
        raise invalid("brief.seconds", text)
    return math.floor(bars[-1] * 1e6 + 0.5) / 1e6
