"""The road of a bounce: receive -> separate -> package -> store. Each stage takes what the one before it made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from separation_service.ceiling import Ceiling
from separation_service.engine import Separator
from separation_service.pace import Pace, Paced
from separation_service.package import pack
from separation_service.progress import StageProgress
from separation_service.receive import Received
from separation_service.scratch import Scratch, ScratchFolder
from separation_service.separate import separate
from separation_service.store import Delivered, store_package
from servicekit.audio.loudness import measure
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from servicekit.clock import Clock
from servicekit.delivery.manifest import StemMode
from servicekit.gpu_turn import Turn
from servicekit.journal import Stage, Track
from servicekit.store.object_store import ObjectStore
from servicekit.work import StageWeights

# Usual shares of the track's time on two CPU cores (docs/measurements.md).
WEIGHTS: StageWeights = {Track.STEMS: {Stage.RECEIVE: 1, Stage.SEPARATE: 84, Stage.PACKAGE: 10, Stage.STORE: 5}}


@dataclass(frozen=True, kw_only=True)
class SeparationPipeline:
    """What a separation is made with. Built once, by ``__main__``; called from a thread of its own for each bounce.

    A lent bounce (calls.py) and an upload (upload_work.py) differ in how they are received and in who hears of them; the road
    is the same.
    """

    separator: Separator
    turn: Turn
    scratch: ScratchFolder
    store: ObjectStore
    fingerprint: Mapping[str, str]
    clock: Clock
    pace: Pace
    ceiling: Ceiling

    def warm(self) -> None:
        """Pay once for what the first bounce would otherwise wait for."""
        self.separator.warm()
        measure(np.zeros((2, SAMPLE_RATE_HZ), dtype=np.int32))

    def __call__(self, receive: Callable[[Scratch], Received], mode: StemMode, progress: StageProgress) -> Delivered:
        """Take one bounce to its stored ZIP. Raises a `ServiceError`, and then nothing new is in the store."""
        with self.scratch.open() as scratch:
            paced = Paced(progress, self.pace, self.ceiling, clock=self.clock)
            paced.stage(Stage.RECEIVE)
            received = receive(scratch)
            paced.take(received.frames / SAMPLE_RATE_HZ)
            stems = separate(received, self.separator, self.turn, scratch, paced)
            paced.stage(Stage.PACKAGE)
            fingerprint = {**self.fingerprint, **stems.fingerprint}
            package = pack(
                received, stems, scratch, paced, mode=mode, separator=self.separator.info, fingerprint=fingerprint
            )
            paced.stage(Stage.STORE)
            delivered = store_package(package, self.store, paced)
            paced.end()
            return delivered
