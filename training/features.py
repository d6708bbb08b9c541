"""What training keeps of a corpus song: log-mel, controls, words, and which stems sound.

One safetensors file a song, so that a cache is resumed by listing it. Letters: ``M`` bands, ``F`` frames, ``L`` latent
frames, ``G`` control channels, ``T`` samples.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from render_service.renderers.latent_diffusion.controls import ControlInputs, channel_slice, control_channels
from render_service.renderers.latent_diffusion.front_end import FrontEnd
from servicekit.delivery.names import STEMS
from training.corpus.caption import word
from training.corpus.song import Song

_PLAYS_DB = -45.0  # a stem sounds where its level passes this, dBFS over a second
_EXTRA_WORDINGS = 4
_PCM16 = 32767.0


@dataclass(frozen=True, kw_only=True)
class SongFeatures:
    """What is kept of one song.

    ``log_mel`` ``(2, M, F)`` and ``controls`` ``(G, L)`` float16; ``audio`` ``(2, T)`` int16; ``persona`` names it.
    ``captions`` say the same in several wordings.
    """

    seed: int
    persona: str
    prefix: str
    captions: tuple[str, ...]
    instrumental: bool
    log_mel: NDArray[np.float16]
    controls: NDArray[np.float16]
    audio: NDArray[np.int16]


def extract(song: Song, front_end: FrontEnd) -> SongFeatures:
    """Measure a song; its length is cut to whole latent frames."""
    spec = front_end.spec
    frames = song.mix.shape[1] // spec.latent_samples
    samples = frames * spec.latent_samples
    mix = torch.from_numpy(np.ascontiguousarray(song.mix[:, :samples]))[None]
    with torch.inference_mode():
        log_mel = front_end.analyse(mix)[0].numpy()
    score = ControlInputs(tempo_map=song.tempo_map, key=song.key, chords=song.chords, instrumental=song.instrumental)
    playing = np.stack([stem_plays(song.stems[name][:, :samples], spec.latent_samples) for name in STEMS])
    controls = control_channels(score, spec, frames=frames, playing=playing)
    return SongFeatures(
        seed=song.seed,
        persona=song.persona.id,
        prefix=song.persona.prefix,
        captions=_wordings(song),
        instrumental=song.instrumental,
        log_mel=log_mel.astype(np.float16),
        controls=controls.astype(np.float16),
        audio=np.clip(np.round(mix[0].numpy() * _PCM16), -_PCM16, _PCM16).astype(np.int16),
    )


def _wordings(song: Song) -> tuple[str, ...]:
    """The song's own caption and others that mean the same."""
    rng, caption = np.random.default_rng(song.seed), song.caption
    others = [word(rng, caption.instrumentation, caption.mood, caption.tempo_words) for _ in range(_EXTRA_WORDINGS)]
    return (caption.text, *others)


def stem_plays(stem: NDArray[np.float32], hop: int) -> NDArray[np.float32]:
    """1 or -1 for each hop of a stem ``(2, T)``: whether it sounds within a second around. ``(L,)``."""
    power = np.square(stem, dtype=np.float64).mean(axis=0).reshape(-1, hop).mean(axis=1)
    kernel = np.ones(21) / 21.0
    level_db = 10.0 * np.log10(np.convolve(power, kernel, mode="same") + 1e-12)
    return np.where(level_db > _PLAYS_DB, 1.0, -1.0).astype(np.float32)


def without_playing(controls: torch.Tensor) -> torch.Tensor:
    """Leave open which stems play: zeros in those channels of ``(..., G, L)``."""
    opened = controls.clone()
    opened[..., channel_slice("playing"), :] = 0.0
    return opened


def write(features: SongFeatures, folder: Path) -> Path:
    """Store one song as ``{seed}.safetensors``, complete or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{features.seed:08d}.safetensors"
    words = {name: getattr(features, name) for name in ("seed", "persona", "prefix", "captions", "instrumental")}
    part = path.with_suffix(".part")
    save_file(
        {"log_mel": features.log_mel, "controls": features.controls, "audio": features.audio},
        str(part),
        metadata={"song": json.dumps(words)},
    )
    part.replace(path)
    return path


def read(path: Path, *, with_audio: bool = False) -> SongFeatures:
    """Read one song back; without audio, ``audio`` is empty."""
    with safe_open(str(path), framework="numpy") as file:
        words = json.loads(file.metadata()["song"])
        words["captions"] = tuple(words["captions"])
        audio = file.get_tensor("audio") if with_audio else np.zeros((2, 0), np.int16)
        return SongFeatures(
            log_mel=file.get_tensor("log_mel"), controls=file.get_tensor("controls"), audio=audio, **words
        )


def read_all(folder: Path, *, with_audio: bool = False, limit: int | None = None) -> list[SongFeatures]:
    """Every song of a cache, by seed."""
    paths = sorted(folder.glob("*.safetensors"))[:limit]
    if not paths:
        raise FileNotFoundError(f"{folder} holds no songs; run `sonichaos-train corpus --out {folder}` first")
    return [read(path, with_audio=with_audio) for path in paths]


def seconds_of(songs: Iterable[SongFeatures], front_end: FrontEnd) -> float:
    """Length of all songs together."""
    frames = sum(song.log_mel.shape[-1] for song in songs)
    return float(frames) * front_end.spec.hop_samples / front_end.spec.sample_rate_hz
