"""Contrastive training of the persona encoder on pairs of songs by one persona (Chen et al. 2020; van den Oord et al. 2018).

Letters: ``B`` crops, ``N`` standardised bands, ``F`` frames, ``E`` embedding size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from render_service.renderers.latent_diffusion.front_end import FrontEnd
from render_service.renderers.latent_diffusion.persona_encoder import LEVEL_RMS, PersonaEncoder
from training.features import SongFeatures

_TEMPERATURE = 0.1
_MIN_SONGS_PER_PERSONA = 2


class PersonaTask:
    """InfoNCE: two crops from two songs of each persona in the batch are the positive pairs."""

    name = "persona_encoder"

    def __init__(
        self, net: PersonaEncoder, front_end: FrontEnd, songs: Sequence[SongFeatures], *, personas_per_batch: int = 24
    ) -> None:
        self.net: nn.Module = net
        self._encoder, self._front_end = net, front_end
        self._by_persona = [group for group in _grouped(songs) if len(group) >= _MIN_SONGS_PER_PERSONA]
        self._count = min(personas_per_batch, len(self._by_persona))

    def loss(self, generator: torch.Generator, step: int) -> tuple[Tensor, Mapping[str, float]]:
        """See :class:`training.loop.Task`."""
        del step
        chosen = torch.randperm(len(self._by_persona), generator=generator)[: self._count].tolist()
        pairs = [torch.randperm(len(self._by_persona[p]), generator=generator)[:2].tolist() for p in chosen]
        sides = [[self._by_persona[p][pair[side]] for p, pair in zip(chosen, pairs, strict=True)] for side in (0, 1)]
        crops = [self._crop(song, generator) for side in sides for song in side]
        vectors = self._encoder(self._front_end.standardise(torch.stack(crops)))
        similarity = vectors @ vectors.T / _TEMPERATURE
        similarity = similarity.masked_fill(
            torch.eye(len(crops), dtype=torch.bool, device=similarity.device), -torch.inf
        )
        positive = torch.arange(len(crops), device=similarity.device).roll(self._count)
        loss = functional.cross_entropy(similarity, positive)
        return loss, {"accuracy": float((similarity.argmax(dim=1) == positive).float().mean())}

    def _crop(self, song: SongFeatures, generator: torch.Generator) -> Tensor:
        frames = self._encoder.config.window_frames
        start = int(torch.randint(max(song.log_mel.shape[-1] - frames, 1), (), generator=generator))
        return normalised_crop(song, self._front_end, start, frames).to(self._front_end.band_mean.device)


def normalised_crop(song: SongFeatures, front_end: FrontEnd, start: int, frames: int) -> Tensor:
    """Log-mel ``(2, M, frames)`` of a crop whose level is normalised to :data:`LEVEL_RMS`."""
    hop = front_end.spec.hop_samples
    audio = song.audio[:, start * hop : (start + frames) * hop].astype(np.float32) / 32767.0
    rms = float(np.sqrt(np.mean(np.square(audio))))
    gain = LEVEL_RMS / rms if rms > 1e-6 else 1.0
    floor = front_end.spec.floor
    mel = torch.from_numpy(song.log_mel[..., start : start + frames]).float().exp() - floor
    return torch.log((mel * gain).clamp(min=0.0) + floor)


def embed_song(encoder: PersonaEncoder, front_end: FrontEnd, song: SongFeatures) -> Tensor:
    """Persona vectors ``(windows, E)`` of a song's windows, which overlap by half."""
    frames = encoder.config.window_frames
    starts = range(0, max(song.log_mel.shape[-1] - frames, 0) + 1, frames // 2)
    crops = torch.stack([normalised_crop(song, front_end, start, frames) for start in starts])
    with torch.inference_mode():
        vectors: Tensor = encoder(front_end.standardise(crops))
        return vectors.clone()


def _grouped(songs: Sequence[SongFeatures]) -> list[list[SongFeatures]]:
    groups: dict[str, list[SongFeatures]] = {}
    for song in songs:
        groups.setdefault(song.persona, []).append(song)
    return [groups[name] for name in sorted(groups)]
