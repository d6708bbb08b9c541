"""A demucs model or bag of models as rows of sources, and the stems they form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from demucs.apply import BagOfModels
from torch import nn

from separation_service.engine.separator import CHANNELS, SAMPLE_RATE_HZ
from servicekit.delivery.names import STEMS, StemName
from servicekit.errors import FailedPrecondition


@dataclass(frozen=True, kw_only=True)
class Member:
    """One model of the bag, its index, and the weight of each of its sources in the bag's average."""

    index: int
    model: nn.Module
    weights: tuple[float, ...]

    @property
    def rows(self) -> tuple[int, ...]:
        """Sources with a nonzero weight: the only ones used of this model."""
        return tuple(row for row, weight in enumerate(self.weights) if weight != 0)

    @property
    def segment_samples(self) -> int:
        """Length of the model's segments in samples: its `segment` in seconds, converted as demucs does."""
        model: Any = self.model
        return int(model.samplerate * model.segment)

    @property
    def full_samples(self) -> int:
        """Input samples for a full segment, padding included."""
        return self.padded_samples(self.segment_samples)

    def padded_samples(self, length: int) -> int:
        """Input samples for ``length`` output samples, padding included."""
        valid_length = getattr(self.model, "valid_length", None)
        return length if valid_length is None else int(valid_length(length))


@dataclass(frozen=True, kw_only=True)
class Bag:
    """One or more models over the same sources, in the models' own order."""

    members: tuple[Member, ...]
    sources: tuple[str, ...]

    @property
    def totals(self) -> tuple[float, ...]:
        """Sum of each source's weights over all members; demucs divides by it."""
        return tuple(sum(column) for column in zip(*(member.weights for member in self.members), strict=True))

    def rows(self, stem: StemName) -> tuple[int, ...]:
        """Sources that form a stem; sources other than the four stems belong to ``other``."""
        if stem != StemName.OTHER:
            return (self.sources.index(stem),)
        return (
            self.sources.index(StemName.OTHER),
            *(row for row, source in enumerate(self.sources) if source not in STEMS),
        )

    def rows_of(self, stems: Sequence[StemName]) -> tuple[int, ...]:
        """Sources needed for these stems, each once, in the models' order."""
        return tuple(sorted({row for stem in stems for row in self.rows(stem)}))

    def work(self, stems: Sequence[StemName]) -> list[tuple[Member, tuple[int, ...]]]:
        """The members that must run for these stems, each with the sources used of it."""
        needed = self.rows_of(stems)
        kept = [(member, tuple(row for row in needed if member.weights[row] != 0)) for member in self.members]
        return [(member, rows) for member, rows in kept if rows]


def open_bag(model: nn.Module, name: str) -> Bag:
    """Check what demucs loaded: stereo at 44.1 kHz, with the four stems among its sources.

    Raises `FailedPrecondition` (MODEL_UNUSABLE) otherwise.
    """
    loaded: Any = model
    sources = tuple(str(source) for source in loaded.sources)
    if isinstance(model, BagOfModels):
        members = tuple(
            Member(index=index, model=one, weights=tuple(float(weight) for weight in weights))
            for index, (one, weights) in enumerate(zip(loaded.models, loaded.weights, strict=True))
        )
    else:
        members = (Member(index=0, model=model, weights=(1.0,) * len(sources)),)
    bag = Bag(members=members, sources=sources)
    _check(bag, name, sample_rate_hz=int(loaded.samplerate), channels=int(loaded.audio_channels))
    return bag


def _check(bag: Bag, name: str, *, sample_rate_hz: int, channels: int) -> None:
    problems = []
    if sample_rate_hz != SAMPLE_RATE_HZ or channels != CHANNELS:
        problems.append(f"expected {CHANNELS} channels at {SAMPLE_RATE_HZ} Hz, got {channels} at {sample_rate_hz} Hz")
    missing = [stem for stem in STEMS if stem not in bag.sources]
    if missing:
        problems.append(f"expected the sources {', '.join(STEMS)}, got {', '.join(bag.sources)}")
    unweighted = [source for source, total in zip(bag.sources, bag.totals, strict=True) if total == 0]
    if unweighted:
        problems.append(f"no model of the bag has a weight for {', '.join(unweighted)}")
    if problems:
        raise FailedPrecondition(
            f"separator {name!r} cannot be used: {'; '.join(problems)}; choose another model",
            reason="MODEL_UNUSABLE",
            metadata={"model": name},
        )
