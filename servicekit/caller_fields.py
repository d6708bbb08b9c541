"""Checks of the fields that callers of both services may set: texts, request ids, labels, a licence, priorities, page sizes.

Each returns what is wrong as field violations, so that a caller learns of all wrong fields at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from servicekit.delivery.manifest import Licence
from servicekit.errors import FieldViolation, InvalidFields

MAX_PAGE = 200
DEFAULT_PAGE = 50
MAX_LABELS = 32
MAX_PRIORITY = 100
MAX_LABEL_CHARACTERS = 256
_LICENCE_CHARACTERS = {"tier": 64, "licensee": 256, "terms": 2048}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # all but tabs and line breaks
_REQUEST_ID = re.compile(r"[\x21-\x7e]{0,128}")
_LABEL_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}")
_SHOWN_CHARACTERS = 80


def read_page_size(asked: int) -> int:
    """Rows of a page: 50 where none are asked for. Raises InvalidFields for more than 200."""
    if asked > MAX_PAGE:
        raise InvalidFields([FieldViolation("page_size", f"must be at most {MAX_PAGE}, got {asked}")])
    return asked or DEFAULT_PAGE


def check_text(text: str, field: str, *, max_characters: int) -> list[FieldViolation]:
    """A text of at most ``max_characters``, tabs and line breaks included, without control characters."""
    if len(text) > max_characters:
        return [FieldViolation(field, f"must have at most {max_characters} characters, got {len(text)}")]
    if found := _CONTROL.search(text):
        return [FieldViolation(field, f"must not contain control characters, got {found.group()!r}")]
    return []


def check_request_id(request_id: str, field: str = "request_id") -> list[FieldViolation]:
    """At most 128 printable ASCII characters without spaces; empty is none."""
    if _REQUEST_ID.fullmatch(request_id):
        return []
    text = f"must be at most 128 printable ASCII characters without spaces, got {request_id[:_SHOWN_CHARACTERS]!r}"
    return [FieldViolation(field, text)]


def check_priority(priority: int, field: str = "priority") -> list[FieldViolation]:
    """From -100 to 100; 0 is normal."""
    if abs(priority) <= MAX_PRIORITY:
        return []
    return [FieldViolation(field, f"must be from -{MAX_PRIORITY} to {MAX_PRIORITY}, got {priority}")]


def check_labels(labels: Mapping[str, str], field: str) -> list[FieldViolation]:
    """At most 32 labels with keys of 1 to 63 plain characters and values of at most 256."""
    found = []
    if len(labels) > MAX_LABELS:
        found.append(FieldViolation(field, f"must be at most {MAX_LABELS} labels, got {len(labels)}"))
    for key, value in list(labels.items())[:MAX_LABELS]:
        if not _LABEL_KEY.fullmatch(key):
            text = f"keys must be 1 to 63 letters, digits or ._/-, starting with a letter or digit, got {key[:_SHOWN_CHARACTERS]!r}"
            found.append(FieldViolation(field, text))
        else:
            found += check_text(value, f"{field}[{key}]", max_characters=MAX_LABEL_CHARACTERS)
    return found


def check_licence(licence: Licence, field: str) -> list[FieldViolation]:
    """The lengths of the licence's texts, which are recorded and never interpreted."""
    return [
        violation
        for name, max_characters in _LICENCE_CHARACTERS.items()
        for violation in check_text(getattr(licence, name), f"{field}.{name}", max_characters=max_characters)
    ]
