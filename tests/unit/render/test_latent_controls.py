"""Control channels: addressed by name, integrated from the tempo map, a function of the absolute frame."""

from __future__ import annotations

import numpy as np

from render_service.music.harmony import draw_chords
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap, TempoPoint
from render_service.renderers.latent_diffusion.controls import (
    CONTROL_WIDTHS,
    ControlInputs,
    channel_slice,
    control_channels,
)
from render_service.renderers.latent_diffusion.flow import WindowSpec, block_noise, window_spans
from render_service.renderers.latent_diffusion.front_end import FrontEndSpec

SPEC = FrontEndSpec()
CURVE = TempoMap(
    points=(TempoPoint(start_s=0.0, bpm=90.0), TempoPoint(start_s=6.0, bpm=140.0)), first_downbeat_s=0.3, swing=0.6
)


def _inputs(tempo_map: TempoMap, key: str = "A minor") -> ControlInputs:
    parsed = Key.parse(key)
    chords = draw_chords(np.random.default_rng(0), key=parsed, tempo_map=tempo_map, seconds=12.0)
    return ControlInputs(tempo_map=tempo_map, key=parsed, chords=chords, instrumental=False)


def test_channels_are_found_by_name() -> None:
    """Names cover every channel once, in order."""
    slices = [channel_slice(name) for name in CONTROL_WIDTHS]
    assert [part.start for part in slices[1:]] == [part.stop for part in slices[:-1]]
    assert slices[-1].stop == control_channels(_inputs(CURVE), SPEC, frames=5).shape[0]


def test_a_later_window_has_the_channels_of_the_whole_take() -> None:
    """From any first frame on."""
    whole = control_channels(_inputs(CURVE), SPEC, frames=200)
    part = control_channels(_inputs(CURVE), SPEC, frames=80, first_frame=120)
    assert np.allclose(whole[:, 120:], part, atol=1e-6)


def test_attacks_mark_the_grid_through_a_tempo_change() -> None:
    """Each sixteenth of a swung map with two tempos marks its mel frame, and no frame far from one is marked."""
    channels = control_channels(_inputs(CURVE), SPEC, frames=200)[channel_slice("grid_attack")]
    marked = channels.T.reshape(-1)
    frame_s = SPEC.hop_samples / SPEC.sample_rate_hz
    grid = CURVE.grid_s(len(marked) * frame_s, divisions=4)
    assert (marked[(grid / frame_s).astype(int)] >= 0.5 - 1e-6).all()
    centres = (np.arange(len(marked)) + 0.5) * frame_s
    near = np.abs(centres[:, None] - grid[None, :]).min(axis=1) < frame_s
    assert (marked[~near & (centres < grid[-1])] == 0.0).all()


def test_harmony_channels_name_scale_and_chord() -> None:
    """The scale has seven notes, the tonic is one of them, and the chord changes with the spans."""
    inputs = _inputs(TempoMap.constant(120.0), "Eb major")
    channels = control_channels(inputs, SPEC, frames=100)
    assert set(np.flatnonzero(channels[channel_slice("scale")][:, 0])) == set(inputs.key.scale)
    assert np.flatnonzero(channels[channel_slice("tonic")][:, 0]).tolist() == [3]
    for frame in (3, 50, 97):
        second = (frame + 0.5) * SPEC.latent_samples / SPEC.sample_rate_hz
        chord = next(span for span in inputs.chords if span.start_s <= second < span.end_s)
        assert set(np.flatnonzero(channels[channel_slice("chord")][:, frame])) == set(chord.pitch_classes)


def test_a_longer_take_starts_with_the_same_noise() -> None:
    """Noise is drawn per block. Another seed gives other noise."""
    short, long = block_noise(7, channels=4, frames=100), block_noise(7, channels=4, frames=300)
    assert np.array_equal(short.numpy(), long[:, :100].numpy())
    assert not np.array_equal(short.numpy(), block_noise(8, channels=4, frames=100).numpy())


def test_windows_cover_every_frame() -> None:
    """A short take has one window; those of a long take overlap."""
    spec = WindowSpec(frames=256, stride=192)
    assert window_spans(200, spec) == [(0, 200)]
    for frames in (257, 448, 3876):
        covered = np.zeros(frames)
        for start, stop in window_spans(frames, spec):
            assert stop - start == 256
            covered[start:stop] += 1
        assert covered.min() >= 1
