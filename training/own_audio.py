"""A studio's own audio as the corpus: one folder, a JSON beside each recording that says what it is.

    {folder}/one.wav                  44.1 kHz, mono or stereo, WAV or FLAC; or no mix, and its stems alone
    {folder}/one.json                 what is known of it (below)
    {folder}/one/drums.wav ...        its stems, where it has them: drums, bass, vocals, other, of one length with the mix

The JSON: ``captions`` (one or more wordings), ``persona`` (a name of one's own for who it sounds like), ``key`` and either
``bpm`` (with ``firstDownbeatSecond`` and ``swingRatio`` where they are not 0 and 0.5) or ``tempoMap`` as in a manifest. It may
have ``prefix``, ``instrumental``, and ``chords``: ``[second, "C:min7"]`` or ``[second, "C:min7", "Eb"]`` with the bass. What
is not known is left open: without ``chords`` their channels stay at zero.
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
from training.features import SongFeatures, stem_plays, write

Audio = NDArray[np.float32]

_PCM16 = 32767.0
_SUFFIXES = (".wav", ".flac")
_HARMONY = ("chord", "chord_root", "bass", "chord_attack")
_KNOWN = {
    "captions", "persona", "prefix", "key", "bpm", "firstDownbeatSecond", "swingRatio", "tempoMap", "instrumental", "chords",
}  # fmt: skip
_NUMBERED_FROM = 1_000_000_000
"""Numbers of a studio's recordings begin where the seeds of the procedural corpus end, so that both fit in one cache."""


class OwnAudioError(ValueError):
    """A recording that cannot be used; names the file, what was wanted and what came."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One recording and what is known of it. ``mix`` ``(2, T)``; ``stems`` like it, or none."""

    name: str
    captions: tuple[str, ...]
    persona: str
    prefix: str
    score: ControlInputs
    knows_chords: bool
    mix: Audio
    stems: Mapping[str, Audio] | None


def fill_from_folder(folder: Path, songs: Path, front_end: FrontEnd) -> Iterator[Path]:
    """Measure each recording of a folder into a cache; yields the file of each. Raises :class:`OwnAudioError`."""
    for path in _described(folder):
        yield write(features_of(read_recording(path), front_end), songs)


def own_stems(folder: Path, kept: Path) -> Iterator[StoredSong]:
    """Each recording that has stems, for the separator; they are kept as int16 in ``kept`` and mapped from there.

    Raises :class:`OwnAudioError`.
    """
    kept.mkdir(parents=True, exist_ok=True)
    for path in _described(folder):
        file = kept / f"own-{path.stem}.npy"
        if not file.is_file():
            stems = read_recording(path).stems
            if stems is None:
                continue
            stacked = np.rint(np.stack([stems[name] for name in STEMS]) * 2.0**15)
            np.save(file, np.clip(stacked, -(2.0**15), 2.0**15 - 1).astype(np.int16))
        yield StoredSong(score=None, stems=np.load(file, mmap_mode="r"))


