"""One pipeline for every separation: receive -> separate -> [align] -> package -> store.

An upload, a lent bounce and a re-render differ in where the bounce comes from and in what is delivered. A re-render separates one
stem of a new mix and aligns it; the other stems come from the base version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from separation_service.engine import Separator
from separation_service.package import AllStems, Package, pack, warm_packing
from separation_service.receive import ReceivedBounce
from separation_service.rerender.base_version import read_base_version
from separation_service.rerender.compare import Comparison, compare
from separation_service.rerender.package import pack_rerender
from separation_service.rerender.replacement import Replacement, align_replacement
from separation_service.scratch import Scratch, ScratchFolder
from separation_service.separate import LOOP_MARGIN_FRAMES, SeparatedStems, separate, warm_separator
from separation_service.store import StoredPackage, store_package
from separation_service.timing.eta import REPLACEMENT_STAGES, SEPARATION_STAGES, EtaEstimator, EtaProgress, Load
from separation_service.timing.latency_budget import LatencyBudget
from separation_service.timing.progress import ProgressReporter
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from servicekit.clock import Clock
from servicekit.delivery.files import StoredFile
from servicekit.delivery.names import STEMS, StemName
from servicekit.gpu_lock import DeviceLock
from servicekit.journal import ProgressTrack, Stage
from servicekit.store.object_store import ObjectStore
from servicekit.work import StagedFiles, StageWeights

# Usual shares of the track's time on two CPU cores (docs/measurements.md).
WEIGHTS: StageWeights = {ProgressTrack.STEMS: {Stage.RECEIVE: 1, Stage.SEPARATE: 84, Stage.PACKAGE: 10, Stage.STORE: 5}}

Receive = Callable[[Scratch], ReceivedBounce]
"""The first stage: reads the bounce into the scratch."""


@dataclass(frozen=True, kw_only=True)
class SeparationPipeline:
    """What every separation uses. Built once; call it from a thread of its own for each bounce.

    Its methods take ``what`` to deliver: an `AllStems` for the stems of the bounce, a `Replacement` for a re-render. They
    raise a `ServiceError`.
    """

    separator: Separator
    device_lock: DeviceLock
    scratch: ScratchFolder
    store: ObjectStore
    fingerprint: Mapping[str, str]
    clock: Clock
    estimator: EtaEstimator
    budget: LatencyBudget

    def __call__(
        self, receive: Receive, what: AllStems | Replacement, progress: ProgressReporter, staged: StagedFiles
    ) -> StoredPackage:
        """Run all stages. The files are stored through ``staged``."""
        with self._packaged(receive, what, progress) as (package, timed):
            timed.stage(Stage.STORE)
            # What was separated is not separated again because the store is away for a moment.
            stored = progress.retrying(lambda: store_package(package, staged, timed))
            timed.end_stage()
            return stored

    def compare(
        self, receive: Receive, what: Replacement, stored_bounce: StoredFile, progress: ProgressReporter
    ) -> Comparison:
        """Replay a re-render: run it up to its package and compare the bounce with the stored one. Stores nothing."""
        with self._packaged(receive, what, progress) as (package, timed):
            timed.stage(Stage.STORE)
            return compare(package, stored_bounce, self.store)

    @contextmanager
    def _packaged(
        self, receive: Receive, what: AllStems | Replacement, progress: ProgressReporter
    ) -> Iterator[tuple[Package, EtaProgress]]:
        """Run the stages before the last; the package reads from the scratch until the end of the block."""
        with self.scratch.open() as scratch:
            timed = EtaProgress(progress, self.estimator, self.budget, clock=self.clock)
            timed.stage(Stage.RECEIVE)
            bounce = receive(scratch)
            timed.set_load(self.load(bounce.frames, what))
            if isinstance(what, Replacement):
                base = read_base_version(what.base, what.stem, bounce.frames, self.store)
                stems = self._separate(bounce, (what.stem,), scratch, timed, loop=what.loop)
                aligned = align_replacement(bounce, stems, base, what, timed)
                yield pack_rerender(bounce, stems, base, aligned, timed), timed
            else:
                stems = self._separate(bounce, STEMS, scratch, timed, loop=what.loop)
                yield pack(bounce, stems, what.mode, scratch, timed), timed

    def _separate(
        self,
        bounce: ReceivedBounce,
        names: tuple[StemName, ...],
        scratch: Scratch,
        progress: EtaProgress,
        *,
        loop: bool = False,
    ) -> SeparatedStems:
        return separate(
            bounce,
            names,
            separator=self.separator,
            lock=self.device_lock,
            fingerprint=self.fingerprint,
            scratch=scratch,
            progress=progress,
            loop=loop,
        )

    def load(self, frames: int, what: AllStems | Replacement) -> Load:
        """What the duration depends on, for a bounce of ``frames`` samples a channel."""
        audio_s = frames / SAMPLE_RATE_HZ
        separated = frames + (2 * LOOP_MARGIN_FRAMES if what.loop else 0)
        if isinstance(what, Replacement):
            return Load(audio_s, self.separator.steps(separated, (what.stem,)), REPLACEMENT_STAGES)
        return Load(audio_s, self.separator.steps(separated, STEMS), SEPARATION_STAGES)

    def warm(self) -> None:
        """Do at start what would delay the first separation. Raises `FailedPrecondition` MODEL_UNUSABLE."""
        warm_separator(self.separator)
        with self.scratch.open() as scratch:
            warm_packing(scratch)
