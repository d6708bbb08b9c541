"""A score in the brief: a MIDI file's notes are played, chords are composed over."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from render_service.composer.midi.writing import midi_bytes
from render_service.composer.planner import ScoreRequest
from render_service.composer.score import Note, Part, Score, SungNote, check_score
from render_service.composer.style import Instrumentation
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap
from render_service.plan import Plan, plan_from_json
from render_service.renderers.renderer import Renderer
from servicekit.errors import FailedPrecondition, InvalidFields
from servicekit.journal import Version
from sonichaos.jobs.v1 import brief_pb2
from tests.support.render_parts import TENANT, RenderParts
from tests.support.scores import composed_score

GRID, KEY = TempoMap.constant(96.0), Key.parse("F# minor")
SCORE = composed_score(4, seconds=6.0, tempo_map=GRID, key=str(KEY))
OPEN: dict[str, Any] = {"bpm": None, "key": None, "seconds": 0}
"""Nothing but the score decides tempo, key and length."""


def midi(score: Score = SCORE, grid: TempoMap = GRID, *, seconds: float = 6.0) -> brief_pb2.Score:
    """A file that this service wrote."""
    return brief_pb2.Score(midi=midi_bytes(score, tempo_map=grid, key=KEY, seconds=seconds))


def chords(text: str) -> brief_pb2.Score:
    """Chords of a brief."""
    return brief_pb2.Score(chords=text)


def created(parts: RenderParts, **fields: Any) -> tuple[Version, Plan]:
    """The version of a brief, and its plan."""
    (version,) = parts.journal.job(TENANT, parts.create_render(**fields).job_id).versions
    return version, plan_from_json(version.plan)


def refusals(parts: RenderParts, **fields: Any) -> dict[str, str]:
    """The refused fields of a brief."""
    with pytest.raises(InvalidFields) as refused:
        parts.create_render(**fields)
    return {violation.field: violation.description for violation in refused.value.violations}


def pitches(score: Score | None, part: Part) -> list[int]:
    """Of one part, in order of time."""
    assert score is not None
    return [note.pitch for note in score.notes if note.part is part]


def test_a_midi_file_is_the_score_that_is_played(parts: RenderParts) -> None:
    """Notes, tempo map, key and length come from the file; the chords of the plan are estimated from its notes."""
    version, plan = created(parts, **OPEN, score=midi())
    for part in Part:
        assert sorted(pitches(plan.score, part)) == sorted(pitches(SCORE, part))
    assert plan.score is not None
    assert [(n.pitch, n.harmony) for n in plan.score.sung] == [(n.pitch, n.harmony) for n in SCORE.sung]
    assert (plan.tempo_map, str(plan.key)) == (GRID, "F# minor")
    assert plan.seconds > 6.0
    assert (plan.chords[0].start_s, plan.chords[-1].end_s) == (0.0, plan.seconds)
    assert (version.brief["tempoSource"], version.brief["keySource"]) == ("score", "score")


def test_the_brief_names_the_file_by_its_digest(parts: RenderParts) -> None:
    """Not the file itself."""
    given = midi()
    version, _ = created(parts, **OPEN, score=given)
    assert version.brief["score"] == {"midiSha256": hashlib.sha256(given.midi).hexdigest()}


def test_the_brief_wins_over_the_file(parts: RenderParts) -> None:
    """Positions in beats are laid over the brief's tempo; key and length are the brief's."""
    version, plan = created(parts, bpm=192.0, key="A major", seconds=8.0, score=midi())
    assert (plan.tempo_map, str(plan.key), plan.seconds) == (TempoMap.constant(192.0), "A major", 8.0)
    assert plan.score is not None
    starts_s = [[n.start_s for n in score.notes if n.part is Part.BASS] for score in (plan.score, SCORE)]
    assert starts_s[0] == pytest.approx([start_s / 2 for start_s in starts_s[1]], abs=1e-3)
    assert (version.brief["tempoSource"], version.brief["keySource"]) == ("caller", "caller")


def test_an_instrumental_take_plays_the_voice_as_a_line(parts: RenderParts) -> None:
    """The renderer sings nothing then."""
    voice = SungNote(
        start_s=0.0, end_s=1.0, pitch=60, velocity=0.5, consonant=0, vowel=0, phrase=0, layers=0, harmony=0
    )
    _, plan = created(parts, instrumental=True, score=midi(replace(SCORE, notes=(), sung=(voice,))))
    assert pitches(plan.score, Part.LINE) == [60]


def test_chords_replace_the_drawn_ones(parts: RenderParts) -> None:
    """Repeated over the bars; the take ends on the tonic of the key that they are in. The parts are composed over them."""
    version, plan = created(parts, score=chords("Em C G D"), bpm=120.0, key=None, seconds=20.0)
    assert str(plan.key) == "E minor"
    assert version.brief["score"] == {"chords": "Em C G D"}
    assert version.brief["keySource"] == "score"
    assert plan.score is not None
    assert plan.score.ending_s == 16.0
    assert [str(span) for span in plan.chords] == ["E:min", "C:maj", "G:maj", "D:maj"] * 2 + ["E:min"]
    basses = {note.pitch % 12 for note in plan.score.notes if note.part is Part.BASS and 2.0 <= note.start_s < 2.05}
    assert basses == {0}


def test_the_prompt_names_a_key_that_chords_only_suggest(parts: RenderParts) -> None:
    """An estimate wins over a draw, and a word over an estimate."""
    _, plan = created(parts, score=chords("Em C G D"), key=None, prompt="piano in G major")
    assert str(plan.key) == "G major"


@pytest.mark.parametrize(
    ("score", "field", "message"),
    [
        (brief_pb2.Score(midi=b"RIFF"), "brief.score.midi", "begins with MThd"),
        (brief_pb2.Score(midi=b""), "brief.score.midi", "begins with MThd"),
        (chords("Am Hm"), "brief.score.chords", "got 'Hm'"),
        (brief_pb2.Score(), "brief.score", "must have midi or chords, got neither"),
        (midi(), "brief.score.midi", "notes must start within 0 to 2 s, got"),
    ],
)
def test_a_score_that_cannot_be_played_is_refused(
    parts: RenderParts, score: brief_pb2.Score, field: str, message: str
) -> None:
    """The field's path, what was expected and what was received."""
    assert message in refusals(parts, score=score)[field]


