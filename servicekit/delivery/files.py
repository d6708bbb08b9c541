"""Stored files and the entries of a ZIP."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StoredFile:
    """An object in the store. ``sha256`` is of its bytes, 64 lower-case hex digits."""

    key: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class ZipEntry:
    """One file in a ZIP: ``name`` is without the folder, ``offset_bytes`` where its own bytes begin in the ZIP."""

    name: str
    offset_bytes: int
    size_bytes: int
    sha256: str
