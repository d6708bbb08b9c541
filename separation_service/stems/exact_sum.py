"""From the model's float stems to 24-bit stems: summing to the bounce exactly, or as the model gave them.

The stem modes `exact` and `raw` of docs/contract.md, section 3.

Letters: ``S`` stems (4: drums, bass, vocals, other), ``C`` channels (2), ``T`` samples of the take, ``N`` of a block. Inside,
levels count in units of one 24-bit integer.
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

Take = Callable[[Stems24], None]
"""Called with the fitted stems, block after block."""


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
    """What the manifest says of the stems as they are delivered.

    ``residual_dbfs`` is the RMS of the bounce less the sum of the model's own stems, rounded to 0.01, None for digital zero.
    ``excess_samples`` counts samples of a stem, a channel each: in exact mode those whose excess another stem took, in raw
    mode those that were saturated. ``residual_rule`` is None in raw mode.
    """

    mode: StemMode
    residual_rule: str | None
    residual_dbfs: float | None
    excess_samples: int


def exact_stems(bounce: Bounce, stems: ModelStems, take: Take, *, rule: ResidualRule = CHOSEN) -> FitFacts:
    """Stems whose integers sum to ``bounce``, sample for sample, in memory that does not grow with length.

    Each stem is the model's own plus its share of the residual, rounded; the few units that rounding leaves go to the stem that is
    largest there. A stem that would pass full scale hands the excess to the stem with most room. Blocks lie at fixed places, so
    that the result depends on the samples alone. Raises Internal NOT_FINITE for NaN or infinity.
    """
    _check_frames(bounce, stems)
    power, excess = 0.0, 0
    for block in blocks(bounce.frames, _BLOCK_FRAMES):
        first = max(block.start - rule.context_frames, 0)
        last = min(block.stop + rule.context_frames, bounce.frames)
        inner = slice(block.start - first, block.stop - first)
        mix, scaled = bounce.read(first, last), _scaled(stems.read(first, last))
        residual = mix - scaled.sum(axis=0)
        wanted = scaled[:, :, inner] + rule.spread(scaled, residual, first)[:, :, inner]
        power += float(np.square(residual[:, inner]).sum())
        fitted, beyond = _summing_to(mix[:, inner], wanted)
        take(fitted.astype(np.int32))
        excess += beyond
    return FitFacts(
        mode=StemMode.EXACT,
        residual_rule=rule.name,
        residual_dbfs=_dbfs(power, CHANNELS * bounce.frames),
        excess_samples=excess,
    )


def raw_stems(bounce: Bounce, stems: ModelStems, take: Take) -> FitFacts:
    """The model's own stems, rounded and saturated. ``bounce`` is only what the residual is taken of.

    Raises Internal NOT_FINITE for NaN or infinity.
    """
    _check_frames(bounce, stems)
    power, saturated = 0.0, 0
    for block in blocks(bounce.frames, _BLOCK_FRAMES):
        scaled = _scaled(stems.read(block.start, block.stop))
        power += float(np.square(bounce.read(block.start, block.stop) - scaled.sum(axis=0)).sum())
        rounded, beyond = _rounded(scaled)
        take(rounded.astype(np.int32))
        saturated += int(np.count_nonzero(beyond))
    return FitFacts(
        mode=StemMode.RAW,
        residual_rule=None,
        residual_dbfs=_dbfs(power, CHANNELS * bounce.frames),
        excess_samples=saturated,
    )


def block_count(frames: int) -> int:
    """How often ``take`` is called for so many frames."""
    return -(-frames // _BLOCK_FRAMES)


def _check_frames(bounce: Bounce, stems: ModelStems) -> None:
    if bounce.frames != stems.frames:
        raise ValueError(f"wanted stems of the bounce's {bounce.frames} frames, got {stems.frames}")


def _scaled(stems: NDArray[np.float32]) -> NDArray[np.float64]:
    """In units of one integer. Raises Internal NOT_FINITE."""
    scaled = stems.astype(np.float64) * FULL_SCALE
    if not np.isfinite(scaled).all():
        raise not_finite("SEPARATE")
    return scaled


def _rounded(wanted: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Rounded, ties to even, and held at full scale; and which samples would have passed it."""
    nearest = np.rint(wanted)
    held = np.clip(nearest, MIN_SAMPLE, MAX_SAMPLE)
    return held.astype(np.int64), held != nearest


def _summing_to(bounce: Pcm24, wanted: NDArray[np.float64]) -> tuple[NDArray[np.int64], int]:
    """Integers near ``wanted`` ``(S, C, N)`` that sum to ``bounce`` ``(C, N)``, and how many would have passed full scale."""
    stems, beyond = _rounded(wanted)
    missing = bounce - stems.sum(axis=0)
    largest = np.abs(wanted).argmax(axis=0)[None]
    lifted = np.take_along_axis(stems, largest, axis=0) + missing
    # What rounding left goes to the largest stem, unless that one is the stem without room.
    fits = (lifted >= MIN_SAMPLE) & (lifted <= MAX_SAMPLE) & ~beyond.any(axis=0)
    np.put_along_axis(stems, largest, np.where(fits, lifted, lifted - missing), axis=0)
    if not fits.all():
        rest = ~fits[0]
        stems[:, rest] = _hand_over(stems[:, rest], missing[rest])
    return stems, int(np.count_nonzero(beyond))


def _hand_over(stems: NDArray[np.int64], missing: NDArray[np.int64]) -> NDArray[np.int64]:
    """Add ``missing`` ``(M,)`` to the columns of ``stems`` ``(S, M)``, first to the stem with most room in its direction.

    Ends within ``S`` rounds: a round either places all that is missing in a column or fills one more stem of it, and four stems
    hold any sum that a bounce can have.
    """
    for _ in range(STEM_COUNT):
        room = np.where(missing > 0, MAX_SAMPLE - stems, stems - MIN_SAMPLE)
        widest = room.argmax(axis=0)[None]
        most = np.take_along_axis(room, widest, axis=0)[0]
        given = np.sign(missing) * np.minimum(np.abs(missing), most)
        np.put_along_axis(stems, widest, np.take_along_axis(stems, widest, axis=0) + given, axis=0)
        missing = missing - given
    return stems


def _dbfs(power: float, samples: int) -> float | None:
    """RMS in dB below a constant of full scale, from a sum of squares over ``samples``."""
    if power <= 0.0:
        return None
    return round(10.0 * math.log10(power / samples) - 20.0 * math.log10(FULL_SCALE), 2)
