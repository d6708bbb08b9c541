"""The plan: everything a render is a function of, besides the weights and the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from render_service.brief import SEED_STREAMS, ResolvedBrief
from render_service.music.harmony import ChordQuality, ChordSpan, draw_chords
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap, tempo_map_from_json, tempo_map_json
from render_service.personas.persona import Persona


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A brief with nothing left open. Two equal plans under one execution fingerprint give the same samples.

    ``persona_embedding`` has length 1; ``chords`` cover ``[0, seconds)`` without gaps.
    """

    prompt: str
    persona_id: str
    persona_prefix: str
    persona_embedding: tuple[float, ...]
    seed: int
    seconds: float
    tempo_map: TempoMap
    key: Key
    chords: tuple[ChordSpan, ...]
    instrumental: bool
    steps: int
    guidance: float


def make_plan(resolved: ResolvedBrief, persona: Persona, *, steps: int, guidance: float) -> Plan:
    """Lay the brief out in full: the chords are drawn from the seed, in the key, over the tempo map."""
    rng = np.random.default_rng([resolved.seed, SEED_STREAMS["chords"]])
    seconds = resolved.brief.seconds
    return Plan(
        prompt=resolved.brief.prompt,
        persona_id=persona.id,
        persona_prefix=persona.prefix,
        persona_embedding=persona.embedding,
        seed=resolved.seed,
        seconds=seconds,
        tempo_map=resolved.tempo_map,
        key=resolved.key,
        chords=draw_chords(rng, key=resolved.key, tempo_map=resolved.tempo_map, seconds=seconds),
        instrumental=resolved.instrumental,
        steps=steps,
        guidance=guidance,
    )


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan as plain JSON values, for the journal and the audit row. :func:`plan_from_json` is its inverse."""
    return {
        "prompt": plan.prompt,
        "personaId": plan.persona_id,
        "personaPrefix": plan.persona_prefix,
        "personaEmbedding": list(plan.persona_embedding),
        "seed": plan.seed,
        "seconds": plan.seconds,
        "tempoMap": tempo_map_json(plan.tempo_map),
        "key": str(plan.key),
        "chords": [[c.start_s, c.end_s, c.root, c.quality.name, c.bass] for c in plan.chords],
        "instrumental": plan.instrumental,
        "steps": plan.steps,
        "guidance": plan.guidance,
    }


def plan_from_json(facts: Mapping[str, Any]) -> Plan:
    """Read what :func:`plan_json` wrote. Raises KeyError or ValueError where it was changed."""
    return Plan(
        prompt=facts["prompt"],
        persona_id=facts["personaId"],
        persona_prefix=facts["personaPrefix"],
        persona_embedding=tuple(facts["personaEmbedding"]),
        seed=facts["seed"],
        seconds=facts["seconds"],
        tempo_map=tempo_map_from_json(facts["tempoMap"]),
        key=Key.parse(facts["key"]),
        chords=tuple(
            ChordSpan(start_s=start, end_s=end, root=root, quality=ChordQuality[quality], bass=bass)
            for start, end, root, quality, bass in facts["chords"]
        ),
        instrumental=facts["instrumental"],
        steps=facts["steps"],
        guidance=facts["guidance"],
    )
