"""The checkpoint's vocoder beside plain Griffin-Lim, on held-out mels and on generated ones.

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
from render_service.renderers.latent_diffusion.stack import LatentDiffusion
from render_service.renderers.latent_diffusion.vocoder import MagnitudeInverse, recover_magnitude
from training.evaluation.section import Goal, Section
from training.evaluation.takes import Trio, Waveform, latents_of, mean_of
from training.measures import chroma, onsets_s

_DB_PER_NEPER = 8.685889638
_WITHIN_S = 0.025


@dataclass(frozen=True, kw_only=True)
class Copy:
    """How near a copy comes.

    ``log_mel_db``: mean difference of log-mels; ``convergence``: of magnitudes, relative; ``chroma``: mean cosine;
    ``onsets``: F-measure within 25 ms.
    """

    log_mel_db: float
    convergence: float
    chroma: float
    onsets: float


def vocoders(renderer: LatentDiffusion, trios: Sequence[Trio]) -> Section:
    """True mels are compared with the audio they came from; generated ones with themselves, as there is no such audio."""
    plain, own = _plain(renderer.nets), _own(renderer.nets)
    ways = {"plain Griffin-Lim": plain}
    if renderer.config.vocoder.refined:
        ways["refined, as shipped"] = own
    rows, goals = [], []
    found: dict[tuple[str, str], Copy] = {}
    for kind in ("held-out", "generated"):
        for name, magnitudes in ways.items():
            copies = [_copy(renderer, trio, magnitudes, generated=kind == "generated") for trio in trios]
            found[kind, name] = Copy(
                **{field: mean_of([getattr(copy, field) for copy in copies]) for field in Copy.__dataclass_fields__}
            )
            rows.append((f"{kind} mels, {name}", *_cells(found[kind, name])))
        if len(ways) == 2:
            goals.append(_wins(kind, *(found[kind, name] for name in ways)))
    return Section(
        title="Vocoder",
        note=(
            f"{len(trios)} songs and takes. Log-mel L1 has the front end's floor, ln(m + {renderer.config.front_end.floor:g})."
            " For generated mels, convergence is measured on the mel itself, and chroma and onsets are compared with plain"
            " Griffin-Lim at four times the iterations."
        ),
        head=("", "log-mel L1, dB", "spectral convergence", "chroma cosine", "onsets F"),
        rows=rows,
        goals=goals,
    )


def autoencoder_error_db(renderer: LatentDiffusion, trios: Sequence[Trio]) -> float:
    """Log-mel L1 of the decoded against the true mel, in dB, floor of the front end."""
    front_end, autoencoder = renderer.nets.front_end, renderer.nets.autoencoder
    errors = []
    for trio in trios:
        true = _log_mel(renderer, trio.song.mix)
        with torch.inference_mode():
            latents = torch.from_numpy(latents_of(renderer, trio.song.mix).values)[None]
            decoded = front_end.restore(autoencoder.decode(latents))[0, ..., : true.shape[-1]]
        errors.append(float((decoded - true).abs().mean()) * _DB_PER_NEPER)
    return mean_of(errors)


def _cells(copy: Copy) -> tuple[str, ...]:
    return f"{copy.log_mel_db:.2f}", f"{copy.convergence:.3f}", f"{copy.chroma:.3f}", f"{copy.onsets:.3f}"


def _wins(kind: str, plain: Copy, own: Copy) -> Goal:
    better = (
        own.log_mel_db < plain.log_mel_db,
        own.convergence < plain.convergence,
        own.chroma > plain.chroma,
        own.onsets > plain.onsets,
    )
    return Goal(name=f"figures of four better than plain Griffin-Lim, {kind} mels", reached=sum(better), wanted=4.0)


Magnitudes = Callable[[Tensor], Tensor]
"""Log-mel ``(1, C, M, F)`` to magnitudes ``(C, K, F)``."""


def _plain(nets: Nets) -> Magnitudes:
    inverse = MagnitudeInverse(nets.front_end)
    return lambda log_mel: inverse.estimate(log_mel)[0]


def _own(nets: Nets) -> Magnitudes:
    inverse = MagnitudeInverse(nets.front_end)
    return lambda log_mel: recover_magnitude(nets.vocoder, inverse, nets.front_end, log_mel)[0]


def _copy(renderer: LatentDiffusion, trio: Trio, magnitudes: Magnitudes, *, generated: bool) -> Copy:
    if generated:
        with torch.inference_mode():
            log_mel = renderer.log_mel(trio.latents)[0]
        audio = _sound(renderer, log_mel, _plain(renderer.nets), times=4)
    else:
        log_mel, audio = _log_mel(renderer, trio.song.mix), trio.song.mix
    copy = _sound(renderer, log_mel, magnitudes, times=1)
    again = _log_mel(renderer, copy)
    frames = min(again.shape[-1], log_mel.shape[-1])
    again, wanted = again[..., :frames], log_mel[..., :frames]
    return Copy(
        log_mel_db=float((again - wanted).abs().mean()) * _DB_PER_NEPER,
        convergence=_relative(again.exp(), wanted.exp())
        if generated
        else _relative(_magnitude(renderer, copy), _magnitude(renderer, audio)),
        chroma=_cosine(chroma(copy), chroma(audio)),
        onsets=_f_measure(onsets_s(copy), onsets_s(audio)),
    )


def _sound(renderer: LatentDiffusion, log_mel: Tensor, magnitudes: Magnitudes, *, times: int) -> Waveform:
    """``(C, M, F)`` to left and right ``(2, T)``; ``times`` the checkpoint's iterations of phase recovery."""
    front_end, bins = renderer.nets.front_end, renderer.config.front_end.bins
    with torch.inference_mode():
        wanted = magnitudes(log_mel[None])

        def phases(first: int, stop: int) -> Tensor:
            block = first // NOISE_BLOCK_FRAMES
            drawn = block_noise(0, channels=2 * bins, frames=stop - block * NOISE_BLOCK_FRAMES, first_block=block)
            return drawn[:, first - block * NOISE_BLOCK_FRAMES :].reshape(2, bins, -1)

        middle, side = recover_phase(
            front_end,
            lambda first, stop: wanted[..., first:stop],
            wanted.shape[-1],
            phases,
            iterations=times * renderer.config.vocoder.iterations,
            report=lambda *_: None,
        ).numpy()
    return np.stack([middle + side, middle - side])


