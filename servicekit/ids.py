"""Job ids, safe in paths and URLs."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import datetime

from servicekit.clock import from_micros, to_micros

Entropy = Callable[[int], bytes]

# Crockford's base 32 in lower case: no i, l, o, u; the characters sort like their values.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_CHARACTERS = 26
_TIME_BITS = 48
_RANDOM_BITS = 80

_MAX_MS = 253_402_300_799_999
"""The end of the year 9999. Text in the form of an id may hold a later time, which Python has no value for."""

_JOB_ID = re.compile(rf"j-[{_ALPHABET}]{{{_CHARACTERS}}}")


def new_job_id(now: datetime, entropy: Entropy = secrets.token_bytes) -> str:
    """``"j-"`` and a lower-case ULID: 48 bits of milliseconds, then 80 random bits, so that ids sort by time."""
    milliseconds = to_micros(now) // 1000 & ((1 << _TIME_BITS) - 1)
    return "j-" + _base32(milliseconds << _RANDOM_BITS | int.from_bytes(entropy(_RANDOM_BITS // 8), "big"))


def is_job_id(text: str) -> bool:
    """True for text in the form of :func:`new_job_id`. Other text must not reach a path or a query."""
    return _JOB_ID.fullmatch(text) is not None


def job_time(job_id: str) -> datetime:
    """When the id was made, to the millisecond, UTC. ``job_id`` must be one: see :func:`is_job_id`."""
    value = 0
    for character in job_id.removeprefix("j-"):
        value = value << 5 | _ALPHABET.index(character)
    return from_micros(min(value >> _RANDOM_BITS, _MAX_MS) * 1000)


def _base32(value: int) -> str:
    """The low 130 bits of ``value`` as 26 characters."""
    return "".join(_ALPHABET[value >> 5 * place & 31] for place in reversed(range(_CHARACTERS)))
