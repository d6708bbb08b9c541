"""The asyncio client."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from copy import copy
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import Self, Unpack

from sonichaos.jobs.v1 import brief_pb2, erasure_pb2, job_pb2
from sonichaos.jobs.v1 import jobs_service_pb2 as jobs_pb
from sonichaos.operations.v1 import operations_pb2
from sonichaos.render.v1 import render_pb2
from sonichaos.separation.v1 import separation_pb2
from sonichaos.webhooks.v1 import webhooks_pb2
from sonichaos_client import download, jobs, operations, persona_clips, render, upload, watch, webhook_calls
from sonichaos_client.addresses import Addresses
from sonichaos_client.async_calls import AsyncCalls
from sonichaos_client.connection import Connections
from sonichaos_client.credentials import Credentials
from sonichaos_client.enums import FileKind, OwningService, Stem, StemMode, StemName, WebhookEventKind
from sonichaos_client.events import JobEvent
from sonichaos_client.fields import AnalysisFields, BriefFields, RerenderFields, SeparationFields, StrPath
from sonichaos_client.job_handle import AsyncJobHandle
from sonichaos_client.job_reference import JobLike
from sonichaos_client.options import CallOptions


class AsyncClient:
    """Client of both services for asyncio: ``async with AsyncClient() as client``, used in one event loop.

    ``address`` is that of render_service, or of a proxy in front of both; `Addresses.of_one` says where separation_service is if
    ``separation_address`` is not passed. Without addresses the environment is read (``SONICHAOS_RENDER_ADDRESS``,
    ``SONICHAOS_SEPARATION_ADDRESS``), without credentials too (`Credentials.from_environment`); then the services are expected on
    this machine. ``metadata`` goes with every call.

    Methods take a job as its id, its protobuf message or a handle, which also names the version. Calls that create a version return
    a handle. Every method raises SonichaosError. To leave a stream before its end, close it with ``contextlib.aclosing``.
    """

    def __init__(
        self,
        address: str | None = None,
        separation_address: str | None = None,
        *,
        credentials: Credentials | None = None,
        metadata: Sequence[tuple[str, str]] = (),
        options: CallOptions | None = None,
    ) -> None:
        self._options = options or CallOptions()
        addresses = Addresses.resolve(address, separation_address)
        self._connections = Connections(addresses, credentials, metadata, self._options.retry)
        self._calls = AsyncCalls(self._connections)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; running calls end."""
        await self._calls.close()

    def with_timeout(self, timeout_s: float) -> Self:
        """The same client, with another timeout of every call that is not a stream: ``client.with_timeout(2).get_job(job_id)``.

        It shares the connections, so that closing one closes both.
        """
        other = copy(self)
        other._options = replace(self._options, timeout_s=timeout_s, long_timeout_s=timeout_s)  # noqa: SLF001 - of the same class
        return other

    async def create_render(
        self,
        brief: brief_pb2.Brief | None = None,
        *,
        request_id: str = "",
        priority: int = 0,
        **fields: Unpack[BriefFields],
    ) -> AsyncJobHandle:
        """Create a take from a brief or from its fields: ``create_render(prompt="...", persona_id="...", seconds=8)``.

        Returns once the job is durable. Repeating a call with the same request id returns the same job. Among a tenant's waiting
        jobs the one with the highest priority (-100 to 100) is first. `BriefFields` lists the keyword arguments.
        """
        made = render.create_render(render.brief_of(brief, fields), request_id, priority, self._options)
        return AsyncJobHandle(self, await self._calls.run(made), 1)

    async def analyze_prompt(self, prompt: str) -> render_pb2.AnalyzePromptResponse:
        """What the services read from a prompt: instruments, mood, tempo and key, with its words for each. Creates nothing."""
        return await self._calls.run(render.analyze_prompt(prompt, self._options))

    async def estimate_render(self, *, seconds: float = 0.0, stems: bool = False) -> render_pb2.EstimateRenderResponse:
        """When a take of a length (0: 30 s) would be done if it were requested now, and what is ahead of it. Creates nothing."""
        return await self._calls.run(render.estimate_render(seconds, self._options, stems=stems))

    async def rerender_stem(
        self, job: JobLike, stem: Stem | StemName, *, request_id: str = "", **fields: Unpack[RerenderFields]
    ) -> AsyncJobHandle:
        """Render one stem of a finished version again, as the job's next version, with another persona, prompt or seed.

        `RerenderFields` lists the keyword arguments.
        """
        response = await self._calls.run(render.rerender_stem(job, stem, request_id, fields, self._options))
        return AsyncJobHandle(self, response.job, response.version)

    async def separate_file(
        self, path: StrPath, *, request_id: str = "", **fields: Unpack[SeparationFields]
    ) -> AsyncJobHandle:
        """Upload a recording and separate it into stems. `SeparationFields` lists the keyword arguments."""
        return AsyncJobHandle(
            self, await self._calls.run(upload.separate_file(path, request_id, fields, self._options)), 1
        )

    async def separate_stored(
        self, store_key: str, *, request_id: str = "", **fields: Unpack[SeparationFields]
    ) -> AsyncJobHandle:
        """Separate a recording that is already in the object store, under a key that starts with ``uploads/``."""
        return AsyncJobHandle(
            self, await self._calls.run(upload.separate_stored(store_key, request_id, fields, self._options)), 1
        )

    async def analyze_file(
        self, path: StrPath, **fields: Unpack[AnalysisFields]
    ) -> separation_pb2.AnalyzeAudioResponse:
        """Estimate the tempo map and key of a recording, with confidences. The service does not store the file.

        `AnalysisFields` lists the keyword arguments.
        """
        return await self._calls.run(upload.analyze_file(path, fields, self._options))

    async def job(self, job_id: str, *, version: int = 0) -> AsyncJobHandle:
        """A handle of a job of either service, and of one of its versions (0: the newest)."""
        return AsyncJobHandle(self, await self.get_job(job_id), version)

    async def get_job(self, job: JobLike) -> job_pb2.Job:
        """One job of either service."""
        return await self._calls.run(jobs.get_job(job, self._options))

    def list_jobs(self, job_filter: jobs.JobFilter | None = None) -> AsyncGenerator[job_pb2.Job, None]:
        """Jobs of both services, newest first, fetched page by page during iteration."""
        return self._calls.stream(jobs.list_jobs(job_filter or jobs.JobFilter(), self._options))

    def watch(self, job: JobLike, *, version: int = 0, after_sequence: int = 0) -> AsyncGenerator[JobEvent, None]:
        """A job's events after a number, each once and in order, until the version (0: the newest) ends.

        The stream is resumed after a connection loss. Passing the job instead of its id saves a call. Of a handle, only the events
        of its version are yielded.
        """
        return self._calls.stream(watch.watch(job, version, after_sequence, self._options))

    def watch_all(
        self, service: OwningService = OwningService.RENDER, *, cursor: str = ""
    ) -> AsyncGenerator[JobEvent, None]:
        """Events of all of the caller's jobs at one service after a cursor (empty: from now on), without end.

        The stream resumes after the last event received. Until the first event, a connection loss can lose events; pass a cursor to
        avoid this.
        """
        return self._calls.stream(watch.watch_all(service, cursor, self._options))

    async def wait(self, job: JobLike, *, version: int = 0, timeout_s: float | None = None) -> job_pb2.Job:
        """Wait until a version (0: the newest) is done. Raises JobFailedError or JobCancelledError if it ends otherwise.

        Raises DeadlineExceededError if it has not ended after ``timeout_s`` seconds; the job continues.
        """
        return await self._calls.run(watch.wait(job, version, timeout_s, self._options))

    async def cancel(self, job: JobLike, *, version: int = 0) -> job_pb2.Job:
        """Cancel a version (0: the newest that has not ended)."""
        return await self._calls.run(jobs.cancel(job, version, self._options))

    async def delete(self, job: JobLike) -> None:
        """Delete a finished job and its files. Its audit rows stay."""
        await self._calls.run(jobs.delete(job, self._options))

    async def delete_version(self, job: JobLike, version: int) -> job_pb2.Job:
        """Delete the files of a re-rendered version, 2 or more, that has ended. It stays listed, with its ``delete_time``.

        What is made from it later stays. Its number is never used again and its audit rows stay. Can be repeated.
        """
        return await self._calls.run(jobs.delete_version(job, version, self._options))

    async def erase(self, job: JobLike) -> erasure_pb2.ErasureReport:
        """Erase a finished or deleted job for good: files, rows, and the texts beside its audit rows. Says what remains and why."""
        return await self._calls.run(jobs.erase(job, self._options))

    async def add_stems(
        self, job: JobLike, *, version: int = 0, stem_mode: StemMode | None = None, priority: int = 0
    ) -> job_pb2.Job:
        """Request stems for a version that has none or whose stems failed (0: the newest such version)."""
        return await self._calls.run(jobs.add_stems(job, version, stem_mode, priority, self._options))

    async def retry_version(self, job: JobLike, *, version: int = 0, priority: int = 0) -> job_pb2.Job:
        """Queue a failed version again (0: the newest one that failed)."""
        return await self._calls.run(jobs.retry_version(job, version, priority, self._options))

    async def get_usage(self, service: OwningService = OwningService.RENDER) -> jobs_pb.GetUsageResponse:
        """The caller's limits, and how much of each its tenant has used, as one service counts it."""
        return await self._calls.run(jobs.get_usage(service, self._options))

    async def create_signed_url(
        self, job: JobLike, *, version: int = 0, kind: FileKind | None = None, ttl: timedelta | None = None
    ) -> jobs_pb.CreateSignedUrlResponse:
        """Create a URL that downloads one stored file of a version (0: the newest that has the file) until it expires."""
        return await self._calls.run(jobs.create_signed_url(job, version, kind, ttl, self._options))

    async def waveforms(self, job: JobLike, *, version: int = 0, points: int = 1024) -> jobs_pb.GetWaveformsResponse:
        """The peaks of a version's bounce and stems (0: the newest that has any), at most ``points`` of each, to draw them."""
        return await self._calls.run(jobs.waveforms(job, version, points, self._options))

    async def download(
        self,
        job: JobLike,
        folder: StrPath,
        *,
        version: int = 0,
        kind: FileKind | None = None,
        file_name: str | None = None,
        overwrite: bool = False,
    ) -> download.SavedFile:
        """Download a file of a version (0: the newest that has the file) into a folder and verify its digest.

        The default is the ZIP of a version with stems, otherwise the bounce. Its name is ``file_name``, or made of the job's id.
        The file appears complete or not at all.
        """
        source = download.Source(self._options, self._connections.credentials)
        return await self._calls.run(
            download.download(job, folder, version, kind, source, file_name=file_name, overwrite=overwrite)
        )

    def list_personas(self) -> AsyncGenerator[render_pb2.Persona, None]:
        """All personas, by id."""
        return self._calls.stream(render.list_personas(self._options))

    async def get_persona(self, persona_id: str) -> render_pb2.Persona:
        """One persona."""
        return await self._calls.run(render.get_persona(persona_id, self._options))

    async def create_persona(self, persona_id: str, prefix: str, clips: Sequence[StrPath]) -> render_pb2.Persona:
        """Create a persona from reference clips and a prompt prefix."""
        return await self._calls.run(upload.create_persona(persona_id, prefix, clips, self._options))

    async def download_persona_clip(
        self, persona: str | render_pb2.Persona, index: int = 0, path: StrPath | None = None, *, overwrite: bool = False
    ) -> persona_clips.PersonaClip:
        """Download a reference clip of a persona as it was sent, and verify its digest.

        With ``path``, it is also stored as that file, complete or not at all. Passing the persona instead of its id saves a call.
        """
        clip = persona_clips.download_persona_clip(persona, index, path, self._options, overwrite=overwrite)
        return await self._calls.run(clip)

    async def delete_persona(self, persona_id: str) -> None:
        """Delete a persona that is not built in."""
        await self._calls.run(render.delete_persona(persona_id, self._options))

    def list_audit_rows(self, job_id: str = "") -> AsyncGenerator[render_pb2.AuditRow, None]:
        """Audit rows of one job, or of all jobs, oldest first."""
        return self._calls.stream(render.list_audit_rows(job_id, self._options))

    async def verify_audit_chain(
        self, *, head_sequence: int = 0, head_digest: str = ""
    ) -> render_pb2.VerifyAuditChainResponse:
        """Verify the audit chain, and that it contains an exported head if one is given."""
        return await self._calls.run(render.verify_audit_chain(head_sequence, head_digest, self._options))

    async def replay(self, job: JobLike, *, version: int = 0) -> render_pb2.ReplayTakeResponse:
        """Render a version (0: the newest with an audit row) again from its audit row and compare it with the stored take."""
        return await self._calls.run(render.replay(job, version, self._options))

    async def erase_prompt(self, job: JobLike) -> render_pb2.ErasePromptResponse:
        """Erase the prompts of a finished or deleted job from the journal, for good.

        The response lists the stored files that still contain them.
        """
        return await self._calls.run(render.erase_prompt(job, self._options))

    async def erase_tenant(
        self, tenant: str, service: OwningService = OwningService.RENDER
    ) -> operations_pb2.EraseTenantResponse:
        """Erase everything that one service holds of a tenant. Returns at its end; the service goes on without the call."""
        return await self._calls.run(operations.erase_tenant(tenant, service, self._options))

    async def drain(
        self, service: OwningService = OwningService.RENDER, *, limit: timedelta | None = None
    ) -> operations_pb2.DrainResponse:
        """Stop a service as SIGTERM does. ``limit`` is how long running work may take to finish (default: set by the service)."""
        return await self._calls.run(operations.drain(service, limit, self._options))

    async def get_drift_report(self, stem: Stem | StemName = Stem.DRUMS) -> render_pb2.GetDriftReportResponse:
        """How far re-renders of a stem lay from their grids, and whether the share within the limits is high enough."""
        return await self._calls.run(render.get_drift_report(stem, self._options))

    async def get_render_model(self) -> render_pb2.GetModelInfoResponse:
        """The loaded renderer."""
        return await self._calls.run(render.get_model(self._options))

    async def get_separation_model(self) -> separation_pb2.GetModelInfoResponse:
        """The loaded separator."""
        return await self._calls.run(upload.get_separation_model(self._options))

    async def create_webhook(
        self,
        url: str,
        *,
        job: JobLike | None = None,
        kinds: Sequence[WebhookEventKind] = (),
        request_id: str = "",
        service: OwningService = OwningService.RENDER,
    ) -> webhooks_pb2.CreateWebhookResponse:
        """Register a webhook for one job or (None) for all jobs; without ``kinds`` for everything.

        The response has its secret, which no other call shows. A repeated ``request_id`` returns the same webhook and secret.
        """
        return await self._calls.run(
            webhook_calls.create_webhook(url, job, kinds, request_id, service=service, options=self._options)
        )

    def list_webhooks(
        self, service: OwningService = OwningService.RENDER
    ) -> AsyncGenerator[webhooks_pb2.Webhook, None]:
        """All webhooks, newest first. Either service knows those of both."""
        return self._calls.stream(webhook_calls.list_webhooks(service, self._options))

    async def delete_webhook(self, webhook_id: str, service: OwningService = OwningService.RENDER) -> None:
        """Remove a webhook and its deliveries."""
        await self._calls.run(webhook_calls.delete_webhook(webhook_id, service, self._options))

    def list_webhook_deliveries(
        self, webhook_id: str, service: OwningService = OwningService.RENDER
    ) -> AsyncGenerator[webhooks_pb2.WebhookDelivery, None]:
        """The deliveries of a webhook, newest first."""
        return self._calls.stream(webhook_calls.list_webhook_deliveries(webhook_id, service, self._options))

    async def retry_webhook_delivery(
        self, delivery_id: str, service: OwningService = OwningService.RENDER
    ) -> webhooks_pb2.WebhookDelivery:
        """Attempt a delivery of a webhook now, whatever its state, and as often as a new one if that fails."""
        return await self._calls.run(webhook_calls.retry_webhook_delivery(delivery_id, service, self._options))
