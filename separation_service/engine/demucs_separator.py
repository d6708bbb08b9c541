"""The separator over demucs' models: what `demucs.api.Separator` computes with shifts=0, with our own segment loop.

One-hot bags use one source of each model, so a model whose sources are not requested does not run.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import torch

from separation_service.engine.bag import Bag, Member
from separation_service.engine.batch_thread import ModelRun
from separation_service.engine.device_memory import BatchSize, DeviceMemory
from separation_service.engine.job_stream import JobStream, SeparationRequest
from separation_service.engine.mix import ArrayMix, check_mix
from separation_service.engine.options import EngineOptions
from separation_service.engine.scheduler import BatchScheduler
from separation_service.engine.segments import segment_count
from separation_service.engine.separator import (
    CHANNELS,
    MixSource,
    SeparatorInfo,
    StemBlock,
    StemBlocks,
    StemWaveforms,
    StepReport,
    Waveform,
)
from servicekit.delivery.names import STEMS, StemName
from servicekit.logs import logger

_log = logger(__name__)


def batch_text(bag: Bag, slots: int) -> str:
    """The batch shape of each model for the fingerprint: slots x channels x samples."""
    return " ".join(f"{slots}x{CHANNELS}x{member.full_samples}" for member in bag.members)


@dataclass(frozen=True, kw_only=True)
class LoadedModels:
    """A bag that is ready to run: ``runs[m]`` is its model ``m``. ``memory`` is the device's."""

    bag: Bag
    info: SeparatorInfo
    runs: tuple[ModelRun, ...]
    memory: DeviceMemory
    options: EngineOptions


class DemucsSeparator:
    """Implements `Separator` over loaded models. Made by `load_separator`."""

    def __init__(self, models: LoadedModels) -> None:
        self._bag = models.bag
        self._info = models.info
        self._options = models.options
        self._device = torch.device(models.options.device)
        self._runs = models.runs
        self._scheduler = BatchScheduler(self._runs, models.options.max_running)
        self._batch_size = BatchSize(models.options.slots, models.memory, self._release)

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
        """Run every model once on silence: one segment to measure its memory, then a full batch as jobs use."""
        with self._batch_size.measure():
            for member in self._bag.members:
                self._run_silence(member, slots=1)
        with self._batch_size.job() as slots:
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
            # Torch caches freed pinned memory, so later jobs do not pay for its page faults again.
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
        """One job from its first block to its last. Its fingerprint records a reduced batch size."""
        with self._batch_size.job() as slots:
            if slots < self._options.slots:
                _log.warning("batch size reduced, device memory is low", max_slots=self._options.slots, slots=slots)
                blocks.fingerprint = {**self._info.fingerprint, "separator.batch": batch_text(self._bag, slots)}
            request = SeparationRequest(mix=mix, stems=stems, report=report, slots=slots)
            yield from JobStream(self._bag, self._scheduler, request, self._device).blocks()


class _Blocks:
    """The blocks of one job, and the fingerprint they are computed under, final from the first block on."""

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
        """Stop and free all memory."""
        self._blocks.close()
