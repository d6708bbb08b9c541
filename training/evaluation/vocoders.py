"""The checkpoint's vocoder compared with the plain pseudo-inverse, on held-out mels and on generated ones.

Letters: ``C`` mid and side, ``M`` bands, ``K`` bins, ``F`` frames, ``T`` samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from render_service.renderers.latent_diffusion.checkpoint import Nets
from render_service.renderers.latent_diffusion.flow import NOISE_BLOCK_FRAMES, block_noise
from render_service.renderers.latent_diffusion.phase import recover_phase
from render_service.renderers.latent_diffusion.phase_propagation import Target
from render_service.renderers.latent_diffusion.stack import LatentDiffusion
from render_service.renderers.latent_diffusion.vocoder import MagnitudeInverse, recover_magnitude
from training.evaluation.section import Goal, Section
from training.evaluation.takes import Comparison, Waveform, latents_of, mean_of
from training.metrics import chroma, onsets_s

_DB_PER_NEPER = 8.685889638
_WITHIN_S = 0.025


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """How similar reconstructed audio is to its reference.

    ``log_mel_db``: mean absolute error of log-mels; ``convergence``: relative error of magnitudes; ``chroma``: mean cosine
    similarity; ``onsets``: F-measure within 25 ms.
    """

    log_mel_db: float
    convergence: float
    chroma: float
    onsets: float


def vocoders(renderer: LatentDiffusion, comparisons: Sequence[Comparison]) -> Section:
    """True mels are compared with their audio. Generated mels have none and are compared with themselves."""
    plain, refined = _plain(renderer.nets), _refined(renderer.nets)
    methods = {"pseudo-inverse": plain}
    if renderer.config.vocoder.refined:
        methods["refined, as shipped"] = refined
    rows, goals = [], []
    found: dict[tuple[str, str], Reconstruction] = {}
    for kind in ("held-out", "generated"):
        for name, magnitudes in methods.items():
            measured = [
                _reconstruct(renderer, comparison, magnitudes, generated=kind == "generated")
                for comparison in comparisons
            ]
            found[kind, name] = Reconstruction(
                **{
                    field: mean_of([getattr(one, field) for one in measured])
                    for field in Reconstruction.__dataclass_fields__
                }
            )
            rows.append((f"{kind} mels, {name}", *_cells(found[kind, name])))
        if len(methods) == 2:
            goals.append(_better_figures(kind, *(found[kind, name] for name in methods)))
    return Section(
        title="Vocoder",
        note=(
            f"{len(comparisons)} songs and takes. Log-mel L1 has the front end's floor,"
            f" ln(m + {renderer.config.front_end.floor:g}). For generated mels, convergence is measured on the"
            " mel itself, and chroma and onsets are compared with the pseudo-inverse at four times the iterations."
        ),
        head=("", "log-mel L1, dB", "spectral convergence", "chroma cosine", "onsets F"),
        rows=rows,
        goals=goals,
    )


def autoencoder_error_db(renderer: LatentDiffusion, comparisons: Sequence[Comparison]) -> float:
    """Mean absolute error of decoded log-mels in dB, with the front end's floor."""
    front_end, autoencoder = renderer.nets.front_end, renderer.nets.autoencoder
    errors = []
    for comparison in comparisons:
        true = _log_mel(renderer, comparison.song.mix)
        with torch.inference_mode():
            latents = torch.from_numpy(latents_of(renderer, comparison.song.mix).values)[None]
            decoded = front_end.restore(autoencoder.decode(latents))[0, ..., : true.shape[-1]]
        errors.append(float((decoded - true).abs().mean()) * _DB_PER_NEPER)
    return mean_of(errors)


def _cells(one: Reconstruction) -> tuple[str, ...]:
    return f"{one.log_mel_db:.2f}", f"{one.convergence:.3f}", f"{one.chroma:.3f}", f"{one.onsets:.3f}"


def _better_figures(kind: str, plain: Reconstruction, refined: Reconstruction) -> Goal:
    better = (
        refined.log_mel_db < plain.log_mel_db,
        refined.convergence < plain.convergence,
        refined.chroma > plain.chroma,
        refined.onsets > plain.onsets,
    )
    return Goal(name=f"figures of four better than the pseudo-inverse, {kind} mels", value=sum(better), target=4.0)


Magnitudes = Callable[[Tensor], Tensor]
"""Maps a log-mel ``(1, C, M, F)`` to magnitudes ``(C, K, F)``."""


