"""Plays notes with a General MIDI soundfont, one part at a time, without reverb and chorus.

The default soundfont is FluidR3_GM (MIT licence, Debian package fluid-soundfont-gm); any SF2 file works.
Letters: ``T`` frames. Audio is float32, stereo.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import tinysoundfont._tinysoundfont as tsf
from numpy.typing import NDArray

from render_service.composer.score import Note

SAMPLE_RATE_HZ = 44_100
DEFAULT_SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
_MAX_VOICES = 160
_PERCUSSION_BANK = 128
_BLOCK_FRAMES = 64  # the synthesizer's control rate; note-offs may be this late
_RENDER_FRAMES = _BLOCK_FRAMES * 256  # at most this many at once: they fit the processor's cache
_VELOCITIES = (0.4, 0.7, 1.0)  # a stroke is sampled at the nearest of these, then scaled
_STROKE_S = 4.0
_STROKES_KEPT = 64  # more than one song plays, at most 90 MB
_SILENT = 5e-4  # of the peak; anything before the first louder sample is the synthesizer's delay
_FADE_FRAMES = 220
_FADE = np.linspace(1.0, 0.0, _FADE_FRAMES, dtype=np.float32)
_CHOKES = {46: (42, 44)}  # a closed hat or the pedal ends an open hat

Audio = NDArray[np.float32]


class SoundfontMissingError(FileNotFoundError):
    """The soundfont file does not exist."""


class Soundfont:
    """An SF2 file in memory (about 300 MB). Not safe to share between threads."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise SoundfontMissingError(
                f"{path} does not exist; install the Debian package fluid-soundfont-gm or pass another SF2 file"
            )
        self._font = tsf.SoundFont(str(path))
        self._font.set_output(tsf.OutputMode.StereoUnweaved, SAMPLE_RATE_HZ, 0.0)
        self._font.set_max_voices(_MAX_VOICES)
        self._strokes: dict[tuple[int, float, int, float], Audio] = {}  # the last one used comes last

    def play(self, notes: Iterable[Note], *, program: int, frames: int) -> Audio:
        """Play notes on one instrument ``(2, T)``, each starting at its exact frame, at the soundfont's level."""
        self._select(0, program)
        audio = np.empty((2, frames), dtype=np.float32)
        actions = _actions(notes, frames)
        edges = sorted({0, frames, *actions})
        for at, until in pairwise(edges):
            for starts, pitch, velocity in actions.get(at, ()):
                if starts:
                    self._font.channel_note_on(0, pitch, velocity)
                else:
                    self._font.channel_note_off(0, pitch)
            for start in range(at, until, _RENDER_FRAMES):
                stop = min(start + _RENDER_FRAMES, until)
                audio[:, start:stop] = self._render(stop - start)
        return audio

    def strike(
        self, notes: Iterable[Note], *, kit: int, tune: float, levels: Mapping[int, float], frames: int
    ) -> Audio:
        """Play notes on a percussion kit ``(2, T)``, each starting at its exact frame; a stroke is sampled once per velocity.

        ``levels``: the peak of each percussion key at full velocity.
        """
        strokes = sorted(notes, key=lambda note: note.start_s)
        audio = np.zeros((2, frames), dtype=np.float32)
        for note, damped_at in zip(strokes, _dampings(strokes), strict=True):
            velocity = min(_VELOCITIES, key=lambda t, v=note.velocity: abs(t - v))  # type: ignore[misc]
            stroke = self._stroke(note.pitch, velocity, kit, tune)
            at = round(note.start_s * SAMPLE_RATE_HZ)
            length = min(stroke.shape[1], frames - at, round(damped_at * SAMPLE_RATE_HZ) - at)
            if length > 0:
                played = stroke[:, :length] * np.float32(note.velocity * levels[note.pitch])
                if length < stroke.shape[1]:
                    _fade_out(played)
                audio[:, at : at + length] += played
        return audio

    def _select(self, bank: int, program: int) -> None:
        self._font.reset()
        self._render(_FADE_FRAMES * 20)  # lets the notes of the last part fade out
        self._font.channel_set_bank(0, bank)
        self._font.channel_set_preset_number(0, program, bank == _PERCUSSION_BANK)
        self._font.channel_set_tuning(0, 0.0)

    def _stroke(self, key: int, velocity: float, kit: int, tune: float) -> Audio:
        """A stroke, sampled at most once while it is among the last ones used."""
        wanted = (key, velocity, kit, tune)
        stroke = self._strokes.pop(wanted, None)
        if stroke is None:
            stroke = self._sample_stroke(*wanted)
        self._strokes[wanted] = stroke
        if len(self._strokes) > _STROKES_KEPT:
            del self._strokes[next(iter(self._strokes))]
        return stroke

    def _sample_stroke(self, key: int, velocity: float, kit: int, tune: float) -> Audio:
        self._select(_PERCUSSION_BANK, kit)
        self._font.channel_set_tuning(0, tune)
        self._font.channel_note_on(0, key, velocity)
        pieces: list[Audio] = []
        peak = 0.0
        while len(pieces) * _RENDER_FRAMES < _STROKE_S * SAMPLE_RATE_HZ:
            pieces.append(self._render(_RENDER_FRAMES))
            top = float(np.abs(pieces[-1]).max())
            if top <= _SILENT * peak:
                break
            peak = max(peak, top)
        audio = np.concatenate(pieces, axis=1)
        level = np.maximum(np.abs(audio[0]), np.abs(audio[1]))
        loud = np.flatnonzero(level > _SILENT * peak)
        if not len(loud):
            return np.zeros((2, 0), dtype=np.float32)
        stroke: Audio = audio[:, _onset(level, int(loud[0])) : loud[-1] + 1] / np.float32(peak)
        _fade_out(stroke)
        return stroke

    def _render(self, frames: int) -> Audio:
        """The next frames ``(2, frames)``."""
        audio: Audio = np.empty(
            (frames, 2), dtype=np.float32
        )  # the shape it accepts; it writes one side after the other
        self._font.render(audio)
        return audio.reshape(2, frames)


