"""Training of the latent denoiser: rectified flow on crops of the corpus's latents, each condition dropped independently.

Letters: ``B`` batch, ``D`` latent channels, ``L`` latent frames, ``G`` control channels, ``E`` embedding size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from render_service.renderers.latent_diffusion.denoiser import Conditions, Denoiser
from training.features import drop_controls
from training.latents import CONTROL_STEPS, LatentSong

_MAX_POOLED = 6
_EDGE_SHARE = 0.2
_UNIFORM_SHARE = 0.4
_WEIGHT_RANGE = (0.2, 5.0)  # of the loss of a latent channel, relative to the mean

Target = Callable[[Tensor, Tensor, Tensor, Conditions], Tensor]
"""Maps noisy latents ``(B, D, L)``, time ``(B,)``, controls ``(B, G, L)`` and conditions to a velocity ``(B, D, L)``."""


@dataclass(frozen=True, kw_only=True)
class Dropout:
    """Probability that an item of a batch lacks a condition, drawn independently for each condition."""

    text: float = 0.15
    prefix: float = 0.4
    persona: float = 0.1
    everything: float = 0.08
    playing: float = 0.15
    score: float = 0.12


class DenoiserTask:
    """``crops``: (batch, latent frames) shapes of about equal work; a step draws one.

    ``latent_deviation`` ``(D,)``: standard deviation of each latent channel, which weights its error. ``target``: the velocity that
    the net is trained to predict; by default the one from noise to data. ``name`` is the name of the run.
    """

    def __init__(
        self,
        net: Denoiser,
        songs: Sequence[LatentSong],
        *,
        latent_deviation: Tensor,
        crops: tuple[tuple[int, int], ...] = ((8, 128), (4, 256), (6, 176), (14, 72)),
        dropout: Dropout | None = None,
        device: torch.device,
        target: Target | None = None,
        name: str = "denoiser",
    ) -> None:
        self.name, self._target = name, target
        self.net: nn.Module = net
        self._denoiser, self._device, self._songs = net, device, songs
        self._dropout = dropout or Dropout()
        lengths = np.array([song.frames for song in songs])
        self._crops = tuple(crop for crop in crops if (lengths >= crop[1]).any()) or (
            (crops[0][0], int(lengths.max())),
        )
        self._weights = {
            frames: torch.from_numpy(np.where(lengths >= frames, lengths, 0)).double() for _, frames in self._crops
        }
        self._songs_of: dict[str, list[int]] = defaultdict(list)
        for index, song in enumerate(songs):
            self._songs_of[song.persona].append(index)
        relative = latent_deviation / latent_deviation.mean()
        self._weight = relative.clamp(*_WEIGHT_RANGE)[None, :, None].to(device)

    def loss(self, generator: torch.Generator, step: int) -> tuple[Tensor, Mapping[str, float]]:
        """See :class:`training.loop.Task`."""
        del step
        batch, frames = self._crops[int(torch.randint(len(self._crops), (), generator=generator))]
        chosen = torch.multinomial(self._weights[frames], batch, replacement=True, generator=generator).tolist()
        crops = [self._crop(self._songs[i], frames, generator) for i in chosen]
        data = torch.stack([latents for latents, _ in crops]).to(self._device)
        drawn = torch.rand(2, batch, generator=generator)
        controls = drop_controls(
            torch.stack([channels for _, channels in crops]).to(self._device),
            playing=(drawn[0] < self._dropout.playing).to(self._device),
            score=(drawn[1] < self._dropout.score).to(self._device),
        )
        conditions = self._conditions(chosen, generator)
        noise = torch.randn(data.shape, generator=generator).to(self._device)
        time = _draw_times(batch, generator).to(self._device)
        velocity = data - noise
        noisy = noise + time[:, None, None] * velocity
        target = velocity if self._target is None else self._target(noisy, time, controls, conditions)
        error = self._denoiser(noisy, time, controls, self._denoiser.encode_conditions(conditions)) - target
        plain = error.detach().square().mean()
        return (error.square() * self._weight).mean(), {"mse": float(plain)}

    def _crop(self, song: LatentSong, frames: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Latents and controls of a crop; a share of the crops are at the edges, where songs start and end."""
        last = song.frames - frames
        drawn = float(torch.rand((), generator=generator))
        start = int(torch.randint(last + 1, (), generator=generator))
        if drawn < _EDGE_SHARE:
            start = 0 if drawn < 0.5 * _EDGE_SHARE else last
        span = slice(start, start + frames)
        controls = torch.from_numpy(song.controls[:, span]).float() / CONTROL_STEPS
        return torch.from_numpy(song.latents[:, span]).float(), controls

    def _conditions(self, chosen: Sequence[int], generator: torch.Generator) -> Conditions:
        songs = [self._songs[i] for i in chosen]
        words = [int(torch.randint(len(song.text), (), generator=generator)) for song in songs]
        texts = [
            torch.from_numpy(song.text[word, : song.text_lengths[word]]).float()
            for song, word in zip(songs, words, strict=True)
        ]
        masks = [torch.ones(len(text), dtype=torch.bool) for text in texts]
        has_prefix = torch.tensor([bool(song.prefix.size) for song in songs])
        prefixes = [
            torch.from_numpy(song.prefix).float() if song.prefix.size else torch.zeros(texts[0].shape[1])
            for song in songs
        ]
        drawn = torch.rand(4, len(songs), generator=generator)
        keep = drawn[3] >= self._dropout.everything
        device = self._device
        return Conditions(
            text=pad_sequence(texts, batch_first=True).to(device),
            text_mask=pad_sequence(masks, batch_first=True).to(device),
            prefix=torch.stack(prefixes).to(device),
            persona=torch.stack([self._persona_vector(i, generator) for i in chosen]).to(device),
            has_text=(keep & (drawn[0] >= self._dropout.text)).to(device),
            has_prefix=(keep & has_prefix & (drawn[1] >= self._dropout.prefix)).to(device),
            has_persona=(keep & (drawn[2] >= self._dropout.persona)).to(device),
        )

    def _persona_vector(self, song: int, generator: torch.Generator) -> Tensor:
        """A persona vector pooled from up to six windows of another song of the persona; of the song itself if it is the only one.

        Like the embedding of a persona's clips. A vector of the song itself reveals its instruments, and the net would learn to
        ignore the words.
        """
        others = [other for other in self._songs_of[self._songs[song].persona] if other != song] or [song]
        vectors = self._songs[others[int(torch.randint(len(others), (), generator=generator))]].persona_vectors
        count = 1 + int(torch.randint(_MAX_POOLED, (), generator=generator))
        picked = torch.randint(len(vectors), (count,), generator=generator)
        return functional.normalize(torch.from_numpy(vectors[picked.numpy()]).float().mean(dim=0), dim=0)


def _draw_times(batch: int, generator: torch.Generator) -> Tensor:
    """Times ``(B,)``: logit-normal, which favours the middle (Esser et al. 2024), mixed with uniform for both ends."""
    normal = torch.sigmoid(torch.randn(batch, generator=generator))
    uniform = torch.rand(batch, generator=generator)
    return torch.where(torch.rand(batch, generator=generator) < _UNIFORM_SHARE, uniform, normal)
