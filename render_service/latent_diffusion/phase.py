"""Magnitudes to sound: fast Griffin-Lim (Perraudin et al. 2013), block after block, so that length costs no memory.

A block starts in the sound that is already there: its first frames keep the spectrum of the block before, the rest
finds phases that continue it.

Letters: ``C`` mid and side (2), ``K`` bins, ``F`` frames, ``T`` samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from render_service.latent_diffusion.front_end import FrontEnd

MagnitudesOf = Callable[[int, int], Tensor]
"""``magnitudes(first_frame, stop_frame) -> (C, K, F)``: made when they are needed."""


@dataclass(frozen=True, kw_only=True)
class PhaseSpec:
    """Frames a block; frames of the one before that are kept; momentum of the fast iteration."""

    block_frames: int = 768
    lead_frames: int = 16
    held_frames: int = 12
    momentum: float = 0.99


def recover_phase(
    front_end: FrontEnd,
    magnitudes: MagnitudesOf,
    frames: int,
    phase_noise: Callable[[int, int], Tensor],
    *,
    iterations: int,
    report: Callable[[int, int], None],
    spec: PhaseSpec | None = None,
) -> Tensor:
    """Mid and side ``(C, F * hop)``. ``phase_noise(first, stop)`` gives the starting phases in turns ``(C, K, F)``."""
    spec = spec or PhaseSpec()
    hop = front_end.spec.hop_samples
    starts = range(0, frames, spec.block_frames)
    sound: list[Tensor] = []
    tail: Tensor | None = None
    for done, start in enumerate(starts):
        report(done, len(starts))
        stop = min(start + spec.block_frames, frames)
        lead = spec.lead_frames if tail is not None else 0
        wanted = magnitudes(start - lead, stop)
        first = torch.polar(wanted, 2.0 * torch.pi * phase_noise(start - lead, stop))
        held = None
        if tail is not None:
            held = front_end.transform(tail[None])[0, ..., : spec.held_frames]
        block = _iterate(front_end, wanted, first, held, iterations=iterations, momentum=spec.momentum)
        if tail is not None:
            fade = _fade(lead * hop, spec.held_frames * hop // 2, like=block)
            sound[-1] = torch.cat([sound[-1][:, : -lead * hop], _mix(tail, block[:, : lead * hop], fade)], dim=1)
        sound.append(block[:, lead * hop :])
        tail = torch.cat(sound[-2:], dim=1)[:, -spec.lead_frames * hop :]
    report(len(starts), len(starts))
    return torch.cat(sound, dim=1)


def _iterate(
    front_end: FrontEnd, wanted: Tensor, first: Tensor, held: Tensor | None, *, iterations: int, momentum: float
) -> Tensor:
    """Project in turn on "has these magnitudes" and "is the spectrum of a sound". ``(C, K, F) -> (C, T)``."""
    spectrum, previous = _hold(first, held), torch.zeros_like(first)
    for _ in range(iterations):
        consistent = front_end.transform(front_end.overlap_add(spectrum[None]))[0]
        ahead = consistent + momentum * (consistent - previous)
        previous = consistent
        spectrum = _hold(wanted * (ahead / ahead.abs().clamp(min=1e-9)), held)
    return front_end.overlap_add(spectrum[None])[0]


def _hold(spectrum: Tensor, held: Tensor | None) -> Tensor:
    if held is None:
        return spectrum
    return torch.cat([held, spectrum[..., held.shape[-1] :]], dim=-1)


def _fade(samples: int, middle: int, *, like: Tensor) -> Tensor:
    """0 to 1 over a quarter of the lead around ``middle``; both sounds are nearly the same there."""
    width = samples // 4
    place = torch.arange(samples, device=like.device, dtype=like.dtype)
    return ((place - (middle - width / 2)) / width).clamp(0.0, 1.0)


def _mix(old: Tensor, new: Tensor, fade: Tensor) -> Tensor:
    return old * (1.0 - fade) + new * fade
