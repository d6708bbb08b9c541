"""Batches: samples do not depend on other jobs or on the thread that runs them, and a reduced batch size is recorded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from separation_service.engine import ArrayMix, EngineOptions, load_separator
from separation_service.engine.batch_thread import BatchThread
from separation_service.engine.demucs_separator import DemucsSeparator, LoadedModels
from separation_service.engine.device_memory import slots_that_fit
from separation_service.engine.loading import load_models
from separation_service.engine.mix import measure_level
from separation_service.engine.model_stream import ModelStream
from separation_service.engine.scheduler import BatchKey, BatchScheduler, SegmentRequest
from separation_service.engine.segments import SegmentReader
from servicekit.delivery.names import STEMS
from servicekit.errors import ResourceExhausted
from tests.support.tiny_models import quiet

SLOTS = 4
KEY = BatchKey(member=0, samples=3, slots=SLOTS)
Run = Callable[[int, Mapping[int, torch.Tensor]], torch.Tensor]


def noise(frames: int, seed: int) -> Any:
    """White noise ``(2, T)``."""
    return np.random.default_rng(seed).normal(0.0, 0.2, (2, frames)).astype(np.float32)


@dataclass(frozen=True)
class Wrapped:
    """A model's run with other behaviour around it."""

    run: Run
    release: Callable[[], None]

    def __call__(self, slots: int, segments: Mapping[int, torch.Tensor], /) -> torch.Tensor:
        return self.run(slots, segments)


def with_runs(models: LoadedModels, wrap: Callable[[int, Run], Run]) -> DemucsSeparator:
    """A separator over the same models, each run wrapped by its index in the bag."""
    runs = tuple(Wrapped(wrap(index, run), run.release) for index, run in enumerate(models.runs))
    return DemucsSeparator(replace(models, runs=runs))


def out_of_memory(slots: int, segments: Mapping[int, torch.Tensor]) -> torch.Tensor:
    """A model for which the device has no room."""
    raise ResourceExhausted("no room", reason="OUT_OF_MEMORY", metadata={}, retry_after_s=1.0)


@pytest.fixture
def models(one_hot: Path) -> LoadedModels:
    """The bag in batches of four."""
    return load_models("ft", repo=one_hot, device="cpu", threads=1, options=EngineOptions(batch=SLOTS))


@pytest.fixture
def separator(models: LoadedModels) -> DemucsSeparator:
    """A separator over the bag in batches of four."""
    return DemucsSeparator(models)


def stream(models: LoadedModels, scheduler: BatchScheduler, mix: Any, first_slot: int) -> ModelStream:
    """The first model over a mix."""
    source = ArrayMix(mix)
    return ModelStream(
        scheduler,
        SegmentReader(source, measure_level(source), torch.device("cpu"), max_cached=SLOTS),
        member=models.bag.members[0],
        rows=[0],
        slots=SLOTS,
        first_slot=first_slot,
        max_pending=SLOTS,
    )


def test_a_shared_batch_gives_the_same_bits(models: LoadedModels) -> None:
    """Two jobs whose segments share a batch each get exactly the samples that they get alone."""
    loud, soft = noise(40_000, 1), noise(40_000, 2) * np.float32(1e-3)
    scheduler = BatchScheduler(models.runs)
    alone = []
    for mix, first_slot in ((loud, 0), (soft, 2)):
        single = stream(models, scheduler, mix, first_slot)
        while single.finished_samples < 40_000:
            single.advance()
        alone.append(single.read(40_000))
    filled: list[list[int]] = []

    def recorded(slots: int, segments: Mapping[int, torch.Tensor]) -> torch.Tensor:
        filled.append(sorted(segments))
        return models.runs[0](slots, segments)

    shared = BatchScheduler((recorded,))
    first, second = stream(models, shared, loud, 0), stream(models, shared, soft, 2)
    first.submit_ahead()
    second.submit_ahead()
    for job in (first, second):
        while job.finished_samples < 40_000:
            job.advance()
    assert filled == [[0, 1, 2, 3]]
    assert torch.equal(first.read(40_000), alone[0])
    assert torch.equal(second.read(40_000), alone[1])


