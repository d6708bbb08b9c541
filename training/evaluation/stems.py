"""The separator on held-out songs, with the soundfont of its training and with one that training did not use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from separation_service.engine import Separator
from training.corpus.compose import HELD_OUT_SEEDS, compose
from training.corpus.song import perform
from training.corpus.soundfont import Soundfont, load_soundfont
from training.corpus.store import StoredSong, to_stored
from training.evaluation.section import Goal, Section
from training.separator.measure import StemFigures, measure

_SEEDS = HELD_OUT_SEEDS[40_000:]
_INSTRUMENTAL_EVERY = 3


def stems(separator: Separator, *, songs: int, seconds: float, held_out_soundfont: Path | None) -> Section:
    """SI-SDR, its improvement over the mixture, and leakage into silent stems."""
    fonts = {"FluidR3_GM, trained on": load_soundfont()}
    if held_out_soundfont is not None:
        fonts[f"{held_out_soundfont.stem}, not trained on"] = Soundfont(held_out_soundfont)
    rows: list[tuple[str, ...]] = []
    goals: list[Goal] = []
    for name, font in fonts.items():
        figures = measure(separator, held_out_songs(songs, seconds=seconds, font=font))
        rows += [(f"{row.stem}, {name}", *_cells(row)) for row in figures]
        if not goals:
            goals = _goals(figures)
    return Section(
        title="Separator",
        note=(
            f"{songs} held-out songs of {seconds:g} s, every third an instrumental; medians in dB. The null is the mixture as the"
            " estimate. Leakage: level of a stem that should be silent, relative to the mix."
            + ("" if held_out_soundfont is not None else " No held-out soundfont was used.")
        ),
        head=("", "SI-SDR", "null", "improvement", "leakage"),
        rows=rows,
        goals=goals,
    )


def held_out_songs(count: int, *, seconds: float, font: Soundfont) -> list[StoredSong]:
    """Songs with seeds that nothing else uses; every third is an instrumental."""
    scores = [
        compose(_SEEDS[i], seconds=seconds, instrumental=i % _INSTRUMENTAL_EVERY == _INSTRUMENTAL_EVERY - 1)
        for i in range(count)
    ]
    return [to_stored(perform(score, soundfont=font), score) for score in scores]


def _cells(row: StemFigures) -> tuple[str, ...]:
    leakage = "-" if row.leakage_db is None else f"{row.leakage_db:.1f}"
    return f"{row.si_sdr_db:.1f}", f"{row.mixture_si_sdr_db:.1f}", f"{row.improvement_db:+.1f}", leakage


def _goals(figures: Sequence[StemFigures]) -> list[Goal]:
    improvements = [
        Goal(name=f"SI-SDR improvement, {row.stem}, dB", value=row.improvement_db, target=6.0) for row in figures
    ]
    leakage = [
        Goal(name=f"leakage into silent {row.stem}, dB", value=row.leakage_db, target=-30.0, at_most=True)
        for row in figures
        if row.leakage_db is not None
    ]
    return [*improvements, *leakage]
