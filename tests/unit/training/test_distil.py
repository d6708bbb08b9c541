"""Guidance distillation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from click.testing import CliRunner

from render_service.renderers.latent_diffusion.checkpoint import load
from render_service.renderers.latent_diffusion.controls import CONTROL_WIDTHS
from render_service.renderers.latent_diffusion.denoiser import Conditions, Denoiser, DenoiserConfig
from render_service.renderers.latent_diffusion.flow import unconditional
from render_service.renderers.latent_diffusion.front_end import FrontEnd, FrontEndSpec
from training.autoencoder import fit_bands
from training.cli import main
from training.corpus.compose import compose
from training.corpus.song import perform
from training.distil import GuidanceStrengths, guided_velocity
from training.features import extract, without_score
from training.latents import LatentEncoder, write
from training.work_folder import WorkFolder

CHANNELS = sum(CONTROL_WIDTHS.values())
CONFIG = DenoiserConfig(
    latent_channels=4, control_channels=CHANNELS, text_width=8, embedding_size=6, width=16, blocks=2, heads=2
)


def small_denoiser() -> Denoiser:
    """A net whose output depends on every condition."""
    torch.manual_seed(1)
    net = Denoiser(CONFIG).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return net


def conditions() -> Conditions:
    """A batch of two, the second without text."""
    return Conditions(
        text=torch.randn(2, 5, 8),
        text_mask=torch.ones(2, 5, dtype=torch.bool),
        prefix=torch.randn(2, 8),
        persona=torch.randn(2, 6),
        has_text=torch.tensor([True, False]),
        has_prefix=torch.tensor([True, True]),
        has_persona=torch.tensor([True, True]),
    )


def test_text_persona_and_score_are_guided_by_separate_strengths() -> None:
    """1 and 1 is the teacher; a larger text strength extrapolates the text's effect and changes only items that have text."""
    net, given = small_denoiser(), conditions()
    noisy, time, controls = torch.randn(2, 4, 16), torch.tensor([0.3, 0.6]), torch.randn(2, CHANNELS, 16)

    def guided(text: float, persona: float, score: float = 1.0) -> torch.Tensor:
        return guided_velocity(
            net, noisy, time, controls, given, strengths=GuidanceStrengths(text=text, persona=persona, score=score)
        )

    with torch.no_grad():
        full = net(noisy, time, controls, net.encode_conditions(given))
        none = net(noisy, time, controls, net.encode_conditions(unconditional(given)))
        without_text = net(
            noisy, time, controls, net.encode_conditions(replace(given, has_text=torch.tensor([False, False])))
        )
        no_score = net(noisy, time, without_score(controls), net.encode_conditions(given))
    plain = guided(1.0, 1.0)
    assert torch.allclose(plain, full, atol=1e-5)
    assert torch.allclose(guided(0.0, 0.0), none, atol=1e-5)
    assert torch.allclose(guided(3.0, 1.0) - plain, 2.0 * (full - without_text), atol=1e-4)
    assert torch.allclose(guided(3.0, 1.0)[1], plain[1], atol=1e-5)
    assert torch.allclose(guided(1.0, 2.0) - plain, without_text - none, atol=1e-4)
    assert torch.allclose(guided(1.0, 1.0, 1.7) - plain, 0.7 * (full - no_score), atol=1e-4)
    assert (full[0] - without_text[0]).abs().max() > 1e-3


def test_a_checkpoint_contains_the_distilled_denoiser(tmp_path: Path) -> None:
    """`distil` trains a copy of the denoiser, `export` writes that copy, and the teacher is unchanged."""
    work = tmp_path / "work"
    song = extract(perform(compose(5, seconds=6.0)), FrontEnd(FrontEndSpec()))
    work_folder = WorkFolder(path=work)
    front_end = work_folder.front_end()
    fit_bands(front_end, [song])
    work_folder.save_front_end(front_end)
    work_folder.latents.mkdir()
    write(LatentEncoder.of(work_folder).encode(song), work_folder.latents)
    export = ["export", "--work", str(work), "--plain", "--to"]

    def run(*arguments: str) -> None:
        ended = CliRunner().invoke(main, list(arguments))
        assert ended.exit_code == 0, ended.output

    run(*export, str(tmp_path / "before"))
    run("distil", "--work", str(work), "--budget-s", "0.01")
    run(*export, str(tmp_path / "after"))
    _, before = load(tmp_path / "before")
    _, after = load(tmp_path / "after")
    teacher, student = before.denoiser.state_dict(), after.denoiser.state_dict()
    assert any(not torch.equal(value, student[name]) for name, value in teacher.items())
    assert not (work / "denoiser.pt").exists()
