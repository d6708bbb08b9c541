"""Whether a take is on the asked grid, in the asked key and on the asked chords, each beside a wrong one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from render_service.music.tempo_map import TempoMap, TempoPoint
from training.corpus.builtin_personas import personas
from training.corpus.compose import HELD_OUT_SEEDS, compose
from training.corpus.song import Song, perform
from training.evaluation.section import Goal, Section, beside
from training.evaluation.takes import Studio, Trio, Waveform, mean_of
from training.measures import (
    chroma,
    heard_key,
    mirex_score,
    onsets_s,
    share_in_chords,
    share_in_scale,
    share_of_chords_held,
    share_on_grid,
    slower,
    transposed,
)

_TRITONE = 6
_CHANGING_SEEDS = HELD_OUT_SEEDS[10_000:]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Each figure beside its null: a grid 13 % off, or a key or chord a tritone away."""

    on_grid: float
    on_wrong_grid: float
    onsets_a_second: float
    in_scale: float
    in_wrong_scale: float
    key: float
    wrong_key: float
    in_chords: float
    in_wrong_chords: float
    chord_held: float
    wrong_chord_held: float


def measure(take: Waveform, song: Song) -> Figures:
    """Judge a take ``(2, T)`` by what the song asked for."""
    onsets, energy = onsets_s(take), chroma(take)
    seconds, key = take.shape[1] / song.sample_rate, heard_key(energy)
    return Figures(
        on_grid=share_on_grid(onsets, song.tempo_map, seconds),
        on_wrong_grid=share_on_grid(onsets, slower(song.tempo_map), seconds),
        onsets_a_second=len(onsets) / seconds,
        in_scale=share_in_scale(energy, song.key),
        in_wrong_scale=share_in_scale(energy, transposed(song.key, _TRITONE)),
        key=mirex_score(key, song.key),
        wrong_key=mirex_score(key, transposed(song.key, _TRITONE)),
        in_chords=share_in_chords(energy, song.chords),
        in_wrong_chords=share_in_chords(energy, song.chords, transposed=_TRITONE),
        chord_held=share_of_chords_held(energy, song.chords),
        wrong_chord_held=share_of_chords_held(energy, song.chords, transposed=_TRITONE),
    )


def averaged(figures: Sequence[Figures]) -> Figures:
    """The mean of each figure."""
    return Figures(**{name: mean_of([getattr(f, name) for f in figures]) for name in Figures.__dataclass_fields__})


def following(trios: Sequence[Trio]) -> Section:
    """True audio, ceiling and takes of the held-out songs."""
    true = averaged([measure(trio.song.mix, trio.song) for trio in trios])
    ceiling = averaged([measure(trio.ceiling, trio.song) for trio in trios])
    takes = averaged([measure(trio.take, trio.song) for trio in trios])
    named = {"true audio": true, "ceiling": ceiling, "takes": takes}
    return Section(
        title="Tempo, key and chords",
        note=(
            f"{len(trios)} held-out songs of {trios[0].song.mix.shape[1] / 44100:g} s. In brackets the null: a grid 13 % off,"
            " or key and chords a tritone away. The ceiling is the song itself through autoencoder and vocoder."
        ),
        head=(
            "",
            "onsets on the grid",
            "onsets a second",
            "energy in scale",
            "MIREX key score",
            "energy in chords",
            "chord strongest of 24",
        ),
        rows=[(name, *_cells(figures)) for name, figures in named.items()],
        goals=(
            Goal(name="onsets within 25 ms of the grid", reached=takes.on_grid, wanted=0.95),
            Goal(name="onsets on a grid 13 % off", reached=takes.on_wrong_grid, wanted=0.5, at_most=True),
            Goal(name="energy in scale, share of true audio", reached=takes.in_scale / true.in_scale, wanted=0.9),
            Goal(name="MIREX key score, share of true audio", reached=takes.key / true.key, wanted=0.75),
            Goal(name="chord strongest, share of ceiling", reached=takes.chord_held / ceiling.chord_held, wanted=0.95),
            Goal(name="wrong chord strongest", reached=takes.wrong_chord_held, wanted=0.05, at_most=True),
            Goal(
                name="ceiling of chords, share of true audio", reached=ceiling.chord_held / true.chord_held, wanted=0.85
            ),
        ),
    )


def _cells(f: Figures) -> tuple[str, ...]:
    return (
        beside(f.on_grid, f.on_wrong_grid),
        f"{f.onsets_a_second:.1f}",
        beside(f.in_scale, f.in_wrong_scale),
        beside(f.key, f.wrong_key, 2),
        beside(f.in_chords, f.in_wrong_chords),
        beside(f.chord_held, f.wrong_chord_held),
    )


def changing_tempo(studio: Studio, songs: int) -> Section:
    """The grid under a change of tempo in mid-song, and under swing."""
    seconds = studio.sampling.seconds
    maps: dict[str, Callable[[float], TempoMap]] = {
        "tempo change in mid-song": lambda bpm: _changing(bpm, seconds),
        "swing 0.64": lambda bpm: TempoMap.constant(bpm, swing=0.64),
    }
    rows, goals = [], []
    for number, (name, map_of) in enumerate(maps.items()):
        trios = [_trio(studio, 100 * number + i, map_of(84.0 + 14.0 * i)) for i in range(songs)]
        true = averaged([measure(trio.song.mix, trio.song) for trio in trios])
        takes = averaged([measure(trio.take, trio.song) for trio in trios])
        rows += [
            (f"{name}, {who}", beside(f.on_grid, f.on_wrong_grid), f"{f.onsets_a_second:.1f}")
            for who, f in (("true audio", true), ("takes", takes))
        ]
        goals.append(Goal(name=f"onsets on the grid, {name}", reached=takes.on_grid, wanted=0.95))
    return Section(
        title="Tempo change and swing",
        note=f"{songs} songs each; the tempo rises by a quarter at a bar line near the middle.",
        head=("", "onsets on the grid", "onsets a second"),
        rows=rows,
        goals=goals,
    )


def _changing(bpm: float, seconds: float) -> TempoMap:
    bar_s = 240.0 / bpm
    second = max(round(0.5 * seconds / bar_s), 1) * bar_s
    return TempoMap(points=(TempoPoint(start_s=0.0, bpm=bpm), TempoPoint(start_s=second, bpm=1.25 * bpm)))


def _trio(studio: Studio, number: int, tempo_map: TempoMap) -> Trio:
    persona = number % len(personas())
    score = compose(
        _CHANGING_SEEDS[number],
        seconds=studio.sampling.seconds,
        persona=personas()[persona],
        tempo_map=tempo_map,
    )
    return studio.trio(perform(score), persona)
