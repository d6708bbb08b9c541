"""Standard MIDI Files as events (MIDI 1.0, "Standard MIDI Files 1.0", RP-001).

Reading is bounded: a malformed file raises :class:`MidiError` after at most one pass over its bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_MIDI_BYTES = 1 << 20
MAX_TRACKS = 64
MAX_EVENTS = 100_000  # notes, their ends, programs and meta events of a file
NOTE_OFF, NOTE_ON, PROGRAM = 0x80, 0x90, 0xC0  # kinds of channel message
TRACK_NAME, MARKER, END_OF_TRACK, TEMPO, TIME_SIGNATURE, KEY_SIGNATURE = 0x03, 0x06, 0x2F, 0x51, 0x58, 0x59
TEXT = 0x01
_META, _SYSTEM_EXCLUSIVE, _ESCAPE = 0xFF, 0xF0, 0xF7
_HEADER_BYTES = 6
_LONGEST_NUMBER = 4  # bytes of a variable-length number
_SMPTE = 0x8000
_FORMATS = (0, 1)
_ONE_BYTE_MESSAGES = (0xC0, 0xD0)
_KINDS_READ = (NOTE_OFF, NOTE_ON, PROGRAM)


class MidiError(ValueError):
    """A file that is not MIDI or cannot be played; the message says what was expected."""


@dataclass(frozen=True, kw_only=True)
class ChannelEvent:
    """``kind`` is the status without the channel; ``channel`` 0 to 15; ``second`` is 0 for messages with one byte of data."""

    tick: int
    kind: int
    channel: int
    first: int
    second: int = 0


@dataclass(frozen=True, kw_only=True)
class MetaEvent:
    """``kind`` is the meta type, such as :data:`TEMPO`."""

    tick: int
    kind: int
    data: bytes


Event = ChannelEvent | MetaEvent


@dataclass(frozen=True, kw_only=True)
class MidiTracks:
    """The events of each track in their order. Ticks count from the start of the file."""

    ticks_per_quarter: int
    tracks: tuple[tuple[Event, ...], ...]


def write_tracks(midi: MidiTracks) -> bytes:
    """A file of format 1. Events of each track must be in order of time and end with END_OF_TRACK."""
    chunks = [_chunk(b"MThd", struct.pack(">HHH", 1, len(midi.tracks), midi.ticks_per_quarter))]
    return b"".join([*chunks, *(_chunk(b"MTrk", _track_bytes(track)) for track in midi.tracks)])


def read_tracks(data: bytes) -> MidiTracks:
    """Read a file of format 0 or 1. Raises :class:`MidiError`."""
    if len(data) > MAX_MIDI_BYTES:
        raise MidiError(f"must be at most {MAX_MIDI_BYTES} bytes, got {len(data)}")
    if data[:4] != b"MThd":
        raise MidiError(f"must be a Standard MIDI File, which begins with MThd, got {data[:4]!r}")
    chunks = list(_chunks(data))
    header = chunks[0][1] if chunks else b""
    if len(header) < _HEADER_BYTES:
        raise MidiError(f"must have a header of {_HEADER_BYTES} bytes, got {len(header)}")
    form, _, division = struct.unpack(">HHH", header[:_HEADER_BYTES])
    if form not in _FORMATS:
        raise MidiError(f"must have format 0 or 1, got {form}; save it as format 1")
    if division & _SMPTE or not division:
        raise MidiError("must count time in ticks per quarter note, got SMPTE frames; save it with a musical time base")
    tracks = [payload for name, payload in chunks[1:] if name == b"MTrk"]
    if not 1 <= len(tracks) <= MAX_TRACKS:
        raise MidiError(f"must have 1 to {MAX_TRACKS} tracks, got {len(tracks)}")
    read: list[tuple[Event, ...]] = []
    for track in tracks:
        read.append(_TrackReader(track).events(MAX_EVENTS - sum(len(events) for events in read)))
    return MidiTracks(ticks_per_quarter=division, tracks=tuple(read))


def _chunk(name: bytes, payload: bytes) -> bytes:
    return name + struct.pack(">I", len(payload)) + payload


def _chunks(data: bytes) -> Iterable[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        end = at + 8
        if end > len(data):
            return  # padding behind the last chunk
        size = int.from_bytes(data[at + 4 : end], "big")
        if end + size > len(data):
            raise MidiError(f"is cut off: a chunk at byte {at} must have {size} bytes, got {len(data) - end}")
        yield data[at : at + 4], data[end : end + size]
        at = end + size


def _track_bytes(events: Sequence[Event]) -> bytes:
    out, last = bytearray(), 0
    for event in events:
        out += _number(event.tick - last)
        last = event.tick
        if isinstance(event, MetaEvent):
            out += bytes((_META, event.kind)) + _number(len(event.data)) + event.data
        else:
            values = (event.first,) if event.kind in _ONE_BYTE_MESSAGES else (event.first, event.second)
            out += bytes((event.kind | event.channel, *values))
    return bytes(out)


def _number(value: int) -> bytes:
    """A variable-length number: seven bits a byte, the most significant first."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F | 0x80)
    return bytes(reversed(groups))


class _TrackReader:
    """Reads the bytes of one track."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def events(self, limit: int) -> tuple[Event, ...]:
        """Notes, programs and meta events, at most ``limit``; other messages are skipped."""
        found: list[Event] = []
        tick, status = 0, 0
        while self._at < len(self._data):
            if len(found) > limit:
                raise MidiError(f"must have at most {MAX_EVENTS} notes, their ends and meta events, got more")
            tick += self._number()
            if self._data[self._at : self._at + 1] >= b"\x80":
                status = self._byte()
            if status == _META:
                kind = self._byte()
                payload = self._bytes(self._number())
                found.append(MetaEvent(tick=tick, kind=kind, data=payload))
                if kind == END_OF_TRACK:
                    break
                status = 0
            elif status in {_SYSTEM_EXCLUSIVE, _ESCAPE}:
                self._bytes(self._number())
                status = 0
            elif NOTE_OFF <= status < _SYSTEM_EXCLUSIVE:
                event = self._channel_event(tick, status)
                found += [event] if event.kind in _KINDS_READ else []
            else:
                raise MidiError(f"must have a MIDI message at byte {self._at} of a track, got status {status:#04x}")
        return tuple(found)

    def _channel_event(self, tick: int, status: int) -> ChannelEvent:
        kind = status & 0xF0
        first = self._value()
        second = 0 if kind in _ONE_BYTE_MESSAGES else self._value()
        return ChannelEvent(tick=tick, kind=kind, channel=status & 0x0F, first=first, second=second)

    def _byte(self) -> int:
        return self._bytes(1)[0]

    def _value(self) -> int:
        value = self._byte()
        if value > 0x7F:
            raise MidiError(f"must have data of 0 to 127 at byte {self._at - 1} of a track, got {value}")
        return value

    def _bytes(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise MidiError(f"is cut off: a track must have {end} bytes or more, got {len(self._data)}")
        data = self._data[self._at : end]
        self._at = end
        return data

    def _number(self) -> int:
        value = 0
        for _ in range(_LONGEST_NUMBER):
            byte = self._byte()
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        raise MidiError(f"must have numbers of at most {_LONGEST_NUMBER} bytes, got a longer one at byte {self._at}")
