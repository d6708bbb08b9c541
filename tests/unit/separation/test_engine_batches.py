"""Batches: a job's samples are the same alone and in company, whoever runs the batch, and smaller batches are said."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from separation_service.engine import STEMS, ArrayMix, EngineOptions, load_separator
from separation_service.engine.device_memory import BatchSize, slots_that_fit
from separation_service.engine.mix import measure_level
from separation_service.engine.model_stream import ModelStream
from separation_service.engine.one_thread import OneThread
from separation_service.engine.scheduler import BatchKey, BatchScheduler, SegmentRequest
from separation_service.engine.segments import SegmentReader
from servicekit.errors import ResourceExhausted
from tests.unit.separation.tiny_models import quiet

SLOTS = 4
TRAY = BatchKey(member=0, samples=3, slots=SLOTS)


def noise(frames: int, seed: int) -> Any:
    """White noise ``(2, T)``."""
    return np.random.default_rng(seed).normal(0.0, 0.2, (2, frames)).astype(np.float32)


@pytest.fixture
def separator(one_hot: Path) -> Any:
    """The bag in batches of four."""
    return load_separator("ft", repo=one_hot, device="cpu", threads=1, options=EngineOptions(batch=SLOTS))


def lane(separator: Any, mix: Any, first_slot: int) -> ModelStream:
    """The first model's way through a mix."""
    source = ArrayMix(mix)
    return ModelStream(
        separator._desk,
        SegmentReader(source, measure_level(source), torch.device("cpu"), kept=SLOTS),
        member=separator._bag.members[0],
        kept=[0],
        slots=SLOTS,
        first_slot=first_slot,
        ahead=SLOTS,
    )


def test_a_shared_batch_gives_the_same_bits(separator: Any) -> None:
    """Two jobs whose segments lie in one batch get, each, exactly what they get alone."""
    loud, soft = noise(40_000, 1), noise(40_000, 2) * np.float32(1e-3)
    alone = []
    for mix, first_slot in ((loud, 0), (soft, 2)):
        single = lane(separator, mix, first_slot)
        while single.reached < 40_000:
            single.advance()
        alone.append(single.take(40_000))
    filled: list[list[int]] = []
    run = separator._desk._runs[0]
    separator._desk._runs = (lambda slots, segments: (filled.append(sorted(segments)), run(slots, segments))[1],)
    first, second = lane(separator, loud, 0), lane(separator, soft, 2)
    first.fill()
    second.fill()
    for job in (first, second):
        while job.reached < 40_000:
            job.advance()
    assert filled == [[0, 1, 2, 3]]
    assert torch.equal(first.take(40_000), alone[0])
    assert torch.equal(second.take(40_000), alone[1])


