"""What phase recovery keeps of tones, attacks and the stereo image: held-out songs through front end, autoencoder and vocoder.

    python -m benchmarks.phase [--renderer NAME_OR_DIR] [--songs 8] [--seconds 10]

The first table has true audio, Griffin-Lim alone, and phase recovery as shipped without and with the song's score, all from the
same mels: the mean of each figure over the songs, and the processor seconds of a recovery. With the score the mel's energy is
placed at its partials too, and the seconds include that. The second table has sound without pitch, in which a vocoder can make
tones out of noise; the drums also with the score of their song, whose notes they do not play.
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
from render_service.renderers.latent_diffusion.partial_shares import ScoredMagnitudes
from render_service.renderers.latent_diffusion.phase import PhaseSpec, recover_phase
from render_service.renderers.latent_diffusion.phase_propagation import PropagationSpec, Target, bass_frequencies
from render_service.renderers.latent_diffusion.score_partials import ScorePartials
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
        shares, front_end = renderer.nets.partials, renderer.nets.front_end
        self._scored = None if shares is None else ScoredMagnitudes(shares, front_end, self._inverse)

    def log_mel(self, audio: Waveform) -> Tensor:
        """The decoded latents ``(1, C, M, F)`` of ``(2, T)``."""
        with torch.inference_mode():
            return self._renderer.log_mel(self._renderer.encode(audio))

    def recover(self, log_mel: Tensor, spec: PhaseSpec, samples: int, score: Score | None) -> Recovered:
        """Left and right of a mel ``(1, C, M, F)``, with the checkpoint's number of iterations."""
        nets, frames = self._renderer.nets, log_mel.shape[-1]
        front_end = nets.front_end
        with torch.inference_mode():
            target = Target(magnitudes=recover_magnitude(nets.vocoder, self._inverse, front_end, log_mel)[0])
        before = time.process_time()
        with torch.inference_mode():
            if score is not None and self._scored is not None:
                partials = ScorePartials(score, front_end.spec).spectra(0, frames)
                target = self._scored.target(target.magnitudes, log_mel[0], partials)
            middle, side = recover_phase(
                front_end,
                lambda first, stop: target[first:stop],
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


def unpitched(seconds: float) -> dict[str, tuple[Waveform, Score | None]]:
    """White and pink noise, and the drums of two held-out songs with their scores, each ``(2, T)``."""
    rng, samples = np.random.default_rng(0), round(seconds * RATE_HZ)
    white = rng.standard_normal((2, samples))
    spectrum = np.fft.rfft(white)
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(spectrum.shape[1]), 20.0 * seconds)), samples)
    sounds: dict[str, tuple[Waveform, Score | None]] = {
        name: ((0.1 * noise / noise.std()).astype(np.float32), None)
        for name, noise in (("white noise", white), ("pink noise", pink))
    }
    for seed in _SEEDS[:_DRUM_SONGS]:
        song = perform(compose(seed, seconds=seconds))
        sounds[f"drums of song {seed}"] = (song.stems["drums"], song.score)
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
        log_mel = benchmark.log_mel(mix)
        recovered = {name: benchmark.recover(log_mel, spec, mix.shape[1], None) for name, spec in METHODS.items()}
        recovered[WITH_SCORE] = benchmark.recover(log_mel, PhaseSpec(), mix.shape[1], song.score)
        found["true audio"].append(pitched_figures(mix, song) | {"CPU s": float("nan")})
        for name, one in recovered.items():
            found[name].append(pitched_figures(one.audio, song) | {"CPU s": one.seconds})
    _print_table({name: _mean(rows) for name, rows in found.items()})


def _unpitched_table(benchmark: PhaseBenchmark, seconds: float) -> None:
    rows: dict[str, dict[str, float]] = {}
    for kind, (audio, score) in unpitched(seconds).items():
        rows[f"{kind}, true"] = unpitched_figures(audio)
        log_mel = benchmark.log_mel(audio)
        for name, spec in METHODS.items():
            rows[f"{kind}, {name}"] = unpitched_figures(benchmark.recover(log_mel, spec, audio.shape[1], None).audio)
        if score is not None:
            found = benchmark.recover(log_mel, PhaseSpec(), audio.shape[1], score).audio
            rows[f"{kind}, {WITH_SCORE}"] = unpitched_figures(found)
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
