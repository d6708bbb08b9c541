"""Songs on disk and songs in parallel.

A stored song is ``seed-{seed}.npy``, int16 ``(4, 2, T)`` in the order of the stems, beside ``seed-{seed}.json``. The
sixteen-bit stems are read by memory map, and their integer sum is the mix, so the exact sum holds here too. The score is
not stored: it is composed again from its seed, and a digest tells whether the composer has changed since.
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
from training.corpus.score import Score
from training.corpus.song import Song, perform

T = TypeVar("T")

FULL_SCALE = 2.0**15
_AHEAD = 2  # songs a process may be ahead of the reader, so that memory stays bounded


class StaleSongError(ValueError):
    """A stored song whose score is no longer what its seed composes."""


@dataclass(frozen=True, kw_only=True)
class StoredSong:
    """``stems``: int16 ``(4, 2, T)``, full scale 32768, drums, bass, vocals, other, mapped from disk.

    ``score`` is what the composer wrote; a recording has none.
    """

    score: Score | None
    stems: NDArray[np.int16]

    def crop(self, start: int, frames: int) -> NDArray[np.float32]:
        """Stems of a stretch as float32. ``-> (4, 2, frames)``; their sum over the first axis is the mix."""
        return self.stems[:, :, start : start + frames].astype(np.float32) / np.float32(FULL_SCALE)


def stored(song: Song, score: Score) -> StoredSong:
    """A song as it would come back from disk."""
    stems = np.stack([song.stems[stem] for stem in STEMS])
    return StoredSong(score=score, stems=np.rint(stems * FULL_SCALE).astype(np.int16))


def save_song(song: Song, score: Score, folder: Path) -> Path:
    """Write a song; the JSON comes last, so that what has one is complete. Returns the path of the JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"seed-{score.seed}.npy", stored(song, score).stems)
    row = {"seed": score.seed, "seconds": score.seconds, "digest": score_digest(score)}
    path = folder / f"seed-{score.seed}.json"
    path.write_text(json.dumps(row), encoding="utf-8")
    return path


def load_song(path: Path) -> StoredSong:
    """Read what :func:`save_song` wrote. Raises :class:`StaleSongError` when the composer has changed since."""
    row = json.loads(path.read_text(encoding="utf-8"))
    score = compose(row["seed"], seconds=row["seconds"])
    if score_digest(score) != row["digest"]:
        raise StaleSongError(
            f"{path.name} was made by another version of the corpus: delete the folder and make it again"
        )
    return StoredSong(score=score, stems=np.load(path.with_suffix(".npy"), mmap_mode="r"))


def score_digest(score: Score) -> str:
    """SHA-256 of everything that the score says."""
    return hashlib.sha256(repr(score).encode()).hexdigest()


def cached_songs(
    seeds: Iterable[int], seconds: float | None, folder: Path, *, processes: int = 1
) -> Iterator[StoredSong]:
    """Songs in the order of their seeds, made where the folder lacks them."""
    wanted = list(seeds)
    missing = [seed for seed in wanted if not (folder / f"seed-{seed}.json").is_file()]
    for _ in map_songs(partial(_save, folder=folder), missing, seconds, processes=processes):
        pass
    for seed in wanted:
        yield load_song(folder / f"seed-{seed}.json")


def map_songs(
    function: Callable[[Score, Song], T], seeds: Iterable[int], seconds: float | None = None, *, processes: int = 1
) -> Iterator[T]:
    """``function`` of each song, computed where the song is made, in the order of the seeds.

    With more than one process the function must be importable; each process holds its own soundfont (about 300 MB).
    """
    job = partial(_perform_and_apply, function, seconds)
    if processes == 1:
        yield from map(job, seeds)
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        todo = iter(seeds)
        running = [pool.submit(job, seed) for seed in islice(todo, processes * _AHEAD)]
        while running:
            done = running.pop(0).result()
            running += [pool.submit(job, seed) for seed in islice(todo, 1)]
            yield done


def _perform_and_apply(function: Callable[[Score, Song], T], seconds: float | None, seed: int) -> T:
    score = compose(seed, seconds=seconds)
    return function(score, perform(score))


def _save(score: Score, song: Song, *, folder: Path) -> Path:
    return save_song(song, score, folder)
