"""The separator over demucs' models: what `demucs.api.Separator` computes with shifts=0, with our own segment loop.

One-hot bags keep one source of each model, so a model whose sources nobody asked for does not run.

Letters: ``R`` rows (sources needed, in the models' order), ``C`` channels, ``T`` samples of the track, ``n`` samples of a block,
``N`` stems asked for.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

import numpy as np
import torch
from torch import Tensor

from separation_service.engine.bag import Bag
from separation_service.engine.desk import BatchDesk
from separation_service.engine.lane import Lane
from separation_service.engine.mix import ArrayMix, check_mix, measure_level
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
from servicekit.errors import Internal, ResourceExhausted

_RETRY_AFTER_S = 10.0


class DemucsSeparator:
    """A bag on a device, in fp32. Made by `load_separator`."""

    def __init__(self, bag: Bag, info: SeparatorInfo, *, device: torch.device, threads: int) -> None:
        self._bag = bag
        self._info = info
        self._device = device
        self._threads = threads
        for member in bag.members:
            member.model.to(device).eval()  # demucs' safetensors loader leaves models in train mode
            member.model.requires_grad_(requires_grad=False)
        self._desk = BatchDesk(tuple(self._runner(index) for index in range(len(bag.members))))

    def _runner(self, index: int):
        model = self._bag.members[index].model

        def run(slots: int, segments: Mapping[int, Tensor]) -> Tensor:
            some = next(iter(segments.values()))
            batch = torch.zeros(slots, *some.shape, device=self._device)
            for slot, segment in segments.items():
                batch[slot] = segment
            with _reproducible(self._threads), self._memory_is_named():
                return model(batch)

        return run

    @property
    def info(self) -> SeparatorInfo:
        """What is loaded."""
        return self._info

    def warm(self) -> None:
        """Run every model once on one segment of silence."""
        with _reproducible(self._threads):
            for member in self._bag.members:
                member.model(torch.zeros(1, CHANNELS, member.full_samples, device=self._device))

    def steps(self, frames: int, stems: Sequence[StemName] = STEMS) -> int:
        """How many segments times models a mix of ``frames`` samples takes."""
        return sum(segment_count(frames, member.segment_samples) for member, _ in self._bag.work(stems))

    def separate(self, mix: Waveform, report: StepReport, stems: Sequence[StemName] = STEMS) -> StemWaveforms:
        """``(C, T)`` -> ``(N, C, T)``; see `Separator.separate`."""
        with closing(self.separate_blocks(ArrayMix(mix), report, stems)) as blocks:
            joined = np.empty((len(stems), *mix.shape), dtype=np.float32)
            for block in blocks:
                joined[..., block.start : block.start + block.samples.shape[-1]] = block.samples
        return joined

    def separate_blocks(self, mix: MixSource, report: StepReport, stems: Sequence[StemName] = STEMS) -> StemBlocks:
        """See `Separator.separate_blocks`."""
        check_mix(mix)
        return _Blocks(self._blocks(mix, report, stems), self._info.fingerprint)

    def _blocks(
        self, mix: MixSource, report: StepReport, stems: Sequence[StemName]
    ) -> Generator[StemBlock, None, None]:
        level = measure_level(mix)
        work = self._bag.work(stems)
        rows = self._bag.rows_of(stems)
        lanes = [
            Lane(
                self._desk,
                mix,
                level,
                index=self._bag.members.index(member),
                member=member,
                kept=kept,
                slots=1,
                ahead=1,
                device=self._device,
            )
            for member, kept in work
        ]
        report(0, sum(lane.total for lane in lanes))
        emitted = 0
        try:
            while emitted < mix.frames:
                min(lanes, key=lambda lane: lane.reached).advance()
                report(sum(lane.computed for lane in lanes), sum(lane.total for lane in lanes))
                ready = min(lane.reached for lane in lanes)
                if ready > emitted:
                    estimates = torch.zeros(len(rows), CHANNELS, ready - emitted)
                    for lane, (member, kept) in zip(lanes, work, strict=True):
                        weights = torch.tensor([member.weights[row] for row in kept])[:, None, None]
                        estimates[[rows.index(row) for row in kept]] += weights * lane.take(ready - emitted)
                    totals = torch.tensor([self._bag.totals[row] for row in rows])[:, None, None]
                    estimates = estimates.div_(totals).mul_(float(level.std)).add_(float(level.mean))
                    yield StemBlock(emitted, self._join(estimates, stems))
                    emitted = ready
        finally:
            for lane in lanes:
                lane.leave()

    @contextmanager
    def _memory_is_named(self) -> Iterator[None]:
        try:
            yield
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise ResourceExhausted(
                f"{self._device} has too little memory left for a segment; free it, then try again",
                reason="OUT_OF_MEMORY",
                metadata={"device": str(self._device)},
                retry_after_s=_RETRY_AFTER_S,
            ) from error

    def _join(self, estimates: Tensor, stems: Sequence[StemName]) -> StemWaveforms:
        """Sources ``(R, C, n)`` -> stems ``(N, C, n)``."""
        rows = self._bag.rows_of(stems)
        joined = np.empty((len(stems), *estimates.shape[1:]), dtype=np.float32)
        for index, stem in enumerate(stems):
            places = [rows.index(row) for row in self._bag.rows(stem)]
            joined[index] = estimates[places].sum(0).numpy()
        if not np.isfinite(joined).all():
            raise Internal(
                f"separator {self._info.name!r} gave NaN or infinity; its weights are broken, fetch them again",
                reason="NOT_FINITE",
                metadata={"stage": "SEPARATE"},
            )
        return joined


class _Blocks:
    """A generator of blocks and the fingerprint they are made under."""

    def __init__(self, blocks: Generator[StemBlock, None, None], fingerprint: Mapping[str, str]) -> None:
        self._blocks = blocks
        self.fingerprint = fingerprint

    def __iter__(self) -> Iterator[StemBlock]:
        return self

    def __next__(self) -> StemBlock:
        return next(self._blocks)

    def close(self) -> None:
        """Stop and let go of all memory."""
        self._blocks.close()


@contextmanager
def _reproducible(threads: int) -> Iterator[None]:
    """Fixed threads, no autotuning, no TF32, no gradients.

    The fused path of `nn.MultiheadAttention` is left out: the plain one is 1.16x as fast on a CPU and agrees to 122 dB
    (FINDINGS A).
    """
    torch.set_num_threads(threads)
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with (
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
            torch.inference_mode(),
        ):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
