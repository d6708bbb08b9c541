"""Numbers of requests are bounded by what can be done with them, not only by their sign."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from render_service.api.requests import MAX_START_S, MIN_STRENGTH, read_brief, read_stem_change
from servicekit.errors import InvalidFields
from sonichaos.jobs.v1 import brief_pb2
from sonichaos.render.v1 import render_pb2

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("strength", [5e-324, 1e-300, 1e-17, MIN_STRENGTH / 2, 1.0000001, 1e300, -0.5])
def test_a_strength_without_use_is_refused(strength: float) -> None:
    """So little noise leaves no step to denoise."""
    request = render_pb2.RerenderStemRequest(job_id="j", stem=brief_pb2.STEM_BASS, prompt="x", strength=strength)
    with pytest.raises(InvalidFields) as refused:
        read_stem_change(request)
    assert [violation.field for violation in refused.value.violations] == ["strength"]


def test_the_least_strength_and_the_default_are_taken() -> None:
    """0 leaves it to the service."""
    for strength, read in ((MIN_STRENGTH, MIN_STRENGTH), (0.0, None), (1.0, 1.0)):
        request = render_pb2.RerenderStemRequest(job_id="j", stem=brief_pb2.STEM_BASS, prompt="x", strength=strength)
        assert read_stem_change(request).strength == read


@pytest.mark.parametrize("start_s", [1e300, 1e19, MAX_START_S * 1.001])
def test_a_tempo_point_beyond_any_take_is_refused(start_s: float) -> None:
    """By the field of the point."""
    brief = brief_pb2.Brief(prompt="x", persona_id="one")
    brief.tempo_map.points.add(start_seconds=0.0, bpm=120.0)
    brief.tempo_map.points.add(start_seconds=start_s, bpm=90.0, beats_per_bar=3)
    with pytest.raises(InvalidFields) as refused:
        read_brief(brief, now=NOW)
    assert [violation.field for violation in refused.value.violations] == ["brief.tempo_map.points[1].start_seconds"]


@pytest.mark.parametrize("persona_id", ["neon-drift\n", "Neon", "../x", "é", "a" * 64])
def test_what_is_no_persona_id_is_refused_by_field(persona_id: str) -> None:
    """In a brief and in a re-render."""
    with pytest.raises(InvalidFields) as of_brief:
        read_brief(brief_pb2.Brief(prompt="piano", persona_id=persona_id, seconds=4.0), now=NOW)
    with pytest.raises(InvalidFields) as of_change:
        read_stem_change(render_pb2.RerenderStemRequest(stem=brief_pb2.STEM_VOCALS, persona_id=persona_id))
    assert [violation.field for violation in of_brief.value.violations] == ["brief.persona_id"]
    assert [violation.field for violation in of_change.value.violations] == ["persona_id"]
