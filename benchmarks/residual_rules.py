"""Compares rules for distributing the residual over the stems: separates held-out corpus songs and compares with the true stems.

    python -m benchmarks.residual_rules --work DIR [--songs 10] [--seconds 24] [--separator NAME --separator-repo DIR]
                                        [--device cuda]

Printed for each stem, in dB: the change of its SDR (energy of the true stem over energy of the error) against the model's
output, mean over the songs in which it sounds, and the worst song; and the change of level of stems that should be silent. Songs
have held-out seeds; they and the separator's outputs are cached in DIR.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from separation_service.engine import load_separator
from separation_service.stems.exact_sum import exact_stems
from separation_service.stems.residual import (
    ALL_INTO_OTHER,
    BIN_DEVIATION,
    LOCAL_ENERGY,
    ResidualRule,
    Samples,
    by_bins,
)
from servicekit.audio.pcm24 import FULL_SCALE, to_pcm24
from servicekit.delivery.names import STEMS
from training.corpus.store import cached_songs
from training.separator.data import HELD_OUT_FIRST_SEED

SILENT_DBFS = -80.0
Audio = NDArray[np.float64]


def equal(stems: Samples, residual: Samples, _first: int) -> Samples:
    """Equal shares."""
    return np.broadcast_to(residual / len(stems), stems.shape).copy()


def to_the_loudest(stems: Samples, residual: Samples, first: int) -> Samples:
    """Everything to the stem that is loudest in the local window."""
    shares = LOCAL_ENERGY.spread(stems, np.ones_like(residual), first)
    loudest = shares == shares.max(axis=0)
    spread: Samples = np.where(loudest, residual, 0.0) / loudest.sum(axis=0)
    return spread


def variance(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Variance of each stem given the mix, if stems are Gaussian with these powers; 0 where only one stem sounds."""
    total = power.sum(axis=0)
    return np.where(total > 0, power * (total - power) / np.maximum(total, np.finfo(np.float32).tiny), 0.0)


RULES = (
    ALL_INTO_OTHER,
    ResidualRule("equal", 0, equal),
    ResidualRule("loudest-2048", LOCAL_ENERGY.context_frames, to_the_loudest),
    LOCAL_ENERGY,
    by_bins("bin-energy", np.copy),
    by_bins("bin-magnitude", np.sqrt),
    by_bins("bin-root-magnitude", lambda power: power**0.25),
    by_bins("bin-variance", variance),
    BIN_DEVIATION,
)


@dataclass(frozen=True)
class InMemorySamples:
    """Samples ``(..., frames)`` as the source that :func:`exact_stems` reads."""

    samples: NDArray[np.generic]

    @property
    def frames(self) -> int:
        """Number of frames."""
        return int(self.samples.shape[-1])

    def read(self, start: int, stop: int) -> NDArray[np.generic]:
        """The frames from ``start`` to ``stop``."""
        return self.samples[..., start:stop]


def separated(options: argparse.Namespace) -> Iterator[tuple[Audio, NDArray[np.float32]]]:
    """For each song the true stems and the model's, each ``(4, 2, T)``."""
    separator = load_separator(
        options.separator, repo=options.separator_repo, device=options.device, threads=options.threads
    )
    seeds = range(HELD_OUT_FIRST_SEED, HELD_OUT_FIRST_SEED + options.songs)
    songs = cached_songs(seeds, options.seconds, options.work / "songs")
    for seed, song in zip(seeds, songs, strict=True):
        truth = song.crop(0, song.stems.shape[-1])
        cached = options.work / f"{separator.info.name}-{separator.info.weights_sha256[:12]}-{seed}.npy"
        if not cached.exists():
            np.save(cached, separator.separate(truth.sum(0), lambda _done, _total: None))
        yield truth.astype(np.float64), np.load(cached)


def exact(mix: Audio, model: NDArray[np.float32], rule: ResidualRule) -> Audio:
    """The stems in mode `exact` with this rule ``(4, 2, T)``, full scale 1.0."""
    blocks: list[NDArray[np.int32]] = []
    exact_stems(InMemorySamples(to_pcm24(mix, stage="MIX")), InMemorySamples(model), blocks.append, rule=rule)  # type: ignore[arg-type]
    return np.concatenate(blocks, axis=-1) / FULL_SCALE


def level_db(audio: Audio) -> float:
    """RMS in dBFS."""
    return float(10.0 * np.log10(np.square(audio).mean() + 1e-20))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--songs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=24.0, help="length of a song; songs cached in DIR keep theirs")
    parser.add_argument("--separator", default="starter")
    parser.add_argument("--separator-repo", type=Path)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    own: dict[str, list[float]] = defaultdict(list)
    residuals: list[float] = []
    gains: dict[tuple[str, str], list[float]] = defaultdict(list)
    leaks: dict[str, list[float]] = defaultdict(list)
    for truth, model in separated(options):
        mix = truth.sum(axis=0)
        residuals.append(level_db(mix - model.sum(axis=0)))
        results = {rule.name: exact(mix, model, rule) for rule in RULES}
        for index, stem in enumerate(STEMS):
            sounds = level_db(truth[index]) > SILENT_DBFS
            before = level_db(truth[index]) - level_db(model[index] - truth[index])
            if sounds:
                own[stem].append(before)
            for name, result in results.items():
                if sounds:
                    after = level_db(truth[index]) - level_db(result[index] - truth[index])
                    gains[name, stem].append(after - before)
                else:
                    leaks[name].append(level_db(result[index]) - level_db(model[index]))
    print(f"{options.songs} songs of {options.seconds:g} s, separator {options.separator}")
    print(f"residual {np.mean(residuals):.1f} dBFS ({min(residuals):.1f} to {max(residuals):.1f})")
    print("model's own SDR: " + ", ".join(f"{stem} {np.mean(own[stem]):.2f} dB" for stem in STEMS))
    print("change of SDR, dB: mean, and the worst song in brackets")
    print(f"| rule | {' | '.join(STEMS)} | silent stems |\n|{' --- |' * (len(STEMS) + 2)}")
    for rule in RULES:
        cells = [f"{np.mean(gains[rule.name, s]):+.2f} ({min(gains[rule.name, s]):+.2f})" for s in STEMS]
        leak = f"{np.mean(leaks[rule.name]):+.1f}" if leaks[rule.name] else "-"
        print(f"| {rule.name} | {' | '.join(cells)} | {leak} |")


if __name__ == "__main__":
    main()
