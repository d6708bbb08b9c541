"""The separator over demucs' models: what `demucs.api.Separator` computes with shifts=0, with our own segment loop.

One-hot bags keep one source of each model, so a model whose sources nobody asked for does not run.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing

import torch

from separation_service.engine.bag import Bag, Member
from separation_service.engine.device_memory import BatchSize
from separation_service.engine.forward import BatchRun, Forward
from separation_service.engine.job_stream import JobStream, Order
from separation_service.engine.mix import ArrayMix, check_mix
from separation_service.engine.one_thread import InOneThread, OneThread
from separation_service.engine.options import EngineOptions
from separation_service.engine.scheduler import BatchScheduler
from separation_service.engine.segments import segment_count
from separation_service.engine.separator import (
    CHANNELS,
    STEMS,
    MixSource,
    SeparatorInfo,
    StemBlock,
    StemBlocks,
    StemName,
    StemWaveforms,
    StepReport,
    Waveform,
)
from servicekit.logs import logger

_log = logger(__name__)


def batch_text(bag: Bag, slots: int) -> str:
    """The batch shapes of a bag for the fingerprint, slots x channels x samples, one a model."""
    return " ".join(f"{slots}x{CHANNELS}x{member.full_samples}" for member in bag.members)


class DemucsSeparator:
    """A bag on a device; ``forwards[m]`` is its model ``m``. Made by `load_separator`."""

    def __init__(self, bag: Bag, info: SeparatorInfo, forwards: Sequence[Forward], options: EngineOptions) -> None:
        self._bag = bag
        self._info = info
        self._options = options
        self._device = torch.device(options.device)
        runs = [BatchRun(forward, options) for forward in forwards]
        thread = OneThread() if options.is_cuda else None
        self._runs: tuple[BatchRun | InOneThread, ...] = tuple(thread.run(run) if thread else run for run in runs)
        self._desk = BatchScheduler(self._runs, options.at_once)
        self._size = BatchSize(options.slots, self._device, self._release)

    @property
    def info(self) -> SeparatorInfo:
        """What is loaded."""
        return self._info

    def _release(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        for run in self._runs:
            run.release()

    def warm(self) -> None:
        """Run every model once on silence, first alone to see what a segment takes, then as a batch in the shape of jobs."""
        with self._size.measured():
            for member in self._bag.members:
                self._run_silence(member, slots=1)
        with self._size.joined() as slots:
            if slots > 1:
                for member in self._bag.members:
                    self._run_silence(member, slots=slots)

    def _run_silence(self, member: Member, *, slots: int) -> None:
        self._runs[member.index](slots, {0: torch.zeros(CHANNELS, member.full_samples)})

    def steps(self, frames: int, stems: Sequence[StemName] = STEMS) -> int:
        """How many segments times models a mix of ``frames`` samples takes."""
        return sum(segment_count(frames, member.segment_samples) for member, _ in self._bag.work(stems))

    def separate(self, mix: Waveform, report: StepReport, stems: Sequence[StemName] = STEMS) -> StemWaveforms:
        """``(C, T)`` -> ``(N, C, T)``; see `Separator.separate`."""
        with closing(self.separate_blocks(ArrayMix(mix), report, stems)) as blocks:
            # Pinned memory that is let go of is kept by torch, so later jobs need not touch its pages for the first time.
            joined = torch.empty(len(stems), *mix.shape, pin_memory=self._options.is_cuda).numpy()
            for block in blocks:
                joined[..., block.start : block.start + block.samples.shape[-1]] = block.samples
        return joined

    def separate_blocks(self, mix: MixSource, report: StepReport, stems: Sequence[StemName] = STEMS) -> StemBlocks:
        """See `Separator.separate_blocks`."""
        check_mix(mix)
        return _Blocks(self, mix, report, tuple(stems))

    def job(
        self, blocks: _Blocks, mix: MixSource, report: StepReport, stems: tuple[StemName, ...]
    ) -> Generator[StemBlock, None, None]:
        """One job from its first block to its last; says in its fingerprint where its batches are smaller than usual."""
        with self._size.joined() as slots:
            if slots < self._options.slots:
                _log.warning("memory is short: smaller batches", wanted=self._options.slots, taken=slots)
                blocks.fingerprint = {**self._info.fingerprint, "separator.batch": batch_text(self._bag, slots)}
            order = Order(mix=mix, stems=stems, report=report, slots=slots)
            yield from JobStream(self._bag, self._desk, order, self._device).blocks()


class _Blocks:
    """The blocks of one job and the fingerprint they are made under, which holds from the first block on."""

    def __init__(
        self, separator: DemucsSeparator, mix: MixSource, report: StepReport, stems: tuple[StemName, ...]
    ) -> None:
        self.fingerprint: Mapping[str, str] = separator.info.fingerprint
        self._blocks = separator.job(self, mix, report, stems)

    def __iter__(self) -> Iterator[StemBlock]:
        return self

    def __next__(self) -> StemBlock:
        return next(self._blocks)

    def close(self) -> None:
        """Stop and let go of all memory."""
        self._blocks.close()
