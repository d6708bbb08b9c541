"""A persona: reference clips, one embedding pooled from them, and a prefix. Data, not a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Persona:
    """A stable acoustic identity. ``embedding`` has length 1."""

    id: str
    prefix: str
    embedding: tuple[float, ...]
    clip_sha256: tuple[str, ...]
    encoder_sha256: str
    built_in: bool
    created_at: datetime | None
