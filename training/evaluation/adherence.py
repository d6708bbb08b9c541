"""Whether a take follows the requested tempo, key and chords; the nulls compare it with wrong ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from render_service.music.tempo_map import TempoMap, TempoPoint
from training.corpus.builtin_personas import personas
from training.corpus.compose import HELD_OUT_SEEDS, compose
from training.corpus.song import Song, perform
from training.evaluation.section import Goal, Section, with_null
from training.evaluation.takes import Comparison, TakeRenderer, Waveform, mean_of
from training.metrics import (
    chroma,
    estimate_key,
    mirex_score,
    onsets_s,
    scale_tempo,
    share_in_chords,
    share_in_scale,
    share_of_frames_on_chord,
    share_on_grid,
    transpose,
)

_TRITONE = 6
_TEMPO_CHANGE_SEEDS = HELD_OUT_SEEDS[10_000:]


@dataclass(frozen=True, kw_only=True)
class Adherence:
    """Each measure and its null: a grid 13 % off, or a key or chord a tritone away."""

    on_grid: float
    on_wrong_grid: float
    onsets_per_second: float
    in_scale: float
    in_wrong_scale: float
    key: float
    wrong_key: float
    in_chords: float
    in_wrong_chords: float
    on_chord: float
    wrong_on_chord: float


def measure(take: Waveform, song: Song) -> Adherence:
    """Measure a take ``(2, T)`` by what the song asked for."""
    onsets, energy = onsets_s(take), chroma(take)
    seconds, key = take.shape[1] / song.sample_rate, estimate_key(energy)
    return Adherence(
        on_grid=share_on_grid(onsets, song.tempo_map, seconds),
        on_wrong_grid=share_on_grid(onsets, scale_tempo(song.tempo_map), seconds),
        onsets_per_second=len(onsets) / seconds,
        in_scale=share_in_scale(energy, song.key),
        in_wrong_scale=share_in_scale(energy, transpose(song.key, _TRITONE)),
        key=mirex_score(key, song.key),
        wrong_key=mirex_score(key, transpose(song.key, _TRITONE)),
        in_chords=share_in_chords(energy, song.chords),
        in_wrong_chords=share_in_chords(energy, song.chords, transposed=_TRITONE),
        on_chord=share_of_frames_on_chord(energy, song.chords),
        wrong_on_chord=share_of_frames_on_chord(energy, song.chords, transposed=_TRITONE),
    )


def mean_adherence(values: Sequence[Adherence]) -> Adherence:
    """The mean of each measure."""
    return Adherence(
        **{name: mean_of([getattr(value, name) for value in values]) for name in Adherence.__dataclass_fields__}
    )


def adherence(comparisons: Sequence[Comparison]) -> Section:
    """Adherence of true audio, upper bound and takes of the held-out songs."""
    true = mean_adherence([measure(comparison.song.mix, comparison.song) for comparison in comparisons])
    upper_bound = mean_adherence([measure(comparison.upper_bound, comparison.song) for comparison in comparisons])
    takes = mean_adherence([measure(comparison.take, comparison.song) for comparison in comparisons])
    named = {"true audio": true, "autoencoder upper bound": upper_bound, "takes": takes}
    return Section(
        title="Tempo, key and chords",
        note=(
            f"{len(comparisons)} held-out songs of {comparisons[0].song.mix.shape[1] / 44100:g} s. In brackets the null:"
            " a grid 13 % off, or key and chords a tritone away. The autoencoder upper bound is the song itself"
            " through autoencoder and vocoder."
        ),
        head=(
            "",
            "onsets on the grid",
            "onsets per second",
            "energy in scale",
            "MIREX key score",
            "energy in chords",
            "chord strongest of 24",
        ),
        rows=[(name, *_cells(values)) for name, values in named.items()],
        goals=(
            Goal(name="onsets within 25 ms of the grid", value=takes.on_grid, target=0.95),
            Goal(name="onsets on a grid 13 % off", value=takes.on_wrong_grid, target=0.5, at_most=True),
            Goal(name="energy in scale, share of true audio", value=takes.in_scale / true.in_scale, target=0.9),
            Goal(name="MIREX key score, share of true audio", value=takes.key / true.key, target=0.9),
            Goal(
                name="chord strongest, share of the upper bound",
                value=takes.on_chord / upper_bound.on_chord,
                target=0.95,
            ),
            Goal(name="wrong chord strongest", value=takes.wrong_on_chord, target=0.05, at_most=True),
            Goal(
                name="chord upper bound, share of true audio", value=upper_bound.on_chord / true.on_chord, target=0.85
            ),
        ),
    )


def _cells(f: Adherence) -> tuple[str, ...]:
    return (
        with_null(f.on_grid, f.on_wrong_grid),
        f"{f.onsets_per_second:.1f}",
        with_null(f.in_scale, f.in_wrong_scale),
        with_null(f.key, f.wrong_key, 2),
        with_null(f.in_chords, f.in_wrong_chords),
        with_null(f.on_chord, f.wrong_on_chord),
    )


def tempo_changes(take_renderer: TakeRenderer, songs: int) -> Section:
    """Adherence to the grid with a tempo change in mid-song, and with swing."""
    seconds = take_renderer.sampling.seconds
    maps: dict[str, Callable[[float], TempoMap]] = {
        "tempo change in mid-song": lambda bpm: _with_tempo_change(bpm, seconds),
        "swing 0.64": lambda bpm: TempoMap.constant(bpm, swing=0.64),
    }
    rows, goals = [], []
    for number, (name, map_of) in enumerate(maps.items()):
        comparisons = [_compare(take_renderer, 100 * number + i, map_of(84.0 + 14.0 * i)) for i in range(songs)]
        true = mean_adherence([measure(comparison.song.mix, comparison.song) for comparison in comparisons])
        takes = mean_adherence([measure(comparison.take, comparison.song) for comparison in comparisons])
        rows += [
            (f"{name}, {audio}", with_null(f.on_grid, f.on_wrong_grid), f"{f.onsets_per_second:.1f}")
            for audio, f in (("true audio", true), ("takes", takes))
        ]
        goals.append(Goal(name=f"onsets on the grid, {name}", value=takes.on_grid, target=0.95))
    return Section(
        title="Tempo change and swing",
        note=f"{songs} songs each; the tempo rises by a quarter at a bar line near the middle.",
        head=("", "onsets on the grid", "onsets per second"),
        rows=rows,
        goals=goals,
    )


def _with_tempo_change(bpm: float, seconds: float) -> TempoMap:
    bar_s = 240.0 / bpm
    second = max(round(0.5 * seconds / bar_s), 1) * bar_s
    return TempoMap(points=(TempoPoint(start_s=0.0, bpm=bpm), TempoPoint(start_s=second, bpm=1.25 * bpm)))


def _compare(take_renderer: TakeRenderer, number: int, tempo_map: TempoMap) -> Comparison:
    persona = number % len(personas())
    score = compose(
        _TEMPO_CHANGE_SEEDS[number],
        seconds=take_renderer.sampling.seconds,
        persona=personas()[persona],
        tempo_map=tempo_map,
    )
    return take_renderer.compare(perform(score), persona)
