"""Stored files and the entries of a ZIP."""

from __future__ import annotations

from dataclasses import dataclass

from servicekit.json_codec import CAMEL_CASE


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """An object in the store. ``sha256`` is of its bytes, 64 lower-case hex digits."""

    __pydantic_config__ = CAMEL_CASE

    key: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class ZipEntry:
    """One file in a ZIP: ``name`` is without the folder, ``offset_bytes`` where its own bytes begin in the ZIP."""

    __pydantic_config__ = CAMEL_CASE

    name: str
    offset_bytes: int
    size_bytes: int
    sha256: str
