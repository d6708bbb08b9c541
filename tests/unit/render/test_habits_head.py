"""The habits head: known personas are recalled, others read linearly, and every habit stays within its range."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from render_service.composer.habits import DEFAULT_HABITS, Habits
from render_service.renderers.latent_diffusion.checkpoint import HABITS, load, save
from render_service.renderers.latent_diffusion.habits_head import (
    DENSITY,
    PERCUSSION,
    SUB_BASS,
    SWING,
    SWINGS,
    VOICE,
    HabitsHead,
    HabitsHeadConfig,
)
from render_service.renderers.load import load_latent_diffusion
from tests.support.tiny_checkpoint import tiny_checkpoint

EMBEDDING = (1.0,) + (0.0,) * 63
NEAR = (0.97, (1.0 - 0.97**2) ** 0.5) + (0.0,) * 62
FAR = (0.3, 0.0, (1.0 - 0.3**2) ** 0.5) + (0.0,) * 61


@pytest.fixture
def head() -> HabitsHead:
    """A head that knows one persona; the linear layer hears a loud 808 in the third value of an embedding."""
    head = HabitsHead(HabitsHeadConfig(known_personas=1))
    with torch.no_grad():
        head.known[0] = torch.tensor(EMBEDDING)
        head.values[0, [DENSITY, SWINGS, SWING, VOICE]] = torch.tensor([0.9, 1.0, 0.66, 66.0])
        head.values[0, PERCUSSION.start + 3] = 1.0
        head.linear.weight.zero_()
        head.linear.weight[SUB_BASS, 2] = 1.0
        head.linear.bias.zero_()
        head.linear.bias[[DENSITY, VOICE, PERCUSSION.start]] = torch.tensor([-0.4, 58.0, 1.0])
    return head.eval().requires_grad_(requires_grad=False)


def test_a_known_persona_is_recalled(head: HabitsHead) -> None:
    """Also from other clips of it, whose embedding is a little off."""
    for embedding in (EMBEDDING, NEAR):
        habits = head.habits(embedding)
        assert habits.density == pytest.approx(0.9, abs=0.02)
        assert habits.swing == pytest.approx(0.66, abs=0.01)
        assert (habits.percussion, habits.voice_pitch, habits.sub_bass) == (3, 66, False)


def test_another_persona_is_read_linearly_and_within_bounds(head: HabitsHead) -> None:
    """A density below zero is zero, and a persona that does not swing is straight."""
    assert head.habits(FAR) == Habits(
        density=0.0, swing=0.5, electronic_kit=False, percussion=0, sub_bass=True, voice_pitch=58
    )


def test_a_checkpoint_may_have_a_head(head: HabitsHead, tmp_path: Path) -> None:
    """With one it is listed and read; without one the planner has middling habits."""
    plain = tiny_checkpoint(tmp_path / "plain")
    renderer = load_latent_diffusion(str(plain), device="cpu", threads=1)
    assert renderer.planner.habits(EMBEDDING) == DEFAULT_HABITS
    assert HABITS not in {model.role for model in renderer.info.models}
    config, nets = load(plain)
    folder = Path(shutil.copytree(plain, tmp_path / "with_head"))
    stored = save(folder, replace(config, habits=head.config), replace(nets, habits=head))
    loaded = load_latent_diffusion(str(folder), device="cpu", threads=1)
    assert loaded.planner.habits(NEAR) == head.habits(NEAR)
    digests = {model.role: model.sha256 for model in loaded.info.models}
    assert digests[HABITS] == stored.files[HABITS].sha256
