"""For how long jobs and their events are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from servicekit.host_settings import HostSettings
from servicekit.journal import Job

_DAY_S = 24 * 3600.0


@dataclass(frozen=True)
class Retention:
    """For how many seconds events of ended jobs, and ended jobs, are kept; None keeps them for good."""

    events_s: float | None
    jobs_s: float | None

    @classmethod
    def of(cls, settings: HostSettings) -> Self:
        """That of the settings, where 0 keeps for good."""
        days = (settings.event_retention_days, settings.job_retention_days)
        events_s, jobs_s = (number * _DAY_S if number else None for number in days)
        return cls(events_s, jobs_s)

    def purge_time(self, job: Job) -> datetime | None:
        """After this time `Journal.old_jobs` has the job; None where it is kept for good, and while a version has not ended."""
        if self.jobs_s is None or not all(version.state.ended for version in job.versions):
            return None
        ends = [version.end_time for version in job.versions if version.end_time is not None]
        return max([job.create_time, *ends]) + timedelta(seconds=self.jobs_s)
