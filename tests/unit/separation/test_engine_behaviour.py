"""What the engine promises besides its numbers: the lent mix untouched, repeatable, only the work asked for, stopped at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from separation_service.engine import ArrayMix, load_separator
from separation_service.engine.mix import Level
from separation_service.engine.segments import OverlapAdd, read_padded, segment_at, segment_count, trim_padding
from servicekit.errors import Internal, InvalidTensor
from tests.unit.separation.tiny_models import quiet, save_th, tiny

SEGMENT = 30_870  # the tiny models' 0.7 s
UNCHANGED = Level(mean=np.float32(0.0), std=np.float32(1.0))


def noise(frames: int, seed: int = 0) -> NDArray[np.float32]:
    """White noise ``(2, T)``."""
    return np.random.default_rng(seed).normal(0.0, 0.2, (2, frames)).astype(np.float32)


@pytest.fixture
def separator(one_hot: Path) -> Any:
    """The bag, loaded."""
    return load_separator("ft", repo=one_hot, device="cpu", threads=1)


def test_the_lent_mix_is_read_only(separator: Any) -> None:
    """A mix in memory that must not be written to is separated, and is afterwards what it was."""
    mix = noise(40_000)
    before = mix.copy()
    mix.flags.writeable = False
    separator.separate(mix, quiet)
    assert (mix == before).all()


def test_twice_is_the_same(separator: Any) -> None:
    """The same mix gives the same samples, whatever was separated between and whatever the global generators say."""
    mix = noise(40_000)
    first = separator.separate(mix, quiet)
    separator.separate(noise(20_000, seed=9), quiet)
    torch.manual_seed(123)
    assert (separator.separate(mix, quiet) == first).all()


def test_one_stem_runs_one_model(separator: Any) -> None:
    """Of a one-hot bag, one stem takes a quarter of the steps and gives the very samples that it has among four."""
    mix = noise(40_000)
    told: list[tuple[int, int]] = []
    all_four = separator.separate(mix, quiet)
    vocals = separator.separate(mix, lambda done, total: told.append((done, total)), stems=("vocals",))
    assert vocals.shape == (1, 2, 40_000)
    assert (vocals[0] == all_four[2]).all()
    assert separator.steps(40_000, ("vocals",)) * 4 == separator.steps(40_000)
    assert told == [(done, len(told) - 1) for done in range(len(told))]


def test_stems_come_in_the_order_asked_for(separator: Any) -> None:
    """What comes back follows the request, not the model."""
    mix = noise(20_000)
    four = separator.separate(mix, quiet)
    two = separator.separate(mix, quiet, stems=("other", "drums"))
    assert (two[0] == four[3]).all()
    assert (two[1] == four[0]).all()


def test_a_cancel_stops_within_one_segment(separator: Any) -> None:
    """Once the report raises, no further segment is computed and the exception comes through."""

    class Stop(Exception):
        pass

    forwards = 0

    def count(*_: object) -> None:
        nonlocal forwards
        forwards += 1

    def report(done: int, total: int) -> None:
        if done == 3:
            raise Stop

    hooks = [member.model.register_forward_hook(count) for member in separator._bag.members]
    with pytest.raises(Stop):
        separator.separate(noise(100_000), report)
    assert forwards == 3
    for hook in hooks:
        hook.remove()
    assert np.isfinite(separator.separate(noise(20_000), quiet)).all()


@pytest.mark.parametrize(
    "mix", [noise(1), noise(100)[:1], noise(100).astype(np.float64), noise(100)[0], np.zeros((2, 0), dtype=np.float32)]
)
def test_other_shapes_are_refused(separator: Any, mix: Any) -> None:
    """One sample, one channel, another sample type, one dimension and nothing are refused by name."""
    with pytest.raises(InvalidTensor, match="wanted float32"):
        separator.separate(mix, quiet)


def test_broken_weights_are_named(tmp_path: Path) -> None:
    """A model that gives NaN fails as NOT_FINITE, naming the stage."""
    model = tiny()
    with torch.no_grad():
        next(iter(model.parameters())).fill_(float("nan"))
    save_th(model, "broken", tmp_path)
    broken = load_separator("broken", repo=tmp_path, device="cpu", threads=1)
    with pytest.raises(Internal) as caught:
        broken.separate(noise(1000), quiet)
    assert (caught.value.reason, caught.value.metadata["stage"]) == ("NOT_FINITE", "SEPARATE")


def test_global_switches_are_put_back(separator: Any) -> None:
    """A separation leaves torch's fused attention as it found it."""
    before = torch.backends.mha.get_fastpath_enabled()
    separator.separate(noise(1000), quiet)
    assert torch.backends.mha.get_fastpath_enabled() == before


@settings(deadline=None, max_examples=60)
@given(frames=st.integers(1, 700), segment=st.integers(4, 101), padding=st.integers(0, 30))
def test_segments_of_an_identity_give_the_track_back(frames: int, segment: int, padding: int) -> None:
    """Cut, padded, trimmed and joined with a model that changes nothing, any track comes back, in order and without gaps."""
    track = noise(frames, seed=frames)
    joined = OverlapAdd(1, 2, segment, torch.device("cpu"))
    blocks, position = [], 0
    for index in range(segment_count(frames, segment)):
        part = segment_at(index, frames, segment)
        assert part.start == position
        seen = read_padded(ArrayMix(track), UNCHANGED, part, part.length + padding)
        assert seen.shape == (2, part.length + padding)
        blocks.append(joined.push(part, trim_padding(torch.from_numpy(seen), part)[None]))
        position += part.finished
    assert np.allclose(torch.cat(blocks, dim=-1)[0].numpy(), track, atol=1e-6)