def _plain(nets: Nets) -> Magnitudes:
    inverse = MagnitudeInverse(nets.front_end)
    return lambda log_mel: inverse.estimate(log_mel)[0]


def _refined(nets: Nets) -> Magnitudes:
    inverse = MagnitudeInverse(nets.front_end)
    return lambda log_mel: recover_magnitude(nets.vocoder, inverse, nets.front_end, log_mel)[0]


def _reconstruct(
    renderer: LatentDiffusion, comparison: Comparison, magnitudes: Magnitudes, *, generated: bool
) -> Reconstruction:
    if generated:
        with torch.inference_mode():
            log_mel = renderer.log_mel(comparison.latents)[0]
        reference = _synthesise(renderer, log_mel, _plain(renderer.nets), iteration_factor=4)
    else:
        log_mel, reference = _log_mel(renderer, comparison.song.mix), comparison.song.mix
    audio = _synthesise(renderer, log_mel, magnitudes, iteration_factor=1)
    found = _log_mel(renderer, audio)
    frames = min(found.shape[-1], log_mel.shape[-1])
    found, expected = found[..., :frames], log_mel[..., :frames]
    return Reconstruction(
        log_mel_db=float((found - expected).abs().mean()) * _DB_PER_NEPER,
        convergence=_relative_error(found.exp(), expected.exp())
        if generated
        else _relative_error(_magnitude(renderer, audio), _magnitude(renderer, reference)),
        chroma=_cosine(chroma(audio), chroma(reference)),
        onsets=_f_measure(onsets_s(audio), onsets_s(reference)),
    )


def _synthesise(
    renderer: LatentDiffusion, log_mel: Tensor, magnitudes: Magnitudes, *, iteration_factor: int
) -> Waveform:
    """``(C, M, F)`` to left and right ``(2, T)``; ``iteration_factor`` multiplies the checkpoint's phase iterations."""
    front_end, bins = renderer.nets.front_end, renderer.config.front_end.bins
    with torch.inference_mode():
        magnitude = magnitudes(log_mel[None])

        def phases(first: int, stop: int) -> Tensor:
            block = first // NOISE_BLOCK_FRAMES
            drawn = block_noise(0, channels=2 * bins, frames=stop - block * NOISE_BLOCK_FRAMES, first_block=block)
            return drawn[:, first - block * NOISE_BLOCK_FRAMES :].reshape(2, bins, -1)

        middle, side = recover_phase(
            front_end,
            lambda first, stop: Target(magnitudes=magnitude[..., first:stop]),
            magnitude.shape[-1],
            phases,
            iterations=iteration_factor * renderer.config.vocoder.iterations,
            report=lambda *_: None,
        ).numpy()
    return np.stack([middle + side, middle - side])


def _log_mel(renderer: LatentDiffusion, audio: Waveform) -> Tensor:
    """Log-mel ``(C, M, F)`` of ``(2, T)``, cut to whole hops."""
    front_end = renderer.nets.front_end
    whole = audio.shape[1] // front_end.spec.hop_samples * front_end.spec.hop_samples
    with torch.inference_mode():
        return front_end.analyse(torch.from_numpy(np.ascontiguousarray(audio[:, :whole]))[None])[0]


def _magnitude(renderer: LatentDiffusion, audio: Waveform) -> Tensor:
    front_end = renderer.nets.front_end
    whole = audio.shape[1] // front_end.spec.hop_samples * front_end.spec.hop_samples
    with torch.inference_mode():
        return front_end.spectrum(torch.from_numpy(np.ascontiguousarray(audio[:, :whole]))[None])[0].abs()


def _relative_error(found: Tensor, expected: Tensor) -> float:
    frames = min(found.shape[-1], expected.shape[-1])
    return float((found[..., :frames] - expected[..., :frames]).norm() / expected[..., :frames].norm())


def _cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    frames = min(one.shape[1], other.shape[1])
    one, other = one[:, :frames], other[:, :frames]
    size = np.linalg.norm(one, axis=0) * np.linalg.norm(other, axis=0)
    return float(((one * other).sum(axis=0) / np.maximum(size, 1e-12)).mean())


def _f_measure(found: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    if len(found) == 0 or len(expected) == 0:
        return 0.0
    near = np.abs(found[:, None] - expected[None, :]) <= _WITHIN_S
    precision, recall = near.any(axis=1).mean(), near.any(axis=0).mean()
    return float(2.0 * precision * recall / max(precision + recall, 1e-9))
