"""Handles of jobs: what a client can do with a job, without passing its id and version each time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from datetime import timedelta
from typing import TYPE_CHECKING, Self, Unpack

from sonichaos.jobs.v1 import erasure_pb2, job_pb2
from sonichaos.jobs.v1 import jobs_service_pb2 as jobs_pb
from sonichaos_client.download import SavedFile
from sonichaos_client.enums import FileKind, Stem, StemMode, StemName
from sonichaos_client.errors import JobFailedError
from sonichaos_client.events import JobEvent
from sonichaos_client.fields import RerenderFields, StrPath
from sonichaos_client.job_reference import JobReference

if TYPE_CHECKING:
    from sonichaos_client.aio import AsyncClient
    from sonichaos_client.client import Client


class JobHandle(JobReference):
    """A job's version at a `Client`, whose methods it calls: ``job = client.create_render(...)``.

    Each call that returns the job updates `message`. Every method raises SonichaosError. `AsyncJobHandle` has the same methods.
    """

    def __init__(self, client: Client, message: job_pb2.Job, version: int = 0) -> None:
        super().__init__(message, version)
        self._client = client

    def refresh(self) -> Self:
        """Get the job as it is now."""
        self._message = self._client.get_job(self)
        return self

    def events(self, *, after_sequence: int = 0) -> Generator[JobEvent, None, None]:
        """The version's events after a number, each once and in order, until the version ends. Resumed after a connection loss."""
        return self._client.watch(self, after_sequence=after_sequence)

    def wait(self, *, timeout_s: float | None = None) -> Self:
        """Wait until the version is done. Raises JobFailedError or JobCancelledError if it ends otherwise.

        Raises DeadlineExceededError if it has not ended after ``timeout_s`` seconds; the job continues.
        """
        try:
            self._message = self._client.wait(self, timeout_s=timeout_s)
        except JobFailedError as error:
            self._message = error.job
            raise
        return self

    def cancel(self) -> Self:
        """Cancel the version."""
        self._message = self._client.cancel(self)
        return self

    def download(
        self, folder: StrPath, *, kind: FileKind | None = None, file_name: str | None = None, overwrite: bool = False
    ) -> SavedFile:
        """Download a file of the version into a folder and verify its digest: the ZIP, or the bounce of a version without stems."""
        return self._client.download(self, folder, kind=kind, file_name=file_name, overwrite=overwrite)

    def rerender(
        self, stem: Stem | StemName = "vocals", *, request_id: str = "", **fields: Unpack[RerenderFields]
    ) -> JobHandle:
        """Render one stem of this version again, as the job's next version: ``job.rerender("bass", persona_id="...")``.

        `RerenderFields` lists the keyword arguments. Returns a handle of the new version.
        """
        return self._client.rerender_stem(self, stem, request_id=request_id, **fields)

    def add_stems(self, *, stem_mode: StemMode | None = None, priority: int = 0) -> Self:
        """Request stems for the version if it has none or they failed."""
        self._message = self._client.add_stems(self, stem_mode=stem_mode, priority=priority)
        return self

    def retry(self, *, priority: int = 0) -> Self:
        """Queue the version again after it failed."""
        self._message = self._client.retry_version(self, priority=priority)
        return self

    def signed_url(
        self, *, kind: FileKind | None = None, ttl: timedelta | None = None
    ) -> jobs_pb.CreateSignedUrlResponse:
        """Create a URL that downloads one stored file of the version until it expires."""
        return self._client.create_signed_url(self, kind=kind, ttl=ttl)

    def waveforms(self, *, points: int = 1024) -> jobs_pb.GetWaveformsResponse:
        """The peaks of the version's bounce and stems, at most ``points`` of each, to draw them."""
        return self._client.waveforms(self, points=points)

    def delete(self) -> None:
        """Delete the job, all of its versions and their files. Its audit rows stay."""
        self._client.delete(self)

    def delete_version(self) -> Self:
        """Delete the files of the version, 2 or more, after it has ended. It stays listed, with its ``delete_time``."""
        self._message = self._client.delete_version(self, self.version)
        return self

    def erase(self) -> erasure_pb2.ErasureReport:
        """Erase the job for good: files, rows, and the texts beside its audit rows. Says what remains and why."""
        return self._client.erase(self)


