"""Songs in a renderer's sound: each stem passes alone through the renderer's front end, autoencoder and vocoder.

A take is the output of the vocoder, so a separator meets its artefacts in every stem. The mix of such stems sounds like a take, but
its stems are known, and so is its score.

Letters: ``S`` stems, ``C`` mid and side, ``M`` bands, ``K`` bins, ``F`` frames, ``T`` samples.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from render_service.composer.score import Score
from render_service.renderers.latent_diffusion.checkpoint import load
from render_service.renderers.latent_diffusion.phase import recover_phase
from render_service.renderers.latent_diffusion.phase_propagation import Target, bass_frequencies
from render_service.renderers.latent_diffusion.vocoder import MagnitudeInverse, recover_magnitude
from render_service.renderers.renderer import no_report
from servicekit.delivery.names import STEMS, StemName
from training.corpus.store import FULL_SCALE, StoredSong

_ROLES = ("front_end", "autoencoder", "vocoder")
_CONTEXT_FRAMES = 16  # around a block for the refiner, more than its receptive field
_BASS = STEMS.index(StemName.BASS)
_PEAK = 10.0 ** (-1.0 / 20.0)


class RendererSound:
    """The nets of a checkpoint on a device, and a folder that keeps the songs that have passed through them."""

    def __init__(self, checkpoint: Path, cache: Path, *, device: torch.device) -> None:
        """Raises :class:`~render_service.renderers.latent_diffusion.checkpoint.ModelUnusable`."""
        config, nets = load(checkpoint)
        self.name = config.name
        self._front_end, self._autoencoder, self._refiner = (
            nets.front_end.to(device),
            nets.autoencoder.to(device),
            nets.vocoder.to(device),
        )
        self._inverse = MagnitudeInverse(self._front_end)
        self._iterations, self._device, self._cache = config.vocoder.iterations, device, cache
        self._id = "".join(config.files[role].sha256 for role in _ROLES) + repr(config.vocoder)

    def apply(self, song: StoredSong) -> StoredSong:
        """The song with each stem as the renderer would have made it. Silent stems stay silent; a repeated call reads the file."""
        digest = hashlib.sha256(self._id.encode())
        digest.update(repr((song.stems.shape, song.composition is None)).encode())
        stems = np.ascontiguousarray(song.stems)
        digest.update(stems.data)
        path = self._cache / f"{digest.hexdigest()[:32]}.npy"
        if not path.is_file():
            self._cache.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            with part.open("wb") as file:
                np.save(file, self._render(song, seed=zlib.crc32(stems.data)))
            part.replace(path)
        return replace(song, stems=np.load(path, mmap_mode="r"))

    def _render(self, song: StoredSong, *, seed: int) -> NDArray[np.int16]:
        """Stems ``(S, 2, T)``, lowered together if their peaks need it. Only the bass follows the bass notes of the score."""
        rendered = np.zeros(song.stems.shape, dtype=np.float32)
        sounding = [row for row, stem in enumerate(song.stems) if stem.any()]
        for rows, score in (
            ([row for row in sounding if row != _BASS], None),
            ([row for row in sounding if row == _BASS], song.composition.score if song.composition else None),
        ):
            if rows:
                rendered[rows] = self._pass(song.stems[rows].astype(np.float32) / np.float32(FULL_SCALE), score, seed)
        peak = max(float(np.abs(rendered).max()), float(np.abs(rendered.sum(axis=0)).max()))
        gain = min(1.0, _PEAK / peak) if peak > 0.0 else 1.0
        rounded: NDArray[np.int16] = np.rint(rendered * (gain * FULL_SCALE)).astype(np.int16)
        return rounded

    def _pass(self, stems: NDArray[np.float32], score: Score | None, seed: int) -> NDArray[np.float32]:
        """Phases of all stems are recovered in one batch, which takes a GPU hardly longer than one of them."""
        generator = torch.Generator(self._device).manual_seed(seed)  # faster than the service's noise, and enough here
        with torch.inference_mode():
            log_mel = torch.cat([self._log_mel(stem) for stem in stems])
            frames = log_mel.shape[-1]
            bass_hz = None if score is None else bass_frequencies(score, self._front_end.spec, frames)

            def target(first: int, stop: int) -> Target:
                start, end = max(first - _CONTEXT_FRAMES, 0), min(stop + _CONTEXT_FRAMES, log_mel.shape[-1])
                part = recover_magnitude(self._refiner, self._inverse, self._front_end, log_mel[..., start:end])
                return Target(magnitudes=rearrange(part[..., first - start : stop - start], "s c k f -> (s c) k f"))

            def phases(first: int, stop: int) -> Tensor:
                shape = (2 * len(stems), self._front_end.spec.bins, stop - first)
                return torch.rand(shape, generator=generator, device=self._device)

            mid_side = recover_phase(
                self._front_end,
                target,
                frames,
                phases,
                iterations=self._iterations,
                report=no_report,
                bass_hz=bass_hz,
            )
        mid, side = rearrange(mid_side[:, : stems.shape[-1]], "(s c) t -> c s t", c=2).cpu().numpy()
        return np.stack([mid + side, mid - side], axis=1)

    def _log_mel(self, stem: NDArray[np.float32]) -> Tensor:
        """Log-mel ``(1, C, M, F)`` of ``(2, T)`` after the autoencoder; silence fills the last latent frame."""
        spec, samples = self._front_end.spec, stem.shape[-1]
        padding = spec.latent_frames(samples) * spec.latent_samples - samples
        stereo = functional.pad(torch.from_numpy(stem)[None].to(self._device), (0, padding))
        bands = self._front_end.standardise(self._front_end.analyse(stereo))
        return self._front_end.restore(self._autoencoder.decode(self._autoencoder.encode(bands)))