def _described(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise OwnAudioError(f"{folder} holds no recording: put a JSON beside each WAV or FLAC (docs/training.md)")
    return paths


def read_recording(path: Path) -> Recording:
    """Read a JSON and the audio that belongs to it. Raises :class:`OwnAudioError`."""
    facts = _facts(path)
    stems = _stems(path)
    mix = _mix(path, stems)
    seconds = mix.shape[1] / 44100
    try:
        key, tempo_map = Key.parse(facts["key"]), _tempo_map(facts)
        chords = _chords(facts.get("chords"), key, seconds)
    except (KeyFormatError, TempoMapError, KeyError, TypeError, ValueError) as error:
        raise OwnAudioError(f"{path.name}: {error}") from error
    silent = stems is not None and not stems["vocals"].any()
    score = ControlInputs(
        tempo_map=tempo_map, key=key, chords=chords, instrumental=bool(facts.get("instrumental", silent))
    )
    return Recording(
        name=path.stem,
        captions=tuple(facts["captions"]),
        persona=facts["persona"],
        prefix=facts.get("prefix", ""),
        score=score,
        knows_chords="chords" in facts,
        mix=mix,
        stems=stems,
    )


def features_of(recording: Recording, front_end: FrontEnd) -> SongFeatures:
    """What training keeps of it; a recording without stems leaves open which of them play."""
    spec = front_end.spec
    frames = recording.mix.shape[1] // spec.latent_samples
    mix = np.ascontiguousarray(recording.mix[:, : frames * spec.latent_samples])
    with torch.inference_mode():
        log_mel = front_end.analyse(torch.from_numpy(mix)[None])[0].numpy()
    playing = np.zeros((len(STEMS), frames), dtype=np.float32)
    if recording.stems is not None:
        cut = {name: recording.stems[name][:, : mix.shape[1]] for name in STEMS}
        playing = np.stack([stem_plays(cut[name], spec.latent_samples) for name in STEMS])
    controls = control_channels(recording.score, spec, frames=frames, playing=playing)
    if not recording.knows_chords:
        for name in _HARMONY:
            controls[channel_slice(name)] = 0.0
    return SongFeatures(
        seed=_NUMBERED_FROM + int.from_bytes(hashlib.sha256(recording.name.encode()).digest()[:4], "big"),
        persona=recording.persona,
        prefix=recording.prefix,
        captions=recording.captions,
        instrumental=recording.score.instrumental,
        log_mel=log_mel.astype(np.float16),
        controls=controls.astype(np.float16),
        audio=np.clip(np.round(mix * _PCM16), -_PCM16, _PCM16).astype(np.int16),
    )


def _facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise OwnAudioError(f"{path.name} is not JSON: {error}") from error
    if not isinstance(facts, dict) or set(facts) - _KNOWN:
        odd = sorted(set(facts) - _KNOWN) if isinstance(facts, dict) else type(facts).__name__
        raise OwnAudioError(f"{path.name} wants an object with {', '.join(sorted(_KNOWN))}; got {odd}")
    for name, kind in (("captions", list), ("persona", str), ("key", str)):
        if not isinstance(facts.get(name), kind) or not facts[name]:
            raise OwnAudioError(f"{path.name} wants {name!r} as a {kind.__name__} that is not empty")
    if ("bpm" in facts) == ("tempoMap" in facts):
        raise OwnAudioError(
            f"{path.name} wants 'bpm' or 'tempoMap', one of them: the grid is what rhythm is learnt from"
        )
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
    """Spans over the whole recording; the first reaches back to its start."""
    if rows is None:
        quality = ChordQuality.MIN if key.mode.name == "MINOR" else ChordQuality.MAJ
        return (ChordSpan(start_s=0.0, end_s=seconds, root=key.tonic, quality=quality, bass=key.tonic),)
    starts = [0.0, *(float(row[0]) for row in rows[1:]), seconds]
    if any(b <= a for a, b in pairwise(starts)):
        raise ValueError(f"chords want seconds that rise and end before the recording's {seconds:.2f} s")
    return tuple(_chord(row, start, end) for row, start, end in zip(rows, starts[:-1], starts[1:], strict=True))


def _chord(row: list[Any], start_s: float, end_s: float) -> ChordSpan:
    name, _, quality = str(row[1]).partition(":")
    if quality.upper() not in ChordQuality.__members__:
        wanted = ", ".join(each.lower() for each in ChordQuality.__members__)
        raise ValueError(f"a chord is written as its root, a colon and one of {wanted}; got {row[1]!r}")
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
        raise OwnAudioError(f"{folder.name}/ wants four stems; {', '.join(missing)} as WAV or FLAC are missing")
    stems = {name: read_audio(file) for name, file in found.items() if file is not None}
    lengths = {name: audio.shape[1] for name, audio in stems.items()}
    if len(set(lengths.values())) > 1:
        raise OwnAudioError(f"{folder.name}/ wants stems of one length; got {lengths}")
    return stems


def _mix(path: Path, stems: Mapping[str, Audio] | None) -> Audio:
    file = _audio_of(path.with_suffix(""))
    if file is not None:
        mix = read_audio(file)
        if stems is not None and stems["drums"].shape != mix.shape:
            frames = stems["drums"].shape[1]
            raise OwnAudioError(
                f"{file.name} has {mix.shape[1]} frames, its stems have {frames}; they want to be as long"
            )
        return mix
    if stems is None:
        raise OwnAudioError(
            f"{path.name} wants {path.stem}.wav, {path.stem}.flac or a folder {path.stem}/ of stems beside it"
        )
    total: Audio = np.sum(list(stems.values()), axis=0, dtype=np.float32)
    return total


def _audio_of(stem: Path) -> Path | None:
    return next((file for suffix in _SUFFIXES if (file := stem.with_name(stem.name + suffix)).is_file()), None)


def read_audio(path: Path) -> Audio:
    """A file of 44.1 kHz as ``(2, T)``; mono is doubled. Raises :class:`OwnAudioError`."""
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise OwnAudioError(f"{path.name} cannot be read: {error}") from error
    if rate != 44100 or samples.shape[1] > 2:
        raise OwnAudioError(f"{path.name} wants 44100 Hz and one or two channels; got {rate} Hz and {samples.shape[1]}")
    return np.ascontiguousarray(np.broadcast_to(samples.T, (2, len(samples))))
