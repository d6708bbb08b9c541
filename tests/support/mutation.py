"""Mutates real messages and files: every field to values that break code, and bytes as a bad network or an attacker would."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

MUTATIONS = int(os.environ.get("FUZZ_MUTATIONS", "50"))
"""Mutations of each method that is fuzzed; ``make soak`` sets it so that all tests together have a million."""

READER_SHARE = 6
"""A function that reads a file or a text has so many times the mutations of a method: it takes a fraction of the time."""

_BATCH = 10
"""Mutations of one example of hypothesis, whose bookkeeping otherwise takes most of the time."""


def fuzzed(test: Callable[[Random], None], *, share: int = 1) -> Callable[[], None]:
    """A function that calls ``test`` `MUTATIONS` times ``share`` times. Hypothesis shows the seed of a batch that fails."""

    @settings(
        max_examples=-(-MUTATIONS * share // _BATCH),
        deadline=None,  # a hang is found by the test's own time limits; a busy machine is no failure
        phases=(Phase.generate,),  # a smaller seed is no simpler input
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(st.integers(0, (1 << 64) - 1))
    def fuzz(seed: int) -> None:
        for number in range(_BATCH):
            test(Random(f"{seed}.{number}"))  # noqa: S311

    fuzz.__doc__ = test.__doc__
    return fuzz


def reader(test: Callable[[Random], None]) -> Callable[[], None]:
    """As `fuzzed`, for a function that is called directly."""
    return fuzzed(test, share=READER_SHARE)


_TEXTS = (
    "",
    "\0",
    "a\0b",
    "\n",
    "x\n",
    "é",
    "\U0001f3b5" * 100,
    "x" * 300,
    "x" * 70_000,
    "../../etc/passwd",
    "..",
    "/",
    "uploads/a.wav",
    "uploads/../jobs/x",
    "jobs/j-01ks4k8000abcdefghjkmnpqrs/bounce.wav",
    "j-01ks4k8000abcdefghjkmnpqrs",
    "j-01KS4K8000ABCDEFGHJKMNPQRS",
    "-1",
    "1e999",
    "NaN",
    "{}",
    "[" * 5000,
    '{"a":' * 2000,
    "'; DROP TABLE jobs; --",
    "%00",
    "\u202e",
    "\ufeff",
    "\ud7ff",
    "C major",
    "| C | G7/B | Am |",
)
_FLOATS = (
    0.0, -0.0, 5e-324, 1e-300, 1e-9, 0.5, 1.0, -1.0, 120.0, 1e9, 1e19, 1e300, -1e300, math.inf, -math.inf, math.nan,
)  # fmt: skip
_LENGTHS = (0, 1, 2, 31, 512, 513)


def _integer(rng: Random, bits: int, *, signed: bool) -> int:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    edge = rng.choice((low, low + 1, -1, 0, 1, 2, 3, 200, 201, 999, 1_000_000_000, high - 1, high))
    return min(max(rng.choice((edge, rng.randint(low, high))), low), high)


_Field = FieldDescriptor
_VALUES: dict[int, Callable[[Random], Any]] = {
    _Field.TYPE_DOUBLE: lambda rng: rng.choice((*_FLOATS, rng.uniform(-1e3, 1e3))),
    _Field.TYPE_FLOAT: lambda rng: rng.choice((0.0, -1.0, 1e38, math.inf, math.nan)),
    _Field.TYPE_STRING: lambda rng: rng.choice(_TEXTS),
    _Field.TYPE_BYTES: lambda rng: rng.randbytes(rng.choice((0, 1, 14, 500, 20_000))),
    _Field.TYPE_BOOL: lambda rng: bool(rng.getrandbits(1)),
    _Field.TYPE_ENUM: lambda rng: rng.choice((-1, 0, 1, 2, 3, 4, 5, 77, 1 << 20)),
    _Field.TYPE_INT32: lambda rng: _integer(rng, 32, signed=True),
    _Field.TYPE_INT64: lambda rng: _integer(rng, 64, signed=True),
    _Field.TYPE_UINT32: lambda rng: _integer(rng, 32, signed=False),
    _Field.TYPE_UINT64: lambda rng: _integer(rng, 64, signed=False),
}


def mutate(message: Message, rng: Random, *, changes: int | None = None) -> None:
    """Change fields of a message in place, at any depth."""
    for _ in range(changes or rng.choice((1, 1, 1, 2, 5))):
        _mutate_one(message, rng)


def _mutate_one(message: Message, rng: Random) -> None:
    if not message.DESCRIPTOR.fields:
        return
    field = rng.choice(message.DESCRIPTOR.fields)
    if rng.random() < 0.1:
        message.ClearField(field.name)
    elif field.message_type is not None and field.message_type.GetOptions().map_entry:
        getattr(message, field.name)[rng.choice(_TEXTS)] = rng.choice(_TEXTS)
    elif field.message_type is not None:
        _mutate_messages(message, field, rng)
    elif field.is_repeated:
        value = _VALUES[field.type](rng)
        getattr(message, field.name).extend([value] * rng.choice(_LENGTHS))
    else:
        setattr(message, field.name, _VALUES[field.type](rng))


def _mutate_messages(message: Message, field: FieldDescriptor, rng: Random) -> None:
    inner = getattr(message, field.name)
    if field.is_repeated:
        for _ in range(rng.choice((0, 1, 1, 2, 40)) if len(inner) < 600 else 0):
            _mutate_one(inner.add(), rng)
        if len(inner):
            _mutate_one(rng.choice(inner), rng)
        return
    inner.SetInParent()
    for _ in range(rng.choice((1, 2))):
        _mutate_one(inner, rng)


def mutated_bytes(data: bytes, rng: Random) -> bytes:
    """Bytes with bits flipped, numbers set to extremes, parts cut, repeated, moved or replaced."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(changed) + 1) if rng.random() < 0.5 else rng.randrange(min(len(changed), 256) + 1)
        kind = rng.randrange(6)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            width = rng.choice((1, 2, 4, 8))
            value = rng.choice((0, 1, (1 << 8 * width) - 1, 1 << 8 * width - 1, rng.getrandbits(8 * width)))
            changed[at : at + width] = value.to_bytes(width, rng.choice(("little", "big")))
        elif kind == 2:
            del changed[at:]
        elif kind == 3:
            del changed[at : at + rng.choice((1, 2, 7, 100))]
        elif kind == 4:
            changed[at:at] = changed[at : at + rng.choice((1, 4, 64))] * rng.choice((1, 2, 50))
        else:
            changed[at:at] = rng.randbytes(rng.choice((1, 4, 30)))
    return bytes(changed)


def mutated_text(text: str, rng: Random, alphabet: str) -> str:
    """Text with characters replaced, cut, repeated, or parts of ``_TEXTS`` put in."""
    changed = list(text)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(changed) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            changed[at : at + 1] = rng.choice(alphabet)
        elif kind == 1:
            del changed[at : at + rng.choice((1, 3, 1000))]
        elif kind == 2:
            changed[at:at] = rng.choice(_TEXTS)[:200]
        else:
            changed[at:at] = changed[at : at + 8] * rng.choice((1, 3, 40))
    return "".join(changed)


def shuffled(messages: Sequence[Message], rng: Random) -> list[Message]:
    """The messages of a stream, some left out, sent twice, or in another order."""
    sent = list(messages)
    for _ in range(rng.choice((0, 0, 1, 2))):
        kind, at = rng.randrange(3), rng.randrange(len(sent)) if sent else 0
        if not sent:
            break
        if kind == 0:
            del sent[at]
        elif kind == 1:
            sent.insert(rng.randrange(len(sent) + 1), sent[at])
        else:
            rng.shuffle(sent)
    return sent
