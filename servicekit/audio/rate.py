"""Sample rate conversion, for models and uploads that do not have 44100 Hz.

A linear-phase polyphase FIR: a sinc under a Kaiser window. Between 44100 Hz and a higher rate its pass band reaches to 20 kHz and
its stop band starts at 22.05 kHz; with a lower rate both are lower in proportion. tests/unit/servicekit/test_audio_rate.py measures
ripple and attenuation. scipy.signal is imported by the first conversion, because that takes almost a second. Letters: ``C``
channels, ``T`` samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_PASS_SHARE = 20000.0 / 44100.0
_ATTENUATION_DB = 130.0
_CACHED_FILTERS = 8


def convert_rate(waveform: NDArray[np.float32], *, from_hz: int, to_hz: int) -> NDArray[np.float32]:
    """Convert ``(C, T)`` to ``(C, converted_frames(T))`` float32, computed in float64, without a delay.

    Equal rates return ``waveform`` itself.
    """
    if from_hz == to_hz:
        return waveform
    from scipy.signal import resample_poly

    up, down = _ratio(from_hz, to_hz)
    taps = low_pass(from_hz, to_hz)
    channels = [resample_poly(channel.astype(np.float64), up, down, window=taps) for channel in waveform]
    return np.stack(channels).astype(np.float32)


def convert_blocks(
    blocks: Iterable[NDArray[np.float64]], *, from_hz: int, to_hz: int, frames: int
) -> Iterator[NDArray[np.float64]]:
    """Convert consecutive blocks ``(C, N)`` of ``frames`` samples a channel in all, in memory that does not grow with their number.

    The samples that come out are those of the whole recording converted at once: `converted_frames` of them. The rates must differ.
    """
    from scipy.signal import resample_poly

    up, down = _ratio(from_hz, to_hz)
    taps = low_pass(from_hz, to_hz)
    # Samples before and after a stretch that its output depends on, in whole periods of the ratio, so that the phases stay aligned.
    context = -(-(len(taps) // 2) // (up * down)) * down
    pending: NDArray[np.float64] | None = None
    begin = 0  # index of the first sample in `pending`, and, in what follows, of the next one to convert
    position = received = 0
    for block in blocks:
        received += block.shape[1]
        pending = block if pending is None else np.concatenate((pending, block), axis=1)
        end = received if received == frames else max((received - context) // down * down, position)
        if end == position:
            continue
        first = max(position - context, 0)
        stretch = pending[:, first - begin : min(end + context, received) - begin]
        converted = np.stack([resample_poly(channel, up, down, window=taps) for channel in stretch])
        start = (position - first) * up // down
        count = converted_frames(end, from_hz=from_hz, to_hz=to_hz) - position * up // down
        yield converted[:, start : start + count]
        position = end
        begin, pending = max(end - context, 0), pending[:, max(end - context, 0) - begin :]


def converted_frames(frames: int, *, from_hz: int, to_hz: int) -> int:
    """How many samples ``frames`` samples become: rounded up."""
    up, down = _ratio(from_hz, to_hz)
    return -(-frames * up // down)


@lru_cache(maxsize=_CACHED_FILTERS)
def low_pass(from_hz: int, to_hz: int) -> NDArray[np.float64]:
    """The filter's taps at the lowest common multiple of both rates: an odd number of them, with sum 1."""
    from scipy.signal import firwin, kaiserord

    rate_hz = math.lcm(from_hz, to_hz)
    pass_hz, stop_hz = _band_edges_hz(from_hz, to_hz)
    count, beta = kaiserord(_ATTENUATION_DB, (stop_hz - pass_hz) / (rate_hz / 2.0))
    taps: NDArray[np.float64] = firwin(count | 1, (pass_hz + stop_hz) / 2.0, window=("kaiser", beta), fs=rate_hz)
    return taps


def conversion_text(*, from_hz: int, to_hz: int) -> str:
    """The conversion in words, for the manifest's ``processing``."""
    pass_hz, stop_hz = _band_edges_hz(from_hz, to_hz)
    return (
        f"rate {from_hz} Hz to {to_hz} Hz, once, by a linear-phase polyphase FIR (Kaiser window, pass band to "
        f"{pass_hz / 1000:.4g} kHz, stop band from {stop_hz / 1000:g} kHz at -{_ATTENUATION_DB:g} dB)"
    )


def _band_edges_hz(from_hz: int, to_hz: int) -> tuple[float, float]:
    lower_hz = min(from_hz, to_hz)
    return _PASS_SHARE * lower_hz, lower_hz / 2.0


def _ratio(from_hz: int, to_hz: int) -> tuple[int, int]:
    """Interpolation and decimation factor, without a common divisor."""
    shared = math.gcd(from_hz, to_hz)
    return to_hz // shared, from_hz // shared
