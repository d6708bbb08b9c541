"""Phases: tones keep their pitch, noise and attacks are left to Griffin-Lim, and blocks do not matter."""

from __future__ import annotations

import pytest
import torch

from render_service.composer.score import Note, Part, Score
from render_service.composer.style import Instrumentation
from render_service.renderers.latent_diffusion.front_end import FrontEnd, FrontEndSpec
from render_service.renderers.latent_diffusion.phase import PhaseSpec, recover_phase
from render_service.renderers.latent_diffusion.phase_propagation import (
    PhasePropagation,
    PropagatedPhases,
    PropagationSpec,
    Target,
    bass_frequencies,
)

SPEC = FrontEndSpec()
PROPAGATION = PropagationSpec()
FRONT_END = FrontEnd(SPEC)
FRAMES = 160
UNKNOWN = torch.full((FRAMES,), torch.nan)
BIN_HZ = SPEC.sample_rate_hz / SPEC.window_samples
PITCHES_HZ = (110.0, 277.2, 440.0, 659.3, 1318.5)


def _seconds(frames: int = FRAMES) -> torch.Tensor:
    return torch.arange(frames * SPEC.hop_samples) / SPEC.sample_rate_hz


def _tones(frames: int = FRAMES) -> torch.Tensor:
    return torch.stack([0.1 * torch.sin(2 * torch.pi * hz * _seconds(frames)) for hz in PITCHES_HZ]).sum(dim=0)


def _noise() -> torch.Tensor:
    return 0.1 * torch.randn(FRAMES * SPEC.hop_samples, generator=torch.Generator().manual_seed(0))


def _magnitudes(mono: torch.Tensor) -> torch.Tensor:
    """Magnitudes ``(C, K, F)`` of a mid channel and of a side at a third of its level."""
    return FRONT_END.transform(torch.stack([mono, mono / 3.0])[None])[0].abs()


def _propagated(magnitudes: torch.Tensor) -> PropagatedPhases:
    """All frames as one block."""
    return PhasePropagation(SPEC, PROPAGATION, UNKNOWN).next_block(
        Target(magnitudes=magnitudes), before=0, frames=magnitudes.shape[-1], repeated=0
    )


def _recovered(
    magnitudes: torch.Tensor, *, block_frames: int, iterations: int, bass_hz: torch.Tensor | None = None
) -> torch.Tensor:
    turns = torch.rand((2, SPEC.bins, 1000), generator=torch.Generator().manual_seed(1))
    return recover_phase(
        FRONT_END,
        lambda first, stop: Target(magnitudes=magnitudes[..., first:stop]),
        magnitudes.shape[-1],
        lambda first, stop: turns[..., first:stop],
        iterations=iterations,
        report=lambda *_: None,
        bass_hz=bass_hz,
        spec=PhaseSpec(block_frames=block_frames),
    )


def _share_at_pitches(mono: torch.Tensor) -> float:
    """Share of the energy below 2 kHz that is within 4 Hz of the tones."""
    power = torch.fft.rfft(mono * torch.hann_window(len(mono))).abs().square()
    hz = torch.arange(len(power)) * SPEC.sample_rate_hz / len(mono)
    near = torch.stack([(hz - pitch).abs() < 4.0 for pitch in PITCHES_HZ]).any(dim=0)
    return float(power[near].sum() / power[hz < 2000.0].sum())


@pytest.mark.parametrize("block_frames", [64, 1000])
def test_tones_keep_their_pitch(block_frames: int) -> None:
    """Nearly all energy is at the pitches of the tones, also across the joints of blocks."""
    middle, side = _recovered(_magnitudes(_tones()), block_frames=block_frames, iterations=8)
    assert _share_at_pitches(middle) > 0.95
    assert _share_at_pitches(side) > 0.95


def test_phases_do_not_depend_on_the_blocks() -> None:
    """Blocks of 50 frames that repeat the last 16 give the phases and weights of one block, bit for bit."""
    magnitudes = _magnitudes(_tones() + 0.3 * _noise())
    whole = _propagated(magnitudes)
    propagation = PhasePropagation(SPEC, PROPAGATION, UNKNOWN)
    context = PROPAGATION.context_frames
    for start in range(0, FRAMES, 50):
        first, stop = max(start - 16, 0), min(start + 50, FRAMES)
        before = min(context, first)
        wide = Target(magnitudes=magnitudes[..., first - before : stop + context])
        part = propagation.next_block(wide, before=before, frames=stop - first, repeated=start - first)
        assert torch.equal(part.turns, whole.turns[..., first:stop])
        assert torch.equal(part.weight, whole.weight[..., first:stop])


