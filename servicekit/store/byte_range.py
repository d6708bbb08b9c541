"""The Range header of a download (RFC 9110, section 14): one range of bytes, or none."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ONE_RANGE = re.compile(r"bytes=\s*(?P<first>[0-9]{0,18})-(?P<last>[0-9]{0,18})\s*", re.ASCII | re.IGNORECASE)


class UnsatisfiableRange(ValueError):
    """A range that begins at the end of the object or beyond it."""


@dataclass(frozen=True)
class ByteRange:
    """Bytes ``first`` to ``end`` (exclusive) of an object."""

    first: int
    end: int


def parse_range(header: str | None, size_bytes: int) -> ByteRange | None:
    """The range that ``header`` names of an object of ``size_bytes``; None if the whole object is to be sent.

    The RFC allows that for several ranges, another unit and a header that cannot be parsed. Raises UnsatisfiableRange if
    the object has no byte of the range.
    """
    match = _ONE_RANGE.fullmatch(header or "")
    if match is None or not (match["first"] or match["last"]):
        return None
    if not match["first"]:
        parsed = ByteRange(max(0, size_bytes - int(match["last"])), size_bytes)
    elif match["last"] and int(match["last"]) < int(match["first"]):
        return None
    else:
        parsed = ByteRange(
            int(match["first"]), min(size_bytes, int(match["last"]) + 1) if match["last"] else size_bytes
        )
    if parsed.first >= parsed.end:
        raise UnsatisfiableRange(f"{header} of {size_bytes} bytes")
    return parsed
