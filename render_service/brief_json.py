"""A resolved brief as the journal stores it: the proto-JSON of ``sonichaos.jobs.v1.ResolvedBrief``, written without protobuf.

As in protobuf's own JSON, a field that has its default value is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from render_service.brief import ResolvedBrief, Source
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap


def resolved_brief_json(resolved: ResolvedBrief) -> dict[str, Any]:
    """All fields of a resolved brief. ``seed`` is written even if it is 0: the message tells 0 from not set."""
    brief, licence = resolved.brief, resolved.brief.licence
    fields = {
        "prompt": brief.prompt,
        "personaId": brief.persona_id,
        "seconds": brief.seconds,
        "tempoMap": _tempo_map_json(resolved.tempo_map),
        "key": str(resolved.key),
        "instrumental": resolved.instrumental,
        "stems": brief.stems,
        "stemMode": f"STEM_MODE_{brief.stem_mode.name}",
        "labels": dict(brief.labels),
        "licence": {
            **_without_defaults({"tier": licence.tier, "licensee": licence.licensee, "terms": licence.terms}),
            "covers": f"LICENCE_COVERAGE_{licence.covers.name}",
        },
        "expireTime": _time_json(brief.expires_at) if brief.expires_at else "",
        "tempoSource": resolved.tempo_source.value,
        "keySource": resolved.key_source.value,
        "seedSource": resolved.seed_source.value,
    }
    return {**_without_defaults(fields), "seed": resolved.seed}


def grid_json(tempo_map: TempoMap, key: Key) -> dict[str, Any]:
    """The fields that the caller supplies for an upload with its first re-render."""
    caller = Source.CALLER.value
    return {"tempoMap": _tempo_map_json(tempo_map), "key": str(key), "tempoSource": caller, "keySource": caller}


def _tempo_map_json(tempo_map: TempoMap) -> dict[str, Any]:
    points = [
        _without_defaults(
            {
                "startSeconds": point.second,
                "bpm": point.bpm,
                "beatsPerBar": point.beats_per_bar,
                "beatUnit": point.beat_unit,
            }
        )
        for point in tempo_map.points
    ]
    swing = {"firstDownbeatSeconds": tempo_map.first_downbeat_s, "swingRatio": tempo_map.swing}
    return {"points": points, **_without_defaults(swing)}


def _time_json(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _without_defaults(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}
