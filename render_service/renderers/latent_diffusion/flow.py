"""From noise to latents: Euler steps of the rectified flow, guided, over windows that are averaged.

Letters: ``B`` batch (guided: 2), ``D`` latent channels, ``L`` latent frames, ``G`` control channels.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from render_service.renderers.latent_diffusion.denoiser import Conditions, Context, Denoiser

NOISE_BLOCK_FRAMES = 64
Report = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class WindowSpec:
    """Long takes go through windows of ``frames``, a new one every ``stride``; velocities are averaged where they meet."""

    frames: int = 256
    stride: int = 192


def block_noise(seed: int, *, channels: int, frames: int, first_block: int = 0, purpose: str = "latent") -> Tensor:
    """Standard normal noise ``(D, L)``. Each block of 64 frames has its own seed, so that a longer take begins alike."""
    blocks = -(-frames // NOISE_BLOCK_FRAMES)
    drawn = [_draw(seed, first_block + block, channels, purpose) for block in range(blocks)]
    return torch.cat(drawn, dim=1)[:, :frames]


def _draw(seed: int, block: int, channels: int, purpose: str) -> Tensor:
    digest = hashlib.sha256(f"{purpose}:{seed}:{block}".encode()).digest()
    generator = torch.Generator("cpu").manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    return torch.randn(channels, NOISE_BLOCK_FRAMES, generator=generator)


def without_words_and_persona(conditions: Conditions) -> Conditions:
    """The conditions that guidance leads away from: grid and harmony stay, the rest is left out."""
    nothing = torch.zeros_like(conditions.has_text)
    return replace(conditions, has_text=nothing, has_prefix=nothing, has_persona=nothing)


def joined(first: Conditions, second: Conditions) -> Conditions:
    """Two sets of conditions as one batch."""
    return Conditions(
        text=torch.cat([first.text, second.text]),
        text_mask=torch.cat([first.text_mask, second.text_mask]),
        prefix=torch.cat([first.prefix, second.prefix]),
        persona=torch.cat([first.persona, second.persona]),
        has_text=torch.cat([first.has_text, second.has_text]),
        has_prefix=torch.cat([first.has_prefix, second.has_prefix]),
        has_persona=torch.cat([first.has_persona, second.has_persona]),
    )


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """``steps`` equal Euler steps from time ``begin`` (0 is noise) to 1 (latents)."""

    steps: int
    begin: float = 0.0

    @classmethod
    def of(cls, steps: int, strength: float) -> Schedule:
        """The last ``strength`` of the way in steps no longer than ``1/steps``; a strength of 1 is the whole way."""
        return cls(steps=max(math.ceil(steps * strength - 1e-9), 1), begin=1.0 - strength)

    @property
    def steps_a_unit(self) -> float:
        """Steps that the whole way would take at this length of step."""
        return self.steps / (1.0 - self.begin)

    def time(self, step: int) -> float:
        """Where a step begins."""
        return self.begin + step / self.steps_a_unit


def begun(noise: Tensor, latents: Tensor, schedule: Schedule) -> Tensor:
    """Latents ``(D, L)`` as far noised as they are at the schedule's begin: the straight way of a rectified flow."""
    return latents * schedule.begin + noise * (1.0 - schedule.begin)


