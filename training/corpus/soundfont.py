"""Notes through a General MIDI soundfont, one part at a time, without its reverb and chorus.

The soundfont is FluidR3_GM (MIT licence, Debian package fluid-soundfont-gm); another SF2 file can be held out for tests.
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

from training.corpus.score import Note

SAMPLE_RATE_HZ = 44_100
DEFAULT_SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
_MAX_VOICES = 160
_PERCUSSION_BANK = 128
_BLOCK_FRAMES = 64  # the synthesizer's own control rate; note-offs may wait this long
_TOUCHES = (0.4, 0.7, 1.0)  # a stroke is sampled at the nearest of these touches, then scaled
_STROKE_S = 4.0
_SILENT = 5e-4  # of the peak; what lies before the first louder sample is the sampler's delay
_FADE_FRAMES = 220
_CHOKES = {46: (42, 44)}  # an open hat ends where the closed one or the pedal begins

Audio = NDArray[np.float32]


class SoundfontMissingError(FileNotFoundError):
    """No soundfont where one was wanted."""


class Soundfont:
    """An SF2 file in memory (about 300 MB). Not safe to share between threads."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise SoundfontMissingError(
                f"no soundfont at {path}: install the Debian package fluid-soundfont-gm, or name an SF2 file"
            )
        self._font = tsf.SoundFont(str(path))
        self._font.set_output(tsf.OutputMode.StereoInterleaved, SAMPLE_RATE_HZ, 0.0)
        self._font.set_max_voices(_MAX_VOICES)

    def play(self, notes: Iterable[Note], *, program: int, frames: int) -> Audio:
        """One instrument. Every note starts at its exact frame. ``-> (2, T)``, at the soundfont's own level."""
        self._select(0, program)
        audio = np.zeros((frames, 2), dtype=np.float32)
        actions = _actions(notes, frames)
        edges = sorted({0, frames, *actions})
        for at, until in pairwise(edges):
            for starts, pitch, velocity in actions.get(at, ()):
                if starts:
                    self._font.channel_note_on(0, pitch, velocity)
                else:
                    self._font.channel_note_off(0, pitch)
            self._font.render(audio[at:until])
        return np.ascontiguousarray(audio.T)

    def strike(
        self, notes: Iterable[Note], *, kit: int, tune: float, levels: Mapping[int, float], frames: int
    ) -> Audio:
        """A percussion kit. Each stroke is sampled once per touch and laid at its exact frame. ``-> (2, T)``.

        ``levels``: the peak of each percussion key at full velocity.
        """
        strokes = sorted(notes, key=lambda note: note.start_s)
        audio = np.zeros((2, frames), dtype=np.float32)
        sampled: dict[tuple[int, float], Audio] = {}
        for note, damped_at in zip(strokes, _dampings(strokes), strict=True):
            touch = min(_TOUCHES, key=lambda t, v=note.velocity: abs(t - v))  # type: ignore[misc]
            if (note.pitch, touch) not in sampled:
                sampled[note.pitch, touch] = self._sample_stroke(note.pitch, touch, kit, tune)
            stroke = sampled[note.pitch, touch]
            at = round(note.start_s * SAMPLE_RATE_HZ)
            length = min(stroke.shape[1], frames - at, round(damped_at * SAMPLE_RATE_HZ) - at)
            if length > 0:
                audio[:, at : at + length] += _damped(stroke, length) * np.float32(note.velocity * levels[note.pitch])
        return audio

    def _select(self, bank: int, program: int) -> None:
        self._font.reset()
        self._font.render(np.zeros((_FADE_FRAMES * 20, 2), dtype=np.float32))  # let what the last part left die away
        self._font.channel_set_bank(0, bank)
        self._font.channel_set_preset_number(0, program, bank == _PERCUSSION_BANK)
        self._font.channel_set_tuning(0, 0.0)

    def _sample_stroke(self, key: int, touch: float, kit: int, tune: float) -> Audio:
        self._select(_PERCUSSION_BANK, kit)
        self._font.channel_set_tuning(0, tune)
        self._font.channel_note_on(0, key, touch)
        audio = np.zeros((round(_STROKE_S * SAMPLE_RATE_HZ), 2), dtype=np.float32)
        self._font.render(audio)
        loud = np.flatnonzero(np.abs(audio).max(axis=1) > _SILENT * float(np.abs(audio).max()))
        if not len(loud):
            return np.zeros((2, 0), dtype=np.float32)
        heard = np.ascontiguousarray(audio[_onset(audio, int(loud[0])) : loud[-1] + 1].T)
        return _damped(heard / np.abs(heard).max(), heard.shape[1])


@cache
def load_soundfont(path: Path = DEFAULT_SOUNDFONT) -> Soundfont:
    """The soundfont of this process, loaded once."""
    return Soundfont(path)


def _onset(audio: Audio, first: int) -> int:
    """The frame at which the stroke is heard: where it first passes a tenth of its early peak, less half a millisecond."""
    level = np.abs(audio[first : first + SAMPLE_RATE_HZ // 20]).max(axis=1)
    heard = int(np.argmax(level > 0.1 * level.max()))
    return first + max(0, heard - SAMPLE_RATE_HZ // 2000)


def _actions(notes: Iterable[Note], frames: int) -> dict[int, list[tuple[bool, int, float]]]:
    """Frame -> (starts, pitch, velocity); a note ends where the same pitch starts again; ends come before starts."""
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
    """Second at which each stroke is damped: its own end, or the stroke that chokes it."""
    ends = []
    for i, note in enumerate(strokes):
        chokers = _CHOKES.get(note.pitch, ())
        following = (s.start_s for s in strokes[i + 1 :] if s.pitch in chokers and s.start_s > note.start_s)
        ends.append(min(note.start_s + _STROKE_S, note.end_s, next(following, np.inf)))
    return ends


def _damped(stroke: Audio, length: int) -> Audio:
    """The first ``length`` frames with a short fade at the end, so that no edge clicks."""
    cut = stroke[:, :length].copy()
    fade = min(_FADE_FRAMES, cut.shape[1])
    if fade:
        cut[:, -fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    return cut
