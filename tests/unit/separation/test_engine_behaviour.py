"""What the engine guarantees besides its numbers: mix unmodified, results repeatable, only requested work, prompt stops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from separation_service.engine import ArrayMix, load_separator
from separation_service.engine.batch_thread import ModelRun
from separation_service.engine.demucs_separator import DemucsSeparator, LoadedModels
from separation_service.engine.loading import load_models
from separation_service.engine.mix import Level
from separation_service.engine.segments import OverlapAdd, read_padded, segment_at, segment_count, trim_padding
from servicekit.errors import Internal, InvalidTensor
from tests.support.tiny_models import quiet, save_th, tiny

SEGMENT = 30_870  # the tiny models' 0.7 s
UNCHANGED = Level(mean=np.float32(0.0), std=np.float32(1.0))


def noise(frames: int, seed: int = 0) -> NDArray[np.float32]:
    """White noise ``(2, T)``."""
    return np.random.default_rng(seed).normal(0.0, 0.2, (2, frames)).astype(np.float32)


@dataclass(frozen=True)
class Counted:
    """A model's run that appends its index to ``batches`` for every segment that it computes."""

    index: int
    run: ModelRun
    batches: list[int]

    def __call__(self, slots: int, segments: Mapping[int, torch.Tensor], /) -> torch.Tensor:
        self.batches.extend([self.index] * len(segments))
        return self.run(slots, segments)

    def release(self) -> None:
        """As the run's."""
        self.run.release()


def counted(models: LoadedModels) -> tuple[DemucsSeparator, list[int]]:
    """A separator over the models, and the list that grows by a model's index with every segment it computes."""
    batches: list[int] = []
    runs = tuple(Counted(index, run, batches) for index, run in enumerate(models.runs))
    return DemucsSeparator(replace(models, runs=runs)), batches


@pytest.fixture
def models(one_hot: Path) -> LoadedModels:
    """The bag, loaded."""
    return load_models("ft", repo=one_hot, device="cpu", threads=1)


@pytest.fixture
def separator(models: LoadedModels) -> DemucsSeparator:
    """A separator over the bag."""
    return DemucsSeparator(models)


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
    reports: list[tuple[int, int]] = []
    all_four = separator.separate(mix, quiet)
    vocals = separator.separate(mix, lambda done, total: reports.append((done, total)), stems=("vocals",))
    assert vocals.shape == (1, 2, 40_000)
    assert (vocals[0] == all_four[2]).all()
    assert separator.steps(40_000, ("vocals",)) * 4 == separator.steps(40_000)
    assert reports == [(done, len(reports) - 1) for done in range(len(reports))]


def test_stems_come_in_the_order_asked_for(separator: Any) -> None:
    """What comes back follows the request, not the model."""
    mix = noise(20_000)
    four = separator.separate(mix, quiet)
    two = separator.separate(mix, quiet, stems=("other", "drums"))
    assert (two[0] == four[3]).all()
    assert (two[1] == four[0]).all()


def test_a_cancel_stops_within_one_segment(models: LoadedModels) -> None:
    """Once the report raises, no further segment is computed and the exception comes through."""

    class Stop(Exception):
        pass

    def report(done: int, total: int) -> None:
        if done == 3:
            raise Stop

    separator, segments = counted(models)
    with pytest.raises(Stop):
        separator.separate(noise(100_000), report)
    assert len(segments) == 3
    assert np.isfinite(separator.separate(noise(20_000), quiet)).all()
    assert len(segments) == 3 + separator.steps(20_000)  # nothing of the stopped job was left in the queues


def test_closing_the_blocks_stops_the_work(models: LoadedModels) -> None:
    """Closing the blocks after the first computes nothing more, and leaves nothing of the job in the queues."""
    separator, segments = counted(models)
    blocks = separator.separate_blocks(ArrayMix(noise(200_000)), quiet)
    assert next(blocks).start == 0
    blocks.close()
    assert len(segments) == 4
    assert list(blocks) == []
    separator.separate(noise(20_000), quiet)
    assert len(segments) == 4 + separator.steps(20_000)


def test_blocks_follow_each_other(separator: Any) -> None:
    """Blocks come from sample 0 to the last without gaps, none longer than a segment, and hold what `separate` gives."""
    mix, position = noise(100_000), 0
    whole = separator.separate(mix, quiet, stems=("bass", "other"))
    for block in separator.separate_blocks(ArrayMix(mix), quiet, stems=("bass", "other")):
        assert block.start == position
        position += block.samples.shape[-1]
        assert block.samples.shape[-1] <= SEGMENT
        assert (block.samples == whole[..., block.start : position]).all()
    assert position == 100_000


def test_one_stem_is_a_quarter_of_the_work(models: LoadedModels) -> None:
    """One stem of a one-hot bag runs one model once per segment; four stems run four."""
    separator, segments = counted(models)
    separator.separate(noise(100_000), quiet, stems=("vocals",))
    one = len(segments)
    separator.separate(noise(100_000), quiet)
    assert (one, len(segments) - one) == (5, 20)


@pytest.mark.parametrize(
    "mix", [noise(1), noise(100)[:1], noise(100).astype(np.float64), noise(100)[0], np.zeros((2, 0), dtype=np.float32)]
)
def test_other_shapes_are_refused(separator: Any, mix: Any) -> None:
    """One sample, one channel, another sample type, one dimension and nothing are refused by name."""
    with pytest.raises(InvalidTensor, match="must be float32"):
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
