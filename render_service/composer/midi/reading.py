"""A caller's Standard MIDI File: its tracks, tempo map and key, and the score that they make.

Nothing is added to the notes. Sustain pedals, controllers and pitch bends are not read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from render_service.composer.midi.smf import (
    KEY_SIGNATURE,
    MARKER,
    NOTE_OFF,
    NOTE_ON,
    PROGRAM,
    TEMPO,
    TIME_SIGNATURE,
    TRACK_NAME,
    ChannelEvent,
    Event,
    MetaEvent,
    MidiError,
    read_tracks,
)
from render_service.composer.midi.timing import MetreChange, TempoChange
from render_service.composer.score import MAX_NOTES
from render_service.music.key import Key, Mode
from render_service.music.tempo_map import (
    BEAT_UNITS,
    BEATS_PER_BAR_RANGE,
    BPM_RANGE,
    TempoMap,
    TempoMapError,
    TempoPoint,
)

_COMMON_TIME = MetreChange(tick=0, beats=4, unit=4)
_DEFAULT_QUARTER_US = 500_000
_QUARTER = 4
_FIFTHS = "FCGDAEB"
_MOST_ACCIDENTALS = 7
_TEXT_CHARACTERS = 64
_TEMPO_BYTES, _SIGNATURE_BYTES, _KEY_BYTES = 3, 2, 2
_FINEST_UNIT_POWER = 8
_DECIMALS = 6
_COARSEST_UNIT = 2  # of a metre that is read in longer beats


@dataclass(frozen=True, kw_only=True)
class Tone:
    """A note in ticks. ``velocity`` 1 to 127."""

    start: int
    end: int
    pitch: int
    velocity: int


@dataclass(frozen=True, kw_only=True)
class Track:
    """The notes of one channel of a track that one program plays; ``program`` is None where the file names none."""

    name: str
    channel: int
    program: int | None
    tones: tuple[Tone, ...]


@dataclass(frozen=True, kw_only=True)
class MidiSong:
    """A file that was read. ``tempos`` and ``metres`` are in order and empty where the file has none."""

    ticks_per_quarter: int
    tracks: tuple[Track, ...]
    tempos: tuple[TempoChange, ...]
    metres: tuple[MetreChange, ...]
    markers: tuple[tuple[int, str], ...]
    key: Key | None

    @property
    def pickup_ticks(self) -> int:
        """Length of a first bar that is shorter than the second one's metre; 0 without one."""
        if len(self.metres) < 2 or self.metres[0].tick > 0:
            return 0
        first, second = self.metres[:2]
        length = second.tick / self.ticks_per_quarter
        is_pickup = length <= _bar_quarters(first) + 1e-9 < _bar_quarters(second)
        return second.tick if is_pickup else 0


def read_midi(data: bytes) -> MidiSong:
    """Read a file of format 0 or 1. Raises :class:`MidiError` for one that is malformed, or has no notes or too many."""
    midi = read_tracks(data)
    tracks = [track for events in midi.tracks for track in _split(events)]
    count = sum(len(track.tones) for track in tracks)
    if not 1 <= count <= MAX_NOTES:
        raise MidiError(f"must have 1 to {MAX_NOTES} notes, got {count}")
    metas = sorted(
        (event for events in midi.tracks for event in events if isinstance(event, MetaEvent)), key=lambda one: one.tick
    )
    return MidiSong(
        ticks_per_quarter=midi.ticks_per_quarter,
        tracks=tuple(tracks),
        tempos=tuple(_tempos(metas)),
        metres=tuple(_metres(metas)),
        markers=tuple((one.tick, _text(one.data)) for one in metas if one.kind == MARKER),
        key=_key(metas),
    )


