"""The separator over demucs' models: what `demucs.api.Separator` computes with shifts=0, with our own segment loop.

One-hot bags keep one source of each model, so a model whose sources nobody asked for does not run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from separation_service.engine.bag import Bag, Member
from separation_service.engine.segments import OverlapAdd, cut_padded, plan_segments, trim_padding
from separation_service.engine.separator import (
    CHANNELS,
    STEMS,
    SeparatorInfo,
    StemName,
    StemWaveforms,
    StepReport,
    Waveform,
)
from servicekit.errors import Internal, InvalidTensor, ResourceExhausted

_MIN_SAMPLES = 2  # the standard deviation of one sample is not defined
_RETRY_AFTER_S = 10.0
_STD_FLOOR = 1e-8  # demucs.api.Separator.separate_tensor


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

    @property
    def info(self) -> SeparatorInfo:
        """What is loaded."""
        return self._info

    def warm(self) -> None:
        """Run every model once on one segment of silence."""
        with _reproducible(self._threads):
            for member in self._bag.members:
                samples = member.padded_samples(member.segment_samples)
                member.model(torch.zeros(1, CHANNELS, samples, device=self._device))

    def steps(self, frames: int, stems: Sequence[StemName] = STEMS) -> int:
        """How many segments times models a mix of ``frames`` samples takes."""
        return sum(len(plan_segments(frames, member.segment_samples)) for member, _ in self._bag.work(stems))

    def separate(self, mix: Waveform, report: StepReport, stems: Sequence[StemName] = STEMS) -> StemWaveforms:
        """``(C, T)`` -> ``(N, C, T)``; see `Separator.separate`."""
        _check_mix(mix)
        track = torch.from_numpy(mix.copy())  # ours to write: the mix is lent
        mono = track.mean(0)
        mean, std = mono.mean(), mono.std() + _STD_FLOOR
        with _reproducible(self._threads), self._memory_is_named():
            estimates = self._estimate(track.sub_(mean).div_(std), report, stems)
            estimates = estimates.mul_(std).add_(mean)
        if not bool(torch.isfinite(estimates).all()):
            raise Internal(
                f"separator {self._info.name!r} gave NaN or infinity; its weights are broken, fetch them again",
                reason="NOT_FINITE",
                metadata={"stage": "SEPARATE"},
            )
        return self._join(estimates, stems)

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

    def _estimate(self, track: Tensor, report: StepReport, stems: Sequence[StemName]) -> Tensor:
        """Normalised ``(C, T)`` -> ``(R, C, T)``, the needed sources in the models' order, still normalised."""
        rows = self._bag.rows_of(stems)
        place = {row: index for index, row in enumerate(rows)}
        estimates = torch.zeros(len(rows), *track.shape)
        done, total = 0, self.steps(track.shape[-1], stems)
        report(done, total)
        for member, kept in self._bag.work(stems):
            weights = torch.tensor([member.weights[row] for row in kept])[:, None, None]
            places = [place[row] for row in kept]
            for start, block in self._blocks(member, kept, track):
                estimates[places, :, start : start + block.shape[-1]] += weights * block
                done += 1
                report(done, total)
        totals = torch.tensor([self._bag.totals[row] for row in rows])[:, None, None]
        return estimates.div_(totals)

    def _blocks(self, member: Member, kept: Sequence[int], track: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Finished stretches ``(R, C, n)`` of one model's kept sources and where each begins, one a segment."""
        overlap_add = OverlapAdd(len(kept), CHANNELS, member.segment_samples, track.device)
        for segment in plan_segments(track.shape[-1], member.segment_samples):
            padded = cut_padded(track, segment, member.padded_samples(segment.length))
            output = member.model(padded[None].to(self._device))[0, list(kept)]
            yield segment.start, overlap_add.push(segment, trim_padding(output, segment).to(track.device))

    def _join(self, estimates: Tensor, stems: Sequence[StemName]) -> StemWaveforms:
        """Sources ``(R, C, T)`` -> stems ``(N, C, T)``."""
        rows = self._bag.rows_of(stems)
        joined = np.empty((len(stems), *estimates.shape[1:]), dtype=np.float32)
        for index, stem in enumerate(stems):
            places = [rows.index(row) for row in self._bag.rows(stem)]
            joined[index] = estimates[places].sum(0).numpy()
        return joined


def _check_mix(mix: Waveform) -> None:
    if mix.dtype != np.float32 or mix.ndim != 2 or mix.shape[0] != CHANNELS or mix.shape[1] < _MIN_SAMPLES:
        raise InvalidTensor(
            f"wanted float32 ({CHANNELS}, at least {_MIN_SAMPLES}), got {mix.dtype} {mix.shape}",
            metadata={"detail": f"{mix.dtype} {mix.shape}"},
        )


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
