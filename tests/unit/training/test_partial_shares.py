"""The net of partial shares: it learns what is tonal from features, and goes into checkpoints with a command."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from render_service.renderers.latent_diffusion.checkpoint import load
from render_service.renderers.latent_diffusion.front_end import FrontEnd, FrontEndSpec
from render_service.renderers.latent_diffusion.partial_shares import FEATURES, Bands
from tests.support.corpus_takes import needs_soundfont
from tests.support.tiny_checkpoint import tiny_checkpoint
from training.cli import main
from training.export import add_partials
from training.initialise import initialise
from training.partial_shares import PartialsExample, fit_shares
from training.work_folder import WorkFolder

SPEC = FrontEndSpec()
FRONT_END = FrontEnd(SPEC)
BINS, FRAMES = 236, 40


def example(seed: int) -> PartialsExample:
    """Frames of which the even ones are lines of one group, marked by a feature, and the odd ones noise."""
    generator = torch.Generator().manual_seed(seed)
    lines = (torch.arange(BINS) % 12 == 0).float()[:, None].expand(BINS, FRAMES) + 1e-3
    bands = Bands(FRONT_END, BINS)
    levels = bands.levels(torch.stack([lines * 0.0, lines, lines * 0.0]))
    comb = torch.stack([lines * 0.0, lines / (bands.spread(levels)[1] + 1e-12), lines * 0.0])
    tonal = (torch.arange(FRAMES) % 2 == 0).float()
    expected = tonal * comb[1] + (1.0 - tonal)
    scatter = torch.empty(2, BINS, FRAMES).exponential_(generator=generator)
    features = torch.zeros(2, SPEC.bands, FRAMES, FEATURES)
    features[..., 0] = tonal
    return PartialsExample(
        power=expected * scatter,
        smooth=torch.ones(2, BINS, FRAMES),
        comb=comb,
        levels=levels,
        features=(features, features),
    )


def test_it_learns_which_frames_are_tonal() -> None:
    """From spectra alone; the loss is lower than without partials."""
    examples = [example(seed) for seed in range(3)]
    net, errors = fit_shares(examples, FRONT_END, steps=150, held_out=1)
    shares = net(examples[2].features[0], examples[2].levels)[:, 50:66]
    assert float(shares[:, :, ::2, 2].mean()) > 0.8
    assert float(shares[:, :, 1::2, 0].mean()) > 0.7
    assert float(shares[..., 1].max()) < 1e-6, "a group that has no partials"
    assert errors.held_out < errors.null - 0.1


def test_it_goes_through_checkpoints_and_work_folders(tmp_path: Path) -> None:
    """The other files of the checkpoint stay; a work folder that starts from it has the net too."""
    folder = tiny_checkpoint(tmp_path / "checkpoint")
    before, nets = load(folder)
    assert nets.partials is None
    net, _ = fit_shares([example(0), example(1)], FRONT_END, steps=2, held_out=1)
    config = add_partials(folder, net)
    assert {role: config.files[role] for role in before.files} == before.files
    assert set(config.files) - set(before.files) == {"partials"}
    stored = load(folder)[1].partials
    assert stored is not None
    for name, value in net.state_dict().items():
        assert torch.equal(stored.state_dict()[name], value.half().float())
    starter = WorkFolder(path=tmp_path / "work")
    assert starter.partial_shares() is None
    initialise(starter, Path("render_service/weights/starter"))
    assert (starter.partial_shares() is None) == (load(Path("render_service/weights/starter"))[1].partials is None)


@needs_soundfont
def test_the_command_fits_and_writes_it(tmp_path: Path) -> None:
    """From songs that it composes; prints both losses."""
    checkpoint, work = tiny_checkpoint(tmp_path / "checkpoint"), WorkFolder(path=tmp_path / "work")
    initialise(work, Path("render_service/weights/starter"))
    ended = CliRunner().invoke(
        main,
        ["partials", "--work", str(work.path), "--songs", "2", "--steps", "2", "--renderer", str(checkpoint)],
    )
    assert ended.exit_code == 0, ended.output
    assert "without partials" in ended.output
    fitted, stored = work.partial_shares(), load(checkpoint)[1].partials
    assert fitted is not None
    assert stored is not None
    assert fitted.state_dict()["net.0.weight"][0, 0] == pytest.approx(
        float(stored.state_dict()["net.0.weight"][0, 0]), abs=1e-3
    )
