"""What phase recovery keeps of tones, attacks and the stereo image: held-out songs through front end, autoencoder and vocoder.

    python -m benchmarks.phase [--renderer NAME_OR_DIR] [--songs 8] [--seconds 10]

The first table has true audio, Griffin-Lim alone, and phase recovery as shipped without and with the song's score, all from the
same magnitudes: the mean of each figure over the songs, and the processor seconds of a recovery. The second has sound without
pitch, in which a vocoder can make tones out of noise.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.phase_figures import partials_db, pitched_figures, steady_peaks_db
from render_service.composer.score import Score
from render_service.renderers.latent_diffusion.flow import NOISE_BLOCK_FRAMES, block_noise
from render_service.renderers.latent_diffusion.phase import PhaseSpec, recover_phase
from render_service.renderers.latent_diffusion.phase_propagation import PropagationSpec, Target, bass_frequencies
from render_service.renderers.latent_diffusion.stack import LatentDiffusion
from render_service.renderers.latent_diffusion.vocoder import MagnitudeInverse, recover_magnitude
from render_service.renderers.load import load_latent_diffusion
from training.corpus.compose import HELD_OUT_SEEDS, compose
from training.corpus.song import perform
from training.metrics import RATE_HZ, Waveform

_SEEDS = HELD_OUT_SEEDS[20_000:]
_DRUM_SONGS = 2
_NOWHERE = PropagationSpec(range_hz=(-2.0, -1.0))
METHODS: Mapping[str, PhaseSpec] = {"Griffin-Lim alone": PhaseSpec(propagation=_NOWHERE), "as shipped": PhaseSpec()}
WITH_SCORE = "as shipped, with the score"


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """Audio ``(2, T)`` and the processor seconds of its phase recovery."""

    audio: Waveform
    seconds: float


class PhaseBenchmark:
    """Encodes audio with a renderer and recovers it with different phases."""

    def __init__(self, renderer: LatentDiffusion) -> None:
        self._renderer = renderer
        self._inverse = MagnitudeInverse(renderer.nets.front_end)

    def magnitudes(self, audio: Waveform) -> Tensor:
        """Magnitudes ``(C, K, F)`` of the decoded latents of ``(2, T)``."""
        renderer = self._renderer
        with torch.inference_mode():
            log_mel = renderer.log_mel(renderer.encode(audio))
            return recover_magnitude(renderer.nets.vocoder, self._inverse, renderer.nets.front_end, log_mel)[0]

    def recover(self, magnitudes: Tensor, spec: PhaseSpec, samples: int, score: Score | None) -> Recovered:
        """Left and right of magnitudes ``(C, K, F)``, with the checkpoint's number of iterations."""
        front_end, frames = self._renderer.nets.front_end, magnitudes.shape[-1]
        before = time.process_time()
        with torch.inference_mode():
            middle, side = recover_phase(
                front_end,
                lambda first, stop: Target(magnitudes=magnitudes[..., first:stop]),
                frames,
                self._initial_turns,
                iterations=self._renderer.config.vocoder.iterations,
                report=lambda *_: None,
                bass_hz=None if score is None else bass_frequencies(score, front_end.spec, frames),
                spec=spec,
            ).numpy()
        seconds = time.process_time() - before
        return Recovered(audio=np.stack([middle + side, middle - side])[:, :samples], seconds=seconds)

    def _initial_turns(self, first: int, stop: int) -> Tensor:
        bins, block = self._renderer.config.front_end.bins, first // NOISE_BLOCK_FRAMES
        start = block * NOISE_BLOCK_FRAMES
        drawn = block_noise(0, channels=2 * bins, frames=stop - start, first_block=block, purpose="phase")
        return drawn[:, first - start :].reshape(2, bins, -1)


def unpitched(seconds: float) -> dict[str, Waveform]:
    """White and pink noise, and the drums of two held-out songs, each ``(2, T)``."""
    rng, samples = np.random.default_rng(0), round(seconds * RATE_HZ)
    white = rng.standard_normal((2, samples))
    spectrum = np.fft.rfft(white)
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(spectrum.shape[1]), 20.0 * seconds)), samples)
    sounds = {
        name: (0.1 * noise / noise.std()).astype(np.float32)
        for name, noise in (("white noise", white), ("pink noise", pink))
    }
    for seed in _SEEDS[:_DRUM_SONGS]:
        sounds[f"drums of song {seed}"] = perform(compose(seed, seconds=seconds)).stems["drums"]
    return sounds


def unpitched_figures(audio: Waveform) -> dict[str, float]:
    """Figures of ``(2, T)`` that rise when noise becomes tonal."""
    return {
        "peaks that stay, dB": steady_peaks_db(audio),
        "partials 0.2-0.8 kHz, dB": partials_db(audio, 200.0, 800.0),
        "partials 0.8-2 kHz, dB": partials_db(audio, 800.0, 2000.0),
    }


def _songs_table(benchmark: PhaseBenchmark, songs: int, seconds: float) -> None:
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ("true audio", *METHODS, WITH_SCORE)}
    for seed in _SEEDS[:songs]:
        song = compose(seed, seconds=seconds)
        mix = perform(song).mix
        magnitudes = benchmark.magnitudes(mix)
        recovered = {name: benchmark.recover(magnitudes, spec, mix.shape[1], None) for name, spec in METHODS.items()}
        recovered[WITH_SCORE] = benchmark.recover(magnitudes, PhaseSpec(), mix.shape[1], song.score)
        found["true audio"].append(pitched_figures(mix, song) | {"CPU s": float("nan")})
        for name, one in recovered.items():
            found[name].append(pitched_figures(one.audio, song) | {"CPU s": one.seconds})
    _print_table({name: _mean(rows) for name, rows in found.items()})


def _unpitched_table(benchmark: PhaseBenchmark, seconds: float) -> None:
    rows: dict[str, dict[str, float]] = {}
    for kind, audio in unpitched(seconds).items():
        rows[f"{kind}, true"] = unpitched_figures(audio)
        magnitudes = benchmark.magnitudes(audio)
        for name, spec in METHODS.items():
            rows[f"{kind}, {name}"] = unpitched_figures(benchmark.recover(magnitudes, spec, audio.shape[1], None).audio)
    _print_table(rows)


def _mean(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each figure over the songs that have it."""
    return {name: _mean_of([row[name] for row in rows if not np.isnan(row[name])]) for name in rows[0]}


def _mean_of(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _print_table(rows: Mapping[str, Mapping[str, float]]) -> None:
    """A Markdown table, a column for each row of figures."""
    names = list(rows)
    print("| | " + " | ".join(names) + " |")
    print("| --- " * (len(names) + 1) + "|")
    for figure in rows[names[0]]:
        print(f"| {figure} | " + " | ".join(_cell(rows[name][figure]) for name in names) + " |")
    print()


def _cell(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2f}"


def main() -> None:
    """Parse the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renderer", default="starter", help="name or folder of a latent diffusion checkpoint")
    parser.add_argument("--songs", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    benchmark = PhaseBenchmark(load_latent_diffusion(arguments.renderer, device="cpu", threads=1))
    _songs_table(benchmark, arguments.songs, arguments.seconds)
    _unpitched_table(benchmark, arguments.seconds)


if __name__ == "__main__":
    main()
