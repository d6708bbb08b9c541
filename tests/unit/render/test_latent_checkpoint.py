"""Checkpoints: a saved one loads with the same weights, an unusable one is refused with the problem."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from render_service.renderers.latent_diffusion.checkpoint import ModelUnusable, load, read_config, sha256_of
from render_service.renderers.latent_diffusion.controls import CONTROL_WIDTHS
from render_service.renderers.latent_diffusion.score_channels import SCORE_WIDTHS
from tests.support.tiny_checkpoint import tiny_checkpoint

WITHOUT_SCORE = {name: width for name, width in CONTROL_WIDTHS.items() if name not in SCORE_WIDTHS}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint with all its parts."""
    return tiny_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def folder(checkpoint: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(checkpoint, tmp_path / "checkpoint"))


def _edit(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _replace_tensors(folder: Path, role: str, change: dict[str, torch.Tensor | None]) -> None:
    """Change a file's tensors and its digest, so that only the tensors are wrong."""
    path = folder / f"{role}.safetensors"
    tensors = {**load_file(str(path)), **change}
    save_file({name: value for name, value in tensors.items() if value is not None}, str(path))
    files = json.loads((folder / "config.json").read_text())["files"]
    files[role]["sha256"] = sha256_of(path)
    _edit(folder, files=files)


def test_a_saved_checkpoint_loads(checkpoint: Path) -> None:
    """Nets are in float32 and frozen, with the stored filterbank."""
    config, nets = load(checkpoint)
    assert config == read_config(checkpoint)
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in nets.denoiser.parameters())


def test_a_missing_folder_or_file_is_named(folder: Path) -> None:
    """The error has its path."""
    with pytest.raises(ModelUnusable, match="missing") as caught:
        load(folder / "elsewhere")
    assert caught.value.path.endswith("elsewhere/config.json")
    (folder / "vocoder.safetensors").unlink()
    with pytest.raises(ModelUnusable, match=r"vocoder\.safetensors: the file is missing"):
        load(folder)


def test_a_flipped_bit_is_refused(folder: Path) -> None:
    """The error has the expected and the actual digest."""
    path = folder / "denoiser.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelUnusable, match=r"SHA-256 must be [0-9a-f]{64} \(config\.json\), got [0-9a-f]{64}"):
        load(folder)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format_version": 2}, "format_version must be 1, got 2"),
        ({"front_end_id": "other"}, "front_end_id must be .*, got 'other'"),
        ({"colour": "blue"}, "unknown key 'colour'"),
        ({"default_steps": "many"}, "default_steps must be of type int, got 'many'"),
        ({"noise_scale": 1.5}, "noise_scale must be above 0 and at most 1, got 1.5"),
        ({"controls": {"beat_phase": 6}}, "controls must be"),
        ({"controls": WITHOUT_SCORE}, "controls must be"),
        ({"files": {}}, "files must be"),
        ({"habits": {"embedding_size": 64, "known_personas": 1}}, "files must be .*'habits'"),
        ({"habits": 12}, "habits must be an object, got 12"),
    ],
)
def test_an_inconsistent_config_is_refused(folder: Path, change: dict[str, object], problem: str) -> None:
    """Newer format, other front end, unknown key, wrong type, too much noise, other controls, no channels for the score."""
    _edit(folder, **change)
    with pytest.raises(ModelUnusable, match=problem) as caught:
        load(folder)
    assert caught.value.remedy


def test_a_missing_key_is_named(folder: Path) -> None:
    """Keys have no defaults."""
    path = folder / "config.json"
    raw = json.loads(path.read_text())
    del raw["licence"]
    path.write_text(json.dumps(raw))
    with pytest.raises(ModelUnusable, match="lacks the key 'licence'"):
        load(folder)


def test_the_habits_head_may_be_missing_from_the_config(folder: Path) -> None:
    """As in checkpoints of releases without it."""
    path = folder / "config.json"
    raw = json.loads(path.read_text())
    del raw["habits"]
    path.write_text(json.dumps(raw))
    config, nets = load(folder)
    assert (config.habits, nets.habits) == (None, None)


def test_broken_json_is_refused(folder: Path) -> None:
    """A truncated config.json."""
    (folder / "config.json").write_text('{"format_version": 1,')
    with pytest.raises(ModelUnusable, match="not JSON"):
        load(folder)


def test_other_tensors_than_the_nets_own_are_refused(folder: Path) -> None:
    """Missing, unknown and misshapen tensors give different errors."""
    _replace_tensors(folder, "vocoder", {"extra": torch.zeros(1)})
    with pytest.raises(ModelUnusable, match="tensor 'extra' is unknown"):
        load(folder)
    _replace_tensors(folder, "vocoder", {"extra": None, "leave.bias": None})
    with pytest.raises(ModelUnusable, match=r"tensor 'leave\.bias' is missing"):
        load(folder)
    _replace_tensors(folder, "vocoder", {"leave.bias": torch.zeros(3)})
    with pytest.raises(ModelUnusable, match=r"'leave\.bias' must have the shape .*, got \(3,\)"):
        load(folder)


def test_another_filterbank_is_refused(folder: Path) -> None:
    """The stored matrix must be that of the front end's id."""
    _replace_tensors(folder, "front_end", {"filterbank": torch.ones(96, 1025)})
    with pytest.raises(ModelUnusable, match="filterbank"):
        load(folder)