def test_a_thread_of_its_own_runs_the_batches_of_all_jobs(separator: Any) -> None:
    """Jobs in several threads have their batches run in one other, with the same bits, and meet what a model raises."""
    mix = noise(30_000, 3)
    alone = separator.separate(mix, quiet, stems=("bass",))
    ran_in: list[int] = []

    def noted(run: Any) -> Any:
        return lambda slots, segments: (ran_in.append(threading.get_ident()), run(slots, segments))[1]

    thread = OneThread()
    separator._desk._runs = tuple(thread.run(noted(run)) for run in separator._desk._runs)
    found: list[Any] = []
    jobs = [
        threading.Thread(target=lambda: found.append(separator.separate(mix, quiet, stems=("bass",)))) for _ in range(3)
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert len(found) == 3
    assert all(np.array_equal(stems, alone) for stems in found)
    assert len(set(ran_in)) == 1
    assert ran_in[0] != threading.get_ident()

    def broken(slots: int, segments: Any) -> torch.Tensor:
        raise ResourceExhausted("no room", reason="OUT_OF_MEMORY", metadata={}, retry_after_s=1.0)

    separator._desk._runs = tuple(thread.run(broken) for _ in separator._desk._runs)  # type: ignore[arg-type]
    with pytest.raises(ResourceExhausted, match="no room"):
        separator.separate(mix, quiet, stems=("bass",))


def test_jobs_in_threads_give_what_they_give_alone(separator: Any) -> None:
    """Three threads that separate at the same time each get the samples that their mix gets alone."""
    mixes = [noise(frames, seed=frames) for frames in (50_000, 70_001, 20_000)]
    alone = [separator.separate(mix, quiet, stems=("drums", "vocals")) for mix in mixes]
    together: dict[int, Any] = {}

    def work(index: int) -> None:
        together[index] = separator.separate(mixes[index], quiet, stems=("drums", "vocals"))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, samples in enumerate(alone):
        assert (together[index] == samples).all()


def ticket(slot: int, value: float) -> SegmentRequest:
    """A segment of one channel."""
    return SegmentRequest(TRAY, slot, torch.full((1, 3), value))


def doubling(seen: list[list[int]]) -> Callable[..., torch.Tensor]:
    """A model that doubles, and notes which slots were filled."""

    def run(slots: int, segments: dict[int, torch.Tensor]) -> torch.Tensor:
        seen.append(sorted(segments))
        batch = torch.zeros(slots, 1, 3)
        for slot, segment in segments.items():
            batch[slot] = segment * 2
        return batch[:, None]

    return run


def test_a_slot_is_a_queue() -> None:
    """Segments of one slot wait for the batch after; those of other slots go along at once."""
    seen: list[list[int]] = []
    desk = BatchScheduler((doubling(seen),))
    tickets = [ticket(1, 1.0), ticket(1, 2.0), ticket(3, 3.0)]
    for one in tickets:
        desk.put(one)
    assert [float(desk.result(one)[0, 0, 0]) for one in reversed(tickets)] == [6.0, 4.0, 2.0]
    assert seen == [[1, 3], [1]]


def test_a_failed_batch_is_each_owners_own_affair() -> None:
    """Where a batch fails, its runner hears of it and the neighbour's segment waits on, to be computed when it is asked for."""
    failing = [True]
    seen: list[list[int]] = []
    double = doubling(seen)

    def run(slots: int, segments: dict[int, torch.Tensor]) -> torch.Tensor:
        if failing.pop() if failing else False:
            raise ResourceExhausted("no memory", reason="OUT_OF_MEMORY")
        return double(slots, segments)

    desk = BatchScheduler((run,))
    mine, theirs = ticket(0, 1.0), ticket(1, 2.0)
    desk.put(mine)
    desk.put(theirs)
    with pytest.raises(ResourceExhausted):
        desk.result(mine)
    desk.withdraw([mine])
    assert float(desk.result(theirs)[0, 0, 0]) == 4.0
    assert seen == [[1]]


def test_two_segments_run_at_a_time_and_give_the_same_bits(one_hot: Path) -> None:
    """On two threads, segments run side by side, each on one: a job waits for nobody who would not come, and no sample changes."""
    mix = noise(60_000, 4)
    alone = load_separator("ft", repo=one_hot, device="cpu", threads=1).separate(mix, quiet)
    separator: Any = load_separator("ft", repo=one_hot, device="cpu", threads=2)
    met = threading.Barrier(2, timeout=30)
    runs = separator._desk._runs
    first_two = [True, True]

    def side_by_side(run: Any) -> Any:
        return lambda slots, segments: (first_two and first_two.pop() and met.wait(), run(slots, segments))[1]

    separator._desk._runs = tuple(side_by_side(run) for run in runs)
    assert np.array_equal(separator.separate(mix, quiet), alone)
    assert not first_two
    assert not [thread for thread in threading.enumerate() if thread.name == "segments"]


def test_what_fails_in_a_helper_reaches_the_job(one_hot: Path) -> None:
    """One model of four is broken: the job hears of it whoever ran it, and a job that does not need it ends well."""
    separator: Any = load_separator("ft", repo=one_hot, device="cpu", threads=2)
    mix = noise(60_000, 5)

    def broken(slots: int, segments: Any) -> torch.Tensor:
        raise ResourceExhausted("no room", reason="OUT_OF_MEMORY")

    bad = separator._bag.sources.index("vocals")
    runs = list(separator._desk._runs)
    separator._desk._runs = tuple(broken if index == bad else run for index, run in enumerate(runs))
    with pytest.raises(ResourceExhausted, match="no room"):
        separator.separate(mix, quiet)
    separator.separate(mix, quiet, stems=("drums", "bass"))
    assert not separator._desk._waiting


@pytest.mark.parametrize(
    ("free_bytes", "slots"), [(1_000, 8), (880, 8), (879, 4), (440, 4), (250, 2), (219, 1), (0, 1)]
)
def test_batches_fit_the_free_memory(free_bytes: int, slots: int) -> None:
    """Of eight segments at 100 bytes, with a tenth to spare, as many are taken at once as fit, halved until they do."""
    assert slots_that_fit(8, 100, free_bytes) == slots


def test_smaller_batches_are_in_the_fingerprint(separator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory is short the batches are smaller for all who join, the blocks say so, and the next idle job asks anew."""
    monkeypatch.setattr(BatchSize, "_free_bytes", lambda _: 250)
    separator._size._need_bytes = 100
    blocks = separator.separate_blocks(ArrayMix(noise(40_000, 1)), quiet)
    next(blocks)
    assert blocks.fingerprint["separator.batch"].startswith("2x2x")
    monkeypatch.setattr(BatchSize, "_free_bytes", lambda _: 10_000)
    joining = separator.separate_blocks(ArrayMix(noise(40_000, 2)), quiet)
    next(joining)
    assert joining.fingerprint["separator.batch"].startswith("2x2x")
    blocks.close()
    joining.close()
    later = separator.separate_blocks(ArrayMix(noise(40_000, 1)), quiet, STEMS)
    next(later)
    later.close()
    assert later.fingerprint == separator.info.fingerprint
    assert later.fingerprint["separator.batch"].startswith("4x2x")
