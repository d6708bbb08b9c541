"""One stem's part of a score replaced by that of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from render_service.composer.score import Note, Part, Score, SungNote

_VOCALS, _OTHER = "vocals", "other"
_N = TypeVar("_N", Note, SungNote)


def with_part_of(score: Score, other: Score, stem: str, span: tuple[float, float]) -> Score:
    """``score`` with the notes of ``other`` in ``stem`` that start within ``span`` seconds, and its own notes elsewhere.

    A new line is silent where ``score`` sings. Notes end where the span begins or ends. The instrument families of the stem
    "other" go with its notes if the whole take is replaced.
    """
    notes = tuple(note for note in score.notes if note.part.stem != stem)
    sung = score.sung
    if stem == _VOCALS:
        sung = (*_outside(score.sung, span), *_inside(other.sung, span))
    else:
        notes += (
            *_outside([note for note in score.notes if note.part.stem == stem], span),
            *_inside([note for note in other.notes if note.part.stem == stem and not _crosses(note, score)], span),
        )
    takes_families = stem == _OTHER and span[0] <= 0.0 and not _outside(score.notes, span)
    families = other.instrumentation if takes_families else score.instrumentation
    return replace(score, instrumentation=families, notes=notes, sung=tuple(sung)).snapped()


def _crosses(note: Note, score: Score) -> bool:
    """Whether a line would play while the score sings."""
    sings = (sung.start_s < note.end_s and sung.end_s > note.start_s for sung in score.sung)
    return note.part is Part.LINE and any(sings)


def _outside(notes: Sequence[_N], span: tuple[float, float]) -> list[_N]:
    start_s, end_s = span
    before = [replace(note, end_s=min(note.end_s, start_s)) for note in notes if note.start_s < start_s]
    return before + [note for note in notes if note.start_s >= end_s]


def _inside(notes: Sequence[_N], span: tuple[float, float]) -> list[_N]:
    start_s, end_s = span
    return [replace(note, end_s=min(note.end_s, end_s)) for note in notes if start_s <= note.start_s < end_s]