class AsyncJobHandle(JobReference):
    """A job's version at an `AsyncClient`, whose methods it calls: ``job = await client.create_render(...)``.

    Each call that returns the job updates `message`. Every method raises SonichaosError. `JobHandle` has the same methods.
    """

    def __init__(self, client: AsyncClient, message: job_pb2.Job, version: int = 0) -> None:
        super().__init__(message, version)
        self._client = client

    async def refresh(self) -> Self:
        """Get the job as it is now."""
        self._message = await self._client.get_job(self)
        return self

    def events(self, *, after_sequence: int = 0) -> AsyncGenerator[JobEvent, None]:
        """The version's events after a number, each once and in order, until the version ends. Resumed after a connection loss."""
        return self._client.watch(self, after_sequence=after_sequence)

    async def wait(self, *, timeout_s: float | None = None) -> Self:
        """Wait until the version is done. Raises JobFailedError or JobCancelledError if it ends otherwise.

        Raises DeadlineExceededError if it has not ended after ``timeout_s`` seconds; the job continues.
        """
        try:
            self._message = await self._client.wait(self, timeout_s=timeout_s)
        except JobFailedError as error:
            self._message = error.job
            raise
        return self

    async def cancel(self) -> Self:
        """Cancel the version."""
        self._message = await self._client.cancel(self)
        return self

    async def download(
        self, folder: StrPath, *, kind: FileKind | None = None, file_name: str | None = None, overwrite: bool = False
    ) -> SavedFile:
        """Download a file of the version into a folder and verify its digest: the ZIP, or the bounce of a version without stems."""
        return await self._client.download(self, folder, kind=kind, file_name=file_name, overwrite=overwrite)

    async def rerender(
        self, stem: Stem | StemName = "vocals", *, request_id: str = "", **fields: Unpack[RerenderFields]
    ) -> AsyncJobHandle:
        """Render one stem of this version again, as the job's next version: ``job.rerender("bass", persona_id="...")``.

        `RerenderFields` lists the keyword arguments. Returns a handle of the new version.
        """
        return await self._client.rerender_stem(self, stem, request_id=request_id, **fields)

    async def add_stems(self, *, stem_mode: StemMode | None = None, priority: int = 0) -> Self:
        """Request stems for the version if it has none or they failed."""
        self._message = await self._client.add_stems(self, stem_mode=stem_mode, priority=priority)
        return self

    async def retry(self, *, priority: int = 0) -> Self:
        """Queue the version again after it failed."""
        self._message = await self._client.retry_version(self, priority=priority)
        return self

    async def signed_url(
        self, *, kind: FileKind | None = None, ttl: timedelta | None = None
    ) -> jobs_pb.CreateSignedUrlResponse:
        """Create a URL that downloads one stored file of the version until it expires."""
        return await self._client.create_signed_url(self, kind=kind, ttl=ttl)

    async def waveforms(self, *, points: int = 1024) -> jobs_pb.GetWaveformsResponse:
        """The peaks of the version's bounce and stems, at most ``points`` of each, to draw them."""
        return await self._client.waveforms(self, points=points)

    async def delete(self) -> None:
        """Delete the job, all of its versions and their files. Its audit rows stay."""
        await self._client.delete(self)

    async def delete_version(self) -> Self:
        """Delete the files of the version, 2 or more, after it has ended. It stays listed, with its ``delete_time``."""
        self._message = await self._client.delete_version(self, self.version)
        return self

    async def erase(self) -> erasure_pb2.ErasureReport:
        """Erase the job for good: files, rows, and the texts beside its audit rows. Says what remains and why."""
        return await self._client.erase(self)
