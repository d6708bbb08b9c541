"""Turns the model's float stems into 24-bit stems that sum exactly to the bounce, or that are the model's own.

The stem modes `exact` and `raw` of docs/contract.md, section 3.

Letters: ``S`` stems (4: drums, bass, vocals, other), ``C`` channels (2), ``T`` samples of the take, ``N`` of a block. Levels
inside are in units of one 24-bit integer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from separation_service.stems.residual import CHOSEN, ResidualRule
from servicekit.audio.pcm24 import CHANNELS, FULL_SCALE, MAX_SAMPLE, MIN_SAMPLE, Pcm24, blocks, not_finite
from servicekit.delivery.names import StemMode

STEM_COUNT = 4
_BLOCK_FRAMES = 1 << 15

Stems24 = NDArray[np.int32]
"""``(S, C, N)`` int32, each in ``[-2^23, 2^23 - 1]``."""

OnBlock = Callable[[Stems24], None]
"""Called with the stems of one block after another."""


class Bounce(Protocol):
    """The samples that stems are fitted to. `WavFile` is one."""

    @property
    def frames(self) -> int:
        """``T``."""

    def read(self, start: int, stop: int) -> Pcm24:
        """``(C, stop - start)``."""


class ModelStems(Protocol):
    """What the model gave, full scale 1.0."""

    @property
    def frames(self) -> int:
        """``T``."""

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """``(S, C, stop - start)``."""


@dataclass(frozen=True, kw_only=True)
class FitFacts:
    """Facts of the delivered stems, for the manifest.

    ``residual_dbfs`` is the RMS of the bounce less the sum of the model's own stems, rounded to 0.01, None for digital zero.
    ``excess_samples`` counts samples of all stems and channels: in exact mode those whose excess went to another stem, in raw
    mode those that were saturated. ``residual_rule`` is None in raw mode.
    """

    mode: StemMode
    residual_rule: str | None
    residual_dbfs: float | None
    excess_samples: int


def exact_stems(bounce: Bounce, stems: ModelStems, on_block: OnBlock, *, rule: ResidualRule = CHOSEN) -> FitFacts:
    """Stems whose integers sum to ``bounce``, sample for sample, in memory that does not grow with length.

    Each stem is the model's own plus its share of the residual, rounded. The few units that are then missing are added to the
    stem that is largest there. Where a stem would exceed full scale, the excess goes to the stem with the most headroom. Blocks are
    at fixed positions, so that the result depends on the samples alone. Raises Internal NOT_FINITE for NaN or infinity.
    """
    _check_frames(bounce, stems)
    power, excess = 0.0, 0
    for block in blocks(bounce.frames, _BLOCK_FRAMES):
        first = max(block.start - rule.context_frames, 0)
        last = min(block.stop + rule.context_frames, bounce.frames)
        inner = slice(block.start - first, block.stop - first)
        mix, scaled = bounce.read(first, last), _scaled(stems.read(first, last))
        residual = mix - scaled.sum(axis=0)
        target = scaled[:, :, inner] + rule.spread(scaled, residual, first)[:, :, inner]
        power += float(np.square(residual[:, inner]).sum())
        fitted, beyond = _summing_to(mix[:, inner], target)
        on_block(fitted.astype(np.int32))
        excess += beyond
    return FitFacts(
        mode=StemMode.EXACT,
        residual_rule=rule.name,
        residual_dbfs=_dbfs(power, CHANNELS * bounce.frames),
        excess_samples=excess,
    )


def raw_stems(bounce: Bounce, stems: ModelStems, on_block: OnBlock) -> FitFacts:
    """The model's own stems, rounded and saturated. ``bounce`` is needed for the residual only.

    Raises Internal NOT_FINITE for NaN or infinity.
    """
    _check_frames(bounce, stems)
    power, saturated = 0.0, 0
    for block in blocks(bounce.frames, _BLOCK_FRAMES):
        scaled = _scaled(stems.read(block.start, block.stop))
        power += float(np.square(bounce.read(block.start, block.stop) - scaled.sum(axis=0)).sum())
        rounded, beyond = _rounded(scaled)
        on_block(rounded.astype(np.int32))
        saturated += int(np.count_nonzero(beyond))
    return FitFacts(
        mode=StemMode.RAW,
        residual_rule=None,
        residual_dbfs=_dbfs(power, CHANNELS * bounce.frames),
        excess_samples=saturated,
    )


def block_count(frames: int) -> int:
    """How often ``on_block`` is called for a take of ``frames``."""
    return -(-frames // _BLOCK_FRAMES)


def _check_frames(bounce: Bounce, stems: ModelStems) -> None:
    if bounce.frames != stems.frames:
        raise ValueError(f"stems must have the bounce's {bounce.frames} frames, got {stems.frames}")


def _scaled(stems: NDArray[np.float32]) -> NDArray[np.float64]:
    """In units of one integer. Raises Internal NOT_FINITE."""
    scaled = stems.astype(np.float64) * FULL_SCALE
    if not np.isfinite(scaled).all():
        raise not_finite("SEPARATE")
    return scaled


def _rounded(target: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Rounded, ties to even, and clipped to full scale; and which samples were clipped."""
    nearest = np.rint(target)
    clipped = np.clip(nearest, MIN_SAMPLE, MAX_SAMPLE)
    return clipped.astype(np.int64), clipped != nearest


def _summing_to(bounce: Pcm24, target: NDArray[np.float64]) -> tuple[NDArray[np.int64], int]:
    """Integers near ``target`` ``(S, C, N)`` that sum to ``bounce`` ``(C, N)``, and how many exceeded full scale."""
    stems, exceeds = _rounded(target)
    missing = bounce - stems.sum(axis=0)
    largest = np.abs(target).argmax(axis=0)[None]
    lifted = np.take_along_axis(stems, largest, axis=0) + missing
    # What rounding left is added to the largest stem, unless a stem exceeds full scale there.
    fits = (lifted >= MIN_SAMPLE) & (lifted <= MAX_SAMPLE) & ~exceeds.any(axis=0)
    np.put_along_axis(stems, largest, np.where(fits, lifted, lifted - missing), axis=0)
    if not fits.all():
        rest = ~fits[0]
        stems[:, rest] = _distribute(stems[:, rest], missing[rest])
    return stems, int(np.count_nonzero(exceeds))


def _distribute(stems: NDArray[np.int64], missing: NDArray[np.int64]) -> NDArray[np.int64]:
    """Add ``missing`` ``(M,)`` to the columns of ``stems`` ``(S, M)``, first to the stem with the most headroom in its direction.

    ``S`` rounds are enough: each either adds all that is missing in a column or fills one more of its stems, and four stems can
    have any sum that a bounce can have.
    """
    for _ in range(STEM_COUNT):
        headroom = np.where(missing > 0, MAX_SAMPLE - stems, stems - MIN_SAMPLE)
        widest = headroom.argmax(axis=0)[None]
        available = np.take_along_axis(headroom, widest, axis=0)[0]
        added = np.sign(missing) * np.minimum(np.abs(missing), available)
        np.put_along_axis(stems, widest, np.take_along_axis(stems, widest, axis=0) + added, axis=0)
        missing = missing - added
    return stems


def _dbfs(power: float, samples: int) -> float | None:
    """RMS in dB below a constant of full scale, from a sum of squares over ``samples``."""
    if power <= 0.0:
        return None
    return round(10.0 * math.log10(power / samples) - 20.0 * math.log10(FULL_SCALE), 2)
