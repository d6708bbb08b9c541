"""Training of the latent denoiser: rectified flow on crops of the corpus's latents, each condition dropped independently.

Letters: ``B`` batch, ``D`` latent channels, ``L`` latent frames, ``G`` control channels, ``E`` embedding size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from render_service.renderers.latent_diffusion.autoencoder import Autoencoder
from render_service.renderers.latent_diffusion.denoiser import Conditions, Denoiser
from render_service.renderers.latent_diffusion.front_end import FrontEnd
from render_service.renderers.latent_diffusion.persona_encoder import PersonaEncoder
from render_service.renderers.latent_diffusion.text_encoder import TextEncoder, TextStates
from training.autoencoder import encode_song
from training.features import SongFeatures, without_playing
from training.persona import embed_song

_MAX_POOLED = 6

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


@dataclass(frozen=True, kw_only=True)
class _Item:
    """One song as the denoiser's input; ``words`` and ``prefix`` index the encoded texts."""

    latents: Tensor
    controls: Tensor
    words: tuple[int, ...]
    prefix: int | None


class DenoiserTask:
    """``crops``: (batch, latent frames) shapes of about equal work; a step draws one.

    ``target``: the velocity that the net is trained to predict; by default the one from noise to data. ``name`` is the name of the
    run.
    """

    def __init__(
        self,
        net: Denoiser,
        front_end: FrontEnd,
        autoencoder: Autoencoder,
        *,
        encoder: PersonaEncoder,
        text: TextEncoder,
        songs: Sequence[SongFeatures],
        crops: tuple[tuple[int, int], ...] = ((8, 128), (4, 256), (6, 176), (14, 72)),
        dropout: Dropout | None = None,
        device: torch.device,
        target: Target | None = None,
        name: str = "denoiser",
    ) -> None:
        self.name, self._target = name, target
        self.net: nn.Module = net
        self._denoiser, self._device, self._crops = net, device, crops
        self._dropout = dropout or Dropout()
        texts = sorted({t for song in songs for t in (*song.captions, song.prefix)})
        number = {t: i for i, t in enumerate(texts)}
        self._states = _encode_all(text, texts)
        self._sentences = self._states.sentence
        self._items = [
            _Item(
                latents=encode_song(autoencoder, front_end, song),
                controls=torch.from_numpy(song.controls).float(),
                words=tuple(number[caption] for caption in song.captions),
                prefix=number[song.prefix] if song.prefix else None,
            )
            for song in songs
        ]
        vectors = [embed_song(encoder, front_end, song) for song in songs]
        self._persona_vectors = [
            vectors_of_other_songs(i, [song.persona for song in songs], vectors) for i in range(len(songs))
        ]
        deviation = autoencoder.latent_deviation
        self._weight = (deviation / deviation.mean()).sqrt().clamp(0.4, 2.5)[None, :, None].to(device)

    def loss(self, generator: torch.Generator, step: int) -> tuple[Tensor, Mapping[str, float]]:
        """See :class:`training.loop.Task`."""
        del step
        batch, frames = self._crops[int(torch.randint(len(self._crops), (), generator=generator))]
        lengths = torch.tensor([float(item.latents.shape[-1]) for item in self._items])
        chosen = torch.multinomial(lengths, batch, replacement=True, generator=generator).tolist()
        crops = [self._crop(self._items[i], frames, generator) for i in chosen]
        data = torch.stack([latents for latents, _ in crops]).to(self._device)
        controls = torch.stack([channels for _, channels in crops])
        without = torch.rand(batch, generator=generator) < self._dropout.playing
        controls = torch.where(without[:, None, None], without_playing(controls), controls).to(self._device)
        conditions = self._conditions(chosen, generator)
        noise = torch.randn(data.shape, generator=generator).to(self._device)
        time = torch.sigmoid(torch.randn(batch, generator=generator)).to(self._device)
        velocity = data - noise
        noisy = noise + time[:, None, None] * velocity
        target = velocity if self._target is None else self._target(noisy, time, controls, conditions)
        error = self._denoiser(noisy, time, controls, self._denoiser.encode_conditions(conditions)) - target
        plain = error.detach().square().mean()
        return (error.square() * self._weight).mean(), {"mse": float(plain)}

    def _crop(self, item: _Item, frames: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        length = item.latents.shape[-1]
        start = int(torch.randint(max(length - frames, 0) + 1, (), generator=generator))
        short = max(frames - length, 0)
        latents = functional.pad(
            item.latents[:, start : start + frames], (0, short), mode="replicate" if short else "constant"
        )
        controls = functional.pad(
            item.controls[:, start : start + frames], (0, short), mode="replicate" if short else "constant"
        )
        return latents, controls

    def _conditions(self, chosen: Sequence[int], generator: torch.Generator) -> Conditions:
        items = [self._items[i] for i in chosen]
        words = [item.words[int(torch.randint(len(item.words), (), generator=generator))] for item in items]
        has_prefix = torch.tensor([item.prefix is not None for item in items])
        drawn = torch.rand(4, len(items), generator=generator)
        keep = drawn[3] >= self._dropout.everything
        device = self._device
        return Conditions(
            text=self._states.tokens[words].to(device),
            text_mask=self._states.mask[words].to(device),
            prefix=self._sentences[[item.prefix or 0 for item in items]].to(device),
            persona=torch.stack([self._persona_vector(i, generator) for i in chosen]).to(device),
            has_text=(keep & (drawn[0] >= self._dropout.text)).to(device),
            has_prefix=(keep & has_prefix & (drawn[1] >= self._dropout.prefix)).to(device),
            has_persona=(keep & (drawn[2] >= self._dropout.persona)).to(device),
        )

    def _persona_vector(self, song: int, generator: torch.Generator) -> Tensor:
        """A persona vector pooled from up to six windows, like the embedding of a persona's clips."""
        vectors = self._persona_vectors[song]
        count = 1 + int(torch.randint(_MAX_POOLED, (), generator=generator))
        picked = torch.randint(len(vectors), (count,), generator=generator)
        return functional.normalize(vectors[picked].mean(dim=0), dim=0)


def vectors_of_other_songs(song: int, personas: Sequence[str], vectors: Sequence[Tensor]) -> Tensor:
    """Persona vectors ``(windows, E)`` from the other songs of a song's persona; from the song itself if there are none.

    A vector of the song itself reveals its instruments, and the net would learn to ignore the words.
    """
    same = [i for i, persona in enumerate(personas) if persona == personas[song]]
    others = [i for i in same if i != song]
    return torch.cat([vectors[i] for i in others or same])


def _encode_all(text: TextEncoder, texts: Sequence[str]) -> TextStates:
    states = [text.encode([t]) for t in texts]
    tokens, mask = torch.cat([s.tokens for s in states]), torch.cat([s.mask for s in states])
    longest = int(mask.sum(dim=1).max())
    return TextStates(tokens=tokens[:, :longest].contiguous(), mask=mask[:, :longest].contiguous())
