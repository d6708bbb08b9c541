"""Phases of pitched sound below 2 kHz: the peaks of the spectrum advance by their frequencies from frame to frame.

Single pass spectrogram inversion (Beauregard, Harish, Wyse 2015), vectorised over channels and bins. Noise and attacks have no
such peaks; their phases are left to Griffin-Lim, by a weight for each bin and frame. Mels are too coarse to tell the pitch of a
bass, so where the score has a bass note, its peaks get the note's frequencies (docs/decisions/0020-phases.md).

Letters: ``C`` mid and side (2), ``K`` bins, ``L`` bins of the propagated range, ``T`` frames of the take, ``F`` of a block, ``S``
of a block with context.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from render_service.composer.score import Part, Score
from render_service.renderers.latent_diffusion.front_end import FrontEndSpec

_TINY = 1e-9  # avoids a division by zero in silence
_MIN_POWER = 1e-4  # the front end's floor, squared
_GLIDE_BINS = 1.0  # a peak that moved further since the frame before is another one
_A4_HZ, _A4_PITCH = 440.0, 69


@dataclass(frozen=True, kw_only=True)
class PropagationSpec:
    """Where phases are propagated. Each rule is a ramp from full weight to none.

    ``range_hz``: frequencies. ``rise_db``: attacks, by how much the power of ``rise_bins`` bins rises from ``rise_frames``
    before a frame to as many after it. ``peak_db``: noise, by how far the peak, averaged over ``peak_frames`` on both sides,
    is above the mean level of ``peak_bins`` on both sides. A peak below ``bass_hz`` belongs to a bass note if it is within
    ``bass_reach_hz`` of one of the note's harmonics.
    """

    range_hz: tuple[float, float] = (1700.0, 2300.0)
    rise_db: tuple[float, float] = (6.0, 10.0)
    rise_frames: int = 3
    rise_bins: int = 7
    peak_db: tuple[float, float] = (3.0, 1.5)
    peak_frames: int = 4
    peak_bins: int = 4
    bass_hz: float = 180.0
    bass_reach_hz: float = 17.0

    @property
    def context_frames(self) -> int:
        """Frames that a block needs on both sides."""
        return max(self.rise_frames, self.peak_frames)


@dataclass(frozen=True, kw_only=True)
class PropagatedPhases:
    """``turns`` ``(C, L, F)``, and the ``weight`` of each against the phase that Griffin-Lim finds, 0 to 1."""

    turns: Tensor
    weight: Tensor

    def __getitem__(self, frames: slice) -> PropagatedPhases:
        """Some of the frames."""
        return PropagatedPhases(turns=self.turns[..., frames], weight=self.weight[..., frames])

    def over(self, other: PropagatedPhases) -> PropagatedPhases:
        """Both; ``other``, whose range may be shorter, has the weight that this leaves."""
        missing = (0, 0, 0, self.turns.shape[1] - other.turns.shape[1])
        rest = (1.0 - self.weight) * functional.pad(other.weight, missing)
        turn = 2.0 * torch.pi * torch.stack([self.turns, functional.pad(other.turns, missing)])
        mixed = torch.polar(torch.stack([self.weight, rest]), turn).sum(dim=0)
        return PropagatedPhases(turns=torch.angle(mixed) / (2.0 * torch.pi), weight=self.weight + rest)


@dataclass(frozen=True, kw_only=True)
class Target:
    """Magnitudes ``(C, K, F)``, and the phases of the bins that are ``known`` beforehand; None: of no bin."""

    magnitudes: Tensor
    known: PropagatedPhases | None = None

    def __getitem__(self, frames: slice) -> Target:
        """Some of the frames."""
        known = None if self.known is None else self.known[frames]
        return Target(magnitudes=self.magnitudes[..., frames], known=known)


def bass_frequencies(score: Score, front_end: FrontEndSpec, frames: int) -> Tensor:
    """The frequency of the bass note at the centre of each frame, Hz ``(T,)``; NaN where the score has none."""
    found = torch.full((frames,), torch.nan)
    per_second = front_end.sample_rate_hz / front_end.hop_samples
    for note in sorted((note for note in score.notes if note.part is Part.BASS), key=lambda note: note.start_s):
        first, stop = (max(round(second * per_second), 0) for second in (note.start_s, note.end_s))
        found[first:stop] = _A4_HZ * 2.0 ** ((note.pitch - _A4_PITCH) / 12.0)
    return found


class PhasePropagation:
    """Propagates the phases of one take, block by block in order. The phases do not depend on the size of the blocks.

    ``bass_hz``: the frequency of the bass note in each frame ``(T,)``, NaN where none is known.
    """

    def __init__(self, front_end: FrontEndSpec, spec: PropagationSpec, bass_hz: Tensor) -> None:
        self._spec, self._bass_hz = spec, bass_hz
        self._bin_hz = front_end.sample_rate_hz / front_end.window_samples
        self._turns_per_bin = front_end.hop_samples / front_end.window_samples  # per frame, for a frequency of one bin
        self._bins = min(int(self._spec.range_hz[1] / self._bin_hz) + 1, front_end.bins)
        self._in_range = _ramp(torch.arange(self._bins) * self._bin_hz, self._spec.range_hz)[:, None]
        self._turns: Tensor | None = None  # of the block before, (F, C, L)
        self._frequencies: Tensor | None = None  # of its last frame, (C, L)
        self._frames_done = 0

    def next_block(self, target: Target, *, before: int, frames: int, repeated: int) -> PropagatedPhases:
        """The phases of ``frames`` frames, of which the first ``repeated`` were the last of the block before.

        ``target`` of ``S`` frames has ``before`` frames of context before the block, and the rest after it. Phases that it knows
        take the place of propagated ones by their weight, but not in attacks.
        """
        low = target.magnitudes[:, : self._bins]
        owners, measured = _find_peaks(low)
        start = self._frames_done - repeated - before
        note = (self._bass_hz[start : start + low.shape[-1]] / self._bin_hz).to(low.device)
        harmonic = (measured / note).round().clamp(min=1.0) * note
        reach, top = self._spec.bass_reach_hz / self._bin_hz, self._spec.bass_hz / self._bin_hz
        is_bass = ((harmonic - measured).abs() < reach) & (measured < top)  # False for NaN
        pitched = torch.where(is_bass, 1.0, self._pitched(low, owners))
        weight = self._in_range.to(low.device) * pitched * self._outside_attacks(low)
        new = slice(before + repeated, before + frames)
        turns = self._advance(owners[..., new], torch.where(is_bass, harmonic, measured)[..., new])
        if self._turns is not None:
            turns = torch.cat([self._turns[self._turns.shape[0] - repeated :], turns])
        self._turns = turns
        self._frames_done += frames - repeated
        alternating = 0.5 * (torch.arange(self._bins) % 2)  # of a main lobe's phases, counted from the start of a frame
        block = slice(before, before + frames)
        propagated = PropagatedPhases(turns=(turns + alternating).permute(1, 2, 0).to(low), weight=weight[..., block])
        if target.known is None:
            return propagated
        known = target.known
        outside = self._outside_attacks(target.magnitudes[:, : known.turns.shape[1]])
        return PropagatedPhases(turns=known.turns, weight=known.weight * outside)[block].over(propagated)

    def _advance(self, owners: Tensor, frequencies: Tensor) -> Tensor:
        """Phases of the centres of new frames in turns ``(F, C, L)``, in float64 on the CPU: the same on every device."""
        owners, frequencies = owners.permute(2, 0, 1).cpu(), frequencies.permute(2, 0, 1).cpu().double()
        earlier = frequencies[0] if self._frequencies is None else self._frequencies
        previous = torch.cat([earlier[None], frequencies[:-1]]).gather(2, owners)
        self._frequencies = frequencies[-1]
        glides = (previous - frequencies).abs() < _GLIDE_BINS
        step = self._turns_per_bin * torch.where(glides, 0.5 * (previous + frequencies), frequencies)
        turns = torch.zeros_like(step[0]) if self._turns is None else self._turns[-1]
        out = torch.empty_like(step)
        for frame, (owner, advance) in enumerate(zip(owners, step, strict=True)):
            turns = torch.remainder(turns.gather(1, owner) + advance, 1.0)
            out[frame] = turns
        return out

    def _pitched(self, low: Tensor, owners: Tensor) -> Tensor:
        """Weights ``(C, L, S)``: 1 where the peak that owns the bin stands out of the spectrum around it, 0 in noise."""
        around, beside = 2 * self._spec.peak_frames + 1, 2 * self._spec.peak_bins + 1
        level = _decibels(_mean_along(low.square(), around, dim=2))
        prominence = (level - _mean_along(level, beside, dim=1)).gather(1, owners)
        return _ramp(prominence, self._spec.peak_db)

    def _outside_attacks(self, low: Tensor) -> Tensor:
        """Weights ``(C, L, S)``: 0 where the power rises steeply."""
        level, lag = _decibels(_mean_along(low.square(), self._spec.rise_bins, dim=1)), self._spec.rise_frames
        padded = functional.pad(level, (lag, lag), mode="replicate")
        return _ramp(padded[..., 2 * lag :] - padded[..., : -2 * lag], self._spec.rise_db)


def _find_peaks(magnitudes: Tensor) -> tuple[Tensor, Tensor]:
    """The peak that owns each bin, the nearest one, and that peak's frequency in bins: ``(C, L, S)`` each.

    Frequencies between bins follow from three magnitudes of a Hann window (Agrez 2002, three-point interpolation).
    """
    bins = magnitudes.shape[1]
    padded = functional.pad(magnitudes, (0, 0, 1, 1))
    below, above = padded[:, :-2], padded[:, 2:]
    is_peak = (magnitudes > below) & (magnitudes >= above)
    offset = (2.0 * (above - below) / (below + 2.0 * magnitudes + above + _TINY)).clamp(-0.5, 0.5)
    index = torch.arange(bins, device=magnitudes.device)[:, None].expand_as(magnitudes)
    left = torch.where(is_peak, index, -bins).cummax(dim=1).values
    right = torch.where(is_peak, index, 3 * bins).flip(1).cummin(dim=1).values.flip(1)
    owner = torch.where(index - left < right - index, left, right)
    owner = torch.where((owner >= 0) & (owner < bins), owner, index)  # silence has no peaks
    return owner, (index + offset).gather(1, owner)


def _ramp(value: Tensor, bounds: tuple[float, float]) -> Tensor:
    """1 at the first bound and beyond, 0 at the second and beyond."""
    full, none = bounds
    return ((value - none) / (full - none)).clamp(0.0, 1.0)


def _mean_along(values: Tensor, size: int, *, dim: int) -> Tensor:
    """Moving average of ``(C, L, S)`` along bins (1) or frames (2), centred; shorter at the ends."""
    kernel, padding = [1, 1], [0, 0]
    kernel[dim - 1], padding[dim - 1] = size, size // 2
    return functional.avg_pool2d(values, kernel, stride=1, padding=padding, count_include_pad=False)


def _decibels(power: Tensor) -> Tensor:
    return 10.0 * torch.log10(power + _MIN_POWER)
