"""Songs to train on and to measure on: composed or recorded, some with a solo instead of a voice, some in a renderer's sound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from training.corpus.store import StoredSong, cached_songs
from training.recordings import recorded_stems
from training.separator.renderer_sound import RendererSound
from training.separator.solos import cached_solos

HELD_OUT_FIRST_SEED = 1_000_000

WithProgress = Callable[[Iterable[StoredSong], int, str], Iterable[StoredSong]]
"""Passes songs on and shows progress; receives their number and a label."""


class DataError(ValueError):
    """There is nothing to train or to measure on; the message says what was expected."""


@dataclass(frozen=True, kw_only=True)
class SongSet:
    """Held-out songs, and what they are, for the model card."""

    title: str
    songs: Sequence[StoredSong]


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """``songs`` to train on, of which some are also ``rendered`` in a renderer's sound; ``held_out`` sets to measure on."""

    songs: Sequence[StoredSong]
    rendered: Sequence[StoredSong] = ()
    held_out: Sequence[SongSet]
    trained_on: str


@dataclass(frozen=True, kw_only=True)
class ComposedSongs:
    """``songs`` composed from the seeds ``first`` on, the next ``solos`` seeds with solos, and ``held_out`` others to measure on.

    Each lasts ``seconds``. They are kept in the folder ``work``.
    """

    first: int
    songs: int
    solos: int
    held_out: int
    seconds: float
    work: Path
    processes: int = 1

    def load(self, show: WithProgress) -> TrainingData:
        """Compose what the folder lacks. Raises :class:`DataError` if seeds to train on are held out."""
        solos_from, stop = self.first + self.songs, self.first + self.songs + self.solos
        if stop > HELD_OUT_FIRST_SEED:
            raise DataError(
                f"training seeds must be below {HELD_OUT_FIRST_SEED}, got {self.first} to {stop - 1}; the others are held out"
            )
        measured = range(HELD_OUT_FIRST_SEED, HELD_OUT_FIRST_SEED + self.held_out)
        sung = self._sung(range(self.first, solos_from), "songs", show)
        played = self._solos(range(solos_from, stop), "solos", show)
        solos = f" and {solos_from} to {stop - 1}, these with a solo instead of the voice" if played else ""
        held_out = [
            SongSet(
                title=f"Composed songs, seeds {measured.start} to {measured.stop - 1}",
                songs=self._sung(measured, "held_out", show),
            )
        ]
        if played:
            others = range(measured.stop, measured.stop + max(self.held_out // 2, 1))
            held_out.append(
                SongSet(
                    title=f"With a loud solo instead of the voice, seeds {others.start} to {others.stop - 1}",
                    songs=self._solos(others, "held_out_solos", show),
                )
            )
        return TrainingData(
            songs=[*sung, *played],
            held_out=held_out,
            trained_on=(
                "this project's procedural corpus only (soundfont FluidR3_GM, MIT, and an own formant voice): seeds"
                f"\n{self.first} to {solos_from - 1}{solos}, {self.seconds:g} s each"
            ),
        )

    def _sung(self, seeds: range, folder: str, show: WithProgress) -> list[StoredSong]:
        songs = cached_songs(seeds, self.seconds, self.work / folder, processes=self.processes)
        return list(show(songs, len(seeds), folder))

    def _solos(self, seeds: range, folder: str, show: WithProgress) -> list[StoredSong]:
        if not seeds:
            return []
        songs = cached_solos(seeds, self.seconds, self.work / folder, processes=self.processes)
        return list(show(songs, len(seeds), folder))


def recordings(folder: Path, *, held_out: int, cache: Path) -> TrainingData:
    """Recordings with stems in order of their names; the last ``held_out`` are measured on.

    Raises :class:`DataError` and :class:`~training.recordings.RecordingError`.
    """
    songs = list(recorded_stems(folder, cache))
    if len(songs) <= held_out:
        raise DataError(
            f"--held-out must be less than the number of recordings with stems, {len(songs)} in {folder}, got {held_out}"
        )
    return TrainingData(
        songs=songs[:-held_out],
        held_out=[SongSet(title="Recordings", songs=songs[-held_out:])],
        trained_on=f"{len(songs) - held_out} recordings",
    )


def with_renderer_sound(data: TrainingData, sound: RendererSound, share: float, show: WithProgress) -> TrainingData:
    """The data with a ``share`` of the songs, evenly spread, and the first held-out set in the renderer's sound as well."""
    chosen = [song for i, song in enumerate(data.songs) if int((i + 1) * share) > int(i * share)]
    first = data.held_out[0]
    held_out = SongSet(
        title=f"{first.title}, in the sound of the renderer {sound.name}",
        songs=list(show(_each(first.songs, sound), len(first.songs), "held_out in the renderer's sound")),
    )
    return replace(
        data,
        rendered=list(show(_each(chosen, sound), len(chosen), "songs in the renderer's sound")),
        held_out=[*data.held_out, held_out],
        trained_on=f"{data.trained_on};\n{len(chosen)} of them also in the sound of the renderer {sound.name}",
    )


def _each(songs: Iterable[StoredSong], sound: RendererSound) -> Iterator[StoredSong]:
    return (sound.apply(song) for song in songs)
