"""Your own recordings as training data: a folder with a JSON file for each recording.

    {folder}/one.wav                  44.1 kHz, mono or stereo, WAV or FLAC; optional if there are stems
    {folder}/one.json                 facts about it (below)
    {folder}/one/drums.wav ...        optional stems: drums, bass, vocals, other, as long as the mix

The JSON has ``captions`` (one or more paraphrases), ``persona`` (your name for whom it sounds like), ``key``, and either ``bpm``
(with ``firstDownbeatSecond`` and ``swingRatio`` unless they are 0 and 0.5) or ``tempoMap`` as in a manifest. Optional are
``prefix``, ``instrumental`` and ``chords``: ``[second, "C:min7"]``, or ``[second, "C:min7", "Eb"]`` with the bass. Without
``chords`` the chord channels of the controls are zero, which means unknown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from render_service.music.harmony import ChordQuality, ChordSpan
from render_service.music.key import Key, KeyFormatError
from render_service.music.tempo_map import TempoMap, TempoMapError, TempoPoint, tempo_map_from_json
from render_service.renderers.latent_diffusion.controls import ControlInputs, channel_slice, control_channels
from render_service.renderers.latent_diffusion.front_end import FrontEnd
from servicekit.delivery.names import STEMS
from training.corpus.store import StoredSong
from training.features import SongFeatures, stem_activity, write

Audio = NDArray[np.float32]

_PCM16 = 32767.0
_SUFFIXES = (".wav", ".flac")
_HARMONY = ("chord", "chord_root", "bass", "chord_attack")
_FACTS = {
    "captions", "persona", "prefix", "key", "bpm", "firstDownbeatSecond", "swingRatio", "tempoMap", "instrumental", "chords",
}  # fmt: skip
_FIRST_NUMBER = 1_000_000_000
"""Recordings are numbered above the seeds of composed songs, so that one cache can hold both."""


class RecordingError(ValueError):
    """A recording cannot be used; the message names the file, what was expected and what was found."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One recording and its facts. ``mix`` and each of ``stems`` ``(2, T)``."""

    name: str
    captions: tuple[str, ...]
    persona: str
    prefix: str
    inputs: ControlInputs
    has_chords: bool
    mix: Audio
    stems: Mapping[str, Audio] | None


def cache_recordings(folder: Path, songs: Path, front_end: FrontEnd) -> Iterator[Path]:
    """Write the features of each recording in ``folder`` to ``songs``; yields the files. Raises :class:`RecordingError`."""
    for path in _fact_files(folder):
        yield write(features_of(read_recording(path), front_end), songs)


def recorded_stems(folder: Path, cache: Path) -> Iterator[StoredSong]:
    """The recordings that have stems, for the separator; stems are cached as int16 in ``cache`` and memory-mapped.

    Raises :class:`RecordingError`.
    """
    cache.mkdir(parents=True, exist_ok=True)
    for path in _fact_files(folder):
        file = cache / f"own-{path.stem}.npy"
        if not file.is_file():
            stems = read_recording(path).stems
            if stems is None:
                continue
            stacked = np.rint(np.stack([stems[name] for name in STEMS]) * 2.0**15)
            np.save(file, np.clip(stacked, -(2.0**15), 2.0**15 - 1).astype(np.int16))
        yield StoredSong(composition=None, stems=np.load(file, mmap_mode="r"))


def _fact_files(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise RecordingError(
            f"{folder} contains no recordings; put a JSON file next to each WAV or FLAC file (docs/training.md)"
        )
    return paths


def read_recording(path: Path) -> Recording:
    """Read a JSON file and its audio. Raises :class:`RecordingError`."""
    facts = _facts(path)
    stems = _stems(path)
    mix = _mix(path, stems)
    seconds = mix.shape[1] / 44100
    try:
        key, tempo_map = Key.parse(facts["key"]), _tempo_map(facts)
        chords = _chords(facts.get("chords"), key, seconds)
    except (KeyFormatError, TempoMapError, KeyError, TypeError, ValueError) as error:
        raise RecordingError(f"{path.name}: {error}") from error
    silent = stems is not None and not stems["vocals"].any()
    inputs = ControlInputs(
        tempo_map=tempo_map, key=key, chords=chords, instrumental=bool(facts.get("instrumental", silent))
    )
    return Recording(
        name=path.stem,
        captions=tuple(facts["captions"]),
        persona=facts["persona"],
        prefix=facts.get("prefix", ""),
        inputs=inputs,
        has_chords="chords" in facts,
        mix=mix,
        stems=stems,
    )


def features_of(recording: Recording, front_end: FrontEnd) -> SongFeatures:
    """Features of a recording; without stems, the channels that say which stems sound are zero, which means unknown."""
    spec = front_end.spec
    frames = recording.mix.shape[1] // spec.latent_samples
    mix = np.ascontiguousarray(recording.mix[:, : frames * spec.latent_samples])
    with torch.inference_mode():
        log_mel = front_end.analyse(torch.from_numpy(mix)[None])[0].numpy()
    playing = np.zeros((len(STEMS), frames), dtype=np.float32)
    if recording.stems is not None:
        cut = {name: recording.stems[name][:, : mix.shape[1]] for name in STEMS}
        playing = np.stack([stem_activity(cut[name], spec.latent_samples) for name in STEMS])
    controls = control_channels(recording.inputs, spec, frames=frames, playing=playing)
    if not recording.has_chords:
        for name in _HARMONY:
            controls[channel_slice(name)] = 0.0
    return SongFeatures(
        seed=_FIRST_NUMBER + int.from_bytes(hashlib.sha256(recording.name.encode()).digest()[:4], "big"),
        persona=recording.persona,
        prefix=recording.prefix,
        captions=recording.captions,
        instrumental=recording.inputs.instrumental,
        log_mel=log_mel.astype(np.float16),
        controls=controls.astype(np.float16),
        audio=np.clip(np.round(mix * _PCM16), -_PCM16, _PCM16).astype(np.int16),
    )


def _facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path.name} must be valid JSON: {error}") from error
    if not isinstance(facts, dict) or set(facts) - _FACTS:
        received = sorted(set(facts) - _FACTS) if isinstance(facts, dict) else type(facts).__name__
        raise RecordingError(f"{path.name} must be an object with the keys {', '.join(sorted(_FACTS))}, got {received}")
    for name, kind in (("captions", list), ("persona", str), ("key", str)):
        if not isinstance(facts.get(name), kind) or not facts[name]:
            raise RecordingError(
                f"{path.name} must have {name!r} as a non-empty {kind.__name__}, got {facts.get(name)!r}"
            )
    if ("bpm" in facts) == ("tempoMap" in facts):
        raise RecordingError(f"{path.name} must have either 'bpm' or 'tempoMap'")
    return facts