@cache
def load_soundfont(path: Path = DEFAULT_SOUNDFONT) -> Soundfont:
    """The soundfont, loaded once per process."""
    return Soundfont(path)


def _onset(levels: Audio, first: int) -> int:
    """The frame of the audible onset: 0.5 ms before the level first exceeds a tenth of its early peak."""
    level = levels[first : first + SAMPLE_RATE_HZ // 20]
    loud = int(np.argmax(level > 0.1 * level.max()))
    return first + max(0, loud - SAMPLE_RATE_HZ // 2000)


def _actions(notes: Iterable[Note], frames: int) -> dict[int, list[tuple[bool, int, float]]]:
    """Actions (is a start, pitch, velocity) by frame, ends first; a note ends at the latest where its pitch starts again."""
    by_pitch: dict[int, list[Note]] = defaultdict(list)
    for note in notes:
        by_pitch[note.pitch].append(note)
    actions: dict[int, list[tuple[bool, int, float]]] = defaultdict(list)
    for pitch, same in by_pitch.items():
        same.sort(key=lambda note: note.start_s)
        starts = [round(note.start_s * SAMPLE_RATE_HZ) for note in same]
        for note, start, following in zip(same, starts, [*starts[1:], frames], strict=True):
            end = round(note.end_s * SAMPLE_RATE_HZ / _BLOCK_FRAMES) * _BLOCK_FRAMES
            if 0 <= start < following and 0 <= pitch <= 127:
                actions[start].append((True, pitch, note.velocity))
                if end < frames:
                    actions[min(max(end, start + _BLOCK_FRAMES), following)].append((False, pitch, 0.0))
    return {
        at: sorted(list_, key=lambda action: (action[0], action[1])) for at, list_ in actions.items() if at < frames
    }


def _dampings(strokes: list[Note]) -> list[float]:
    """The second at which each stroke is damped: at its end, or by the stroke that chokes it."""
    ends = []
    for i, note in enumerate(strokes):
        chokers = _CHOKES.get(note.pitch, ())
        damped_at = min(note.start_s + _STROKE_S, note.end_s)
        if chokers:
            following = (s.start_s for s in strokes[i + 1 :] if s.pitch in chokers and s.start_s > note.start_s)
            damped_at = min(damped_at, next(following, np.inf))
        ends.append(damped_at)
    return ends


def _fade_out(stroke: Audio) -> None:
    """Fade the last frames in place, against a click."""
    fade = min(_FADE_FRAMES, stroke.shape[1])
    stroke[:, stroke.shape[1] - fade :] *= _FADE[len(_FADE) - fade :]
