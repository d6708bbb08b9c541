"""What the journal does for callers: jobs are accepted, read, cancelled and deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from servicekit.access.limits import UNLIMITED, TenantLimits
from servicekit.delivery.names import StemMode, StemName
from servicekit.journal import (
    admission,
    cancel_delete,
    claims,
    listing,
    reading,
    requeueing,
    usage,
    version_deletion,
)
from servicekit.journal.admission import Room
from servicekit.journal.estimates import Estimate, Queue
from servicekit.journal.open_journal import OpenJournal
from servicekit.journal.rows import (
    AcceptResult,
    Job,
    JobFilter,
    JobPage,
    JobStatus,
    NewJob,
    NewVersion,
    Request,
    RerenderOutcome,
    SweptJob,
    Usage,
    Version,
)
from servicekit.journal.states import OwningService
from servicekit.journal.version_deletion import VersionDeletion


class CallerMethods(OpenJournal):
    """Every method is one transaction; see `servicekit.journal.journal` for the errors that all of them raise."""

    def find_existing(self, request: Request) -> AcceptResult | None:
        """The job that an earlier call with the same request id made; None for a new request, and while that call runs.

        Raises AlreadyExists REQUEST_ID_REUSED where that call had other content.
        """
        if not request.request_id:
            return None
        with self._database.reading() as connection:
            return admission.find_existing(connection, request, self._database.now_us())

    def check_room(
        self,
        tenant: str,
        owner: OwningService,
        audio_seconds: float,
        *,
        limit: int,
        tenant_limits: TenantLimits = UNLIMITED,
    ) -> None:
        """Check whether a job would be accepted now, before costly work for it; :meth:`accept` checks again.

        Raises ResourceExhausted QUEUE_FULL and TENANT_LIMIT.
        """
        with self._database.reading() as connection:
            room, now_us = Room(limit, tenant_limits), self._database.now_us()
            admission.check_room(connection, owner, tenant, audio_seconds, room, now_us=now_us)

    def estimate(self, tenant: str, owner: OwningService, audio_seconds: float, *, stems_wanted: bool) -> Estimate:
        """What a new job would have to expect if it were accepted now."""
        with self._database.reading() as connection:
            queue = Queue.read(connection, owner, self._database.now_us(), newcomer=tenant)
        return queue.estimate(queue.newcomer(tenant, audio_seconds, stems_wanted=stems_wanted))

    def accept(self, new: NewJob, *, limit: int, tenant_limits: TenantLimits = UNLIMITED) -> AcceptResult:
        """Accept a job if fewer than ``limit`` versions are queued, or none of the tenant.

        A retry of the same request returns the same job. Raises AlreadyExists REQUEST_ID_REUSED, ResourceExhausted QUEUE_FULL and
        TENANT_LIMIT, FailedPrecondition EXPIRY_TOO_SOON.
        """
        with self._writing() as tx:
            return admission.accept(tx, new, Room(limit, tenant_limits))

    def accept_version(self, new: NewVersion, *, limit: int, tenant_limits: TenantLimits = UNLIMITED) -> AcceptResult:
        """Accept the next version of a job. Version numbers are never reused.

        If ``new.owner`` names the other service, that service owns the job from then on. Raises as :meth:`accept`, NotFound, and
        FailedPrecondition WRONG_STATE where the owner would change and a version has not ended.
        """
        with self._writing() as tx:
            return admission.accept_version(tx, new, Room(limit, tenant_limits))

    def add_stems(
        self,
        tenant: str,
        job_id: str,
        version: int,
        stem_mode: StemMode | None,
        *,
        limit: int,
        tenant_limits: TenantLimits = UNLIMITED,
        owner: OwningService | None = None,
        priority: int = 0,
    ) -> Job:
        """Queue an ended version with a bounce and no stems again, to make them (0: the newest such). None keeps its stem mode.

        Raises NotFound, also for a job that is not ``owner``'s (None: anyone's), FailedPrecondition WRONG_STATE and
        ResourceExhausted QUEUE_FULL and TENANT_LIMIT.
        """
        room = Room(limit, tenant_limits)
        with self._writing() as tx:
            return requeueing.add_stems(
                tx, tenant, job_id, version, stem_mode=stem_mode, priority=priority, room=room, owner=owner
            )

    def version_for_stems(
        self, tenant: str, job_id: str, version: int, *, owner: OwningService | None = None
    ) -> Version:
        """The version that :meth:`add_stems` would queue. Raises as it does, but for the queue."""
        with self._database.reading() as connection:
            now_us = self._database.now_us()
            return requeueing.version_for_stems(connection, tenant, job_id, version, owner=owner, now_us=now_us)[1]

    def version_to_retry(
        self, tenant: str, job_id: str, version: int, *, owner: OwningService | None = None
    ) -> Version:
        """The version that :meth:`retry_version` would queue. Raises as it does, but for the queue."""
        with self._database.reading() as connection:
            now_us = self._database.now_us()
            return requeueing.version_to_retry(connection, tenant, job_id, version, owner=owner, now_us=now_us)[1]

    def retry_version(
        self,
        tenant: str,
        job_id: str,
        version: int,
        *,
        limit: int,
        tenant_limits: TenantLimits = UNLIMITED,
        owner: OwningService | None = None,
        priority: int = 0,
    ) -> Job:
        """Queue a failed version again (0: the newest such), with a new count of crashes and without expiry.

        Raises NotFound as :meth:`add_stems`, FailedPrecondition WRONG_STATE (it has not failed, its prompt was erased, or it
        failed by a measurement that drift reports count) and ResourceExhausted QUEUE_FULL and TENANT_LIMIT.
        """
        room = Room(limit, tenant_limits)
        with self._writing() as tx:
            return requeueing.retry_version(tx, tenant, job_id, version, priority=priority, room=room, owner=owner)

    def cancel(self, tenant: str, job_id: str, version: int = 0, *, owner: OwningService | None = None) -> Job:
        """Cancel a version (0: the newest that has not ended). Raises NotFound as :meth:`add_stems`."""
        with self._writing() as tx:
            return cancel_delete.cancel(tx, tenant, job_id, version, owner)

    def start_delete(self, tenant: str, job_id: str, owner: OwningService) -> None:
        """Record that an ended job is being deleted: from now on only its deletion sees it. Can be repeated.

        Raises NotFound, also for a job of another owner, and FailedPrecondition WRONG_STATE.
        """
        with self._writing() as tx:
            cancel_delete.start_delete(tx, tenant, job_id, owner)

    def unfinished_deletions(self, owner: OwningService) -> Sequence[tuple[str, str]]:
        """Tenant and id of each job whose deletion was started and not finished."""
        with self._database.reading() as connection:
            return cancel_delete.unfinished_deletions(connection, owner)

    def finish_delete(self, tenant: str, job_id: str) -> None:
        """Remove a job after :meth:`start_delete` and the removal of its files.

        Its audit rows stay, and so do the measurements of its failed re-renders.
        """
        with self._writing() as tx:
            cancel_delete.finish_delete(tx, tenant, job_id)

    def start_delete_version(
        self, tenant: str, job_id: str, version: int, owner: OwningService
    ) -> VersionDeletion | None:
        """Record that the files of an ended re-rendered version are being deleted: from now on no call shows them.

        Can be repeated; None where its files have been removed. Raises InvalidFields for a version below 2, NotFound, also for a
        job of another owner, and FailedPrecondition WRONG_STATE while it or a version that is made from it has not ended.
        """
        with self._writing() as tx:
            return version_deletion.start_delete_version(tx, tenant, job_id, version, owner)

    def unfinished_version_deletions(self, owner: OwningService) -> Sequence[VersionDeletion]:
        """The deletions of versions that were started and not finished."""
        with self._database.reading() as connection:
            return version_deletion.unfinished_version_deletions(connection, owner)

    def finish_delete_version(self, deletion: VersionDeletion) -> None:
        """Record that the files have been removed. The version's row and audit row stay. Nothing where the job is gone."""
        with self._writing() as tx:
            version_deletion.finish_delete_version(tx, deletion)

    def job(self, tenant: str, job_id: str) -> Job:
        """One job with all its versions. Raises NotFound JOB_NOT_FOUND, also for another tenant's job."""
        with self._database.reading() as connection:
            return reading.read_job(connection, tenant, job_id, self._database.now_us())

    def job_status(self, tenant: str, job_id: str) -> JobStatus:
        """The state of each version and the newest event number. Raises as :meth:`job`."""
        with self._database.reading() as connection:
            return reading.read_job_status(connection, tenant, job_id)

    def jobs(self, tenant: str, job_filter: JobFilter, *, page_size: int = 50, page_token: str = "") -> JobPage:
        """A page of at most 200 jobs, newest first. Raises InvalidToken."""
        with self._database.reading() as connection:
            return listing.read_jobs(
                connection,
                self.sealer,
                tenant,
                job_filter,
                page_size=page_size,
                page_token=page_token,
                now_us=self._database.now_us(),
            )

    def rerender_outcomes(self, tenant: str, stem: StemName) -> Sequence[RerenderOutcome]:
        """All re-renders of a stem, oldest first; of deleted jobs only the measured failures."""
        with self._database.reading() as connection:
            return reading.read_rerender_outcomes(connection, tenant, stem)

    def named_keys(self, job_id: str, version: int) -> frozenset[str]:
        """The keys of the store that a version names, once every earlier write has ended, also one whose answer was lost."""
        with self._writing() as tx:
            return reading.read_named_keys(tx.connection, job_id, version)

    def swept_jobs(self, job_ids: Sequence[str]) -> Mapping[str, SweptJob]:
        """What a sweep of the store must know of these jobs; a job without a row is not among the results."""
        with self._database.reading() as connection:
            return reading.read_swept_jobs(connection, job_ids)

    def has_job(self, job_id: str) -> bool:
        """Whether there is a job, of any tenant, once every earlier write has ended, also one whose answer was lost."""
        with self._writing() as tx:
            return reading.has_job(tx.connection, job_id)

    def usage(self, tenant: str) -> Usage:
        """What a tenant uses."""
        with self._database.reading() as connection:
            return usage.read(connection, tenant, self._database.now_us())

    def add_upload(self, tenant: str, size_bytes: int) -> int:
        """Count bytes that a tenant has sent; returns how many it has sent since midnight UTC."""
        with self._writing() as tx:
            return usage.add_upload(tx, tenant, size_bytes)

    def count_queued(self, owner: OwningService) -> int:
        """How many versions are queued."""
        with self._database.reading() as connection:
            return claims.count_queued(connection, owner)
