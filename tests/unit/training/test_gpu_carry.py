"""What travels to and from a GPU host: the text encoder, entry points, weights."""

from __future__ import annotations

from importlib.metadata import distributions
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch.nn import functional
from transformers import AutoTokenizer

from render_service.renderers.latent_diffusion.denoiser import Denoiser, DenoiserConfig
from render_service.renderers.latent_diffusion.text_encoder import TextEncoder, packaged_folder
from training.compact_text_encoder import compact, expand
from training.work_folder import NetConfigs, WorkFolder

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def gpu_carry() -> ModuleType:
    """scripts/gpu_carry.py as a module."""
    spec = spec_from_file_location("gpu_carry", ROOT / "scripts" / "gpu_carry.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_small_text_encoder_gives_nearly_the_same_states(tmp_path: Path) -> None:
    """For the words that it was asked to keep and for common ones; it is an eighth of the size."""
    text, rare = "Dreamy track with wurlitzer and marimba, at a slow tempo", "hurdy-gurdy quodlibet"
    tokenizer = AutoTokenizer.from_pretrained(str(packaged_folder()), local_files_only=True)
    compact(packaged_folder(), tmp_path / "small.zip", tokens=tokenizer(text)["input_ids"])
    expand(tmp_path / "small.zip", tmp_path / "model")
    assert (tmp_path / "small.zip").stat().st_size * 7 < (packaged_folder() / "model.safetensors").stat().st_size
    original, small = TextEncoder(packaged_folder()), TextEncoder(tmp_path / "model")

    def likeness(text: str) -> float:
        """Least cosine of a token's states."""
        one, other = original.encode([text]), small.encode([text])
        return functional.cosine_similarity(one.tokens[one.mask], other.tokens[one.mask], dim=-1).min().item()

    assert likeness(text) > 0.995
    assert likeness("music and a song in the night") > 0.995
    assert likeness(rare) < 0.9


def test_the_commands_of_the_operator_are_found_without_an_installation(gpu_carry: ModuleType, tmp_path: Path) -> None:
    """`sonichaos up` comes from the entry points of a folder on the path."""
    gpu_carry.write_entry_points(tmp_path)
    (found,) = distributions(path=[str(tmp_path)])
    points = {point.name: point.value for point in found.entry_points if point.group == "sonichaos.commands"}
    assert points["up"] == "hostctl.up:up"


def test_weights_of_a_run_start_another_work_folder(gpu_carry: ModuleType, tmp_path: Path) -> None:
    """The averaged weights of a state, as float16, are what a work folder with them in start/ begins with."""
    config = DenoiserConfig(width=16, blocks=2, heads=2)
    net = Denoiser(config)
    torch.save({"average": net.state_dict(), "step": 3}, tmp_path / "denoiser.pt")
    work = WorkFolder(path=tmp_path / "work", configs=NetConfigs(denoiser=config))
    path = work.initial_weights_path("denoiser")
    path.parent.mkdir(parents=True)
    gpu_carry.save_weights(tmp_path / "denoiser.pt", path)
    assert path.stat().st_size < 0.6 * (tmp_path / "denoiser.pt").stat().st_size
    loaded = work.teacher().state_dict()
    for name, value in net.state_dict().items():
        assert torch.equal(loaded[name], value.half().float()), name


def test_tracked_files_count_towards_the_transfer(gpu_carry: ModuleType) -> None:
    """The starter's weights are part of it, ignored files are not."""
    weights = ROOT / "render_service" / "weights" / "starter" / "denoiser.safetensors"
    assert weights.stat().st_size < gpu_carry.tree_bytes() < 64 * 2**20
