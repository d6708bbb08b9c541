"""Tempo candidates: which periods repeat, and which of them is the beat.

Letters: ``T`` samples, ``F`` frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from separation_service.alignment.onsets import HOP_FRAMES, band_rise
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ

FRAME_HZ = SAMPLE_RATE_HZ / (2 * HOP_FRAMES)
"""172 frames per second: two frames of the onset detector each."""
SLOWEST_BPM, FASTEST_BPM = 48.0, 210.0
_LONGEST_S = 6.0
_LOCAL_S = 0.4
_LOW, _MIDDLE = slice(0, 6), slice(12, 28)  # of 40 bands: kicks, up to 190 Hz; snares, 0.6 to 3.8 kHz
_SAME = 0.02  # relative distance below which two periods are one
_NEAR = 0.012

# Weights of _features for a period to be the beat: fitted as a conditional logit over the candidates of 90 training songs
# of the corpus (seeds 2000 to 2089); benchmarks/analysis.py measures it on others.
_CENTRES = np.array([0.265, 0.372, 0.447, 0.135, 0.215, 0.288, 0.125, -0.304, 0.455])
_SPREADS = np.array([0.239, 0.273, 0.298, 0.184, 0.186, 0.206, 0.145, 0.602, 0.414])
_WEIGHTS = np.array([1.774, -0.171, 1.806, -0.849, -0.062, 0.333, 1.02, 0.851, -1.146])


@dataclass(frozen=True, kw_only=True, eq=False)
class Pulse:
    """Rises of level ``(F,)`` at :data:`FRAME_HZ`, of unit power: in all, low and middle bands."""

    full: NDArray[np.float64]
    low: NDArray[np.float64]
    middle: NDArray[np.float64]

    @classmethod
    def of(cls, mono: NDArray[np.float64]) -> Pulse:
        """Of ``(T,)``."""
        rise = band_rise(mono)
        pairs = rise[:, : rise.shape[1] // 2 * 2].reshape(rise.shape[0], -1, 2).mean(axis=2)
        return cls(
            full=_standing_out(pairs.mean(axis=0)),
            low=_standing_out(pairs[_LOW].mean(axis=0)),
            middle=_standing_out(pairs[_MIDDLE].mean(axis=0)),
        )


@dataclass(frozen=True, kw_only=True)
class Tempo:
    """A candidate: ``period_s`` of its beat and its probability ``share``; all shares sum to 1."""

    period_s: float
    share: float

    @property
    def bpm(self) -> float:
        """In beats a minute."""
        return 60.0 / self.period_s


def tempos(pulse: Pulse, bpm_range: tuple[float, float] | None = None) -> tuple[Tempo, ...]:
    """The candidates, best first; with ``bpm_range`` only those within it. None if nothing repeats."""
    alike = [_likeness(pulse.full, pulse.full), _likeness(pulse.low, pulse.middle)]
    low_bpm, high_bpm = bpm_range or (SLOWEST_BPM, FASTEST_BPM)
    periods = [p for p in _candidates(alike[0], high_bpm) if low_bpm <= 60.0 * FRAME_HZ / p <= high_bpm]
    if not periods:
        return ()
    features = np.array([_features(alike, period) for period in periods])
    scores = ((features - _CENTRES) / _SPREADS) @ _WEIGHTS
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    found = [Tempo(period_s=p / FRAME_HZ, share=float(share)) for p, share in zip(periods, shares, strict=True)]
    return tuple(sorted(found, key=lambda tempo: -tempo.share))


def _standing_out(rise: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.ndimage import uniform_filter1d

    above = np.maximum(rise - uniform_filter1d(rise, round(_LOCAL_S * FRAME_HZ)), 0.0)
    scaled: NDArray[np.float64] = above / max(float(np.sqrt(np.square(above).mean())), 1e-9)
    return scaled


def _likeness(one: NDArray[np.float64], later: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cross-correlation of ``one`` with ``later`` for lags up to 6 s."""
    size = 1 << (2 * one.size - 1).bit_length()
    product = np.fft.irfft(np.conj(np.fft.rfft(one, size)) * np.fft.rfft(later, size), size)
    lags = min(round(_LONGEST_S * FRAME_HZ), one.size)
    likeness: NDArray[np.float64] = product[:lags] / (one.size - np.arange(lags))
    return likeness


def _candidates(alike: NDArray[np.float64], fastest_bpm: float) -> list[float]:
    """The strongest autocorrelation periods in frames, with halves and doubles of the first few."""
    shortest = max(int(60.0 * FRAME_HZ / max(fastest_bpm, 200.0)), 2)
    inner = np.arange(shortest, min(round(60.0 * FRAME_HZ / SLOWEST_BPM), alike.size - 1))
    peaks = inner[(alike[inner] >= alike[inner - 1]) & (alike[inner] > alike[inner + 1]) & (alike[inner] > 0.0)]
    strongest = [_sharpened(alike, int(lag)) for lag in peaks[np.argsort(-alike[peaks])][:8]]
    kept: list[float] = []
    for period in strongest + [period * factor for period in strongest[:4] for factor in (0.5, 2.0)]:
        possible = SLOWEST_BPM <= 60.0 * FRAME_HZ / period <= FASTEST_BPM
        if possible and not any(abs(period / other - 1.0) < _SAME for other in kept):
            kept.append(period)
    return kept


def _sharpened(alike: NDArray[np.float64], lag: int) -> float:
    """The period near ``lag``, refined by its multiples."""
    near = np.linspace(lag - 1.0, lag + 1.0, 41)
    multiples = near[:, None] * np.arange(1, 5)
    return float(near[np.interp(multiples, np.arange(alike.size), alike, right=0.0).sum(axis=1).argmax()])


def _features(alike: list[NDArray[np.float64]], period: float) -> NDArray[np.float64]:
    """Repetition at one, two, four and half a beat; a low rise answered by a middle one, as kick by snare; the tempo."""
    full, backbeat = alike
    octaves = np.log2(60.0 * FRAME_HZ / period / 110.0)
    repeats = [_at(full, period * beats) / full[0] for beats in (1.0, 2.0, 4.0, 0.5)]
    answers = [_at(backbeat, period * beats) for beats in (1.0, 2.0, 0.5)]
    return np.array([*repeats, *answers, octaves, octaves**2])


def _at(alike: NDArray[np.float64], lag: float) -> float:
    """The maximum near ``lag``; 0 beyond the end."""
    reach = max(1, round(_NEAR * lag))
    window = alike[max(round(lag) - reach, 0) : round(lag) + reach + 1]
    return float(window.max(initial=0.0))
