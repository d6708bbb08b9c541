"""Guidance distillation: the net learns the guided velocity, so a step needs one forward pass (Meng et al. 2023, arXiv:2210.03142).

The teacher is the trained denoiser, frozen. Guidance at sampling has one strength for words and persona together; here words,
persona and score each have their own, and the student learns the combined result.

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
from training.features import without_score


@dataclass(frozen=True, kw_only=True)
class GuidanceStrengths:
    """Guidance scale of the text, of persona and prefix, and of the score; 1 is the teacher without guidance."""

    text: float
    persona: float
    score: float


def guided_target(teacher: Denoiser, strengths: GuidanceStrengths) -> Target:
    """A target for :class:`training.denoiser.DenoiserTask`: the guided velocity of a frozen copy of ``teacher``.

    Conditions are dropped as in normal training, so the student can still be guided at sampling.
    """
    frozen = copy.deepcopy(teacher).eval().requires_grad_(requires_grad=False)
    return partial(guided_velocity, frozen, strengths=strengths)


@torch.no_grad()
def guided_velocity(
    teacher: Denoiser,
    noisy: Tensor,
    time: Tensor,
    controls: Tensor,
    conditions: Conditions,
    *,
    strengths: GuidanceStrengths,
) -> Tensor:
    """Guided velocity ``(B, D, L)`` of ``noisy`` ``(B, D, L)`` at ``time`` ``(B,)`` with ``controls`` ``(B, G, L)``.

    ``none + persona * (with persona - none) + text * (with persona and text - with persona) + (score - 1) * (all - all but
    score)``; the prefix belongs to the persona.
    """
    without_text = replace(conditions, has_text=torch.zeros_like(conditions.has_text))
    branches = concatenate(concatenate(conditions, conditions), concatenate(without_text, unconditional(conditions)))
    velocities = teacher(
        noisy.repeat(4, 1, 1),
        time.repeat(4),
        torch.cat([controls, without_score(controls), controls, controls]),
        teacher.encode_conditions(branches),
    )
    full, no_score, persona, none = velocities.chunk(4)
    guided: Tensor = none + strengths.persona * (persona - none) + strengths.text * (full - persona)
    guided += (strengths.score - 1.0) * (full - no_score)
    return guided
