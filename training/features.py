"""Features of a song for training: log-mel, controls, captions, audio and which stems sound.

One safetensors file per song, so an interrupted cache is resumed by listing its files.

Letters: ``M`` bands, ``F`` frames, ``L`` latent frames, ``G`` control channels, ``T`` samples.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from render_service.renderers.latent_diffusion.controls import ControlInputs, channel_slice, control_channels
from render_service.renderers.latent_diffusion.front_end import FrontEnd, FrontEndSpec
from render_service.renderers.latent_diffusion.score_channels import SCORE_WIDTHS
from training.corpus.caption import write_text
from training.corpus.song import Song

_ACTIVE_DBFS = -45.0  # a stem sounds where its level over a second exceeds this
_EXTRA_CAPTIONS = 4
_PCM16 = 32767.0


@dataclass(frozen=True, kw_only=True)
class SongFeatures:
    """Features of one song.

    ``log_mel`` ``(2, M, F)`` and ``controls`` ``(G, L)`` float16; ``audio`` ``(2, T)`` int16; ``persona`` is an id; ``captions``
    are paraphrases of each other.
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
    """Compute the features of a song, cut to whole latent frames."""
    spec = front_end.spec
    frames = song.mix.shape[1] // spec.latent_samples
    samples = frames * spec.latent_samples
    mix = torch.from_numpy(np.ascontiguousarray(song.mix[:, :samples]))[None]
    with torch.inference_mode():
        log_mel = front_end.analyse(mix)[0].numpy()
    inputs = ControlInputs(
        tempo_map=song.tempo_map,
        key=song.key,
        chords=song.chords,
        instrumental=song.instrumental,
        score=song.score,
    )
    return SongFeatures(
        seed=song.seed,
        persona=song.persona.id,
        prefix=song.persona.prefix,
        captions=_captions(song),
        instrumental=song.instrumental,
        log_mel=log_mel.astype(np.float16),
        controls=training_controls(inputs, spec, frames=frames).astype(np.float16),
        audio=np.clip(np.round(mix[0].numpy() * _PCM16), -_PCM16, _PCM16).astype(np.int16),
    )


def _captions(song: Song) -> tuple[str, ...]:
    """The song's caption and paraphrases of it."""
    rng, caption = np.random.default_rng(song.seed), song.caption
    others = [
        write_text(rng, caption.instrumentation, caption.mood, caption.tempo_words) for _ in range(_EXTRA_CAPTIONS)
    ]
    return (caption.text, *others)


def stem_activity(stem: NDArray[np.float32], hop: int) -> NDArray[np.float32]:
    """Whether a stem ``(2, T)`` sounds around each hop: 1 or -1, ``(L,)``, by its level over a second."""
    power = np.square(stem, dtype=np.float64).mean(axis=0).reshape(-1, hop).mean(axis=1)
    kernel = np.ones(21) / 21.0
    level_db = 10.0 * np.log10(np.convolve(power, kernel, mode="same") + 1e-12)
    return np.where(level_db > _ACTIVE_DBFS, 1.0, -1.0).astype(np.float32)


def training_controls(inputs: ControlInputs, spec: FrontEndSpec, *, frames: int) -> NDArray[np.float32]:
    """Control channels ``(G, L)`` with the score and with the position in the phrase, of which training drops one."""
    controls = control_channels(inputs, spec, frames=frames)
    phrase = channel_slice("phrase_phase")
    controls[phrase] = control_channels(replace(inputs, score=None), spec, frames=frames)[phrase]
    return controls


def drop_controls(controls: torch.Tensor, *, playing: torch.Tensor, score: torch.Tensor) -> torch.Tensor:
    """``controls`` ``(B, G, L)`` of :func:`training_controls` as the denoiser sees them.

    Where ``playing`` ``(B,)`` is true, which stems play is dropped: zero means unknown. Where ``score`` ``(B,)`` is true, the score
    is dropped; elsewhere the position in the phrase is.
    """
    dropped = torch.where(score[:, None, None], without_score(controls), controls)
    # Products, because a GPU has to be waited for where a mask is an index.
    dropped[:, channel_slice("playing")] *= ~playing[:, None, None]
    dropped[:, channel_slice("phrase_phase")] *= score[:, None, None]
    return dropped


def without_score(controls: torch.Tensor) -> torch.Tensor:
    """``controls`` ``(..., G, L)`` with zeros in the score's channels."""
    dropped = controls.clone()
    for name in SCORE_WIDTHS:
        dropped[..., channel_slice(name), :] = 0.0
    return dropped


def write(features: SongFeatures, folder: Path) -> Path:
    """Write one song atomically as ``{seed}.safetensors``; returns the path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{features.seed:08d}.safetensors"
    facts = {name: getattr(features, name) for name in ("seed", "persona", "prefix", "captions", "instrumental")}
    part = path.with_suffix(".part")
    save_file(
        {"log_mel": features.log_mel, "controls": features.controls, "audio": features.audio},
        str(part),
        metadata={"song": json.dumps(facts)},
    )
    part.replace(path)
    return path


def read(path: Path, *, with_audio: bool = False) -> SongFeatures:
    """Read one song; ``audio`` is empty unless ``with_audio``."""
    with safe_open(str(path), framework="numpy") as file:
        facts = json.loads(file.metadata()["song"])
        facts["captions"] = tuple(facts["captions"])
        audio = file.get_tensor("audio") if with_audio else np.zeros((2, 0), np.int16)
        return SongFeatures(
            log_mel=file.get_tensor("log_mel"), controls=file.get_tensor("controls"), audio=audio, **facts
        )


def read_all(folder: Path, *, with_audio: bool = False, limit: int | None = None) -> list[SongFeatures]:
    """The first ``limit`` songs of a cache, or all, in order of their seeds. Raises :class:`FileNotFoundError` if it is empty."""
    paths = sorted(folder.glob("*.safetensors"))[:limit]
    if not paths:
        raise FileNotFoundError(
            f"{folder} contains no songs; run `sonichaos-train corpus --work {folder.parent}` first"
        )
    return [read(path, with_audio=with_audio) for path in paths]
