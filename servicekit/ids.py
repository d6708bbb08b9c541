"""Ids of jobs, webhooks and their deliveries, safe in paths and URLs."""

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

_ULID = rf"[{_ALPHABET}]{{{_CHARACTERS}}}"
_JOB_ID = re.compile(f"j-{_ULID}")
_WEBHOOK_ID = re.compile(f"wh-{_ULID}")
_DELIVERY_ID = re.compile(f"wd-{_ULID}")


def new_job_id(now: datetime, entropy: Entropy = secrets.token_bytes) -> str:
    """``"j-"`` and a lower-case ULID: 48 bits of milliseconds, then 80 random bits, so that ids sort by time."""
    return "j-" + _ulid(now, entropy)


def new_webhook_id(now: datetime) -> str:
    """``"wh-"`` and a lower-case ULID, as :func:`new_job_id`."""
    return "wh-" + _ulid(now, secrets.token_bytes)


def new_delivery_id(now: datetime) -> str:
    """``"wd-"`` and a lower-case ULID, as :func:`new_job_id`."""
    return "wd-" + _ulid(now, secrets.token_bytes)


def is_webhook_id(text: str) -> bool:
    """True for text in the form of :func:`new_webhook_id`."""
    return _WEBHOOK_ID.fullmatch(text) is not None


def is_delivery_id(text: str) -> bool:
    """True for text in the form of :func:`new_delivery_id`."""
    return _DELIVERY_ID.fullmatch(text) is not None


def is_job_id(text: str) -> bool:
    """True for text in the form of :func:`new_job_id`. Other text must not reach a path or a query."""
    return _JOB_ID.fullmatch(text) is not None


def job_time(job_id: str) -> datetime:
    """When the id was made, to the millisecond, UTC. ``job_id`` must be one: see :func:`is_job_id`."""
    value = 0
    for character in job_id.removeprefix("j-"):
        value = value << 5 | _ALPHABET.index(character)
    return from_micros(min(value >> _RANDOM_BITS, _MAX_MS) * 1000)


def _ulid(now: datetime, entropy: Entropy) -> str:
    milliseconds = to_micros(now) // 1000 & ((1 << _TIME_BITS) - 1)
    return _base32(milliseconds << _RANDOM_BITS | int.from_bytes(entropy(_RANDOM_BITS // 8), "big"))


def _base32(value: int) -> str:
    """The low 130 bits of ``value`` as 26 characters."""
    return "".join(_ALPHABET[value >> 5 * place & 31] for place in reversed(range(_CHARACTERS)))
