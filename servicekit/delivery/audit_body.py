"""What every audit row of a version holds (docs/contract.md, section 5). Each service adds fields of its own.

The journal adds tenant, job, version, kind and time to a body, and the salted digest of the prompt; a body itself never holds the
prompt. Rows are never changed, so a field can be added here and none renamed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from servicekit.delivery.files import StoredFile, ZipEntry
from servicekit.delivery.manifest import Licence, SeparatorFacts
from servicekit.delivery.names import STEMS, StemName
from servicekit.json_codec import CAMEL_CASE, JsonCodec

AUDIT_BOUNCE, AUDIT_STEMS = "bounce", "stems"
"""The kinds of rows. A re-render has one row, of its stems, which holds its bounce too."""


@dataclass(frozen=True, kw_only=True)
class FileDigest:
    """A stored file by its digest."""

    __pydantic_config__ = CAMEL_CASE

    key: str
    sha256: str

    @classmethod
    def of(cls, file: StoredFile) -> FileDigest:
        """Without the size, which the digest implies."""
        return cls(key=file.key, sha256=file.sha256)


@dataclass(frozen=True, kw_only=True)
class BounceBody:
    """The part that all rows share. ``lufs`` and ``true_peak_dbtp`` are the bounce's; None for silence."""

    __pydantic_config__ = CAMEL_CASE

    licence: Licence
    labels: Mapping[str, str]
    bounce: FileDigest
    lufs: float | None
    true_peak_dbtp: float | None


@dataclass(frozen=True, kw_only=True)
class StemsBody(BounceBody):
    """The part that all rows of versions with stems share: the ZIP and the files in it, and what separated them."""

    zip: FileDigest
    stems: Mapping[StemName, str]
    manifest_sha256: str
    separator: SeparatorFacts
    separation_fingerprint: Mapping[str, str]


def stem_digests(entries: Iterable[ZipEntry]) -> dict[StemName, str]:
    """The SHA-256 of each stem among the entries of a ZIP."""
    sha256 = {entry.name: entry.sha256 for entry in entries}
    return {stem: sha256[f"{stem}.wav"] for stem in STEMS}


STEMS_BODY = JsonCodec(StemsBody)
"""Reads what a re-render needs of its base version, whichever service wrote the row."""
