"""The result of checking a ZIP."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Rule = Literal[
    "zip", "path", "files", "stored", "timestamp", "zip64", "checksum", "riff", "format", "bext", "comment", "frames",
    "digest", "schema", "manifest", "sum", "loudness", "true-peak",
]  # fmt: skip
"""Which rule of the contract is broken.

zip: the structure of the archive. path: file names that leave the folder. files: which files there are, and their order.
stored, timestamp, zip64: how the files are stored. checksum: the CRC-32 of the ZIP. riff, format, bext, comment, frames: the
WAVs. digest: SHA-256 against the manifest. schema: the published JSON Schema. manifest: facts that contradict each other.
sum: drums + bass + vocals + other = bounce. loudness, true-peak: measured against the manifest.
"""


@dataclass(frozen=True)
class CheckFailure:
    """A broken rule. ``file`` is a name in the ZIP's folder, empty for the ZIP as a whole."""

    rule: Rule
    file: str
    message: str


@dataclass(frozen=True, kw_only=True)
class VerifyReport:
    """The result for one ZIP.

    ``checked`` describes what was checked. The other fields are copied from the manifest, None if it cannot be read.
    """

    path: Path
    failures: tuple[CheckFailure, ...]
    checked: tuple[str, ...]
    job_id: str | None = None
    version: int | None = None
    frames: int | None = None
    stem_mode: str | None = None
    lufs: float | None = None
    true_peak_dbtp: float | None = None

    @property
    def valid(self) -> bool:
        """Whether every check passed."""
        return not self.failures
