"""JobsService over the journal and the object store."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from grpc import aio

from jobs_service import requests
from jobs_service.admission_hook import NO_HOOK, AdmissionHook, ProposedWork
from jobs_service.deletion import JobDeletions
from jobs_service.erasure import JobErasures
from jobs_service.feed import Feed
from jobs_service.messages import usage_message
from jobs_service.response_size import fitting_page
from jobs_service.stored_files import stored_file, version_with_audio
from jobs_service.value_messages import stored_file_message, timestamp
from jobs_service.watch import JobWatch, TenantWatch
from jobs_service.waveforms import Waveforms
from servicekit.access.call_limits import CallLimits
from servicekit.access.caller import current_caller, current_tenant
from servicekit.caller_fields import read_page_size
from servicekit.clock import Clock
from servicekit.delivery.keys import public_key
from servicekit.errors import DataLoss
from servicekit.journal import Job, Journal, OwningService
from servicekit.journal.reading import job_not_found
from servicekit.rpc.pools import CallPools
from servicekit.store.object_store import ObjectStore
from sonichaos.jobs.v1 import job_pb2, jobs_service_pb2, jobs_service_pb2_grpc

_ADD_STEMS = "/sonichaos.jobs.v1.JobsService/AddStems"
_RETRY_VERSION = "/sonichaos.jobs.v1.JobsService/RetryVersion"
GATED_METHODS = (_ADD_STEMS, _RETRY_VERSION)
"""Methods that create work. They are refused while the service warms or drains."""

Context = aio.ServicerContext[Any, Any]


class JobsServicer(jobs_service_pb2_grpc.JobsServiceServicer):
    """The service for the jobs of one owner.

    ``hook`` may refuse new work; ``call_limits`` counts the server's calls and knows the limits of tenants. At most ``queue_limit``
    versions may wait. ``url_ttl_s`` is how long a signed URL is valid by default. Methods raise ServiceError, which the server's
    boundary turns into a status.
    """

    def __init__(
        self,
        feed: Feed,
        store: ObjectStore,
        deletions: JobDeletions,
        *,
        pools: CallPools,
        clock: Clock,
        queue_limit: int,
        url_ttl_s: int,
        as_message: Callable[[Job], job_pb2.Job],
        hook: AdmissionHook = NO_HOOK,
        call_limits: CallLimits,
    ) -> None:
        self._feed = feed
        self._journal: Journal = feed.journal
        self._owner: OwningService = feed.owner
        self._store = store
        self._waveforms = Waveforms(store)
        self._deletions = deletions
        self._erasures = JobErasures(feed.journal, feed.owner, deletions)
        self._pools = pools
        self._clock = clock
        self._queue_limit = queue_limit
        self._url_ttl_s = url_ttl_s
        self._message = as_message
        self._hook = hook
        self._call_limits = call_limits
        self._work_pool = hook.pool(pools, without=pools.writes)

    async def GetJob(
        self, request: jobs_service_pb2.GetJobRequest, context: Context
    ) -> jobs_service_pb2.GetJobResponse:
        """Return one job."""
        tenant = current_tenant()

        def answer() -> jobs_service_pb2.GetJobResponse:
            return jobs_service_pb2.GetJobResponse(job=self._message(self._owned(tenant, request.job_id)))

        return await self._pools.reads.run(answer)

    async def ListJobs(
        self, request: jobs_service_pb2.ListJobsRequest, context: Context
    ) -> jobs_service_pb2.ListJobsResponse:
        """Return a page of the caller's jobs, newest first."""
        tenant = current_tenant()
        wanted = requests.job_filter(request, self._owner)
        asked = read_page_size(request.page_size)

        def page_of(size: int) -> jobs_service_pb2.ListJobsResponse:
            page = self._journal.jobs(tenant, wanted, page_size=size, page_token=request.page_token)
            messages = [self._message(job) for job in page.jobs]
            return jobs_service_pb2.ListJobsResponse(jobs=messages, next_page_token=page.next_token)

        def answer() -> jobs_service_pb2.ListJobsResponse:
            return fitting_page(page_of, asked, rows_of=lambda page: page.jobs)

        return await self._pools.reads.run(answer)

    async def WatchJob(
        self, request: jobs_service_pb2.WatchJobRequest, context: Context
    ) -> AsyncIterator[jobs_service_pb2.WatchJobResponse]:
        """Stream a job's events, stored ones first, until a version is final."""
        watch = JobWatch(
            self._feed,
            self._pools.watches,
            tenant=current_tenant(),
            job_id=request.job_id,
            version=request.version,
            after_sequence=request.after_sequence,
            heartbeat_s=requests.heartbeat_s(request.heartbeat_seconds),
        )
        await watch.join()
        await context.send_initial_metadata(())
        async with aclosing(watch.events()) as events:
            async for event in events:
                heartbeat_time = timestamp(self._clock.now()) if event is None else None
                yield jobs_service_pb2.WatchJobResponse(event=event, heartbeat_time=heartbeat_time)

    async def WatchJobs(
        self, request: jobs_service_pb2.WatchJobsRequest, context: Context
    ) -> AsyncIterator[jobs_service_pb2.WatchJobsResponse]:
        """Stream the events of all of the caller's jobs. No event after the initial metadata is missed."""
        watch = TenantWatch(
            self._feed,
            self._pools.watches,
            tenant=current_tenant(),
            cursor=request.cursor,
            heartbeat_s=requests.heartbeat_s(request.heartbeat_seconds),
        )
        await watch.join()
        await context.send_initial_metadata(())
        async with aclosing(watch.events()) as events:
            async for event in events:
                heartbeat_time = timestamp(self._clock.now()) if event is None else None
                yield jobs_service_pb2.WatchJobsResponse(event=event, heartbeat_time=heartbeat_time)

    async def CancelJob(
        self, request: jobs_service_pb2.CancelJobRequest, context: Context
    ) -> jobs_service_pb2.CancelJobResponse:
        """Cancel a version."""
        tenant = current_tenant()

        def answer() -> jobs_service_pb2.CancelJobResponse:
            job = self._journal.cancel(tenant, request.job_id, request.version, owner=self._owner)
            return jobs_service_pb2.CancelJobResponse(job=self._message(job))

        return await self._pools.cancels.run(answer)

    async def DeleteJob(
        self, request: jobs_service_pb2.DeleteJobRequest, context: Context
    ) -> jobs_service_pb2.DeleteJobResponse:
        """Delete a job and its files. What fails midway is finished by repeating the call, or without it."""
        tenant = current_tenant()

        def answer() -> jobs_service_pb2.DeleteJobResponse:
            self._deletions.delete(tenant, request.job_id)
            return jobs_service_pb2.DeleteJobResponse()

        return await self._pools.deletes.run(answer)

    async def DeleteVersion(
        self, request: jobs_service_pb2.DeleteVersionRequest, context: Context
    ) -> jobs_service_pb2.DeleteVersionResponse:
        """Delete the files of one re-rendered version. What fails midway is finished as with DeleteJob."""
        tenant = current_tenant()

        def answer() -> jobs_service_pb2.DeleteVersionResponse:
            self._deletions.delete_version(tenant, request.job_id, request.version)
            return jobs_service_pb2.DeleteVersionResponse(job=self._message(self._owned(tenant, request.job_id)))

        return await self._pools.deletes.run(answer)

    async def EraseJob(
        self, request: jobs_service_pb2.EraseJobRequest, context: Context
    ) -> jobs_service_pb2.EraseJobResponse:
        """Erase a job, and say what remains. What fails midway is finished by repeating the call, or without it."""
        report = await self._pools.deletes.run(self._erasures.erase, current_tenant(), request.job_id)
        return jobs_service_pb2.EraseJobResponse(report=report)

    async def AddStems(
        self, request: jobs_service_pb2.AddStemsRequest, context: Context
    ) -> jobs_service_pb2.AddStemsResponse:
        """Queue a version again, for its stems."""
        tenant = current_tenant()
        mode = requests.stem_mode(request.stem_mode)
        priority = requests.priority(request.priority)
        limits = self._call_limits.policy.of(current_caller())

        def answer() -> jobs_service_pb2.AddStemsResponse:
            version = self._journal.version_for_stems(tenant, request.job_id, request.version, owner=self._owner)
            self._hook.check(ProposedWork.of_stems(_ADD_STEMS, version, mode, priority=priority))
            job = self._journal.add_stems(
                tenant,
                request.job_id,
                version.number,
                mode,
                limit=self._queue_limit,
                tenant_limits=limits,
                owner=self._owner,
                priority=priority,
            )
            return jobs_service_pb2.AddStemsResponse(job=self._message(job))

        return await self._work_pool.run(answer)

    async def RetryVersion(
        self, request: jobs_service_pb2.RetryVersionRequest, context: Context
    ) -> jobs_service_pb2.RetryVersionResponse:
        """Queue a failed version again."""
        tenant = current_tenant()
        priority = requests.priority(request.priority)
        limits = self._call_limits.policy.of(current_caller())

        def answer() -> jobs_service_pb2.RetryVersionResponse:
            version = self._journal.version_to_retry(tenant, request.job_id, request.version, owner=self._owner)
            self._hook.check(ProposedWork.of_retry(_RETRY_VERSION, version, priority=priority))
            job = self._journal.retry_version(
                tenant,
                request.job_id,
                version.number,
                limit=self._queue_limit,
                tenant_limits=limits,
                owner=self._owner,
                priority=priority,
            )
            return jobs_service_pb2.RetryVersionResponse(job=self._message(job))

        return await self._work_pool.run(answer)

    async def CreateSignedUrl(
        self, request: jobs_service_pb2.CreateSignedUrlRequest, context: Context
    ) -> jobs_service_pb2.CreateSignedUrlResponse:
        """Sign a URL of one stored file."""
        tenant = current_tenant()
        ttl_s = requests.ttl_s(request, self._url_ttl_s)
        requests.check_kind(request.kind)

        def answer() -> jobs_service_pb2.CreateSignedUrlResponse:
            job = self._owned(tenant, request.job_id)
            file = stored_file(job, request.version, request.kind)
            signed = self._store.signed_url(file.key, ttl_s=ttl_s)
            return jobs_service_pb2.CreateSignedUrlResponse(
                url=signed.url,
                expire_time=timestamp(signed.expires_at),
                file=stored_file_message(replace(file, key=public_key(file.key))),
            )

        return await self._pools.reads.run(answer)

    async def GetWaveforms(
        self, request: jobs_service_pb2.GetWaveformsRequest, context: Context
    ) -> jobs_service_pb2.GetWaveformsResponse:
        """Return the peaks of a version's audio files."""
        tenant = current_tenant()
        points = requests.points(request.points)

        def answer(cancelled: threading.Event) -> jobs_service_pb2.GetWaveformsResponse:
            version, files = version_with_audio(self._owned(tenant, request.job_id), request.version)
            try:
                waveforms = self._waveforms.of(files, points=points, cancelled=cancelled)
            except DataLoss:  # unless the files were deleted meanwhile, which is NotFound
                version_with_audio(self._owned(tenant, request.job_id), version.number)
                raise
            return jobs_service_pb2.GetWaveformsResponse(version=version.number, waveforms=waveforms)

        return await self._pools.waveforms.run_stoppable(answer)

    async def GetUsage(
        self, request: jobs_service_pb2.GetUsageRequest, context: Context
    ) -> jobs_service_pb2.GetUsageResponse:
        """Return the caller's limits and what its tenant has used of them."""
        caller = current_caller()
        calls = self._call_limits
        used = await self._pools.reads.run(self._journal.usage, caller.tenant)
        return usage_message(
            caller.tenant,
            calls.policy.of(caller),
            used,
            requests=calls.requests(caller),
            open_streams=calls.open_streams(caller.tenant),
        )

    def _owned(self, tenant: str, job_id: str) -> Job:
        """A job of this service and tenant. Raises NotFound."""
        job = self._journal.job(tenant, job_id)
        if job.owner is not self._owner:
            raise job_not_found(job_id)
        return job
