"""The road of a bounce: receive -> separate -> package -> store. Each stage takes what the one before it made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from separation_service.engine import Separator
from separation_service.package import pack, warm_packing
from separation_service.receive import Received
from separation_service.scratch import Scratch, ScratchFolder
from separation_service.separate import separate
from separation_service.store import Delivered, store_package
from separation_service.timing.eta import EtaEstimator, EtaProgress, Load
from separation_service.timing.latency_budget import LatencyBudget
from separation_service.timing.progress import ProgressReporter
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from servicekit.clock import Clock
from servicekit.delivery.names import StemMode
from servicekit.errors import FailedPrecondition
from servicekit.gpu_lock import DeviceLock
from servicekit.journal import ProgressTrack, Stage
from servicekit.store.object_store import ObjectStore
from servicekit.work import StageWeights

# Usual shares of the track's time on two CPU cores (docs/measurements.md).
WEIGHTS: StageWeights = {ProgressTrack.STEMS: {Stage.RECEIVE: 1, Stage.SEPARATE: 84, Stage.PACKAGE: 10, Stage.STORE: 5}}

# What torch and demucs raise for weights whose shapes do not go together, and for a device that does not do what they need.
_CANNOT_RUN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, kw_only=True)
class SeparationPipeline:
    """What a separation is made with. Built once, by ``__main__``; called from a thread of its own for each bounce.

    A lent bounce (calls.py) and an upload (upload_work.py) differ in how they are received and in who hears of them; the road
    is the same.
    """

    separator: Separator
    device_lock: DeviceLock
    scratch: ScratchFolder
    store: ObjectStore
    fingerprint: Mapping[str, str]
    clock: Clock
    estimator: EtaEstimator
    budget: LatencyBudget

    def load(self, frames: int) -> Load:
        """What a take of so many samples a channel is to the stages."""
        return Load(frames / SAMPLE_RATE_HZ, self.separator.steps(frames))

    def warm(self) -> None:
        """Pay once for what the first bounce would otherwise wait for.

        Raises `FailedPrecondition` MODEL_UNUSABLE where the separator was loaded but cannot run.
        """
        try:
            self.separator.warm()
        except _CANNOT_RUN as error:
            raise FailedPrecondition(
                f"separator {self.separator.info.name!r} was loaded but cannot run: {type(error).__name__}: {error}; choose "
                "another model, or another device",
                reason="MODEL_UNUSABLE",
                metadata={"model": self.separator.info.name},
            ) from error
        with self.scratch.open() as scratch:
            warm_packing(scratch)

    def __call__(self, receive: Callable[[Scratch], Received], mode: StemMode, progress: ProgressReporter) -> Delivered:
        """Take one bounce to its stored ZIP. Raises a `ServiceError`, and then nothing new is in the store."""
        with self.scratch.open() as scratch:
            timed = EtaProgress(progress, self.estimator, self.budget, clock=self.clock)
            timed.stage(Stage.RECEIVE)
            received = receive(scratch)
            timed.set_load(self.load(received.frames))
            stems = separate(received, self.separator, self.device_lock, scratch, timed)
            timed.stage(Stage.PACKAGE)
            fingerprint = {**self.fingerprint, **stems.fingerprint}
            package = pack(
                received, stems, scratch, timed, mode=mode, separator=self.separator.info, fingerprint=fingerprint
            )
            timed.stage(Stage.STORE)
            delivered = store_package(package, self.store, timed)
            timed.end_stage()
            return delivered
