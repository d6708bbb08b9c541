"""Fits a new stem into the mix, so that the mix keeps the loudness and the third octaves that it had with the old stem.

A separated stem is correlated with the rest of its mix, because some of the other stems' sound is left in it; a new stem is not. If
only the stems' loudness is matched, the mix loses about 1 LU, and more in single bands. Three things bring that back: a gain, some
of the other stems' sound in the old stem, and an equaliser. The last two make the new stem sound like the old one, so they do no
more than the mix needs. Letters: ``C`` channels (2), ``N`` samples, ``B`` third octaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from servicekit.audio.loudness import HOP_FRAMES, gated_lufs, weighted_energy
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ

MAX_BAND_DB = 6.0
MAX_CHANGE_LU = 1.0
"""How far the stem's loudness may leave the old one's for the sake of the mix."""
MAX_SHARED_LU = -6.0
"""Loudness of what is kept of the old stem, against that stem: the new sound prevails."""
MIN_NEW_LU = -3.0
"""Loudness of the new sound, against the old stem."""

_BANDS_HZ = 1000.0 * 2.0 ** (np.arange(-13, 13) / 3.0)  # 50 Hz to 16 kHz
_FFT_FRAMES = 8192
_BATCH_SEGMENTS = 64
_TAPS = 4095
_MAX_SHARE = 0.5
# Cost of a gain in dB squared against the deviation that it mends, so that bands where the stem hardly counts are left alone.
_GAIN_COST = 0.2
_CANDIDATES_DB = np.linspace(-MAX_BAND_DB, MAX_BAND_DB, 121)
_INAUDIBLE = 1e-7  # power against the loudest band of the mix
_GAIN_RANGE_DB = (-24.0, 24.0)
_GAIN_STEPS = 16
_SHARE_STEPS = 8

Block = NDArray[np.float64]
"""``(C, N)``, full scale 1.0."""
Bands = NDArray[np.float64]
"""``(B,)``."""


@dataclass(frozen=True, kw_only=True)
class FitRule:
    """How much of the new sound a fit changes for the sake of the mix.

    ``tolerance_lu``: only as much of the old stem is kept as brings the mix to within this of its loudness; None: all that it
    shares with the rest. ``tolerance_db``: third octaves of the mix that deviate by less are not equalised.
    """

    tolerance_lu: float | None
    tolerance_db: float


FULL_MATCH = FitRule(tolerance_lu=None, tolerance_db=0.0)
"""The nearest mix. It takes the persona from one stem in seven (docs/decisions/0021-loudness.md)."""
MINIMAL_CHANGE = FitRule(tolerance_lu=0.05, tolerance_db=2.0)


@dataclass(frozen=True, kw_only=True)
class BandGain:
    """The equaliser's gain at the centre of a third octave."""

    hz: int
    gain_db: float


@dataclass(frozen=True, kw_only=True)
class MixMatch:
    """How a stem was fitted: the equaliser of the new sound, and its gain after that.

    ``shared_lu`` is the loudness of what was kept of the old stem, against that stem; None if nothing was.
    """

    shared_lu: float | None
    equaliser: tuple[BandGain, ...]
    gain_db: float

    @property
    def facts(self) -> dict[str, Any]:
        """As JSON."""
        bands = [{"hz": band.hz, "gainDb": band.gain_db} for band in self.equaliser]
        return {"sharedLu": self.shared_lu, "equaliser": bands, "gainDb": self.gain_db}


def match_mix(new: Block, old: Block, rest: Block, rule: FitRule, *, loop: bool = False) -> tuple[Block, MixMatch]:
    """Fit ``new`` so that ``rest + stem`` is like ``rest + old``. All ``(C, N)``; ``new`` and ``old`` are audible and equally loud.

    Returns the stem. Its loudness stays within 1 LU of the old one's, that of the new sound in it at most 3 LU below. The equaliser
    is zero-phase, smooth over third octaves and within 6 dB. Of a ``loop`` the filters go round from end to start.
    """
    powers = _BandPowers.of(new, old, rest)
    old_energy, mix_lufs = _energy(old), gated_lufs(_energy(rest + old))
    share, shared, shared_lu = _shared_part(powers, rest, old_energy, loop=loop)
    if rule.tolerance_lu is not None and shared_lu is not None and mix_lufs is not None:
        sounds = _Sounds.of(rest, shared, new)
        factor = sounds.minimum_share(mix_lufs, rule.tolerance_lu, gated_lufs(old_energy))
        share, shared = factor * share, factor * shared
        shared_lu = round(shared_lu + 20.0 * float(np.log10(factor)), 2) if factor > 0.0 else None
    gains_db = _equaliser_db(powers, share, rule.tolerance_db)
    equalised = _filtered(new, 10.0 ** (gains_db / 20.0), loop=loop)
    new_energy = _energy(equalised)
    mix = _Sum.of(_energy(rest + shared), new_energy, _energy(rest + shared + equalised))
    gain_db = mix.gain_db(mix_lufs)
    gain_db = _within_limits(gain_db, _Sum(_energy(shared), new_energy), gated_lufs(old_energy))
    bands = tuple(
        BandGain(hz=round(hz), gain_db=round(gain, 1))
        for hz, gain in zip(_BANDS_HZ.tolist(), gains_db.tolist(), strict=True)
    )
    stem: Block = shared + equalised * 10.0 ** (gain_db / 20.0)
    return stem, MixMatch(shared_lu=shared_lu, equaliser=bands, gain_db=round(gain_db, 2))


