"""Partials of the score: a mel's energy goes to where they are, in their phases, and its bands keep their levels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from render_service.composer.score import Note, Part, Score, SungNote
from render_service.composer.style import Instrumentation
from render_service.renderers.latent_diffusion.front_end import FrontEnd, FrontEndSpec
from render_service.renderers.latent_diffusion.partial_shares import (
    PartialShares,
    PartialSharesConfig,
    ScoredMagnitudes,
)
from render_service.renderers.latent_diffusion.phase import PhaseSpec, recover_phase
from render_service.renderers.latent_diffusion.phase_propagation import PropagatedPhases, Target
from render_service.renderers.latent_diffusion.score_partials import ScorePartials
from render_service.renderers.latent_diffusion.vocoder import MagnitudeInverse

SPEC = FrontEndSpec()
FRONT_END = FrontEnd(SPEC)
INVERSE = MagnitudeInverse(FRONT_END)
FRAMES = 120
BIN_HZ = SPEC.sample_rate_hz / SPEC.window_samples
NOISE, BASS, CHORDS, LEAD = range(4)
PITCH = 63
HZ = 440.0 * 2.0 ** ((PITCH - 69) / 12.0)
"""D#4: its partials are 311 Hz apart."""


def note(part: Part, pitch: int, start_s: float = 0.0, end_s: float = 10.0) -> Note:
    """A loud note."""
    return Note(part=part, start_s=start_s, end_s=end_s, pitch=pitch, velocity=1.0)


def score_of(*notes: Note, sung: tuple[SungNote, ...] = ()) -> Score:
    """Notes of a piano."""
    return Score(instrumentation=(Instrumentation.PIANO,), sections=(), notes=notes, sung=sung)


