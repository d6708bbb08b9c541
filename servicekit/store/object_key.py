"""Which keys a store accepts: names that are safe as a path, in a URL and as an S3 key, with one spelling each."""

from __future__ import annotations

import re

from servicekit.delivery.keys import public_key

MAX_KEY_CHARS = 512
"""An S3 key has at most 1024 bytes; the configured prefix needs some of them."""
MAX_SEGMENT_CHARS = 200
"""A file name has at most 255 bytes on the file systems in use."""

_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_RULE = (
    f"a key must have 1 to {MAX_KEY_CHARS} characters: segments joined by '/', each of 1 to {MAX_SEGMENT_CHARS} of "
    "A-Z a-z 0-9 . _ - and beginning with a letter or digit, as in jobs/0a1b/v1.zip"
)


class InvalidKey(ValueError):
    """A name that no store accepts. Raised before anything is read or written."""


def check_key(key: str) -> str:
    """Return ``key`` itself, or raise ``InvalidKey`` if it breaks the rules.

    Letters, digits, ``.``, ``_`` and ``-`` need no escape in a URL, so a key has exactly one spelling there.
    """
    if not 1 <= len(key) <= MAX_KEY_CHARS:
        raise InvalidKey(f"{_RULE}; got {len(key)} characters, beginning {key[:40]!r}")
    for segment in key.split("/"):
        if len(segment) > MAX_SEGMENT_CHARS or not _SEGMENT.fullmatch(segment):
            raise InvalidKey(f"{_RULE}; got {key[:80]!r} with the segment {segment[:40]!r}")
    return key


def check_folder(prefix: str) -> str:
    """Return a prefix without its final slash, or raise ``InvalidKey``; the empty prefix covers everything.

    A prefix names a folder: ``jobs/1`` and ``jobs/1/`` both cover ``jobs/1/v1.zip`` and never ``jobs/10/v1.zip``.
    """
    return check_key(prefix.removesuffix("/")) if prefix else ""


def join_key(prefix: str, key: str) -> str:
    """The key below a checked prefix."""
    return f"{prefix}/{key}" if prefix else key


def download_name(key: str) -> str:
    """The file name a browser should propose, different for each job: ``jobs/0a1b/v1.zip`` gives ``0a1b-v1.zip``."""
    return "-".join(public_key(key).split("/")[-2:])
