"""Which part plays a MIDI track, and the General MIDI program of a part. Programs count from 0, channels too."""

from __future__ import annotations

import re

from render_service.composer.style import Instrumentation

KIT_CHANNEL = 9
BASS_PROGRAM = 33
VOICE_PROGRAM = 53
PROGRAMS = {
    Instrumentation.PIANO: 0,
    Instrumentation.ELECTRIC_PIANO: 4,
    Instrumentation.ACOUSTIC_GUITAR: 25,
    Instrumentation.ELECTRIC_GUITAR: 27,
    Instrumentation.STRINGS: 48,
    Instrumentation.SYNTHS: 90,
    Instrumentation.ORGAN: 16,
    Instrumentation.BRASS: 61,
    Instrumentation.MALLETS: 11,
}
_BASSES = range(32, 40)
_VOICES = frozenset({52, 53, 54, 85, 91})
_I = Instrumentation
# First program of each range, up to the next one; reeds and pipes count as brass, sound effects as synths.
_FAMILIES = (
    (0, _I.PIANO),
    (4, _I.ELECTRIC_PIANO),
    (6, _I.PIANO),
    (7, _I.ELECTRIC_PIANO),
    (8, _I.MALLETS),
    (16, _I.ORGAN),
    (24, _I.ACOUSTIC_GUITAR),
    (26, _I.ELECTRIC_GUITAR),
    (40, _I.STRINGS),
    (56, _I.BRASS),
    (80, _I.SYNTHS),
    (104, _I.ACOUSTIC_GUITAR),
    (108, _I.MALLETS),
    (109, _I.STRINGS),
    (112, _I.MALLETS),
    (120, _I.SYNTHS),
)
_NAMED_FAMILIES = (
    (r"electric piano|e[ .-]?piano|rhodes|wurli", _I.ELECTRIC_PIANO),
    (r"piano|keys", _I.PIANO),
    (r"electric guitar|e[ .-]?g(ui)?ta?r|distortion", _I.ELECTRIC_GUITAR),
    (r"guitar|gtr|banjo|ukulele", _I.ACOUSTIC_GUITAR),
    (r"string|violin|viola|cello", _I.STRINGS),
    (r"organ|accordion", _I.ORGAN),
    (r"brass|horn|trumpet|trombone|sax", _I.BRASS),
    (r"mallet|marimba|vibraphone|xylophone|glockenspiel|kalimba|bells", _I.MALLETS),
    (r"synth|pad|arp", _I.SYNTHS),
)
_KIT_NAME = re.compile(r"\b(drums?|drum ?kit|kit|percussion)\b", re.IGNORECASE)
_BASS_NAME = re.compile(r"\b(bass|sub|808)\b", re.IGNORECASE)
_VOICE_NAME = re.compile(r"\b(vocals?|vox|voices?|sing(er|ing)?|choir)\b", re.IGNORECASE)
HARMONY_NAME = re.compile(r"\b(harmony|harmonies|backing)\b", re.IGNORECASE)
LINE_NAME = re.compile(r"\b(melody|lead|line|solo)\b", re.IGNORECASE)


def is_kit(name: str, channel: int) -> bool:
    """Whether a track plays the drum kit."""
    return channel == KIT_CHANNEL or _KIT_NAME.search(name) is not None


def is_bass(name: str, program: int | None) -> bool:
    """Whether a track plays the bass. ``program`` is None where the file names none."""
    return _BASS_NAME.search(name) is not None or program in _BASSES


def is_voice(name: str, program: int | None) -> bool:
    """Whether a track is sung."""
    return _VOICE_NAME.search(name) is not None or program in _VOICES


def family_of(name: str, program: int | None) -> Instrumentation:
    """The family of a track of the stem "other"; by its name where the program says no more than the default, a piano."""
    if program:
        return next(family for first, family in reversed(_FAMILIES) if program >= first)
    named = (family for pattern, family in _NAMED_FAMILIES if re.search(rf"\b({pattern})", name, re.IGNORECASE))
    return next(named, Instrumentation.PIANO)
