"""The composer: scores as values, their text form, and the ending."""

from __future__ import annotations

import base64
import zlib
from dataclasses import replace

import numpy as np
import pytest

from render_service.composer.compose import ScoreInputs, compose_score
from render_service.composer.form import ending_start_s
from render_service.composer.habits import Habits
from render_service.composer.score import MAX_NOTES, Note, Part, Score, ScoreError, SectionKind, check_score
from render_service.composer.score_json import score_from_text, score_text
from render_service.composer.style import Instrumentation, Mood, Style
from render_service.music.harmony import draw_chords
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap

HABITS = Habits(density=0.6, swing=0.5, electronic_kit=False, percussion=2, sub_bass=False, voice_pitch=58)
STYLE = Style(instrumentation=(Instrumentation.PIANO, Instrumentation.STRINGS), mood=Mood.HAPPY)
NOTE = Note(part=Part.LINE, start_s=0.5, end_s=1.0, pitch=60, velocity=1.0)


def inputs(
    seed: int = 1, *, seconds: float = 30.0, tempo_map: TempoMap | None = None, ends: bool = True
) -> ScoreInputs:
    """A take in D major; by default 4/4 at 100 bpm."""
    grid, key = tempo_map or TempoMap.constant(100.0), Key.parse("D major")
    ending_s = ending_start_s(grid, seconds) if ends else None
    chords = draw_chords(np.random.default_rng(seed), key=key, tempo_map=grid, seconds=seconds, ending_s=ending_s)
    return ScoreInputs(
        seed=seed,
        seconds=seconds,
        tempo_map=grid,
        key=key,
        chords=chords,
        ending_s=ending_s,
        instrumental=False,
        style=STYLE,
        habits=HABITS,
    )


def test_a_score_is_a_pure_function_of_its_inputs() -> None:
    """Equal inputs give equal scores; another seed gives another one."""
    assert compose_score(inputs()) == compose_score(inputs())
    assert compose_score(inputs(1)) != compose_score(inputs(2))


@pytest.mark.parametrize("seconds", [2.0, 4.0, 30.0, 180.0])
def test_scores_of_all_lengths_are_within_bounds(seconds: float) -> None:
    """From the shortest take to the longest, in odd metres and at extreme tempos."""
    for grid in (
        TempoMap.constant(100.0),
        TempoMap.constant(300.0, beats_per_bar=1),
        TempoMap.constant(30.0, swing=0.75),
    ):
        score = compose_score(inputs(seconds=seconds, tempo_map=grid))
        check_score(score, seconds=seconds)
        assert score.notes


def test_a_take_has_an_intro_sections_and_an_ending() -> None:
    """Over twenty takes of a minute most start with an intro, and all end with a final chord that has time to ring."""
    takes = [compose_score(inputs(seed, seconds=60.0)) for seed in range(20)]
    assert sum(take.sections[0].kind is SectionKind.INTRO for take in takes) > 10
    for take in takes:
        assert take.sections[-1].kind is SectionKind.ENDING
        assert 2.0 < 60.0 - take.ending_s < 8.0
        assert {section.kind for section in take.sections} >= {SectionKind.VERSE, SectionKind.CHORUS}


def test_a_take_that_is_cut_off_plays_to_its_end() -> None:
    """Without an ending the last bar is played like the others."""
    score = compose_score(inputs(seconds=24.0, ends=False))
    assert score.ending_s is None
    assert max(note.start_s for note in score.notes) > 22.0


def test_denser_habits_and_moods_play_more_notes() -> None:
    """Density is followed."""
    busy, sparse = replace(HABITS, density=0.95), replace(HABITS, density=0.1)
    counts = [
        sum(len(compose_score(replace(inputs(seed), habits=habits)).notes) for seed in range(8))
        for habits in (busy, sparse)
    ]
    assert counts[0] > 1.3 * counts[1]


def test_a_score_is_read_back_from_its_text_exactly() -> None:
    """Also one without notes."""
    score = compose_score(inputs(seconds=90.0))
    text = score_text(score)
    assert score_from_text(text) == score
    assert len(text) < 40_000
    empty = Score(instrumentation=STYLE.instrumentation, sections=(), notes=(), sung=())
    assert score_from_text(score_text(empty)) == empty


@pytest.mark.parametrize(
    "text",
    [
        "",
        "?",
        base64.b64encode(b"no zlib").decode(),
        base64.b64encode(zlib.compress(b"[]")).decode(),
        base64.b64encode(
            zlib.compress(b'{"instrumentation":["piano"],"sections":[],"notes":{"kit":[[1.5,1,1,1]]},"sung":[]}')
        ).decode(),
        base64.b64encode(zlib.compress(bytes(5 << 20))).decode(),
        base64.b64encode(zlib.compress(b"{}")[:-3]).decode(),
    ],
)
def test_text_that_is_not_a_score_is_refused(text: str) -> None:
    """A changed text, and one that would unpack to more than 4 MiB."""
    with pytest.raises(ScoreError):
        score_from_text(text)


@pytest.mark.parametrize(
    ("note", "message"),
    [
        (replace(NOTE, start_s=40.0, end_s=41.0), "start within 0 to 30 s"),
        (replace(NOTE, end_s=0.5), "end after they start"),
        (replace(NOTE, pitch=128), "pitches must be 0 to 127, got 128"),
        (replace(NOTE, velocity=0.0), "velocities must be above 0"),
    ],
)
def test_scores_out_of_bounds_are_refused(note: Note, message: str) -> None:
    """The message names the bound and the value."""
    with pytest.raises(ScoreError, match=message):
        check_score(Score(instrumentation=STYLE.instrumentation, sections=(), notes=(note,), sung=()), seconds=30.0)


def test_too_many_notes_are_refused() -> None:
    """The message names the limit."""
    notes = (NOTE,) * (MAX_NOTES + 1)
    with pytest.raises(ScoreError, match="at most 20000 notes, got 20001"):
        check_score(Score(instrumentation=STYLE.instrumentation, sections=(), notes=notes, sung=()), seconds=30.0)
