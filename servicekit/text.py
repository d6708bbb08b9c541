"""Text that came from outside."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def has_control_characters(text: str) -> bool:
    """True where a text holds characters that are neither print nor line breaks or tabs."""
    return _CONTROL.search(text) is not None
