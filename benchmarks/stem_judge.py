"""Whose sound a stem has, judged apart from the renderer's own nets.

Linear discriminants (training/evaluation/judge.py) for each kind of stem, on what the separator makes of corpus songs by each
persona: so a separator's traces are in the classes too. Rendered stems differ from composed ones in ways that are nobody's
sound; what all originals of a kind have in common, whoever they are by, is taken out before they are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from separation_service.engine import STEMS, Separator
from training.corpus.builtin_personas import personas
from training.corpus.compose import REFERENCE_SEEDS, compose
from training.corpus.song import perform
from training.evaluation.judge import Judge, describe, judge_from, windows

Values = NDArray[np.float64]

_FIRST_SEED = REFERENCE_SEEDS[70_000_000]  # no training uses these, nor the judge of whole takes
_SONG_S, _CLIP_S = 24.0, 6.0
_PARTS = ("mean", "deviation", "directions", "centres")


def fit(ids: Sequence[str], separator: Separator, *, songs_each: int, kept: Path) -> dict[str, Judge]:
    """A judge for each kind of stem, from ``songs_each`` songs of 24 s by each persona; read from ``kept`` where it is there."""
    if not kept.is_file():
        judges = _fitted(ids, separator, songs_each)
        np.savez(kept, **{f"{stem}-{part}": getattr(judges[stem], part) for stem in STEMS for part in _PARTS})
    with np.load(kept) as stored:
        return {stem: Judge(**{part: stored[f"{stem}-{part}"] for part in _PARTS}) for stem in STEMS}


def _fitted(ids: Sequence[str], separator: Separator, songs_each: int) -> dict[str, Judge]:
    described: Mapping[str, list[Values]] = {stem: [] for stem in STEMS}
    labels: list[int] = []
    for number, name in enumerate(ids):
        persona = next(persona for persona in personas() if persona.id == name)
        for song in range(songs_each):
            seed = _FIRST_SEED + 1000 * number + song
            mix = perform(compose(seed, seconds=_SONG_S, persona=persona, instrumental=False)).mix
            stems = dict(zip(STEMS, separator.separate(mix, lambda _done, _total: None), strict=True))
            for stem in STEMS:
                described[stem] += [describe(clip) for clip in windows(stems[stem], seconds=_CLIP_S)]
            labels += [number] * (len(described["drums"]) - len(labels))
    return {stem: judge_from(np.stack(described[stem]), np.array(labels)) for stem in STEMS}


def nearest(judge: Judge, stem: Values, originals: Sequence[Values]) -> int:
    """The number of the persona whose stems a described one is nearest to, what the ``originals`` have in common taken out."""
    common = np.mean([judge.place_described(other) for other in originals], axis=0) - judge.centres.mean(axis=0)
    return int(np.square(judge.centres - (judge.place_described(stem) - common)).sum(axis=1).argmin())
