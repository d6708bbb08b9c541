"""Guidance learnt by the net itself, so that a take pays for one run of it a step (Meng et al. 2023, arXiv:2210.03142).

The teacher is the trained denoiser, held as it is. Where it is guided at sampling, words and persona share one strength; here
each has its own, and the student learns the sum.

Letters: ``B`` batch, ``D`` latent channels, ``L`` latent frames, ``G`` control channels.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from render_service.renderers.latent_diffusion.denoiser import Conditions, Denoiser
from render_service.renderers.latent_diffusion.flow import concatenate, unconditional
from training.denoiser import Target


@dataclass(frozen=True, kw_only=True)
class Strengths:
    """How far velocities are led on from what they would be without a condition; 1 is as the teacher learnt it."""

    words: float
    persona: float


def guided_by(teacher: Denoiser, strengths: Strengths) -> Target:
    """The target of :class:`training.denoiser.DenoiserTask` by which a net learns the guidance of ``teacher``; a copy is held.

    Conditions are dropped as before, and the guided velocity of what is left is wanted, so the student can still be guided on.
    """
    held = copy.deepcopy(teacher).eval().requires_grad_(requires_grad=False)
    return partial(guided_velocity, held, strengths=strengths)


@torch.no_grad()
def guided_velocity(
    teacher: Denoiser, noisy: Tensor, time: Tensor, controls: Tensor, conditions: Conditions, *, strengths: Strengths
) -> Tensor:
    """``noisy`` ``(B, D, L)``, ``time`` ``(B,)``, ``controls`` ``(B, G, L)`` to velocity ``(B, D, L)``.

    From none to the persona (with its prefix) by one strength, from there to the words by the other.
    """
    wordless = replace(conditions, has_text=torch.zeros_like(conditions.has_text))
    branches = concatenate(concatenate(conditions, wordless), unconditional(conditions))
    velocities = teacher(
        noisy.repeat(3, 1, 1), time.repeat(3), controls.repeat(3, 1, 1), teacher.encode_conditions(branches)
    )
    full, persona, none = velocities.chunk(3)
    guided: Tensor = none + strengths.persona * (persona - none) + strengths.words * (full - persona)
    return guided
