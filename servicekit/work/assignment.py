"""What a worker is given."""

from __future__ import annotations

from dataclasses import dataclass

from servicekit.journal import Claim, Job, Version
from servicekit.journal.rows import Json
from servicekit.work.progress import Progress


@dataclass(frozen=True)
class Assignment:
    """One attempt at one version, with what earlier attempts kept in ``version.files`` and ``version.kept_stage``."""

    claim: Claim
    progress: Progress

    @property
    def job(self) -> Job:
        """The job as it was when the attempt began."""
        return self.claim.job

    @property
    def version(self) -> Version:
        """The version as it was when the attempt began."""
        return self.claim.version

    @property
    def brief(self) -> Json:
        """Proto-JSON of the version's ResolvedBrief."""
        return self.claim.version.brief

    @property
    def plan(self) -> Json:
        """The owner's own JSON."""
        return self.claim.version.plan

    @property
    def attempt(self) -> int:
        """Which try of the version this is, from 1."""
        return self.claim.attempt
