"""Songs written as WAV files, to listen to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import soundfile

from training.corpus.song import Song, songs


def write_preview(seeds: Iterable[int], folder: Path, *, seconds: float | None = None) -> Iterator[Path]:
    """Write mix and stems of each seed as 24-bit WAV files, and caption and plan as text. Yields each song's folder."""
    for song in songs(seeds, seconds):
        target = folder / f"seed-{song.seed}"
        target.mkdir(parents=True, exist_ok=True)
        for name, audio in {"mix": song.mix, **song.stems}.items():
            soundfile.write(target / f"{name}.wav", audio.T, song.sample_rate, subtype="PCM_24")
        (target / "plan.txt").write_text(_describe(song), encoding="utf-8")
        yield target


def _describe(song: Song) -> str:
    points = ", ".join(
        f"{p.bpm:g} bpm {p.beats_per_bar}/{p.beat_unit} from {p.start_s:.2f} s" for p in song.tempo_map.points
    )
    sections = "\n".join(f"{s.start_s:7.2f} s  {s.kind.name.lower()}" for s in song.score.sections)
    chords = " ".join(str(chord) for chord in song.chords)
    head = f"{song.caption.text}\npersona {song.persona.id}, {song.key}, {points}, swing {song.tempo_map.swing:.2f}"
    return f"{head}\n{sections}\n{chords}\n"
