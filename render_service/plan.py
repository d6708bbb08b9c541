"""The plan: all inputs of a render except the weights and the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field, PlainSerializer, PlainValidator

from render_service.brief import SEED_STREAMS, ResolvedBrief
from render_service.composer.chord_estimate import estimate_chords
from render_service.composer.form import ending_start_s
from render_service.composer.given import GivenChords, GivenMidi
from render_service.composer.planner import Planner, ScoreRequest
from render_service.composer.score import Score
from render_service.composer.score_json import score_from_text, score_text
from render_service.music.harmony import ChordQuality, ChordSpan, draw_chords
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap
from render_service.personas.persona import Persona
from servicekit.json_codec import CAMEL_CASE, JsonCodec


def _chord_json(chord: ChordSpan) -> list[Any]:
    return [chord.start_s, chord.end_s, chord.root, chord.quality.name, chord.bass]


def _chord_from_json(facts: Sequence[Any]) -> ChordSpan:
    start_s, end_s, root, quality, bass = facts
    if quality not in ChordQuality.__members__:
        raise ValueError(f"quality must be one of {', '.join(ChordQuality.__members__)}, got {quality!r}")
    return ChordSpan(start_s=start_s, end_s=end_s, root=root, quality=ChordQuality[quality], bass=bass)


def _is_unset(value: object) -> bool:
    """Left out of the JSON, so that plans of releases without the field come back byte for byte."""
    return value is None or value is False


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A fully decided brief. Equal plans under one execution fingerprint give the same samples.

    ``persona_embedding`` has length 1; ``chords`` cover ``[0, seconds)`` without gaps. In JSON a chord is a list: start and end in
    seconds, root, quality, bass. ``loop``: the end leads into the start. ``target_lufs`` is the loudness of the bounce; None, in
    plans of releases without it: neither loudness target nor fades. ``score`` is None where the notes are unknown: in plans of
    uploads and of releases without it.
    """

    __pydantic_config__ = CAMEL_CASE

    prompt: str
    persona_id: str
    persona_prefix: str
    persona_embedding: tuple[float, ...]
    seed: int
    seconds: float
    tempo_map: TempoMap
    key: Annotated[Key, PlainSerializer(str), PlainValidator(Key.parse)]
    chords: tuple[Annotated[ChordSpan, PlainSerializer(_chord_json), PlainValidator(_chord_from_json)], ...]
    instrumental: bool
    steps: int
    guidance: float
    loop: Annotated[bool, Field(exclude_if=_is_unset)] = False
    target_lufs: Annotated[float | None, Field(exclude_if=_is_unset)] = None
    score: Annotated[
        Score | None, PlainSerializer(score_text), PlainValidator(score_from_text), Field(exclude_if=_is_unset)
    ] = None


def make_plan(
    resolved: ResolvedBrief, persona: Persona, *, planner: Planner | None, steps: int, guidance: float
) -> Plan:
    """Plan a render. Chords and score are the caller's, or drawn from the seed, in the key, over the tempo map.

    Without a planner there is no score. The final chord of a composed score starts on a bar line and rings to the end; a loop has
    none. Raises MidiError for a caller's notes outside the take, ScoreError where a planner writes too many.
    """
    brief, given = resolved.brief, resolved.brief.score
    score = None
    if isinstance(given, GivenMidi):
        score = given.score(tempo_map=resolved.tempo_map, seconds=resolved.seconds, instrumental=resolved.instrumental)
    request = ScoreRequest(
        prompt=brief.prompt,
        persona_embedding=persona.embedding,
        seed=resolved.seed,
        seconds=resolved.seconds,
        tempo_map=resolved.tempo_map,
        key=resolved.key,
        chords=_make_chords(resolved, score),
        ending_s=_ending_s(resolved),
        instrumental=resolved.instrumental,
    )
    if score is None and planner is not None:
        score = planner.write_score(request)
    return Plan(
        prompt=request.prompt,
        persona_id=persona.id,
        persona_prefix=persona.prefix,
        persona_embedding=request.persona_embedding,
        seed=request.seed,
        seconds=request.seconds,
        tempo_map=request.tempo_map,
        key=request.key,
        chords=request.chords,
        instrumental=request.instrumental,
        steps=steps,
        guidance=guidance,
        loop=brief.loop,
        target_lufs=brief.target_lufs,
        score=score,
    )


def _ending_s(resolved: ResolvedBrief) -> float | None:
    return None if resolved.brief.loop else ending_start_s(resolved.tempo_map, resolved.seconds)


def _make_chords(resolved: ResolvedBrief, score: Score | None) -> tuple[ChordSpan, ...]:
    """The chords of a caller's notes, the caller's chords, or drawn ones."""
    tempo_map, key, seconds = resolved.tempo_map, resolved.key, resolved.seconds
    if score is not None:
        return estimate_chords(score, tempo_map=tempo_map, seconds=seconds, key=key)
    ending_s, given = _ending_s(resolved), resolved.brief.score
    if isinstance(given, GivenChords):
        return given.lay(key=key, tempo_map=tempo_map, seconds=seconds, ending_s=ending_s)
    rng = np.random.default_rng([resolved.seed, SEED_STREAMS["chords"]])
    return draw_chords(rng, key=key, tempo_map=tempo_map, seconds=seconds, ending_s=ending_s)


_CODEC = JsonCodec(Plan)


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan as plain JSON values, for the journal and the audit row. :func:`plan_from_json` is its inverse."""
    return _CODEC.write(plan)


def plan_from_json(facts: Mapping[str, Any]) -> Plan:
    """Read what :func:`plan_json` wrote. Raises ValueError where it was changed."""
    return _CODEC.read(facts)
