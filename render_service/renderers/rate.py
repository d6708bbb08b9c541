"""Sample rate conversion, for renderers whose models do not run at 44100 Hz.

A linear-phase polyphase FIR: a sinc under a Kaiser window, with a pass band to 20 kHz and a stop band from 22.05 kHz
(tests/unit/render/test_rate.py measures ripple and attenuation). Letters: ``C`` channels, ``T`` samples.
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
    """Convert ``(C, T)`` to ``(C, ceil(T * to_hz / from_hz))`` float32, computed in float64, without a delay.

    Raises ValueError for rates below 44100 Hz. Equal rates return ``waveform`` itself.
    """
    if from_hz == to_hz:
        return waveform
    if min(from_hz, to_hz) < 2 * _STOP_HZ:
        raise ValueError(f"rates must be at least {2 * _STOP_HZ:g} Hz, got {from_hz} and {to_hz}")
    shared = math.gcd(from_hz, to_hz)
    up, down = to_hz // shared, from_hz // shared
    taps = low_pass(up * from_hz)
    channels = [resample_poly(channel.astype(np.float64), up, down, window=taps) for channel in waveform]
    return np.stack(channels).astype(np.float32)


@cache
def low_pass(rate_hz: int) -> NDArray[np.float64]:
    """The filter's taps at ``rate_hz``, a common multiple of both rates: an odd number of them, with sum 1."""
    count, beta = kaiserord(_ATTENUATION_DB, (_STOP_HZ - _PASS_HZ) / (rate_hz / 2.0))
    taps: NDArray[np.float64] = firwin(count | 1, (_PASS_HZ + _STOP_HZ) / 2.0, window=("kaiser", beta), fs=rate_hz)
    return taps


def conversion_text(*, from_hz: int, to_hz: int) -> str:
    """The conversion in words, for the manifest's ``processing``."""
    return (
        f"rate {from_hz} Hz to {to_hz} Hz, once, by a linear-phase polyphase FIR (Kaiser window, pass band to "
        f"{_PASS_HZ / 1000:g} kHz, stop band from {_STOP_HZ / 1000:g} kHz at -{_ATTENUATION_DB:g} dB)"
    )
