"""A few songs to listen to, and the clips by which a persona is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import soundfile

from training.corpus.compose import REFERENCE_SEEDS, compose
from training.corpus.persona import PersonaSpec
from training.corpus.song import Song, perform, stream
from training.corpus.soundfont import Audio


def write_preview(seeds: Iterable[int], folder: Path, *, seconds: float | None = None) -> Iterator[Path]:
    """Write mix and stems of each seed as 24-bit WAV, and its caption and plan as text. Yields each song's folder."""
    for song in stream(seeds, seconds):
        target = folder / f"seed-{song.seed}"
        target.mkdir(parents=True, exist_ok=True)
        for name, audio in {"mix": song.mix, **song.stems}.items():
            soundfile.write(target / f"{name}.wav", audio.T, song.sample_rate, subtype="PCM_24")
        (target / "plan.txt").write_text(_describe(song), encoding="utf-8")
        yield target


def reference_clips(persona: PersonaSpec, count: int, *, seconds: float) -> Iterator[Audio]:
    """Mixes of a persona over captions of their own, from seeds that no training uses. Each ``(2, T)``."""
    for seed in REFERENCE_SEEDS[:count]:
        yield perform(compose(seed, seconds=seconds, persona=persona)).mix


def _describe(song: Song) -> str:
    points = ", ".join(
        f"{p.bpm:g} bpm {p.beats_per_bar}/{p.beat_unit} from {p.start_s:.2f} s" for p in song.tempo_map.points
    )
    sections = "\n".join(f"{s.start_s:7.2f} s  {s.kind.name.lower()}" for s in song.sections)
    chords = " ".join(str(chord) for chord in song.chords)
    head = f"{song.caption.text}\npersona {song.persona.id}, {song.key}, {points}, swing {song.tempo_map.swing:.2f}"
    return f"{head}\n{sections}\n{chords}\n"
