"""A MIDI file's tracks as the parts of a score."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from render_service.composer.drumming import ring_s
from render_service.composer.midi.instruments import HARMONY_NAME, LINE_NAME, family_of, is_bass, is_kit, is_voice
from render_service.composer.midi.reading import MidiSong, Tone, Track
from render_service.composer.midi.smf import MidiError
from render_service.composer.midi.timing import QuarterGrid
from render_service.composer.score import (
    CONSONANTS,
    MAX_RING_S,
    VELOCITY_STEPS,
    VOWELS,
    Note,
    Part,
    Score,
    ScoreError,
    Section,
    SectionKind,
    SungNote,
    check_score,
)
from render_service.composer.style import Instrumentation
from render_service.music.tempo_map import TempoMap

_SHORTEST_NOTE_S = 0.02
_MOST_VOICES_OF_A_LINE = 1.2  # mean number of notes that sound together
_BREATH_S = 0.3  # a rest that starts a new phrase
_ROUNDING_S = 1e-3  # a note this little before the take starts with it
_SECOND_CHORDS, _CHORDS = re.compile(r"\bsecond chords\b", re.IGNORECASE), re.compile(r"\bchords?\b", re.IGNORECASE)
_MOST_VOICES = 16  # of a lead at one time, among which a second voice finds its own
_HARMONY_SHARE = 16  # tones that start and end within this share of a quarter are sung together


@dataclass(frozen=True, kw_only=True)
class _Band:
    """The tracks by what plays them. ``second`` and ``line`` share an instrument family."""

    kit: list[Track]
    bass: list[Track]
    voices: list[Track]
    chords: list[Track]
    second: list[Track]
    line: list[Track]

    @property
    def instrumentation(self) -> tuple[Instrumentation, ...]:
        """As in :class:`Score`; a piano where no track belongs to the stem "other"."""
        firsts = [tracks[0] for tracks in (self.chords, self.second or self.line) if tracks]
        families = [family_of(track.name, track.program) for track in firsts] or [Instrumentation.PIANO]
        return tuple(dict.fromkeys(families))


def score_of(song: MidiSong, *, tempo_map: TempoMap, seconds: float, instrumental: bool) -> Score:
    """The score of a file whose first bar line is laid on the first downbeat of ``tempo_map``.

    Voices become a line if the take is ``instrumental``. Raises :class:`MidiError` for notes outside the take.
    """
    clock = _Clock(song, tempo_map)
    band = _band(song.tracks, instrumental=instrumental)
    notes = [
        *_notes(band.kit, Part.KIT, clock),
        *_notes(band.bass, Part.BASS, clock),
        *_notes(band.chords, Part.CHORDS, clock),
        *_notes(band.second, Part.SECOND_CHORDS, clock),
        *_notes(band.line, Part.LINE, clock),
    ]
    sung = _sung(band.voices, clock, song.ticks_per_quarter // _HARMONY_SHARE)
    latest_s = seconds + MAX_RING_S
    score = Score(
        instrumentation=band.instrumentation,
        sections=_sections(song, tempo_map, clock, seconds),
        notes=tuple(replace(note, end_s=min(note.end_s, latest_s)) for note in notes),
        sung=tuple(replace(note, end_s=min(note.end_s, latest_s)) for note in sung),
    ).snapped()
    try:
        check_score(score, seconds=seconds)
    except ScoreError as error:
        raise MidiError(str(error)) from error
    return score


def last_note_s(song: MidiSong, tempo_map: TempoMap) -> float:
    """When the last note ends."""
    clock = _Clock(song, tempo_map)
    return max(clock.seconds([tone.end for track in song.tracks for tone in track.tones]))


class _Clock:
    """The second of a tick."""

    def __init__(self, song: MidiSong, tempo_map: TempoMap) -> None:
        self._grid = QuarterGrid(tempo_map)
        self._ticks_per_quarter = song.ticks_per_quarter
        self._pickup = song.pickup_ticks

    def seconds(self, ticks: Sequence[int]) -> list[float]:
        """One for each tick. Raises :class:`MidiError` before the start of the take."""
        at = (np.array(ticks, dtype=np.float64) - self._pickup) / self._ticks_per_quarter
        seconds = self._grid.second(at)
        early_s = -float(seconds.min(initial=0.0))
        if early_s > _ROUNDING_S:
            quarters = self._pickup / self._ticks_per_quarter
            raise MidiError(
                f"has a pickup of {quarters:g} quarters, so the first downbeat of the tempo map must be {early_s:g} s later"
            )
        return [float(second) for second in np.maximum(seconds, 0.0)]

    def spans(self, tones: Sequence[Tone]) -> list[tuple[float, float]]:
        """Start and end of each tone."""
        starts, ends = self.seconds([tone.start for tone in tones]), self.seconds([tone.end for tone in tones])
        return [(start, max(end, start + _SHORTEST_NOTE_S)) for start, end in zip(starts, ends, strict=True)]


def _band(tracks: Iterable[Track], *, instrumental: bool) -> _Band:
    band = _Band(kit=[], bass=[], voices=[], chords=[], second=[], line=[])
    for track in tracks:
        if is_kit(track.name, track.channel):
            band.kit.append(track)
        elif is_bass(track.name, track.program):
            band.bass.append(track)
        elif is_voice(track.name, track.program):
            (band.line if instrumental else band.voices).append(track)
        elif _SECOND_CHORDS.search(track.name):
            band.second.append(track)
        elif _CHORDS.search(track.name) or not _is_line(track):
            (band.second if band.chords else band.chords).append(track)
        else:
            band.line.append(track)
    return band


def _is_line(track: Track) -> bool:
    if LINE_NAME.search(track.name):
        return True
    covered, reach = 0, 0
    for tone in track.tones:
        covered += max(tone.end - max(tone.start, reach), 0)
        reach = max(reach, tone.end)
    total = sum(tone.end - tone.start for tone in track.tones)
    return total <= _MOST_VOICES_OF_A_LINE * max(covered, 1)


def _notes(tracks: Iterable[Track], part: Part, clock: _Clock) -> list[Note]:
    """Strokes of the kit ring on after the end of their note, as General MIDI instruments let them."""
    found: dict[tuple[int, int], Note] = {}
    for track in tracks:
        for tone, (start_s, end_s) in zip(track.tones, clock.spans(track.tones), strict=True):
            note = Note(
                part=part,
                start_s=start_s,
                end_s=max(end_s, start_s + ring_s(tone.pitch)) if part is Part.KIT else end_s,
                pitch=tone.pitch,
                velocity=tone.velocity / VELOCITY_STEPS,
            )
            found.setdefault((tone.start, tone.pitch), note)
    return list(found.values())


def _sung(tracks: list[Track], clock: _Clock, tolerance: int) -> list[SungNote]:
    """The first track that is no harmony leads; tones of the others that coincide with one of its own become its second voice."""
    leads = sorted(tracks, key=lambda track: HARMONY_NAME.search(track.name) is not None)
    tones: list[tuple[Tone, int]] = [(tone, 0) for track in leads[:1] for tone in track.tones]
    starts = [tone.start for tone, _ in tones]
    for track in leads[1:]:
        for tone in track.tones:
            first = bisect_left(starts, tone.start - tolerance)
            near = range(first, min(first + _MOST_VOICES, len(starts)))
            i = next((i for i in near if not tones[i][1] and _coincide(tones[i][0], tone, tolerance)), None)
            if i is not None and tone.pitch:
                tones[i] = (tones[i][0], tone.pitch)
            else:
                tones.append((tone, 0))
    tones.sort(key=lambda one: (one[0].start, one[0].pitch))
    times = clock.spans([tone for tone, _ in tones])
    phrases = np.cumsum([0, *(later[0] - before[1] > _BREATH_S for before, later in pairwise(times))])
    return [
        SungNote(
            start_s=start_s,
            end_s=end_s,
            pitch=tone.pitch,
            velocity=tone.velocity / VELOCITY_STEPS,
            consonant=7 * i % CONSONANTS,
            vowel=3 * i % VOWELS,
            phrase=int(phrase),
            layers=0,
            harmony=harmony,
        )
        for i, ((tone, harmony), (start_s, end_s), phrase) in enumerate(
            zip(tones, times, phrases[: len(tones)], strict=True)
        )
    ]


def _coincide(one: Tone, other: Tone, tolerance: int) -> bool:
    return abs(one.start - other.start) <= tolerance and abs(one.end - other.end) <= tolerance


def _sections(song: MidiSong, tempo_map: TempoMap, clock: _Clock, seconds: float) -> tuple[Section, ...]:
    """The markers whose first word is a kind of section; without any, one verse from the first downbeat on."""
    kinds = {kind.value: kind for kind in SectionKind}
    starts: dict[float, SectionKind] = {}
    times = clock.seconds([tick for tick, _ in song.markers])
    for (_, text), start_s in zip(song.markers, times, strict=True):
        word = text.lower().split(maxsplit=1)[:1]
        if word and word[0] in kinds and start_s < seconds:
            starts[start_s] = kinds[word[0]]
    if not starts:
        starts = {min(tempo_map.first_downbeat_s, seconds): SectionKind.VERSE}
    edges = [*starts, seconds]
    return tuple(
        Section(kind=kind, start_s=start, end_s=end)
        for (start, kind), end in zip(starts.items(), edges[1:], strict=True)
        if end > start
    )