def tempo_map_of(song: MidiSong) -> TempoMap | None:
    """The file's own tempo map; None where it names no tempo. Raises :class:`MidiError` for one that cannot be played."""
    if not song.tempos:
        return None
    pickup = song.pickup_ticks
    metres = _playable_metres(song)
    moments = sorted({0, pickup, *(tempo.tick for tempo in song.tempos), *(metre.tick for metre in metres)})
    points: list[TempoPoint] = []
    at_s, first_downbeat_s, last_tick = 0.0, 0.0, 0
    for tick in moments:
        metre, quarter_us = _last(metres, tick) or _COMMON_TIME, _quarter_us(song.tempos, tick)
        if points:
            at_s += _seconds(points[-1], (tick - last_tick) / song.ticks_per_quarter)
        if tick == pickup:
            first_downbeat_s = at_s
        last_tick = tick
        bpm, beats, unit = _tempo(quarter_us, metre)
        point = TempoPoint(start_s=at_s, bpm=bpm, beats_per_bar=beats, beat_unit=unit)
        if not points or replace(points[-1], start_s=at_s) != point:
            points.append(point)
    try:
        return TempoMap(points=tuple(points), first_downbeat_s=first_downbeat_s)
    except TempoMapError as error:
        raise MidiError(f"must have a tempo map that can be played: {error.field} {error}") from error


def _split(events: Iterable[Event]) -> list[Track]:
    """The notes of a track by channel and program."""
    name, programs = "", dict[int, int]()
    sounding: dict[tuple[int, int], deque[tuple[int, int, int | None]]] = defaultdict(deque)
    found: dict[tuple[int, int | None], list[Tone]] = defaultdict(list)
    last_tick = 0

    def end(tick: int, channel: int, pitch: int) -> None:
        start, velocity, program = sounding[channel, pitch].popleft()
        found[channel, program].append(Tone(start=start, end=tick, pitch=pitch, velocity=velocity))

    for event in events:
        last_tick = event.tick
        if isinstance(event, MetaEvent):
            if event.kind == TRACK_NAME and not name:
                name = _text(event.data)
        elif event.kind == PROGRAM:
            programs[event.channel] = event.first
        elif event.kind == NOTE_ON and event.second:
            program = programs.get(event.channel)
            found[event.channel, program]  # in order of appearance
            sounding[event.channel, event.first].append((event.tick, event.second, program))
        elif _ends_note(event) and sounding[event.channel, event.first]:
            end(event.tick, event.channel, event.first)
    for (channel, pitch), open_notes in sounding.items():
        for _ in tuple(open_notes):
            end(last_tick, channel, pitch)
    return [
        Track(name=name, channel=channel, program=program, tones=tuple(sorted(tones, key=lambda tone: tone.start)))
        for (channel, program), tones in found.items()
    ]


def _ends_note(event: ChannelEvent) -> bool:
    return event.kind == NOTE_OFF or (event.kind == NOTE_ON and not event.second)


def _text(data: bytes) -> str:
    text = data[: 4 * _TEXT_CHARACTERS].decode("utf-8", errors="replace")
    return "".join(character for character in text if character.isprintable())[:_TEXT_CHARACTERS].strip()


def _tempos(metas: Iterable[MetaEvent]) -> Iterable[TempoChange]:
    for event in metas:
        if event.kind == TEMPO:
            quarter_us = int.from_bytes(event.data, "big")
            if len(event.data) != _TEMPO_BYTES or not quarter_us:
                raise MidiError(f"must have tempo events of 3 bytes above 0, got {event.data.hex() or 'none'}")
            yield TempoChange(tick=event.tick, quarter_us=quarter_us)


def _metres(metas: Iterable[MetaEvent]) -> Iterable[MetreChange]:
    for event in metas:
        if event.kind == TIME_SIGNATURE:
            beats, power = (*event.data, 0, 0)[:_SIGNATURE_BYTES]
            if not beats or power > _FINEST_UNIT_POWER:
                raise MidiError(f"must have time signatures such as 4/4, got {beats}/2^{power}")
            yield MetreChange(tick=event.tick, beats=beats, unit=1 << power)


