"""The road of a re-render: receive -> separate one stem -> align -> package -> store, or compare where it is a replay.

The new mix that is lent is received as a bounce is; what is stored is the base version with one stem replaced.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from separation_service.alignment import BarRange, Grid, Key
from separation_service.pipeline import SeparationPipeline
from separation_service.receive import LentBounce, Received
from separation_service.rerender.align import Aligned, Fit, align
from separation_service.rerender.base_version import Base, BaseOrder, read_base
from separation_service.rerender.package import STEPS, NewVersion, pack_rerender
from separation_service.rerender.store import Replacement, discard_version, store_replacement
from separation_service.scratch import Scratch
from separation_service.separate import Separated, separate
from separation_service.timing.progress import StageProgress
from servicekit.audio.pcm24 import from_pcm24
from servicekit.audio.wav import read_wav
from servicekit.delivery.files import StoredFile
from servicekit.delivery.names import StemName
from servicekit.journal import Stage
from servicekit.store.object_store import ObjectStore
from servicekit.store.verified_read import read_verified

MAX_TRUE_PEAK_DBTP = -1.0
"""The true peak that a render's bounce may have; an upload's own peak is its owner's business."""


@dataclass(frozen=True, kw_only=True)
class ReplaceOrder:
    """What a caller wants replaced by what. ``lent`` is the new mix; ``compare_with`` is set on a replay."""

    lent: LentBounce
    stem: StemName
    base: BaseOrder
    grid: Grid
    region: BarRange | None
    allow_drift: bool
    compare_with: StoredFile | None


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A replayed bounce beside the stored one; ``largest`` difference in units of 24 bits."""

    stored_sha256: str
    replayed_sha256: str
    largest: int
    fingerprint: Mapping[str, str]


class RerenderPipeline:
    """The same models, turn and store as the pipeline for whole takes."""

    def __init__(self, pipeline: SeparationPipeline) -> None:
        self._pipeline = pipeline

    def __call__(
        self, receive: Callable[[Scratch], Received], order: ReplaceOrder, progress: StageProgress
    ) -> Replacement | Compared:
        """Take one new mix to the stored version. Raises a `ServiceError`, and then nothing of the version is in the store."""
        pipeline = self._pipeline
        with pipeline.scratch.open() as scratch:
            progress.stage(Stage.RECEIVE, 2)
            received = receive(scratch)
            progress.step(1)
            base = read_base(order.base, order.stem, received.frames, pipeline.store)
            stem = separate(received, pipeline.separator, pipeline.device_lock, scratch, progress, stems=(order.stem,))
            aligned = _align(received, stem, base, order, progress)
            progress.stage(Stage.PACKAGE, STEPS)
            made = pack_rerender(
                received,
                base,
                aligned,
                progress,
                separator=pipeline.separator.info,
                fingerprint={**pipeline.fingerprint, **stem.fingerprint},
            )
            progress.stage(Stage.STORE)
            if order.compare_with is not None:
                return _compare(made, order.compare_with, pipeline.store)
            return store_replacement(made, pipeline.store, progress)

    def discard(self, order: ReplaceOrder) -> None:
        """Take away what was stored of a version; a replay stores nothing."""
        if order.compare_with is None:
            discard_version(self._pipeline.store, order.lent.job_id, order.lent.version)


def _align(
    received: Received, separated: Separated, base: Base, order: ReplaceOrder, progress: StageProgress
) -> Aligned:
    key = received.manifest.key
    fit = Fit(
        grid=order.grid,
        key=None if key is None else Key.named(key),
        region=order.region,
        allow_drift=order.allow_drift,
        max_true_peak_dbtp=None if base.of_an_upload else MAX_TRUE_PEAK_DBTP,
    )
    mix = from_pcm24(received.wav.read(0, received.frames))
    return align(mix, separated.read(0, received.frames)[0], base.take, fit, progress)


def _compare(made: NewVersion, stored: StoredFile, store: ObjectStore) -> Compared:
    """Sample for sample. Raises `DataLoss` where the stored bounce was changed."""
    data = read_verified(store, stored.key, stored.sha256, max_bytes=stored.size_bytes)
    pcm = read_wav(io.BytesIO(data), name=stored.key)
    same_shape = pcm.shape == made.bounce.pcm.shape
    largest = int(np.abs(pcm.astype(np.int64) - made.bounce.pcm).max()) if same_shape else 1 << 24
    return Compared(
        stored_sha256=stored.sha256,
        replayed_sha256=made.bounce.digest.sha256,
        largest=largest,
        fingerprint=made.package.fingerprint,
    )
