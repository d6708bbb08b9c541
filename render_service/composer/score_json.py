"""A score as text for the plan: JSON of integers, compressed, in base64. 90 s take about 12 kB."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Sequence
from typing import Any

from render_service.composer.score import (
    TICKS_PER_SECOND,
    VELOCITY_STEPS,
    Note,
    Part,
    Score,
    ScoreError,
    Section,
    SectionKind,
    SungNote,
)
from render_service.composer.style import Instrumentation

_MAX_JSON_BYTES = 4 << 20  # 20000 notes are under 1 MiB
_LEVEL = 9


def score_text(score: Score) -> str:
    """Encode a snapped score. :func:`score_from_text` is the inverse."""
    facts = {
        "instrumentation": [family.value for family in score.instrumentation],
        "sections": [[s.kind.value, _ticks(s.start_s), _ticks(s.end_s)] for s in score.sections],
        "notes": {part.value: [_note_row(n) for n in score.notes if n.part is part] for part in Part},
        "sung": [[*_note_row(n), n.consonant, n.vowel, n.phrase, n.layers, n.harmony] for n in score.sung],
    }
    data = json.dumps(facts, separators=(",", ":"), sort_keys=True).encode()
    return base64.b64encode(zlib.compress(data, _LEVEL)).decode()


def score_from_text(text: str) -> Score:
    """Decode what :func:`score_text` wrote. Raises :class:`ScoreError` for anything else."""
    try:
        inflate = zlib.decompressobj()
        data = inflate.decompress(base64.b64decode(text, validate=True), _MAX_JSON_BYTES)
        if not inflate.eof:
            raise ScoreError(f"must be one compressed text of at most {_MAX_JSON_BYTES} bytes")
        facts = json.loads(data)
        notes = [_note(Part(name), row) for name, rows in facts["notes"].items() for row in rows]
        return Score(
            instrumentation=tuple(Instrumentation(name) for name in facts["instrumentation"]),
            sections=tuple(_section(row) for row in facts["sections"]),
            notes=tuple(notes),
            sung=tuple(_sung(row) for row in facts["sung"]),
        ).snapped()
    except (binascii.Error, zlib.error, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ScoreError):
            raise
        raise ScoreError(f"is not a score ({error})") from error


def _ticks(second: float) -> int:
    return round(second * TICKS_PER_SECOND)


def _note_row(note: Note | SungNote) -> list[int]:
    return [
        _ticks(note.start_s),
        _ticks(note.end_s) - _ticks(note.start_s),
        note.pitch,
        round(note.velocity * VELOCITY_STEPS),
    ]


def _note(part: Part, row: Sequence[Any]) -> Note:
    start, length, pitch, velocity = (_integer(value) for value in row)
    return Note(
        part=part,
        start_s=start / TICKS_PER_SECOND,
        end_s=(start + length) / TICKS_PER_SECOND,
        pitch=pitch,
        velocity=velocity / VELOCITY_STEPS,
    )


def _sung(row: Sequence[Any]) -> SungNote:
    start, length, pitch, velocity, consonant, vowel, phrase, layers, harmony = (_integer(value) for value in row)
    return SungNote(
        start_s=start / TICKS_PER_SECOND,
        end_s=(start + length) / TICKS_PER_SECOND,
        pitch=pitch,
        velocity=velocity / VELOCITY_STEPS,
        consonant=consonant,
        vowel=vowel,
        phrase=phrase,
        layers=layers,
        harmony=harmony,
    )


def _section(row: Sequence[Any]) -> Section:
    kind, start, end = row
    return Section(
        kind=SectionKind(kind), start_s=_integer(start) / TICKS_PER_SECOND, end_s=_integer(end) / TICKS_PER_SECOND
    )


def _integer(value: object) -> int:
    if type(value) is not int:
        raise ScoreError(f"must consist of integers, got {value!r:.40}")
    return value