def _tempo_map(facts: Mapping[str, Any]) -> TempoMap:
    if "tempoMap" in facts:
        return tempo_map_from_json(facts["tempoMap"])
    return TempoMap(
        points=(TempoPoint(start_s=0.0, bpm=float(facts["bpm"])),),
        first_downbeat_s=float(facts.get("firstDownbeatSecond", 0.0)),
        swing=float(facts.get("swingRatio", 0.5)),
    )


def _chords(rows: Any, key: Key, seconds: float) -> tuple[ChordSpan, ...]:  # noqa: ANN401 - JSON
    """Spans over the whole recording; the first one starts at 0. Without ``rows``: the tonic chord throughout."""
    if rows is None:
        quality = ChordQuality.MIN if key.mode.name == "MINOR" else ChordQuality.MAJ
        return (ChordSpan(start_s=0.0, end_s=seconds, root=key.tonic, quality=quality, bass=key.tonic),)
    starts = [0.0, *(float(row[0]) for row in rows[1:]), seconds]
    if any(b <= a for a, b in pairwise(starts)):
        raise ValueError(
            f"chords must start at increasing seconds below the recording's {seconds:.2f}, got {starts[1:-1]}"
        )
    return tuple(_chord(row, start, end) for row, start, end in zip(rows, starts[:-1], starts[1:], strict=True))


def _chord(row: list[Any], start_s: float, end_s: float) -> ChordSpan:
    name, _, quality = str(row[1]).partition(":")
    if quality.upper() not in ChordQuality.__members__:
        qualities = ", ".join(each.lower() for each in ChordQuality.__members__)
        raise ValueError(f"a chord must be a root, a colon and one of {qualities}, got {row[1]!r}")
    root = Key.parse(name).tonic
    bass = Key.parse(row[2]).tonic if len(row) > 2 else root
    return ChordSpan(start_s=start_s, end_s=end_s, root=root, quality=ChordQuality[quality.upper()], bass=bass)


def _stems(path: Path) -> dict[str, Audio] | None:
    folder = path.with_suffix("")
    if not folder.is_dir():
        return None
    found: dict[str, Path | None] = {name: _audio_of(folder / name) for name in STEMS}
    missing = [name for name, file in found.items() if file is None]
    if missing:
        raise RecordingError(f"{folder.name}/ must contain four stems as WAV or FLAC, missing: {', '.join(missing)}")
    stems = {name: read_audio(file) for name, file in found.items() if file is not None}
    lengths = {name: audio.shape[1] for name, audio in stems.items()}
    if len(set(lengths.values())) > 1:
        raise RecordingError(f"the stems in {folder.name}/ must have the same number of frames, got {lengths}")
    return stems


def _mix(path: Path, stems: Mapping[str, Audio] | None) -> Audio:
    file = _audio_of(path.with_suffix(""))
    if file is not None:
        mix = read_audio(file)
        if stems is not None and stems["drums"].shape != mix.shape:
            frames = stems["drums"].shape[1]
            raise RecordingError(f"{file.name} must be as long as its stems, {frames} frames, got {mix.shape[1]}")
        return mix
    if stems is None:
        raise RecordingError(
            f"{path.name} needs {path.stem}.wav, {path.stem}.flac or a folder {path.stem}/ of stems next to it"
        )
    total: Audio = np.sum(list(stems.values()), axis=0, dtype=np.float32)
    return total


def _audio_of(stem: Path) -> Path | None:
    return next((file for suffix in _SUFFIXES if (file := stem.with_name(stem.name + suffix)).is_file()), None)


def read_audio(path: Path) -> Audio:
    """Read a 44.1 kHz file as ``(2, T)``; mono is doubled. Raises :class:`RecordingError`."""
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise RecordingError(f"{path.name} cannot be read: {error}") from error
    if rate != 44100 or samples.shape[1] > 2:
        raise RecordingError(
            f"{path.name} must have 44100 Hz and one or two channels, got {rate} Hz and {samples.shape[1]}"
        )
    return np.ascontiguousarray(np.broadcast_to(samples.T, (2, len(samples))))
