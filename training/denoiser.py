"""Training of the latent denoiser: rectified flow on crops of the corpus's latents, each condition dropped independently.

Letters: ``B`` batch, ``D`` latent channels, ``L`` latent frames, ``G`` control channels, ``E`` embedding size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn

from render_service.renderers.latent_diffusion.denoiser import Conditions, Denoiser
from training.features import drop_controls
from training.latents import LatentSong
from training.song_pool import SongPool

FRAMES_PER_STEP = 1024
_CROP_FRAMES = (128, 256, 176, 72)
_SONGS_PER_BLOCK = 256
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
    """``songs``: to start with; ``new_songs`` returns those that came since the last call and is called every ``refresh_steps``.

    ``crops``: (batch, latent frames) shapes of about equal work; a step draws one. ``latent_deviation`` ``(D,)``: standard
    deviation of each latent channel, which weights its error. ``target``: the velocity that the net is trained to predict; by
    default the one from noise to data. ``name`` is the name of the run.

    A batch is a pure function of the generator's seed and of the songs that are there; on a GPU the noise is drawn there.
    """

    def __init__(
        self,
        net: Denoiser,
        songs: Iterable[LatentSong],
        *,
        latent_deviation: Tensor,
        new_songs: Callable[[], Iterable[LatentSong]] | None = None,
        refresh_steps: int = 200,
        crops: tuple[tuple[int, int], ...] | None = None,
        dropout: Dropout | None = None,
        device: torch.device,
        target: Target | None = None,
        name: str = "denoiser",
    ) -> None:
        self.name, self._target = name, target
        self.net: nn.Module = net
        self._denoiser, self._device = net, device
        self._new_songs, self._refresh_steps = new_songs, refresh_steps
        self._all_crops = crops if crops is not None else crop_shapes()
        self._dropout = dropout or Dropout()
        self._pool = SongPool(device=device)
        self._add(songs)
        relative = latent_deviation / latent_deviation.mean()
        self._weight = relative.clamp(*_WEIGHT_RANGE)[None, :, None].to(device)

    def loss(self, generator: torch.Generator, step: int) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        """See :class:`training.loop.Task`."""
        if self._new_songs is not None and step % self._refresh_steps == 0:
            self._add(self._new_songs())
        batch, frames = self._crops[int(torch.randint(len(self._crops), (), generator=generator))]
        chosen = torch.multinomial(self._weights[frames], batch, replacement=True, generator=generator)
        data, channels = self._pool.crops(chosen, self._starts(chosen, frames, generator), frames)
        drawn = torch.rand(2, batch, generator=generator)
        controls = drop_controls(
            channels,
            playing=(drawn[0] < self._dropout.playing).to(self._device, non_blocking=True),
            score=(drawn[1] < self._dropout.score).to(self._device, non_blocking=True),
        )
        conditions = self._conditions(chosen, generator)
        noise = self._noise(data.shape, generator)
        time = _draw_times(batch, generator).to(self._device, non_blocking=True)
        velocity = data - noise
        noisy = noise + time[:, None, None] * velocity
        target = velocity if self._target is None else self._target(noisy, time, controls, conditions)
        error = self._denoiser(noisy, time, controls, self._denoiser.encode_conditions(conditions)) - target
        plain = error.detach().square().mean()
        return (error.square() * self._weight).mean(), {"mse": plain, "songs": float(len(self._pool))}

    def _add(self, songs: Iterable[LatentSong]) -> None:
        """Add songs block by block, so that few are in memory twice; then weight each by its length."""
        remaining, before = iter(songs), len(self._pool)
        while block := list(islice(remaining, _SONGS_PER_BLOCK)):
            self._pool.add(block)
        if len(self._pool) == before:
            return
        lengths = self._pool.lengths
        longest = int(lengths.max())
        fitting = tuple(crop for crop in self._all_crops if crop[1] <= longest)
        self._crops = fitting or ((self._all_crops[0][0], longest),)
        self._weights = {frames: torch.where(lengths >= frames, lengths, 0).double() for _, frames in self._crops}

    def _starts(self, chosen: Tensor, frames: int, generator: torch.Generator) -> Tensor:
        """First frame of each crop; a share of the crops are at the edges, where songs start and end."""
        last = self._pool.lengths[chosen] - frames
        drawn = torch.rand(2, len(chosen), generator=generator, dtype=torch.float64)
        starts = (drawn[0] * (last + 1)).long()
        edges = torch.where(drawn[1] < 0.5 * _EDGE_SHARE, 0, last)
        return torch.where(drawn[1] < _EDGE_SHARE, edges, starts)

    def _noise(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Unit noise. A GPU draws it itself, seeded by ``generator``: a CPU would take about as long as the GPU for the step."""
        if self._device.type == "cpu":
            return torch.randn(shape, generator=generator)
        seed = int(torch.randint(2**62, (), generator=generator))
        return torch.randn(shape, generator=torch.Generator(self._device).manual_seed(seed), device=self._device)

    def _conditions(self, chosen: Tensor, generator: torch.Generator) -> Conditions:
        given = self._pool.conditions(chosen, generator)
        drawn = torch.rand(4, len(chosen), generator=generator).to(self._device, non_blocking=True)
        keep = drawn[3] >= self._dropout.everything
        return Conditions(
            text=given.text,
            text_mask=given.text_mask,
            prefix=given.prefix,
            persona=given.persona,
            has_text=keep & (drawn[0] >= self._dropout.text),
            has_prefix=keep & given.has_prefix & (drawn[1] >= self._dropout.prefix),
            has_persona=keep & (drawn[2] >= self._dropout.persona),
        )


def crop_shapes(frames_per_step: int = FRAMES_PER_STEP) -> tuple[tuple[int, int], ...]:
    """Shapes (batch, latent frames) of about ``frames_per_step`` frames each."""
    return tuple((max(1, round(frames_per_step / frames)), frames) for frames in _CROP_FRAMES)


def _draw_times(batch: int, generator: torch.Generator) -> Tensor:
    """Times ``(B,)``: logit-normal, which favours the middle (Esser et al. 2024), mixed with uniform for both ends."""
    normal = torch.sigmoid(torch.randn(batch, generator=generator))
    uniform = torch.rand(batch, generator=generator)
    return torch.where(torch.rand(batch, generator=generator) < _UNIFORM_SHARE, uniform, normal)
