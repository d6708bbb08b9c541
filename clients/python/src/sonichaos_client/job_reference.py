"""Which job, and which of its versions, a call is about."""

from __future__ import annotations

from typing import TypeAlias

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client.enums import JobState, OwningService
from sonichaos_client.errors import NotFoundError


class JobReference:
    """A job and one of its versions, as far as they are known. `JobHandle` and `AsyncJobHandle` add the calls.

    ``version`` is the version's number; without one, the job's newest. Raises NotFoundError if the job has no such version.
    """

    def __init__(self, message: job_pb2.Job, version: int = 0) -> None:
        self._message = message
        self._version = version_of(message, version).number

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.job_id}, version {self._version}, {self.state})"

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self._message.job_id

    @property
    def version(self) -> int:
        """The number of the version."""
        return self._version

    @property
    def message(self) -> job_pb2.Job:
        """The job as a service last sent it."""
        return self._message

    @property
    def state(self) -> JobState:
        """The state of the version in `message`."""
        return JobState(version_of(self._message, self._version).state)


JobLike: TypeAlias = str | job_pb2.Job | JobReference
"""A job: its id, its protobuf message, or a handle. A handle also says which version is meant where a call passes none."""


def id_of(job: JobLike) -> str:
    """The job's id."""
    return job if isinstance(job, str) else job.job_id


def number_of(job: JobLike, version: int) -> int:
    """The version that a call is about: the one passed, otherwise a handle's; 0 for the one that the service chooses."""
    return job.version if isinstance(job, JobReference) and not version else version


def message_of_job(job: job_pb2.Job | JobReference) -> job_pb2.Job:
    """The protobuf message."""
    return job.message if isinstance(job, JobReference) else job


def owner_of(job: job_pb2.Job) -> OwningService:
    """The service that owns a job."""
    owner = OwningService(job.owner)
    return owner if owner is OwningService.SEPARATION else OwningService.RENDER


def version_of(job: job_pb2.Job, number: int) -> job_pb2.Version:
    """One version of a job; 0 is the newest. Raises NotFoundError."""
    for version in reversed(job.versions):
        if number in {0, version.number}:
            return version
    raise NotFoundError(
        f"{job.job_id} has no version {number}. Its versions: "
        f"{', '.join(f'v{version.number}' for version in job.versions) or 'none'}.",
        reason="VERSION_NOT_FOUND",
        metadata={"job_id": job.job_id, "version": str(number)},
    )