def sample(
    denoiser: Denoiser,
    noise: Tensor,
    controls: Tensor,
    conditions: Conditions,
    *,
    schedule: Schedule,
    guidance: float,
    windows: WindowSpec,
    report: Report,
    windows_at_once: int = 1,
) -> Tensor:
    """Noise ``(D, L)``, or what :func:`begun` gives, and controls ``(G, L)`` to latents ``(D, L)``; conditions are a batch of one.

    Guidance 1 runs the net once a step; above, both branches run as one batch (Ho & Salimans 2022). ``windows_at_once``
    go through the net as one batch: many on a GPU, one on a CPU, where a batch is slower (docs/measurements.md).
    """
    steps = schedule.steps
    guided = guidance != 1.0
    context = denoiser.read(joined(conditions, without_words_and_persona(conditions)) if guided else conditions)
    branches = 2 if guided else 1
    batches = _Batches.of(controls, context, windows, branches=branches, at_once=windows_at_once)
    latents = noise
    for step in range(steps):
        report(step, steps)
        time = torch.full((branches,), schedule.time(step), device=noise.device)
        total, weight = torch.zeros_like(latents), batches.weight
        for batch in batches.each:
            velocity = denoiser(batch.windows_of(latents), batch.repeated(time), batch.controls, batch.context)
            asked, other = velocity[: len(batch.spans)], velocity[-len(batch.spans) :]
            chosen = other + guidance * (asked - other) if guided else asked
            for (start, stop), window in zip(batch.spans, chosen * batches.ramp, strict=True):
                total[:, start:stop] += window
        latents = latents + total / weight / schedule.steps_a_unit
    report(steps, steps)
    return latents


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """Windows that go through the net together, first all of them as asked, then, guided, all again with less."""

    spans: tuple[tuple[int, int], ...]
    controls: Tensor
    context: Context
    branches: int

    def windows_of(self, latents: Tensor) -> Tensor:
        """``(D, L)`` to ``(branches * windows, D, W)``."""
        return torch.stack([latents[:, start:stop] for start, stop in self.spans]).repeat(self.branches, 1, 1)

    def repeated(self, of_branches: Tensor) -> Tensor:
        """``(branches, ...)`` to ``(branches * windows, ...)``."""
        return of_branches.repeat_interleave(len(self.spans), dim=0)


@dataclass(frozen=True, kw_only=True)
class _Batches:
    """All windows of a take, what does not change from step to step, and how they are weighed where they meet."""

    each: tuple[_Batch, ...]
    ramp: Tensor
    weight: Tensor

    @classmethod
    def of(cls, controls: Tensor, context: Context, windows: WindowSpec, *, branches: int, at_once: int) -> _Batches:
        spans = window_spans(controls.shape[1], windows)
        ramp = _ramp(spans[0][1] - spans[0][0], windows, like=controls)
        weight = torch.zeros(controls.shape[1], device=controls.device)
        for start, stop in spans:
            weight[start:stop] += ramp
        groups = [tuple(spans[i : i + at_once]) for i in range(0, len(spans), at_once)]
        each = tuple(
            _Batch(
                spans=group,
                controls=torch.stack([controls[:, start:stop] for start, stop in group]).repeat(branches, 1, 1),
                context=_for_windows(context, len(group)),
                branches=branches,
            )
            for group in groups
        )
        return cls(each=each, ramp=ramp, weight=weight)


def _for_windows(context: Context, count: int) -> Context:
    """A context of branches, each branch ``count`` times."""
    return Context(
        keys=tuple(key.repeat_interleave(count, dim=0) for key in context.keys),
        values=tuple(value.repeat_interleave(count, dim=0) for value in context.values),
        mask=context.mask.repeat_interleave(count, dim=0),
        vector=context.vector.repeat_interleave(count, dim=0),
    )


def window_spans(frames: int, windows: WindowSpec) -> list[tuple[int, int]]:
    """Windows at absolute multiples of the stride, the last one moved back to end with the take."""
    if frames <= windows.frames:
        return [(0, frames)]
    last = frames - windows.frames
    starts = [*range(0, last, windows.stride), last]
    return [(start, start + windows.frames) for start in starts]


def _ramp(frames: int, windows: WindowSpec, *, like: Tensor) -> Tensor:
    """Weights that rise and fall over the overlap, never zero. ``(L,)``."""
    overlap = max(windows.frames - windows.stride, 1)
    place = torch.arange(frames, device=like.device, dtype=like.dtype) + 0.5
    return torch.minimum(place, frames - place).div(overlap).clamp(max=1.0)
