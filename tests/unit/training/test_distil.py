"""A denoiser that learns its own guidance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from click.testing import CliRunner

from render_service.renderers.latent_diffusion.checkpoint import load
from render_service.renderers.latent_diffusion.denoiser import Conditions, Denoiser, DenoiserConfig
from render_service.renderers.latent_diffusion.flow import unconditional
from render_service.renderers.latent_diffusion.front_end import FrontEnd, FrontEndSpec
from training.autoencoder import fit_bands
from training.cli import main
from training.corpus.compose import compose
from training.corpus.song import perform
from training.distil import Strengths, guided_velocity
from training.features import extract, write
from training.workshop import Workshop

CONFIG = DenoiserConfig(
    latent_channels=4, control_channels=3, text_width=8, embedding_size=6, width=16, blocks=2, heads=2
)


def small_denoiser() -> Denoiser:
    """A net in which every condition says something."""
    torch.manual_seed(1)
    net = Denoiser(CONFIG).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return net


def conditions() -> Conditions:
    """Two of a batch, the second without words."""
    return Conditions(
        text=torch.randn(2, 5, 8),
        text_mask=torch.ones(2, 5, dtype=torch.bool),
        prefix=torch.randn(2, 8),
        persona=torch.randn(2, 6),
        has_text=torch.tensor([True, False]),
        has_prefix=torch.tensor([True, True]),
        has_persona=torch.tensor([True, True]),
    )


def test_words_and_persona_are_led_on_each_by_its_own_strength() -> None:
    """1 and 1 is the teacher; more of the words moves only where there are words, along the way that they move it."""
    net, asked = small_denoiser(), conditions()
    noisy, time, controls = torch.randn(2, 4, 16), torch.tensor([0.3, 0.6]), torch.randn(2, 3, 16)

    def guided(words: float, persona: float) -> torch.Tensor:
        return guided_velocity(net, noisy, time, controls, asked, strengths=Strengths(words=words, persona=persona))

    with torch.no_grad():
        full = net(noisy, time, controls, net.encode_conditions(asked))
        none = net(noisy, time, controls, net.encode_conditions(unconditional(asked)))
        wordless = net(
            noisy, time, controls, net.encode_conditions(replace(asked, has_text=torch.tensor([False, False])))
        )
    plain = guided(1.0, 1.0)
    assert torch.allclose(plain, full, atol=1e-5)
    assert torch.allclose(guided(0.0, 0.0), none, atol=1e-5)
    assert torch.allclose(guided(3.0, 1.0) - plain, 2.0 * (full - wordless), atol=1e-4)
    assert torch.allclose(guided(3.0, 1.0)[1], plain[1], atol=1e-5)
    assert torch.allclose(guided(1.0, 2.0) - plain, wordless - none, atol=1e-4)
    assert (full[0] - wordless[0]).abs().max() > 1e-3


def test_a_checkpoint_has_the_denoiser_that_learnt_guidance(tmp_path: Path) -> None:
    """`distil` goes on from the trained denoiser, and `export` takes what it made; the teacher stays as it was."""
    work = tmp_path / "work"
    song = extract(perform(compose(5, seconds=6.0)), FrontEnd(FrontEndSpec()))
    workshop = Workshop(folder=work)
    write(song, workshop.songs)
    front_end = workshop.front_end()
    fit_bands(front_end, [song])
    workshop.keep_front_end(front_end)
    export = ["export", "--work", str(work), "--plain", "--to"]

    def run(*arguments: str) -> None:
        ended = CliRunner().invoke(main, list(arguments))
        assert ended.exit_code == 0, ended.output

    run(*export, str(tmp_path / "before"))
    run("distil", "--work", str(work), "--budget-s", "0.01")
    run(*export, str(tmp_path / "after"))
    _, before = load(tmp_path / "before")
    _, after = load(tmp_path / "after")
    untaught, taught = before.denoiser.state_dict(), after.denoiser.state_dict()
    assert any(not torch.equal(value, taught[name]) for name, value in untaught.items())
    assert not (work / "denoiser.pt").exists()
