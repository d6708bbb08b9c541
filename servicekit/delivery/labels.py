"""Bounds of the labels and the licence that a caller gives with a brief or an upload."""

from __future__ import annotations

import re
from collections.abc import Mapping

from servicekit.delivery.manifest import Licence
from servicekit.errors import FieldViolation
from servicekit.text import has_control_characters

MAX_LABELS = 32
_MAX_VALUE = 256
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}")
_MAX_LICENCE_CHARACTERS = {"tier": 64, "licensee": 256, "terms": 2048}


def check_labels(labels: Mapping[str, str], *, root: str) -> list[FieldViolation]:
    """What is wrong with ``labels``, a field of the message at ``root``: number, keys and values."""
    found = []
    if len(labels) > MAX_LABELS:
        found.append(FieldViolation(f"{root}.labels", f"must be at most {MAX_LABELS} labels, got {len(labels)}"))
    for key, value in list(labels.items())[:MAX_LABELS]:
        if not _KEY.fullmatch(key):
            wanted = "must have keys of 1 to 63 letters, digits or ._/- that start with a letter or digit"
            found.append(FieldViolation(f"{root}.labels", f"{wanted}, got {key[:80]!r}"))
        found += check_text(value, f"{root}.labels[{key[:63]}]", max_characters=_MAX_VALUE)
    return found


def check_licence(licence: Licence, *, root: str) -> list[FieldViolation]:
    """What is wrong with ``licence``, a field of the message at ``root``."""
    return [
        violation
        for name, limit in _MAX_LICENCE_CHARACTERS.items()
        for violation in check_text(getattr(licence, name), f"{root}.licence.{name}", max_characters=limit)
    ]


def check_text(text: str, field: str, *, max_characters: int) -> list[FieldViolation]:
    """Whether ``text`` is too long or has control characters."""
    if len(text) > max_characters:
        return [FieldViolation(field, f"must be at most {max_characters} characters, got {len(text)}")]
    if has_control_characters(text):
        return [FieldViolation(field, "must not have control characters")]
    return []