def test_one_batch_thread_runs_the_batches_of_all_jobs(models: LoadedModels, separator: DemucsSeparator) -> None:
    """Jobs in several threads have their batches run in one other thread, with the same bits, and get what a model raises."""
    mix = noise(30_000, 3)
    alone = separator.separate(mix, quiet, stems=("bass",))
    ran_in: list[int] = []

    def recorded(run: Run) -> Run:
        def running(slots: int, segments: Mapping[int, torch.Tensor]) -> torch.Tensor:
            ran_in.append(threading.get_ident())
            return run(slots, segments)

        return running

    thread = BatchThread()
    bound = with_runs(models, lambda _, run: thread.bind(Wrapped(recorded(run), lambda: None)))
    found: list[Any] = []
    jobs = [
        threading.Thread(target=lambda: found.append(bound.separate(mix, quiet, stems=("bass",)))) for _ in range(3)
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert len(found) == 3
    assert all(np.array_equal(stems, alone) for stems in found)
    assert len(set(ran_in)) == 1
    assert ran_in[0] != threading.get_ident()

    broken = with_runs(models, lambda _index, _run: thread.bind(Wrapped(out_of_memory, lambda: None)))
    with pytest.raises(ResourceExhausted, match="no room"):
        broken.separate(mix, quiet, stems=("bass",))


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


def request(slot: int, value: float) -> SegmentRequest:
    """A segment of one channel."""
    return SegmentRequest(KEY, slot, torch.full((1, 3), value))


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
    scheduler = BatchScheduler((doubling(seen),))
    requests = [request(1, 1.0), request(1, 2.0), request(3, 3.0)]
    for one in requests:
        scheduler.submit(one)
    assert [float(scheduler.result(one)[0, 0, 0]) for one in reversed(requests)] == [6.0, 4.0, 2.0]
    assert seen == [[1, 3], [1]]


def test_a_failed_batch_is_each_owners_own_affair() -> None:
    """If a batch fails, the thread that ran it gets the error; the other job's segment is requeued and computed on demand."""
    failing = [True]
    seen: list[list[int]] = []
    double = doubling(seen)

    def run(slots: int, segments: dict[int, torch.Tensor]) -> torch.Tensor:
        if failing.pop() if failing else False:
            raise ResourceExhausted("no memory", reason="OUT_OF_MEMORY")
        return double(slots, segments)

    scheduler = BatchScheduler((run,))
    mine, theirs = request(0, 1.0), request(1, 2.0)
    scheduler.submit(mine)
    scheduler.submit(theirs)
    with pytest.raises(ResourceExhausted):
        scheduler.result(mine)
    scheduler.cancel([mine])
    assert float(scheduler.result(theirs)[0, 0, 0]) == 4.0
    assert seen == [[1]]


def test_two_segments_run_at_a_time_and_give_the_same_bits(one_hot: Path) -> None:
    """On two threads, segments run side by side, one thread each: no job waits for a batch that never fills, no sample changes."""
    mix = noise(60_000, 4)
    alone = load_separator("ft", repo=one_hot, device="cpu", threads=1).separate(mix, quiet)
    both_run = threading.Barrier(2, timeout=30)
    first_two = [True, True]

    def side_by_side(_index: int, run: Run) -> Run:
        def running(slots: int, segments: Mapping[int, torch.Tensor]) -> torch.Tensor:
            if first_two and first_two.pop():
                both_run.wait()
            return run(slots, segments)

        return running

    separator = with_runs(load_models("ft", repo=one_hot, device="cpu", threads=2), side_by_side)
    assert np.array_equal(separator.separate(mix, quiet), alone)
    assert not first_two
    assert not [thread for thread in threading.enumerate() if thread.name == "segments"]


def test_a_failure_in_a_worker_reaches_the_job(one_hot: Path) -> None:
    """One model of four is broken: the job gets the error whichever thread ran it; a job without that model ends well."""
    models = load_models("ft", repo=one_hot, device="cpu", threads=2)
    bad = models.bag.sources.index("vocals")
    computed: list[int] = []

    def breaking(index: int, run: Run) -> Run:
        def running(slots: int, segments: Mapping[int, torch.Tensor]) -> torch.Tensor:
            computed.append(len(segments))
            return run(slots, segments)

        return out_of_memory if index == bad else running

    separator = with_runs(models, breaking)
    mix = noise(60_000, 5)
    with pytest.raises(ResourceExhausted, match="no room"):
        separator.separate(mix, quiet)
    computed.clear()
    separator.separate(mix, quiet, stems=("drums", "bass"))
    assert sum(computed) == separator.steps(
        60_000, ("drums", "bass")
    )  # nothing of the failed job was left in the queues


@pytest.mark.parametrize(
    ("free_bytes", "slots"), [(1_000, 8), (880, 8), (879, 4), (440, 4), (250, 2), (219, 1), (0, 1)]
)
def test_batches_fit_the_free_memory(free_bytes: int, slots: int) -> None:
    """Of eight segments at 100 bytes, with a tenth to spare, as many are taken at once as fit, halved until they do."""
    assert slots_that_fit(8, 100, free_bytes) == slots


@dataclass
class SmallMemory:
    """A device on which one segment needs 100 bytes."""

    free: int

    def reset(self) -> None:
        """Nothing to reset."""

    def measured_bytes(self) -> int:
        """What the measured batch took."""
        return 100

    def free_bytes(self) -> int:
        """As set by the test."""
        return self.free


def test_smaller_batches_are_in_the_fingerprint(models: LoadedModels) -> None:
    """With little free memory, all joining jobs get smaller batches, their fingerprint says so, and an idle engine asks again."""
    memory = SmallMemory(free=10_000)
    separator = DemucsSeparator(replace(models, memory=memory))
    separator.warm()
    memory.free = 250
    blocks = separator.separate_blocks(ArrayMix(noise(40_000, 1)), quiet)
    next(blocks)
    assert blocks.fingerprint["separator.batch"].startswith("2x2x")
    memory.free = 10_000
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
