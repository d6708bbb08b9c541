"""The sound of takes, whatever their notes: contrast, movement, tonality, spectral balance, width.

Independent of the renderer's front end. Letters: ``T`` samples, ``M`` bands, ``K`` bins, ``F`` frames, ``B`` bars.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import librosa
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from render_service.music.tempo_map import TempoMap
from training.evaluation.section import Goal, Section
from training.evaluation.takes import NOISE, TAKES, TRUE_AUDIO, Comparison, Waveform, waveforms
from training.metrics import RATE_HZ

Levels = NDArray[np.float64]

_WINDOW = 2048
_HOP = 512
_BANDS = 96
_RANGE_HZ = (30.0, 20_000.0)
_KNEE_HZ = 150.0
_RANGE_DB = 70.0  # below the loudest band of a take, levels are raised to this floor
_CONTRAST_BANDS = 9
_TONAL_WINDOW = 8192
_TONAL_HOP = 4096
_LOW_PARTIALS_HZ = (200.0, 800.0)
_HIGH_PARTIALS_HZ = (800.0, 4000.0)
_FLATNESS_HZ = (200.0, 4000.0)
_TOP_SHARE = 0.2
_MODULATION_HZ = (2.0, 16.0)
_THIRDS = np.arange(-13, 13)  # third octaves from 50 Hz to 16 kHz, relative to 1 kHz
_BAR_STEPS = 16


@dataclass(frozen=True, kw_only=True)
class Sound:
    """Figures of one take; all but ``bar_similarity`` in dB.

    ``contrast``: standard deviation of the band levels about their mean over nine bands, averaged over frames. ``deviation``:
    standard deviation of each band's level over time, averaged over bands. ``modulation``: power of the bands' envelopes at 2 to
    16 Hz over their mean power. ``flatness``: spectral flatness, 200 to 4000 Hz. ``low_partials`` and ``high_partials``: mean
    level of the strongest fifth of the bins above the median, 200 to 800 Hz and 0.8 to 4 kHz. ``width``: side over middle.
    ``crest``: peak over RMS. ``bar_similarity``: mean correlation of each bar's band levels with those of the bar before.
    """

    contrast: float
    deviation: float
    modulation: float
    flatness: float
    low_partials: float
    high_partials: float
    width: float
    crest: float
    bar_similarity: float


def sound(comparisons: Sequence[Comparison]) -> Section:
    """Medians of the figures over true audio, upper bounds, noise and takes."""
    maps = [comparison.song.tempo_map for comparison in comparisons]
    own = [third_octaves_db(comparison.song.mix) for comparison in comparisons]
    medians, rows = {}, []
    for name, waves in waveforms(comparisons).items():
        medians[name] = _median([measure_sound(wave, grid) for wave, grid in zip(waves, maps, strict=True)])
        balance = _balance_errors([third_octaves_db(wave) for wave in waves], own)
        rows.append((name, *_cells(medians[name]), f"{np.median(balance):.1f}"))
    others = _balance_errors([*own[1:], own[0]], own)
    rows.append(("another song", *["-"] * len(Sound.__dataclass_fields__), f"{np.median(others):.1f}"))
    true, takes, noise = (medians[name] for name in (TRUE_AUDIO, TAKES, NOISE))
    return Section(
        title="Sound",
        note=(
            f"Medians over {len(comparisons)} songs, in dB except bar similarity. The null is noise with each song's spectrum and"
            f" stereo image: contrast {noise.contrast:.1f} and partials above the median are what noise has by chance. Third"
            " octaves: mean difference from the song's own balance, with another song's as the null."
        ),
        head=(
            "",
            "band contrast",
            "deviation over time",
            "modulation, 2-16 Hz",
            "flatness",
            "partials, 200-800 Hz",
            "partials, 0.8-4 kHz",
            "side / middle",
            "crest",
            "bar similarity",
            "third octaves",
        ),
        rows=rows,
        goals=(
            Goal(name="band contrast, dB", value=takes.contrast, target=4.5),
            Goal(name="deviation of band levels over time, dB", value=takes.deviation, target=10.5),
            Goal(
                name="partials at 200-800 Hz, dB from true audio",
                value=abs(takes.low_partials - true.low_partials),
                target=2.0,
                at_most=True,
            ),
            Goal(
                name="partials at 0.8-4 kHz, dB from true audio",
                value=abs(takes.high_partials - true.high_partials),
                target=2.0,
                at_most=True,
            ),
            Goal(
                name="bar similarity above that of true audio",
                value=takes.bar_similarity - true.bar_similarity,
                target=0.05,
                at_most=True,
            ),
        ),
    )


def _median(values: Sequence[Sound]) -> Sound:
    found = {name: [getattr(one, name) for one in values] for name in Sound.__dataclass_fields__}
    known = {name: [value for value in of_name if not np.isnan(value)] for name, of_name in found.items()}
    return Sound(**{name: float(np.median(of_name)) if of_name else float("nan") for name, of_name in known.items()})


def _balance_errors(found: Sequence[Levels], expected: Sequence[Levels]) -> list[float]:
    return [float(np.abs(one - other).mean()) for one, other in zip(found, expected, strict=True)]


def _cells(one: Sound) -> tuple[str, ...]:
    names = list(Sound.__dataclass_fields__)
    return tuple(f"{getattr(one, name):.{2 if name == 'bar_similarity' else 1}f}" for name in names)


def measure_sound(take: Waveform, tempo_map: TempoMap) -> Sound:
    """The figures of ``(2, T)``."""
    power = band_power(take)
    levels = band_levels_db(power)
    tonal = np.abs(librosa.stft(take.mean(axis=0), n_fft=_TONAL_WINDOW, hop_length=_TONAL_HOP))
    tonal = tonal[:, _sounding(tonal)]
    return Sound(
        contrast=contrast_db(levels),
        deviation=float(levels.std(axis=1).mean()),
        modulation=modulation_db(power),
        flatness=flatness_db(_bins(tonal, _FLATNESS_HZ)),
        low_partials=partials_db(_bins(tonal, _LOW_PARTIALS_HZ)),
        high_partials=partials_db(_bins(tonal, _HIGH_PARTIALS_HZ)),
        width=width_db(take),
        crest=crest_db(take),
        bar_similarity=bar_similarity(levels, tempo_map),
    )


def band_power(take: Waveform) -> Levels:
    """Power of the middle signal in 96 bands ``(M, F)``; bands are spaced evenly in ln(1 + f / 150 Hz)."""
    magnitude = np.abs(librosa.stft(take.mean(axis=0), n_fft=_WINDOW, hop_length=_HOP))
    return np.asarray(_band_matrix() @ np.square(magnitude), dtype=np.float64)


def band_levels_db(power: Levels) -> Levels:
    """Levels below the loudest ``(M, F)``, at least -70 dB."""
    share = power / max(float(power.max()), 1e-30)
    return np.asarray(10.0 * np.log10(np.maximum(share, 10.0 ** (-_RANGE_DB / 10.0))))


def contrast_db(levels: Levels) -> float:
    """Standard deviation of the levels ``(M, F)`` about their running mean over nine bands, averaged over frames."""
    return float((levels - uniform_filter1d(levels, _CONTRAST_BANDS, axis=0, mode="nearest")).std(axis=0).mean())


def modulation_db(power: Levels) -> float:
    """Power of the envelopes of the bands ``(M, F)`` between 2 and 16 Hz over the power of their means, in the mean of bands."""
    envelopes = np.sqrt(power)
    spectrum = np.square(np.abs(np.fft.rfft(envelopes * np.hanning(envelopes.shape[1]), axis=1)))
    hz = np.fft.rfftfreq(envelopes.shape[1], _HOP / RATE_HZ)
    moving = spectrum[:, (hz >= _MODULATION_HZ[0]) & (hz <= _MODULATION_HZ[1])].sum(axis=1)
    return float(np.mean(10.0 * np.log10((moving + 1e-20) / (spectrum[:, 0] + 1e-20))))


def flatness_db(magnitude: Levels) -> float:
    """Geometric over arithmetic mean of the power of the bins ``(K, F)``, averaged over frames; 0 is the highest value."""
    power = np.square(magnitude) + 1e-20
    return float(np.mean(10.0 * (np.log10(power).mean(axis=0) - np.log10(power.mean(axis=0)))))


def partials_db(magnitude: Levels) -> float:
    """Mean level of the strongest fifth of the bins ``(K, F)`` above the median, averaged over frames."""
    ordered = 20.0 * np.log10(np.sort(magnitude, axis=0) + 1e-10)
    count = max(round(_TOP_SHARE * len(ordered)), 1)
    return float((ordered[-count:].mean(axis=0) - np.median(ordered, axis=0)).mean())


def width_db(take: Waveform) -> float:
    """RMS of the side over that of the middle, dB, at least -80."""
    middle, side = 0.5 * (take[0] + take[1]), 0.5 * (take[0] - take[1])
    return float(10.0 * np.log10(_power(side) / max(_power(middle), 1e-20) + 1e-8))


def crest_db(take: Waveform) -> float:
    """Peak over RMS of the louder channel."""
    return max(float(20.0 * np.log10(np.abs(side).max() / np.sqrt(max(_power(side), 1e-20)) + 1e-10)) for side in take)


def third_octaves_db(take: Waveform) -> Levels:
    """Power in the third octaves from 50 Hz to 16 kHz relative to their sum ``(26,)``, dB."""
    spectrum = np.square(np.abs(np.fft.rfft(take.astype(np.float64), axis=1))).sum(axis=0)
    hz = np.fft.rfftfreq(take.shape[1], 1.0 / RATE_HZ)
    edges = 1000.0 * 2.0 ** ((np.append(_THIRDS, _THIRDS[-1] + 1) - 0.5) / 3.0)
    power = np.array([spectrum[(hz >= low) & (hz < high)].sum() for low, high in pairwise(edges)])
    return np.asarray(10.0 * np.log10(power / max(float(power.sum()), 1e-30) + 1e-9))


def bar_similarity(levels: Levels, tempo_map: TempoMap) -> float:
    """Mean correlation of successive whole bars of ``(M, F)``, each resampled to 16 steps; NaN with fewer than two bars.

    The mean of each band over time is subtracted first, so that a constant spectrum is not similarity.
    """
    hop_s = _HOP / RATE_HZ
    lines = tempo_map.bars_s(levels.shape[1] * hop_s)
    moving = levels - levels.mean(axis=1, keepdims=True)
    bars = [_resampled(moving, start / hop_s, stop / hop_s).ravel() for start, stop in pairwise(lines)]
    found = [float(np.corrcoef(one, other)[0, 1]) for one, other in pairwise(bars) if one.std() and other.std()]
    return float(np.mean(found)) if found else float("nan")


def _resampled(levels: Levels, start: float, stop: float) -> Levels:
    """The mean level in each of 16 equal steps between two frames ``(M, 16)``."""
    edges = np.round(np.linspace(start, stop, _BAR_STEPS + 1)).astype(int)
    return np.stack([levels[:, low : max(high, low + 1)].mean(axis=1) for low, high in pairwise(edges)], axis=1)


def _bins(magnitude: Levels, range_hz: tuple[float, float]) -> Levels:
    first, last = (round(hz * _TONAL_WINDOW / RATE_HZ) for hz in range_hz)
    return magnitude[first : last + 1]


def _sounding(magnitude: Levels) -> NDArray[np.bool_]:
    """The frames within 50 dB of the loudest."""
    level = np.square(magnitude).sum(axis=0)
    return np.asarray(level >= 1e-5 * level.max())


def _power(signal: NDArray[np.float32]) -> float:
    return float(np.square(signal, dtype=np.float64).mean())


@cache
def _band_matrix() -> Levels:
    """Triangular filters ``(M, K)``; a band without half a bin of its own takes the nearest bins."""
    hz = np.arange(_WINDOW // 2 + 1) * RATE_HZ / _WINDOW
    low, high = (np.log1p(edge / _KNEE_HZ) for edge in _RANGE_HZ)
    edges = _KNEE_HZ * np.expm1(np.linspace(low, high, _BANDS + 2))
    rows = []
    for left, centre, right in zip(edges[:-2], edges[1:-1], edges[2:], strict=True):
        row = np.clip(np.minimum((hz - left) / (centre - left), (right - hz) / (right - centre)), 0.0, None)
        rows.append(row if row.sum() >= 0.5 else np.clip(1.0 - np.abs(hz - centre) / hz[1], 0.0, None))
    return np.stack(rows)