def shares_of(kind: int) -> PartialShares:
    """A net that finds one kind of sound in every band where it can be."""
    net = PartialShares(PartialSharesConfig(width=4))
    for parameter in net.parameters():
        torch.nn.init.zeros_(parameter)
    last = net.net[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.bias[kind] = 20.0
    return net.eval()


def log_mel() -> torch.Tensor:
    """Of a tone with partials to 5 kHz, mid and a third of it at the side ``(C, M, F)``."""
    seconds = torch.arange(FRAMES * SPEC.hop_samples) / SPEC.sample_rate_hz
    tone = torch.stack([torch.sin(2 * torch.pi * k * HZ * seconds + k * k) for k in range(1, 16)]).sum(dim=0)
    mid_side = 0.05 * torch.stack([tone, tone / 3.0])
    return FRONT_END.log_mel(FRONT_END.transform(mid_side[None]).abs())[0]


def target(kind: int, score: Score) -> Target:
    """What is made of that mel, if it were all of one kind."""
    with torch.inference_mode():
        estimate = INVERSE.estimate(log_mel()[None])[0]
        partials = ScorePartials(score, SPEC).spectra(0, FRAMES)
        return ScoredMagnitudes(shares_of(kind), FRONT_END, INVERSE).target(estimate, log_mel(), partials)


def share_near_partials(wanted: Target) -> float:
    """Share of the recovered energy from 1.2 to 4 kHz that is within 6 Hz of a partial."""
    turns = torch.rand((2, SPEC.bins, FRAMES), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        middle = recover_phase(
            FRONT_END,
            lambda first, stop: wanted[first:stop],
            FRAMES,
            lambda first, stop: turns[..., first:stop],
            iterations=8,
            report=lambda *_: None,
            spec=PhaseSpec(block_frames=64),
        )[0]
    power = torch.fft.rfft(middle * torch.hann_window(len(middle))).abs().square().numpy()
    hz = np.arange(len(power)) * SPEC.sample_rate_hz / len(middle)
    inside = (hz > 1200.0) & (hz < 4000.0)
    near = np.abs(hz - HZ * np.round(hz / HZ)) < 6.0
    return float(power[inside & near].sum() / power[inside].sum())


def test_any_span_has_the_same_partials() -> None:
    """Bit for bit, so that blocks do not matter."""
    partials = ScorePartials(
        score_of(note(Part.CHORDS, 60, 0.1, 0.6), note(Part.BASS, 36, 0.3, 1.0), note(Part.KIT, 38, 0.5, 0.6)), SPEC
    )
    whole, part = partials.spectra(0, 100), partials.spectra(30, 70)
    assert np.array_equal(part.power, whole.power[..., 30:70])
    assert np.array_equal(part.waves, whole.waves[..., 30:70])
    assert np.array_equal(part.kit, whole.kit[:, 30:70])
    assert whole.power[1].any()
    assert not whole.power[2].any()


def test_partials_sound_at_multiples_of_their_note() -> None:
    """The overlap-added waves of a note are a steady tone of its partials between 0.5 and 5 kHz, on either channel."""
    waves = ScorePartials(score_of(note(Part.LINE, PITCH)), SPEC).spectra(0, FRAMES).waves[2]
    padded = np.zeros((2, SPEC.bins, FRAMES), dtype=np.complex64)
    padded[:, : waves.shape[1]] = waves
    for channel in FRONT_END.overlap_add(torch.from_numpy(padded)[None])[0]:
        power = torch.fft.rfft(channel * torch.hann_window(channel.shape[0])).abs().square().numpy()
        hz = np.arange(len(power)) * SPEC.sample_rate_hz / channel.shape[0]
        number = np.round(hz / HZ)
        near = (np.abs(hz - HZ * number) < 4.0) & (number >= 1) & (number <= 16)
        assert power[near].sum() > 0.98 * power.sum()


def test_a_second_voice_and_strokes_are_known() -> None:
    """A sung harmony adds its partials to the lead; a snare sounds from its stroke on and decays."""
    sung = SungNote(start_s=0.0, end_s=1.0, pitch=60, velocity=1.0, consonant=0, vowel=0, phrase=0, layers=1, harmony=0)
    alone = ScorePartials(score_of(sung=(sung,)), SPEC).spectra(20, 21).power[2, :, 0]
    both = SungNote(**{**sung.__dict__, "harmony": 67})
    added = ScorePartials(score_of(sung=(both,)), SPEC).spectra(20, 21).power[2, :, 0] - alone
    assert all(added[round(k * 392.0 / BIN_HZ)] > 0.01 for k in (2, 3, 5))
    assert added[round(4 * 261.6 / BIN_HZ)] < 0.001
    kit = ScorePartials(score_of(note(Part.KIT, 38, 0.5, 0.6)), SPEC).spectra(0, FRAMES).kit
    assert not kit[[0, 2, 3]].any()
    assert not kit[1, :40].any()
    assert kit[1, 43] > 0.9
    assert 0.0 < kit[1, 60] < 0.3


@pytest.mark.parametrize("kind", [NOISE, CHORDS])
def test_the_mel_stays(kind: int) -> None:
    """Whatever the shares: bands that are heard keep their level within a decibel, and low bins their magnitudes."""
    found = target(kind, score_of(note(Part.CHORDS, PITCH))).magnitudes
    error = (FRONT_END.log_mel(found[None])[0] - log_mel()).abs()[:, :, 8:-8]
    heard = log_mel()[:, :, 8:-8] > -1.0
    assert float(error[heard].mean()) < 0.115
    low = slice(0, round(600.0 / BIN_HZ))
    estimate = INVERSE.estimate(log_mel()[None])[0]
    assert torch.allclose(found[:, low], estimate[:, low], rtol=0.2, atol=0.05)


def test_the_energy_goes_to_the_partials() -> None:
    """Above 1.2 kHz, where bands are wider than a partial: with another note's score it goes elsewhere."""
    own, other = (target(CHORDS, score_of(note(Part.CHORDS, pitch))) for pitch in (PITCH, PITCH + 6))
    plain = share_near_partials(Target(magnitudes=INVERSE.estimate(log_mel()[None])[0]))
    assert share_near_partials(own) > 0.9
    assert plain < 0.75
    assert share_near_partials(other) < plain


def test_where_no_note_sounds_all_is_noise() -> None:
    """Its phases are Griffin-Lim's, as are those outside the range."""
    found = target(CHORDS, score_of(note(Part.CHORDS, PITCH, 0.0, 0.3))).known
    assert found is not None
    assert float(found.weight[..., 90:].max()) < 1e-6
    assert float(found.weight[:, : round(650.0 / BIN_HZ)].max()) == 0.0
    assert float(found.weight[:, :, 5:20].max()) == pytest.approx(1.0, abs=1e-3)


def test_known_phases_come_before_others() -> None:
    """By their weight; what they leave is the others', and nothing beyond the others' range."""
    known = PropagatedPhases(turns=torch.full((1, 3, 1), 0.25), weight=torch.tensor([1.0, 0.0, 0.5])[None, :, None])
    other = PropagatedPhases(turns=torch.zeros(1, 2, 1), weight=torch.full((1, 2, 1), 0.4))
    both = known.over(other)
    assert both.weight[0, :, 0].tolist() == pytest.approx([1.0, 0.4, 0.5])
    assert both.turns[0, :, 0].tolist() == pytest.approx([0.25, 0.0, 0.25])
