"""What a check of a ZIP found, as values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Rule = Literal[
    "zip", "path", "files", "stored", "timestamp", "zip64", "checksum", "riff", "format", "bext", "comment", "frames",
    "digest", "schema", "manifest", "sum", "loudness", "true-peak",
]  # fmt: skip
"""Which promise of the contract is broken.

zip: the archive's own structure. path: names that leave the folder. files: which files there are, and their order.
stored, timestamp, zip64: how files lie in it. checksum: the ZIP's own CRC-32. riff, format, bext, comment, frames: the WAVs.
digest: SHA-256 against the manifest. schema: the published JSON Schema. manifest: facts that contradict each other.
sum: drums + bass + vocals + other = bounce. loudness, true-peak: measured against what is said.
"""


@dataclass(frozen=True)
class Finding:
    """Something that does not hold. ``file`` is a name in the ZIP's folder, empty for the ZIP as a whole."""

    rule: Rule
    file: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was found in one ZIP: nothing where it keeps the contract.

    ``checked`` says in words what was looked at. The rest is as the manifest says it, None where the manifest cannot be read.
    """

    path: Path
    findings: tuple[Finding, ...]
    checked: tuple[str, ...]
    job_id: str | None = None
    version: int | None = None
    frames: int | None = None
    stem_mode: str | None = None
    lufs: float | None = None
    true_peak_dbtp: float | None = None

    @property
    def ok(self) -> bool:
        """True where everything holds."""
        return not self.findings