@dataclass(frozen=True, kw_only=True, eq=False)
class _BandPowers:
    """Power in each third octave, and the real part of two cross-powers: each ``(B,)``."""

    rest: Bands
    old: Bands
    new: Bands
    rest_old: Bands
    rest_new: Bands

    @classmethod
    def of(cls, new: Block, old: Block, rest: Block) -> _BandPowers:
        """Measured over segments of 186 ms that overlap by half."""
        from scipy.fft import rfft

        hop = _FFT_FRAMES // 2
        segments = max(-(-new.shape[1] // hop) - 1, 1)
        after = (segments + 1) * hop - new.shape[1]
        views = [
            np.lib.stride_tricks.sliding_window_view(np.pad(block, ((0, 0), (0, after))), _FFT_FRAMES, axis=1)[:, ::hop]
            for block in (rest, old, new)
        ]
        window = np.hanning(_FFT_FRAMES)
        sums = np.zeros((5, hop + 1))
        for start in range(0, segments, _BATCH_SEGMENTS):
            spectra = [rfft(view[:, start : start + _BATCH_SEGMENTS] * window) for view in views]
            for row, (a, b) in enumerate(((0, 0), (1, 1), (2, 2), (0, 1), (0, 2))):
                sums[row] += (spectra[a] * spectra[b].conj()).real.sum(axis=(0, 1))
        hz = np.fft.rfftfreq(_FFT_FRAMES, 1.0 / SAMPLE_RATE_HZ)
        inside = (hz >= _BANDS_HZ[:, None] * 2.0 ** (-1.0 / 6.0)) & (hz < _BANDS_HZ[:, None] * 2.0 ** (1.0 / 6.0))
        of_rest, of_old, of_new, rest_old, rest_new = sums @ inside.T
        return cls(rest=of_rest, old=of_old, new=of_new, rest_old=rest_old, rest_new=rest_new)


def _shared_part(
    powers: _BandPowers, rest: Block, old_energy: NDArray[np.float64], *, loop: bool
) -> tuple[Bands, Block, float | None]:
    """What of the old stem is a filtered copy of ``rest``: the filter's gains, the sound, its loudness against the old stem."""
    share = _smooth(
        np.clip(powers.rest_old / (powers.rest + 1e-20 + _INAUDIBLE * powers.rest.max()), -_MAX_SHARE, _MAX_SHARE)
    )
    shared = _filtered(rest, share, loop=loop)
    lufs, old_lufs = gated_lufs(_energy(shared)), gated_lufs(old_energy)
    if lufs is None or old_lufs is None:
        return share, shared, None
    lowered_db = min(old_lufs + MAX_SHARED_LU - lufs, 0.0)
    factor = 10.0 ** (lowered_db / 20.0)
    return factor * share, factor * shared, round(lufs + lowered_db - old_lufs, 2)


def _equaliser_db(powers: _BandPowers, share: Bands, tolerance_db: float) -> Bands:
    """The gains that bring each third octave of the new mix near to that of the old one, or to within ``tolerance_db`` of it."""
    wanted = powers.rest + 2.0 * powers.rest_old + powers.old
    gains, kept = 10.0 ** (_CANDIDATES_DB / 20.0), 1.0 + share[:, None]
    found = kept**2 * powers.rest[:, None] + gains**2 * powers.new[:, None]
    found += 2.0 * kept * gains * powers.rest_new[:, None]
    floor = 1e-20 + _INAUDIBLE * wanted.max()
    deviation_db = 10.0 * np.log10(np.maximum(found, floor) / np.maximum(wanted, floor)[:, None])
    excess_db = np.maximum(np.abs(deviation_db) - tolerance_db, 0.0)
    cost = excess_db**2 + _GAIN_COST * _CANDIDATES_DB**2
    return _smooth(_CANDIDATES_DB[cost.argmin(axis=1)])


def _smooth(of_bands: Bands) -> Bands:
    padded = np.pad(of_bands, 1, mode="edge")
    smooth: Bands = 0.25 * padded[:-2] + 0.5 * of_bands + 0.25 * padded[2:]
    return smooth


def _filtered(block: Block, gains: Bands, *, loop: bool) -> Block:
    """``(C, N)`` under a zero-phase filter with these gains, interpolated over the logarithm of frequency."""
    from scipy.signal import oaconvolve

    hz = np.fft.rfftfreq(_TAPS + 1, 1.0 / SAMPLE_RATE_HZ)
    response = np.interp(np.log2(np.maximum(hz, 1.0)), np.log2(_BANDS_HZ), gains)
    taps = np.fft.fftshift(np.fft.irfft(response))[1:] * np.hanning(_TAPS)
    # A stem goes on before and after a region; its reflection stands for that. A loop goes round.
    around = min(_TAPS // 2, block.shape[1] - 1)
    padded = np.pad(block, ((0, 0), (around, around)), mode="wrap" if loop else "reflect")
    filtered: Block = oaconvolve(padded, taps[None], mode="same", axes=1)[:, around : around + block.shape[1]]
    return filtered


def _within_limits(gain_db: float, stem: _Sum, old_lufs: float | None) -> float:
    """The gain nearest to ``gain_db`` that keeps the loudness of the stem and of the new sound in it."""
    new_lufs = gated_lufs(stem.scaled)
    if old_lufs is None or new_lufs is None:
        return 0.0
    lowest_db = max(stem.gain_db(old_lufs - MAX_CHANGE_LU), old_lufs + MIN_NEW_LU - new_lufs)
    return min(max(gain_db, lowest_db), stem.gain_db(old_lufs + MAX_CHANGE_LU))


@dataclass(frozen=True, eq=False)
class _Sum:
    """The weighted energies of two sounds, the second under a gain, and of what they have in common."""

    fixed: NDArray[np.float64]
    scaled: NDArray[np.float64]
    common: NDArray[np.float64] | float = 0.0

    @classmethod
    def of(cls, fixed: NDArray[np.float64], scaled: NDArray[np.float64], both: NDArray[np.float64]) -> _Sum:
        """Of two sounds that may be correlated, and of their sum."""
        return cls(fixed, scaled, both - fixed - scaled)

    def gain_db(self, lufs: float | None) -> float:
        """The gain at which the sum has this loudness, or the nearest within 24 dB."""
        low_db, high_db = _GAIN_RANGE_DB
        for _ in range(_GAIN_STEPS):
            middle_db = 0.5 * (low_db + high_db)
            gain = 10.0 ** (middle_db / 20.0)
            found = gated_lufs(self.fixed + gain * self.common + gain**2 * self.scaled)
            if found is None or lufs is None or found < lufs:
                low_db = middle_db
            else:
                high_db = middle_db
        return 0.5 * (low_db + high_db)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sounds:
    """The weighted energies of the rest, of what is kept of the old stem and of the new sound, and what each two have in common."""

    rest: NDArray[np.float64]
    shared: NDArray[np.float64]
    new: NDArray[np.float64]
    rest_shared: NDArray[np.float64]
    rest_new: NDArray[np.float64]
    shared_new: NDArray[np.float64]

    @classmethod
    def of(cls, rest: Block, shared: Block, new: Block) -> _Sounds:
        """Measured on the sounds and on the sums of each two."""
        of_rest, of_shared, of_new = _energy(rest), _energy(shared), _energy(new)
        return cls(
            rest=of_rest,
            shared=of_shared,
            new=of_new,
            rest_shared=_energy(rest + shared) - of_rest - of_shared,
            rest_new=_energy(rest + new) - of_rest - of_new,
            shared_new=_energy(shared + new) - of_shared - of_new,
        )

    def minimum_share(self, mix_lufs: float, tolerance_lu: float, old_lufs: float | None) -> float:
        """The smallest factor of the shared sound with which the mix, under a gain, has ``mix_lufs``; at most 1."""
        missing_lu = mix_lufs - self._reached_lufs(0.0, mix_lufs, old_lufs)
        if abs(missing_lu) <= tolerance_lu:
            return 0.0
        low, high = 0.0, 1.0
        for _ in range(_SHARE_STEPS):
            middle = 0.5 * (low + high)
            left_lu = np.sign(missing_lu) * (mix_lufs - self._reached_lufs(middle, mix_lufs, old_lufs))
            if left_lu > tolerance_lu:
                low = middle
            else:
                high = middle
        return high

    def _reached_lufs(self, factor: float, mix_lufs: float, old_lufs: float | None) -> float:
        """Loudness of the mix with this factor and the gain that brings it nearest to ``mix_lufs``."""
        shared = factor**2 * self.shared
        fixed = self.rest + shared + factor * self.rest_shared
        common = self.rest_new + factor * self.shared_new
        gain_db = _within_limits(_Sum(fixed, self.new, common).gain_db(mix_lufs), _Sum(shared, self.new), old_lufs)
        gain = 10.0 ** (gain_db / 20.0)
        return gated_lufs(fixed + gain * common + gain**2 * self.new) or -np.inf


def _energy(block: Block) -> NDArray[np.float64]:
    """The weighted energy of each hop of ``(C, N)``, padded with silence to 1 s so that a short bar has a loudness."""
    short = max(SAMPLE_RATE_HZ - block.shape[1], 0)
    return weighted_energy(np.pad(block, ((0, 0), (0, short))), HOP_FRAMES)
