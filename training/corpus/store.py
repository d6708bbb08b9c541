"""Songs on disk, and songs rendered in parallel.

A stored song is ``seed-{seed}.npy``, int16 ``(4, 2, T)`` in the order of :data:`STEMS`, and ``seed-{seed}.json``. The stems are
memory-mapped; the mix is their integer sum, so it is exact. The composition is not stored but composed again from its seed; a
digest detects changes of the composer.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from servicekit.delivery.names import STEMS
from training.corpus.compose import compose
from training.corpus.composition import Composition
from training.corpus.song import Song, perform

T = TypeVar("T")

FULL_SCALE = 2.0**15
_QUEUED_PER_PROCESS = 2  # songs rendered ahead of the reader; bounds memory


class StaleSongError(ValueError):
    """The composer has changed: the seed of a stored song now gives another score."""


@dataclass(frozen=True, kw_only=True)
class StoredSong:
    """``stems``: int16 ``(4, 2, T)``, full scale 32768, in the order of :data:`STEMS`. A recording has no ``composition``."""

    composition: Composition | None
    stems: NDArray[np.int16]

    def crop(self, start: int, frames: int) -> NDArray[np.float32]:
        """A section of the stems as float32 ``(4, 2, frames)``; the sum over the first axis is the mix."""
        return self.stems[:, :, start : start + frames].astype(np.float32) / np.float32(FULL_SCALE)


def to_stored(song: Song, composition: Composition) -> StoredSong:
    """A song in the stored form."""
    stems = np.stack([song.stems[stem] for stem in STEMS])
    return StoredSong(composition=composition, stems=np.rint(stems * FULL_SCALE).astype(np.int16))


def save_song(song: Song, composition: Composition, folder: Path) -> Path:
    """Write a song and return the path of its JSON, which is written last: a song with JSON is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"seed-{composition.seed}.npy", to_stored(song, composition).stems)
    row = {"seed": composition.seed, "seconds": composition.seconds, "digest": composition_digest(composition)}
    path = folder / f"seed-{composition.seed}.json"
    path.write_text(json.dumps(row), encoding="utf-8")
    return path


def load_song(path: Path) -> StoredSong:
    """Read a song by the path of its JSON. Raises :class:`StaleSongError`."""
    row = json.loads(path.read_text(encoding="utf-8"))
    composition = compose(row["seed"], seconds=row["seconds"])
    if composition_digest(composition) != row["digest"]:
        raise StaleSongError(
            f"{path.name} was composed by another version of the corpus; delete {path.parent} and run the command again"
        )
    return StoredSong(composition=composition, stems=np.load(path.with_suffix(".npy"), mmap_mode="r"))


def composition_digest(composition: Composition) -> str:
    """SHA-256 of a whole composition."""
    return hashlib.sha256(repr(composition).encode()).hexdigest()


def cached_songs(
    seeds: Iterable[int], seconds: float | None, folder: Path, *, processes: int = 1
) -> Iterator[StoredSong]:
    """Songs in the order of ``seeds``; those that the folder lacks are rendered and stored first."""
    all_seeds = list(seeds)
    missing = [seed for seed in all_seeds if not (folder / f"seed-{seed}.json").is_file()]
    for _ in map_songs(partial(_save, folder=folder), missing, seconds, processes=processes):
        pass
    for seed in all_seeds:
        yield load_song(folder / f"seed-{seed}.json")


def map_songs(
    function: Callable[[Composition, Song], T],
    seeds: Iterable[int],
    seconds: float | None = None,
    *,
    processes: int = 1,
) -> Iterator[T]:
    """Apply ``function`` to each song in the process that renders it; results are in the order of ``seeds``.

    With more than one process the function must be importable; each process loads the soundfont (about 300 MB).
    """
    yield from map_in_order(partial(_perform_and_apply, function, seconds), seeds, processes=processes)


def map_in_order(task: Callable[[int], T], numbers: Iterable[int], *, processes: int) -> Iterator[T]:
    """The results of ``task`` in the order of ``numbers``; with more than one process, ``task`` must be importable."""
    if processes == 1:
        yield from map(task, numbers)
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        remaining = iter(numbers)
        running = [pool.submit(task, number) for number in islice(remaining, processes * _QUEUED_PER_PROCESS)]
        while running:
            done = running.pop(0).result()
            running += [pool.submit(task, number) for number in islice(remaining, 1)]
            yield done


def _perform_and_apply(function: Callable[[Composition, Song], T], seconds: float | None, seed: int) -> T:
    composition = compose(seed, seconds=seconds)
    return function(composition, perform(composition))


def _save(composition: Composition, song: Song, *, folder: Path) -> Path:
    return save_song(song, composition, folder)
