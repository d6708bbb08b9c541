"""The argument of a worker's work."""

from __future__ import annotations

from dataclasses import dataclass

from servicekit.journal import Claim, Job, Version
from servicekit.journal.rows import Json
from servicekit.work.progress import Progress


@dataclass(frozen=True)
class Assignment:
    """One attempt at one version. ``version.files`` and ``version.checkpointed_stage`` hold what earlier attempts saved."""

    claim: Claim
    progress: Progress

    @property
    def job(self) -> Job:
        """The job at the start of the attempt."""
        return self.claim.job

    @property
    def version(self) -> Version:
        """The version at the start of the attempt."""
        return self.claim.version

    @property
    def brief(self) -> Json:
        """Proto-JSON of the version's ResolvedBrief."""
        return self.claim.version.brief

    @property
    def plan(self) -> Json:
        """JSON of the owning service."""
        return self.claim.version.plan

    @property
    def attempt(self) -> int:
        """Number of the attempt, from 1."""
        return self.claim.attempt