def test_chords_that_make_too_many_notes_are_refused(parts: RenderParts) -> None:
    """As a planner finds them."""
    with pytest.raises(InvalidFields) as refused:
        parts.create_render(replace(parts.renders, planner=Overflowing(parts.renderer)), score=chords("Am F"))
    (violation,) = refused.value.violations
    assert violation.field == "brief.score.chords"
    assert violation.description.endswith("must have at most 20000 notes, got 20001; give fewer chords a bar")


class Overflowing:
    """The renderer's planner, as it answers where chords make too many notes."""

    def __init__(self, renderer: Renderer) -> None:
        assert renderer.planner is not None
        self.habits, self.read_style = renderer.planner.habits, renderer.planner.read_style

    def write_score(self, request: ScoreRequest) -> Score:
        """Always too many."""
        note = Note(part=Part.LINE, start_s=0.0, end_s=1.0, pitch=60, velocity=1.0)
        score = Score(instrumentation=(Instrumentation.PIANO,), sections=(), notes=(note,) * 20_001, sung=())
        check_score(score, seconds=request.seconds)
        return score


@pytest.mark.parametrize("score", [midi(), chords("Am F")])
def test_a_renderer_that_plays_no_scores_refuses_one(parts: RenderParts, score: brief_pb2.Score) -> None:
    """At creation."""
    with pytest.raises(FailedPrecondition) as refused:
        parts.create_render(replace(parts.renders, planner=None), score=score)
    assert (refused.value.reason, refused.value.metadata["field"]) == ("UNSUPPORTED_BY_RENDERER", "brief.score")


def test_a_file_without_tempo_takes_that_of_the_prompt(parts: RenderParts) -> None:
    """Drums alone have no key either: it is drawn."""
    hit = Note(part=Part.KIT, start_s=0.5, end_s=1.0, pitch=36, velocity=1.0)
    drums = Score(instrumentation=(Instrumentation.PIANO,), sections=(), notes=(hit,), sung=())
    data = midi(drums, TempoMap.constant(120.0)).midi
    without = brief_pb2.Score(midi=_without_metas(data))
    version, plan = created(parts, **OPEN, prompt="piano at 60 bpm", score=without)
    assert plan.tempo_map.points[0].bpm == 60.0
    assert plan.score is not None
    assert plan.score.notes[0].start_s == pytest.approx(1.0)
    assert (version.brief["tempoSource"], version.brief["keySource"]) == ("prompt", "drawn")


def _without_metas(data: bytes) -> bytes:
    """The file without its tempo and its key."""
    kept = data.replace(b"\xff\x51\x03", b"\xff\x7f\x03").replace(b"\xff\x59\x02", b"\xff\x7f\x02")
    assert kept != data
    return kept
