"""Songs in which an instrument plays the melody as loud as the voice sang it, and nobody sings.

Trained on songs whose leads are all sung, a separator takes every lead line for a voice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from render_service.composer.score import Note, Part
from training.corpus.composition import Composition
from training.corpus.loudness import loudness_lufs
from training.corpus.song import Song, perform
from training.corpus.soundfont import Audio
from training.corpus.store import StoredSong, load_song, map_songs, save_song

_ABOVE_OTHERS_LU = 3.0  # a solo in a song without voice, above the other instruments
_PEAK = 10.0 ** (-1.0 / 20.0)


def cached_solos(seeds: range, seconds: float, folder: Path, *, processes: int = 1) -> Iterator[StoredSong]:
    """The song of each seed with a solo in place of the voice; those that the folder lacks are rendered and stored first."""
    missing = [seed for seed in seeds if not (folder / f"seed-{seed}.json").is_file()]
    for _ in map_songs(partial(_save, folder=folder), missing, seconds, processes=processes):
        pass
    for seed in seeds:
        stored = load_song(folder / f"seed-{seed}.json")
        if stored.composition is not None:
            yield replace(stored, composition=as_instrumental(stored.composition))


def as_instrumental(composition: Composition) -> Composition:
    """The same song with its voice's notes in :attr:`Part.LINE`."""
    score = composition.score
    played = [
        Note(part=Part.LINE, start_s=n.start_s, end_s=n.end_s, pitch=n.pitch, velocity=n.velocity) for n in score.sung
    ]
    return replace(
        composition, instrumental=True, score=replace(score, notes=(*score.notes, *played), sung=()).snapped()
    )


def with_solo(composition: Composition, song: Song) -> Song:
    """A performed song whose stem "other" has the solo and whose vocals are silent."""
    instrumental = as_instrumental(composition)
    line = tuple(note for note in instrumental.score.notes if note.part is Part.LINE)
    alone = replace(instrumental, score=replace(instrumental.score, notes=line))
    solo = perform(alone).stems["other"]
    gain = np.float32(_gain(solo, voice=song.stems["vocals"], other=song.stems["other"]))
    stems = {
        **song.stems,
        "other": song.stems["other"] + gain * solo,
        "vocals": np.zeros_like(song.stems["vocals"]),
    }
    mix = np.stack(list(stems.values())).sum(axis=0)
    peak = max(float(np.abs(audio).max()) for audio in (mix, *stems.values()))
    fit = np.float32(min(1.0, _PEAK / peak)) if peak > 0.0 else np.float32(1.0)
    return replace(
        song,
        instrumental=True,
        score=instrumental.score,
        stems={name: audio * fit for name, audio in stems.items()},
        mix=mix * fit,
    )


def _gain(solo: Audio, *, voice: Audio, other: Audio) -> float:
    """Gain that makes the solo as loud as the voice or, in a song without one, louder than the other instruments."""
    played, target = loudness_lufs(solo), loudness_lufs(voice)
    if target is None:
        accompanying = loudness_lufs(other)
        target = None if accompanying is None else accompanying + _ABOVE_OTHERS_LU
    if played is None or target is None:
        return 1.0
    return float(10.0 ** ((target - played) / 20.0))


def _save(composition: Composition, song: Song, *, folder: Path) -> Path:
    """Stored with the seed's own composition, whose digest :func:`load_song` checks."""
    return save_song(with_solo(composition, song), composition, folder)
