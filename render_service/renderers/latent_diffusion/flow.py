"""The sampler: guided Euler steps of the rectified flow from noise to latents, over overlapping windows.

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
    """Windows of ``frames`` latent frames, one every ``stride``; velocities are averaged where windows overlap."""

    frames: int = 256
    stride: int = 192


def block_noise(seed: int, *, channels: int, frames: int, first_block: int = 0, purpose: str = "latent") -> Tensor:
    """Standard normal noise ``(D, L)``. Each block of 64 frames has its own seed: a longer take starts with the same noise."""
    blocks = -(-frames // NOISE_BLOCK_FRAMES)
    drawn = [_draw(seed, first_block + block, channels, purpose) for block in range(blocks)]
    return torch.cat(drawn, dim=1)[:, :frames]


def _draw(seed: int, block: int, channels: int, purpose: str) -> Tensor:
    digest = hashlib.sha256(f"{purpose}:{seed}:{block}".encode()).digest()
    generator = torch.Generator("cpu").manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    return torch.randn(channels, NOISE_BLOCK_FRAMES, generator=generator)


def unconditional(conditions: Conditions) -> Conditions:
    """The same batch with text, prefix and persona dropped, for guidance. Controls (grid and harmony) are not affected."""
    dropped = torch.zeros_like(conditions.has_text)
    return replace(conditions, has_text=dropped, has_prefix=dropped, has_persona=dropped)


def concatenate(first: Conditions, second: Conditions) -> Conditions:
    """Two batches of conditions as one."""
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
    """``steps`` equal Euler steps from ``start_time`` (0 is noise) to time 1 (latents)."""

    steps: int
    start_time: float = 0.0

    @classmethod
    def for_strength(cls, steps: int, strength: float) -> Schedule:
        """Cover the last ``strength`` of the time, above 0 and up to 1, in steps of at most ``1 / steps``."""
        return cls(steps=max(math.ceil(steps * strength - 1e-9), 1), start_time=1.0 - strength)

    @property
    def steps_per_unit(self) -> float:
        """Steps per unit of time."""
        return self.steps / (1.0 - self.start_time)

    def time(self, step: int) -> float:
        """The time at which a step starts."""
        return self.start_time + step / self.steps_per_unit


def add_noise(latents: Tensor, noise: Tensor, schedule: Schedule) -> Tensor:
    """Latents ``(D, L)`` mixed with noise to the level of the schedule's start, on the rectified flow's straight line."""
    return latents * schedule.start_time + noise * (1.0 - schedule.start_time)


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
    windows_per_batch: int = 1,
) -> Tensor:
    """Denoise noise ``(D, L)``, or latents from :func:`add_noise`, with controls ``(G, L)``. Returns latents ``(D, L)``.

    ``conditions`` are a batch of one. Guidance 1 evaluates the net once per step; otherwise the conditional and the
    unconditional branch are one batch (classifier-free guidance, Ho & Salimans 2022). ``windows_per_batch``: many on a GPU,
    one on a CPU, where a larger batch is slower (docs/measurements.md).
    """
    steps = schedule.steps
    guided = guidance != 1.0
    both = concatenate(conditions, unconditional(conditions)) if guided else conditions
    context = denoiser.encode_conditions(both)
    branches = 2 if guided else 1
    plan = _WindowPlan.of(controls, context, windows, branches=branches, windows_per_batch=windows_per_batch)
    latents = noise
    for step in range(steps):
        report(step, steps)
        time = torch.full((branches,), schedule.time(step), device=noise.device)
        total = torch.zeros_like(latents)
        for batch in plan.batches:
            velocity = denoiser(batch.windows_of(latents), batch.repeat(time), batch.controls, batch.context)
            conditional, other = velocity[: len(batch.spans)], velocity[-len(batch.spans) :]
            guided_velocity = other + guidance * (conditional - other) if guided else conditional
            for (start, stop), window in zip(batch.spans, guided_velocity * plan.ramp, strict=True):
                total[:, start:stop] += window
        latents = latents + total / plan.weight / schedule.steps_per_unit
    report(steps, steps)
    return latents


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """Windows that are one batch of the net: all of the conditional branch, then all of the unconditional one, if any."""

    spans: tuple[tuple[int, int], ...]
    controls: Tensor
    context: Context
    branches: int

    def windows_of(self, latents: Tensor) -> Tensor:
        """Cut ``(D, L)`` into the batch's windows: ``(branches * windows, D, frames)``."""
        return torch.stack([latents[:, start:stop] for start, stop in self.spans]).repeat(self.branches, 1, 1)

    def repeat(self, per_branch: Tensor) -> Tensor:
        """``(branches, ...)`` to ``(branches * windows, ...)``."""
        return per_branch.repeat_interleave(len(self.spans), dim=0)


@dataclass(frozen=True, kw_only=True)
class _WindowPlan:
    """The windows of a take in batches, with what stays the same in every step.

    ``ramp`` ``(frames,)`` weights a window, ``weight`` ``(L,)`` is the sum of those weights.
    """

    batches: tuple[_Batch, ...]
    ramp: Tensor
    weight: Tensor

    @classmethod
    def of(
        cls, controls: Tensor, context: Context, windows: WindowSpec, *, branches: int, windows_per_batch: int
    ) -> _WindowPlan:
        spans = window_spans(controls.shape[1], windows)
        ramp = _ramp(spans[0][1] - spans[0][0], windows, like=controls)
        weight = torch.zeros(controls.shape[1], device=controls.device)
        for start, stop in spans:
            weight[start:stop] += ramp
        groups = [tuple(spans[i : i + windows_per_batch]) for i in range(0, len(spans), windows_per_batch)]
        batches = tuple(
            _Batch(
                spans=group,
                controls=torch.stack([controls[:, start:stop] for start, stop in group]).repeat(branches, 1, 1),
                context=_repeat_context(context, len(group)),
                branches=branches,
            )
            for group in groups
        )
        return cls(batches=batches, ramp=ramp, weight=weight)


def _repeat_context(context: Context, count: int) -> Context:
    """Repeat each branch of a context ``count`` times."""
    return Context(
        keys=tuple(key.repeat_interleave(count, dim=0) for key in context.keys),
        values=tuple(value.repeat_interleave(count, dim=0) for value in context.values),
        mask=context.mask.repeat_interleave(count, dim=0),
        vector=context.vector.repeat_interleave(count, dim=0),
    )


def window_spans(frames: int, windows: WindowSpec) -> list[tuple[int, int]]:
    """Windows at multiples of the stride; the last ends with the take. Pairs of (first, stop) frame."""
    if frames <= windows.frames:
        return [(0, frames)]
    last = frames - windows.frames
    starts = [*range(0, last, windows.stride), last]
    return [(start, start + windows.frames) for start in starts]


def _ramp(frames: int, windows: WindowSpec, *, like: Tensor) -> Tensor:
    """Weights ``(frames,)`` that rise and fall linearly over the overlap, never zero."""
    overlap = max(windows.frames - windows.stride, 1)
    position = torch.arange(frames, device=like.device, dtype=like.dtype) + 0.5
    return torch.minimum(position, frames - position).div(overlap).clamp(max=1.0)