def test_a_longer_take_starts_with_the_same_samples() -> None:
    """All samples but those that blend into the last block of the shorter take."""
    magnitudes = _magnitudes(_tones() + 0.3 * _noise())
    long = _recovered(magnitudes, block_frames=64, iterations=2)
    short = _recovered(magnitudes[..., :140], block_frames=64, iterations=2)
    same = (128 - 16) * SPEC.hop_samples
    assert torch.equal(short[:, :same], long[:, :same])


def test_noise_is_left_to_griffin_lim() -> None:
    """Propagated, it would become tonal. Tones among less noise are propagated."""

    def weight(mono: torch.Tensor) -> torch.Tensor:
        return _propagated(_magnitudes(mono)).weight

    at_pitches = [round(hz / BIN_HZ) for hz in PITCHES_HZ]
    assert float(weight(_noise())[:, 5:75].mean()) < 0.3
    assert float(weight(_tones() + 0.1 * _noise())[:, at_pitches, 20:-20].mean()) > 0.95


def test_an_attack_is_left_to_griffin_lim() -> None:
    """Bins have no weight in the frames around the start of a tone, and full weight soon after it."""
    starts_at = 80
    mono = _tones()
    mono[: starts_at * SPEC.hop_samples] = 0.0
    found = _propagated(_magnitudes(mono))
    at_pitches = [round(hz / BIN_HZ) for hz in PITCHES_HZ]
    assert float(found.weight[:, at_pitches, starts_at - 1 : starts_at + 1].max()) == 0.0
    assert float(found.weight[:, at_pitches, starts_at + 8 : -8].min()) == 1.0


def test_nothing_is_propagated_above_the_range() -> None:
    """The weight of a tone falls to 0 between 1.7 and 2.3 kHz."""
    for hz, low, high in ((1500.0, 1.0, 1.0), (2000.0, 0.3, 0.7), (2290.0, 0.0, 0.1)):
        mono = torch.sin(2 * torch.pi * hz * _seconds())
        weight = _propagated(_magnitudes(mono)).weight
        assert low <= float(weight[0, round(hz / BIN_HZ), FRAMES // 2]) <= high


def test_silence_stays_silent() -> None:
    """Without peaks there are no phases to advance, and nothing is divided by zero."""
    sound = _recovered(torch.zeros(2, SPEC.bins, 80), block_frames=64, iterations=2)
    assert torch.equal(sound, torch.zeros_like(sound))


def test_a_bass_note_of_the_score_decides_the_pitch() -> None:
    """Magnitudes of 50 Hz and its octave, which mels can confuse with their neighbours, sound at 55 Hz where the score asks so."""
    mono = torch.stack([0.1 * torch.sin(2 * torch.pi * hz * _seconds()) for hz in (50.0, 100.0)]).sum(dim=0)
    magnitudes = _magnitudes(mono)
    score = Score(
        instrumentation=(Instrumentation.PIANO,),
        sections=(),
        notes=(Note(part=Part.BASS, start_s=0.0, end_s=60.0, pitch=33, velocity=1.0),),
        sung=(),
    )
    free = _recovered(magnitudes, block_frames=64, iterations=4)
    asked = _recovered(
        magnitudes, block_frames=64, iterations=4, bass_hz=bass_frequencies(score, SPEC, magnitudes.shape[-1])
    )
    assert _strongest_hz(free[0]) == pytest.approx(50.0, abs=1.5)
    assert _strongest_hz(asked[0]) == pytest.approx(55.0, abs=1.5)


def test_frames_without_a_bass_note_have_none() -> None:
    """The frequency of A1 from 0.5 to 1 s of the score, and NaN elsewhere; other parts do not count."""
    notes = (
        Note(part=Part.BASS, start_s=0.5, end_s=1.0, pitch=33, velocity=1.0),
        Note(part=Part.CHORDS, start_s=0.0, end_s=1.5, pitch=60, velocity=1.0),
    )
    found = bass_frequencies(
        Score(instrumentation=(Instrumentation.PIANO,), sections=(), notes=notes, sung=()), SPEC, 130
    )
    assert torch.isnan(found[:43]).all()
    assert torch.equal(found[43:86], torch.full((43,), 55.0))
    assert torch.isnan(found[86:]).all()


def _strongest_hz(mono: torch.Tensor) -> float:
    power = torch.fft.rfft(mono * torch.hann_window(len(mono)), n=8 * len(mono)).abs()
    return float(power.argmax()) * SPEC.sample_rate_hz / (8 * len(mono))