def _key(metas: Iterable[MetaEvent]) -> Key | None:
    """The first key signature."""
    for event in metas:
        if event.kind == KEY_SIGNATURE and len(event.data) == _KEY_BYTES:
            sharps, minor = int.from_bytes(event.data[:1], "big", signed=True), event.data[1] == 1
            if abs(sharps) <= _MOST_ACCIDENTALS:
                fifths = sharps + 1 + (3 if minor else 0)
                accidental = {-1: "b", 0: "", 1: "#"}[fifths // len(_FIFTHS)]
                letter = _FIFTHS[fifths % len(_FIFTHS)]
                return Key.parse(f"{letter}{accidental} {(Mode.MINOR if minor else Mode.MAJOR).name.lower()}")
    return None


def _playable_metres(song: MidiSong) -> list[MetreChange]:
    """The metres that a tempo map can have. A pickup has the metre after it, and so has a bar cut to an odd length."""
    metres = list(song.metres)
    if song.pickup_ticks:
        metres[:2] = [replace(metres[1], tick=0)]
    found: list[MetreChange] = []
    for i, metre in enumerate(metres):
        reduced = _reduce(metre)
        following = metres[i + 1].tick if i + 1 < len(metres) else None
        if reduced is not None:
            found.append(reduced)
        elif found and following is not None and _lasts_one_bar(metre, following - metre.tick, song.ticks_per_quarter):
            continue  # a bar that the next metre cuts short
        else:
            low, high = BEATS_PER_BAR_RANGE
            units = ", ".join(map(str, BEAT_UNITS))
            raise MidiError(
                f"must have {low} to {high} beats of a unit of {units} a bar, got {metre.beats}/{metre.unit}"
            )
    return found


def _lasts_one_bar(metre: MetreChange, ticks: int, ticks_per_quarter: int) -> bool:
    return ticks <= _bar_quarters(metre) * ticks_per_quarter + 1


def _reduce(metre: MetreChange) -> MetreChange | None:
    """The metre in units that a tempo map can have, 8/32 as 4/16; None if there is none."""
    beats, unit = metre.beats, metre.unit
    while (unit > BEAT_UNITS[-1] or beats > BEATS_PER_BAR_RANGE[1]) and beats % 2 == 0 and unit > 1:
        beats, unit = beats // 2, unit // 2
    playable = beats <= BEATS_PER_BAR_RANGE[1] and unit <= BEAT_UNITS[-1]
    return MetreChange(tick=metre.tick, beats=beats, unit=unit) if playable else None


def _bar_quarters(metre: MetreChange) -> float:
    return metre.beats * _QUARTER / metre.unit


def _tempo(quarter_us: int, metre: MetreChange) -> tuple[float, int, int]:
    """Tempo in beats a minute, beats per bar and beat unit; another unit where the tempo would be out of range."""
    low, high = BPM_RANGE
    beats, unit = metre.beats, metre.unit
    bpm = _plain_bpm(quarter_us, unit)
    while bpm > high and beats % 2 == 0 and unit > _COARSEST_UNIT:
        beats, unit = beats // 2, unit // 2
        bpm = _plain_bpm(quarter_us, unit)
    while bpm < low and 2 * beats <= BEATS_PER_BAR_RANGE[1] and unit < BEAT_UNITS[-1]:
        beats, unit = 2 * beats, 2 * unit
        bpm = _plain_bpm(quarter_us, unit)
    if not low <= bpm <= high:
        raise MidiError(
            f"must have tempos of {low:g} to {high:g} beats a minute, got {bpm:g} at {metre.beats}/{metre.unit}"
        )
    return bpm, beats, unit


def _plain_bpm(quarter_us: int, unit: int) -> float:
    """The shortest decimal number that a file would write as these microseconds: 130 and not 130.00013."""
    exact = 60e6 / quarter_us * unit / _QUARTER
    for decimals in range(_DECIMALS):
        bpm = round(exact, decimals)
        if bpm and round(60e6 * unit / (_QUARTER * bpm)) == quarter_us:
            return bpm
    return exact


def _seconds(point: TempoPoint, quarters: float) -> float:
    return quarters * 60.0 / point.bpm * point.beat_unit / _QUARTER


def _quarter_us(tempos: tuple[TempoChange, ...], tick: int) -> int:
    at = bisect_right(tempos, tick, key=lambda tempo: tempo.tick)
    return tempos[at - 1].quarter_us if at else _DEFAULT_QUARTER_US


def _last(metres: list[MetreChange], tick: int) -> MetreChange | None:
    at = bisect_right(metres, tick, key=lambda metre: metre.tick)
    return metres[at - 1] if at else None
