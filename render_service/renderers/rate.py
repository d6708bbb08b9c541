"""Sample rate conversion, for renderers whose models run at another rate than the house's 44100 Hz.

A linear-phase polyphase FIR: a sinc under a Kaiser window, flat to 20 kHz, closed from 22.05 kHz on
(docs/measurements.md has its measured ripple and attenuation). Letters: ``C`` channels, ``T`` samples.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import firwin, kaiserord, resample_poly

_PASS_HZ = 20000.0
_STOP_HZ = 22050.0
_ATTENUATION_DB = 130.0


def convert_rate(waveform: NDArray[np.float32], *, from_hz: int, to_hz: int) -> NDArray[np.float32]:
    """``(C, T)`` to ``(C, ceil(T * to_hz / from_hz))``, float32, computed in float64; both start at the same instant.

    Rates are at least 44100 Hz. One rate twice gives the argument itself.
    """
    if from_hz == to_hz:
        return waveform
    if min(from_hz, to_hz) < 2 * _STOP_HZ:
        raise ValueError(f"wanted rates of at least {2 * _STOP_HZ:g} Hz, got {from_hz} and {to_hz}")
    shared = math.gcd(from_hz, to_hz)
    up, down = to_hz // shared, from_hz // shared
    taps = low_pass(up * from_hz)
    channels = [resample_poly(channel.astype(np.float64), up, down, window=taps) for channel in waveform]
    return np.stack(channels).astype(np.float32)


@cache
def low_pass(rate_hz: int) -> NDArray[np.float64]:
    """The filter's taps at the rate that both others divide, an odd number, with a sum of 1."""
    count, beta = kaiserord(_ATTENUATION_DB, (_STOP_HZ - _PASS_HZ) / (rate_hz / 2.0))
    taps: NDArray[np.float64] = firwin(count | 1, (_PASS_HZ + _STOP_HZ) / 2.0, window=("kaiser", beta), fs=rate_hz)
    return taps


def described(*, from_hz: int, to_hz: int) -> str:
    """The conversion in words, for the manifest's ``processing``."""
    return (
        f"rate {from_hz} Hz to {to_hz} Hz, once, by a linear-phase polyphase FIR (Kaiser window, pass band to "
        f"{_PASS_HZ / 1000:g} kHz, stop band from {_STOP_HZ / 1000:g} kHz at -{_ATTENUATION_DB:g} dB)"
    )