def _log_mel(renderer: LatentDiffusion, audio: Waveform) -> Tensor:
    """``(2, T)`` to ``(C, M, F)``, cut to whole hops."""
    front_end = renderer.nets.front_end
    whole = audio.shape[1] // front_end.spec.hop_samples * front_end.spec.hop_samples
    with torch.inference_mode():
        return front_end.analyse(torch.from_numpy(np.ascontiguousarray(audio[:, :whole]))[None])[0]


def _magnitude(renderer: LatentDiffusion, audio: Waveform) -> Tensor:
    front_end = renderer.nets.front_end
    whole = audio.shape[1] // front_end.spec.hop_samples * front_end.spec.hop_samples
    with torch.inference_mode():
        return front_end.spectrum(torch.from_numpy(np.ascontiguousarray(audio[:, :whole]))[None])[0].abs()


def _relative(came: Tensor, wanted: Tensor) -> float:
    frames = min(came.shape[-1], wanted.shape[-1])
    return float((came[..., :frames] - wanted[..., :frames]).norm() / wanted[..., :frames].norm())


def _cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    frames = min(one.shape[1], other.shape[1])
    one, other = one[:, :frames], other[:, :frames]
    size = np.linalg.norm(one, axis=0) * np.linalg.norm(other, axis=0)
    return float(((one * other).sum(axis=0) / np.maximum(size, 1e-12)).mean())


def _f_measure(came: NDArray[np.float64], wanted: NDArray[np.float64]) -> float:
    if len(came) == 0 or len(wanted) == 0:
        return 0.0
    near = np.abs(came[:, None] - wanted[None, :]) <= _WITHIN_S
    precision, recall = near.any(axis=1).mean(), near.any(axis=0).mean()
    return float(2.0 * precision * recall / max(precision + recall, 1e-9))
