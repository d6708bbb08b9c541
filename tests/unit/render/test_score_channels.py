"""The score as control channels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from render_service.composer.compose import compose_score
from render_service.composer.score import Note, Part, Score, Section, SectionKind, SungNote
from render_service.composer.style import Instrumentation
from render_service.renderers.latent_diffusion.controls import ControlInputs, channel_slice, control_channels
from render_service.renderers.latent_diffusion.front_end import FrontEndSpec
from render_service.renderers.latent_diffusion.score_channels import playing_stems, score_channels
from tests.unit.render.test_composer import inputs

SPEC = FrontEndSpec()
FRAME_S = SPEC.hop_samples / SPEC.sample_rate_hz
HOP_S = SPEC.latent_samples / SPEC.sample_rate_hz
EMPTY = Score(instrumentation=(Instrumentation.PIANO, Instrumentation.STRINGS), sections=(), notes=(), sung=())
SYLLABLE = SungNote(
    start_s=1.0, end_s=2.0, pitch=64, velocity=0.8, consonant=0, vowel=0, phrase=0, layers=3, harmony=67
)


def channels(*notes: Note, sung: tuple[SungNote, ...] = (), frames: int = 100) -> dict[str, np.ndarray]:
    """Channels of a score of these notes."""
    return score_channels(replace(EMPTY, notes=notes, sung=sung), SPEC, frames=frames)


def note(part: Part, pitch: int, start_s: float = 1.0, end_s: float = 2.0) -> Note:
    """A note at full velocity."""
    return Note(part=part, start_s=start_s, end_s=end_s, pitch=pitch, velocity=1.0)


def test_without_a_score_every_channel_is_zero() -> None:
    """Also the one that says that it is known."""
    assert not any(values.any() for values in score_channels(None, SPEC, frames=50).values())
    assert (channels()["score_known"] == 1.0).all()


@pytest.mark.parametrize(
    ("key", "row"), [(36, 0), (38, 1), (42, 2), (46, 3), (49, 4), (51, 5), (45, 6), (70, 7), (39, 8), (37, 9)]
)
def test_a_stroke_is_at_its_time_to_a_fraction_of_a_mel_frame(key: int, row: int) -> None:
    """In the rows of its drum and no others; the centre of its two weights is its time."""
    at_s = 1.2345
    kit = channels(note(Part.KIT, key, at_s))["score_kit"]
    assert not np.delete(kit, range(4 * row, 4 * row + 4), axis=0).any()
    frames = kit[4 * row : 4 * row + 4].T.reshape(-1)
    centres_s = (np.arange(len(frames)) + 0.5) * FRAME_S
    assert np.count_nonzero(frames) <= 2
    assert (frames * centres_s).sum() / frames.sum() == pytest.approx(at_s, abs=1e-9)


def test_held_notes_cover_their_frames() -> None:
    """Bass, chords and lead: by pitch class or pitch, from start to end, with the share of the first and last frame."""
    held = channels(note(Part.BASS, 33), note(Part.CHORDS, 60), note(Part.LINE, 74))
    rows = {"score_bass_pitch_class": 9, "score_chord_pitch": 20, "score_lead_pitch_class": 2}
    for name, row in rows.items():
        values = held[name]
        assert set(np.flatnonzero(values.any(axis=1))) == {row}
        played = np.flatnonzero(values[row])
        assert (played[0], played[-1]) == (int(1.0 / HOP_S), int(2.0 / HOP_S))
    assert held["score_family"][0].any()
    assert held["score_family"][4].any()


def test_chords_out_of_range_keep_their_pitch_class() -> None:
    """Low and high notes are moved by octaves."""
    for pitch in (23, 35, 59, 95, 107):
        rows = np.flatnonzero(channels(note(Part.CHORDS, pitch))["score_chord_pitch"].any(axis=1))
        assert [(row + 40) % 12 for row in rows] == [11]


def test_a_syllable_has_its_second_voice_and_its_kind() -> None:
    """The second voice is half as strong."""
    sung = channels(sung=(SYLLABLE,))
    frame = int(1.5 / HOP_S)
    assert (sung["score_lead_pitch_class"][4, frame], sung["score_lead_pitch_class"][7, frame]) == (1.0, 0.5)
    assert sung["score_lead_kind"][:, frame].tolist() == [pytest.approx(0.8), 0.0, 1.0]


def test_a_crash_rings_and_decays() -> None:
    """It falls by e in 1.2 s, and only after the stroke."""
    ring = channels(note(Part.KIT, 49, 1.0, 5.0), frames=120)["score_crash_ring"][0]
    first = int(np.flatnonzero(ring)[0])
    assert first == int(np.ceil(1.0 / HOP_S))
    later = first + round(1.2 / HOP_S)
    assert ring[later] == pytest.approx(ring[first] / np.e, rel=0.03)


def test_which_stems_play_follows_from_the_notes() -> None:
    """Half a second around each note."""
    plays = playing_stems(replace(EMPTY, notes=(note(Part.BASS, 33),), sung=(SYLLABLE,)), SPEC, frames=100)
    drums, bass, vocals, other = plays
    assert (drums == -1.0).all()
    assert (other == -1.0).all()
    for stem in (bass, vocals):
        on = np.flatnonzero(stem == 1.0)
        assert (on[0], on[-1]) == (int(0.5 / HOP_S), int(2.5 / HOP_S))


def test_sections_are_marked() -> None:
    """The intensity of each, and the ending."""
    sections = (
        Section(kind=SectionKind.CHORUS, start_s=0.0, end_s=2.0),
        Section(kind=SectionKind.ENDING, start_s=2.0, end_s=4.0),
    )
    intensity, ending = score_channels(replace(EMPTY, sections=sections), SPEC, frames=80)["score_section"]
    assert (intensity[10], ending[10]) == (1.0, 0.0)
    assert (intensity[60], ending[60]) == (SectionKind.ENDING.intensity, 1.0)


def test_a_later_window_has_the_channels_of_the_whole_take() -> None:
    """From any first frame on, notes that started before it included."""
    asked = inputs(seconds=20.0)
    take = ControlInputs(
        tempo_map=asked.tempo_map, key=asked.key, chords=asked.chords, instrumental=False, score=compose_score(asked)
    )
    whole = control_channels(take, SPEC, frames=400)
    part = control_channels(take, SPEC, frames=90, first_frame=123)
    assert np.allclose(whole[:, 123:213], part, atol=1e-6)
    assert not whole[channel_slice("phrase_phase")].any()
