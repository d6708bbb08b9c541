"""The front end: exact inverse, exact rates, and bands that resolve the bass."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from render_service.renderers.latent_diffusion.front_end import FrontEnd, FrontEndSpec, filterbank
from render_service.renderers.latent_diffusion.phase import PhaseSpec, recover_phase
from render_service.renderers.latent_diffusion.phase_propagation import Target

SPEC = FrontEndSpec()


def _noise(samples: int) -> torch.Tensor:
    return 0.1 * torch.randn(1, 2, samples, generator=torch.Generator().manual_seed(0))


def test_overlap_add_inverts_the_transform() -> None:
    """STFT and inverse give the same audio, including its ends."""
    front_end, signal = FrontEnd(SPEC), _noise(20 * SPEC.latent_samples)
    again = front_end.overlap_add(front_end.transform(signal))
    assert again.shape == signal.shape
    assert torch.allclose(again, signal, atol=1e-6)


def test_frames_divide_exactly() -> None:
    """Four mel frames per latent frame; mid is half the sum and side half the difference."""
    front_end = FrontEnd(SPEC)
    stereo = _noise(7 * SPEC.latent_samples)
    spectrum = front_end.spectrum(stereo)
    assert spectrum.shape == (1, 2, SPEC.bins, 28)
    mono = stereo[:, :1].expand(-1, 2, -1)
    assert torch.equal(front_end.spectrum(mono)[:, 1].abs().max(), torch.tensor(0.0))


def test_restore_inverts_standardise() -> None:
    """Bands are standardised to zero mean and back without loss."""
    front_end = FrontEnd(SPEC)
    front_end.band_mean.fill_(-2.0)
    front_end.band_deviation.fill_(1.5)
    log_mel = front_end.analyse(_noise(4 * SPEC.latent_samples))
    assert torch.allclose(front_end.restore(front_end.standardise(log_mel)), log_mel, atol=1e-5)


def test_every_band_has_weight() -> None:
    """Sparse bands interpolate between two bins, so none has less than half a bin's weight."""
    bank = filterbank(SPEC)
    assert bank.shape == (SPEC.bands, SPEC.bins)
    assert bank.sum(axis=1).min() >= 0.5
    centres = (bank * np.arange(SPEC.bins)).sum(axis=1) / bank.sum(axis=1)
    assert (np.diff(centres) > 0.0).all()


@pytest.mark.parametrize("samples", [1, 2048, 2049, 180 * 44100])
def test_latent_frames_cover_the_length(samples: int) -> None:
    """Rounded up by less than one latent frame."""
    covered = SPEC.latent_frames(samples) * SPEC.latent_samples
    assert samples <= covered < samples + SPEC.latent_samples


def test_phase_blocks_join_without_a_seam() -> None:
    """The error of the magnitudes at the joints is about that elsewhere."""
    front_end = FrontEnd(SPEC)
    time = torch.arange(48 * SPEC.latent_samples) / SPEC.sample_rate_hz
    pitches = torch.tensor([220.0, 277.2, 329.6, 880.0])
    tones = torch.sin(2 * torch.pi * pitches[:, None] * time).sum(dim=0)
    magnitude = front_end.transform(0.1 * torch.stack([tones, 0.3 * tones])[None])[0].abs()
    turns = torch.rand(magnitude.shape, generator=torch.Generator().manual_seed(1))
    sound = recover_phase(
        front_end,
        lambda first, stop: Target(magnitudes=magnitude[..., first:stop]),
        magnitude.shape[-1],
        lambda first, stop: turns[..., first:stop],
        iterations=16,
        report=lambda *_: None,
        spec=PhaseSpec(block_frames=64),
    )
    assert sound.shape == (2, magnitude.shape[-1] * SPEC.hop_samples)
    error = (front_end.transform(sound[None])[0].abs() - magnitude).square().sum(dim=(0, 1)).sqrt()
    level = magnitude.square().sum(dim=(0, 1)).sqrt().mean()
    joints = torch.cat([error[64 * i - 8 : 64 * i + 8] for i in (1, 2)])
    assert float(error.mean() / level) < 0.35
    assert float(joints.mean()) < 2.5 * float(error.mean())
