"""One stem's part replaced by that of another score."""

from __future__ import annotations

from dataclasses import replace

import pytest

from render_service.composer.new_part import with_part_of
from render_service.composer.score import Note, Part, Score
from render_service.composer.style import Instrumentation
from tests.support.scores import composed_score

SECONDS = 20.0
WHOLE = (0.0, SECONDS)
OLD, NEW = composed_score(1, seconds=SECONDS), composed_score(2, seconds=SECONDS)


def of_stem(score: Score, stem: str) -> tuple[Note, ...]:
    """The played notes of a stem."""
    return tuple(note for note in score.notes if note.part.stem == stem)


@pytest.mark.parametrize("stem", ["drums", "bass", "other", "vocals"])
def test_the_other_stems_keep_their_notes(stem: str) -> None:
    """Of the replaced stem all notes are new ones; new lines leave room for the old voice."""
    mixed = with_part_of(OLD, NEW, stem, WHOLE)
    for kept in {"drums", "bass", "other", "vocals"} - {stem, "vocals"}:
        assert of_stem(mixed, kept) == of_stem(OLD, kept)
    assert mixed.sung == (NEW.sung if stem == "vocals" else OLD.sung)
    assert mixed.sections == OLD.sections
    if stem != "vocals":
        assert of_stem(mixed, stem)
        assert {replace(n, end_s=0.0) for n in of_stem(mixed, stem)} <= {
            replace(n, end_s=0.0) for n in of_stem(NEW, stem)
        }


def test_the_families_go_with_the_whole_stem() -> None:
    """Of a part of the take they stay: one stem has one pair of families."""
    brassy = replace(NEW, instrumentation=(Instrumentation.BRASS,))
    assert with_part_of(OLD, brassy, "other", WHOLE).instrumentation == (Instrumentation.BRASS,)
    assert with_part_of(OLD, brassy, "other", (4.0, 8.0)).instrumentation == OLD.instrumentation
    assert with_part_of(OLD, brassy, "bass", WHOLE).instrumentation == OLD.instrumentation


def test_a_region_keeps_to_its_seconds() -> None:
    """Old notes outside, new notes inside; a note that crosses an edge ends there."""

    def bass(start_s: float, end_s: float, pitch: int) -> Note:
        return Note(part=Part.BASS, start_s=start_s, end_s=end_s, pitch=pitch, velocity=1.0)

    old = replace(OLD, notes=(bass(0.0, 5.0, 30), bass(5.0, 7.0, 31), bass(8.0, 9.0, 32)), sung=())
    new = replace(NEW, notes=(bass(0.0, 4.0, 40), bass(4.0, 6.0, 41), bass(7.0, 12.0, 42)), sung=())
    mixed = with_part_of(old, new, "bass", (4.0, 8.0))
    assert [(n.start_s, n.end_s, n.pitch) for n in mixed.notes] == [
        (0.0, 4.0, 30),
        (4.0, 6.0, 41),
        (7.0, 8.0, 42),
        (8.0, 9.0, 32),
    ]
