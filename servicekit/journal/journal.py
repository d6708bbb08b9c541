"""The journal of one installation: jobs, versions, numbered events and the audit chain.

Every method is one transaction, durable before it returns, and may be called from any thread. Errors: NotFound, AlreadyExists,
FailedPrecondition, ResourceExhausted and InvalidToken as the methods state. Every method may also raise Unavailable
STORE_UNAVAILABLE (the database does not answer) and ResourceExhausted DISK_FULL (its disk is full).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from types import TracebackType
from typing import Self

from servicekit.clock import Clock
from servicekit.delivery.names import StemMode, StemName
from servicekit.errors import ServiceError
from servicekit.faults import Faults
from servicekit.journal import (
    admission,
    audit_chain,
    cancel_delete,
    claims,
    event_log,
    listing,
    reading,
    reaping,
    upkeep,
)
from servicekit.journal.database import Database, Transaction
from servicekit.journal.leases import Leases
from servicekit.journal.liveness import Liveness
from servicekit.journal.reaping import CrashPolicy
from servicekit.journal.rows import (
    AcceptResult,
    AuditPage,
    AuditRow,
    ChainHead,
    ChainReport,
    Checkpoint,
    Claim,
    ClaimLost,
    Erasure,
    EventDraft,
    EventPage,
    HeartbeatReply,
    Job,
    JobFilter,
    JobPage,
    JobStatus,
    Json,
    NewJob,
    NewVersion,
    OrphanedVersion,
    Request,
    RerenderOutcome,
    SweptJob,
    WaitState,
)
from servicekit.journal.states import JobState, OwningService
from servicekit.journal.tokens import Sealer
from servicekit.journal.wakeups import Listener, Wakeups

_FEED = "feed"
_NOT_WRITTEN = frozenset({"STORE_UNAVAILABLE", "DISK_FULL"})


class Journal:
    """See the module. Open with :meth:`open`; close with a ``with`` block or :meth:`close`.

    ``sealer`` makes the tokens of other lists too: its key is the journal's, so that every process of an installation opens them.
    """

    def __init__(self, database: Database, liveness: Liveness, clock: Clock, max_crashes: int = 3) -> None:
        self._database = database
        self._liveness = liveness
        self._leases = Leases(liveness, clock)
        self._crash_policy = CrashPolicy(self._leases, max_crashes)
        self.sealer = Sealer(database.token_key)
        self._wakeups = Wakeups()

    @classmethod
    def open(cls, url: str, *, clock: Clock, max_crashes: int = 3) -> Self:
        """Open or create the journal at ``sqlite:////absolute/file`` or ``postgresql://…``.

        A version fails when its worker crashes for the ``max_crashes``-th time. Raises :class:`SchemaError` where another
        release wrote the journal, ValueError for any other kind of URL.
        """
        database = Database.open(url, clock=clock)
        folder = database.path.with_name(database.path.name + "-alive") if database.path else None
        return cls(database, Liveness(folder), clock, max_crashes)

    @property
    def identity(self) -> str:
        """The same for every process that uses this journal, another for any other journal."""
        return hashlib.sha256(b"identity" + self._database.token_key).hexdigest()[:32]

    @property
    def clock(self) -> Clock:
        """A clock with the journal's time of day: the database's on PostgreSQL, so that all hosts agree."""
        return self._database.clock

    def inject(self, faults: Faults) -> None:
        """From now on, the database refuses statements where ``faults`` says so."""
        self._database.inject(faults)

    def close(self) -> None:
        """Close every connection. Other workers can claim this process's versions at once."""
        self._liveness.close()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # For callers

    def find_existing(self, request: Request) -> AcceptResult | None:
        """The job that an earlier call with the same request id made; None for a new request, and while that call runs.

        Raises AlreadyExists REQUEST_ID_REUSED where that call had other content.
        """
        if not request.request_id:
            return None
        with self._database.reading() as connection:
            return admission.find_existing(connection, request, self._database.now_us())

    def accept(self, new: NewJob, *, limit: int) -> AcceptResult:
        """Accept a job if fewer than ``limit`` versions are queued. A retry of the same request returns the same job.

        Raises AlreadyExists REQUEST_ID_REUSED, ResourceExhausted QUEUE_FULL, FailedPrecondition EXPIRY_TOO_SOON.
        """
        with self._writing() as tx:
            return admission.accept(tx, new, limit)

    def accept_version(self, new: NewVersion, *, limit: int) -> AcceptResult:
        """Accept the next version of a job. Version numbers are never reused.

        If ``new.owner`` names the other service, that service owns the job from then on. Raises as :meth:`accept`, NotFound, and
        FailedPrecondition WRONG_STATE where the owner would change and a version has not ended.
        """
        with self._writing() as tx:
            return admission.accept_version(tx, new, limit)

    def add_stems(
        self,
        tenant: str,
        job_id: str,
        version: int,
        stem_mode: StemMode | None,
        *,
        limit: int,
        owner: OwningService | None = None,
    ) -> Job:
        """Queue an ended version with a bounce and no stems again, to make them (0: the newest such). None keeps its stem mode.

        Raises NotFound, also for a job that is not ``owner``'s (None: anyone's), FailedPrecondition WRONG_STATE and
        ResourceExhausted QUEUE_FULL.
        """
        with self._writing() as tx:
            return admission.add_stems(tx, tenant, job_id, version, stem_mode=stem_mode, limit=limit, owner=owner)

    def retry_version(
        self, tenant: str, job_id: str, version: int, *, limit: int, owner: OwningService | None = None
    ) -> Job:
        """Queue a failed version again (0: the newest such), with a new count of crashes and without expiry.

        Raises NotFound as :meth:`add_stems`, FailedPrecondition WRONG_STATE (it has not failed, its prompt was erased, or it
        failed by a measurement that drift reports count) and ResourceExhausted QUEUE_FULL.
        """
        with self._writing() as tx:
            return admission.retry_version(tx, tenant, job_id, version, limit=limit, owner=owner)

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

    def count_queued(self, owner: OwningService) -> int:
        """How many versions are queued."""
        with self._database.reading() as connection:
            return claims.count_queued(connection, owner)

    # For workers. Every method that takes a claim raises ClaimLost once the claim is no longer valid.

    def claim(self, owner: OwningService, *, lease_s: float) -> Claim | None:
        """Claim the next version to work on, as a new attempt; None where there is none."""
        with self._database.reading() as connection:
            if not claims.has_work(connection, owner, self._crash_policy, self._database.now_us()):
                return None
        token = secrets.token_hex(16)
        self._leases.hold(token)
        claimed = None
        try:
            with self._writing() as tx:
                claimed = claims.claim(tx, owner, token, lease_s, self._crash_policy)
            return claimed
        finally:
            if claimed is None:
                self._leases.drop(token)

    def drop(self, claim: Claim) -> None:
        """The work on a claim has stopped without ending or releasing the version: any worker may claim it again at once."""
        self._leases.drop(claim.token)

    def orphaned_versions(self, owner: OwningService) -> Sequence[OrphanedVersion]:
        """The versions of dead workers that the next :meth:`reap` or :meth:`claim` will end. Their claims are valid no longer.

        Remove the files of these versions first: once a version has ended, nobody knows about files that it does not name.
        """
        with self._database.reading() as connection:
            found = reaping.orphans(connection, owner, self._crash_policy, self._database.now_us())
            if not any(orphan.has_live_claim for orphan in found):
                return reaping.to_orphaned_versions(connection, found)
        with self._writing() as tx:
            return reaping.to_orphaned_versions(tx.connection, reaping.revoke_claims(tx, owner, self._crash_policy))

    def reap(self, owner: OwningService) -> None:
        """End the versions that no worker will end: queued ones past their expiry, and those of :meth:`orphaned_versions`."""
        with self._database.reading() as connection:
            reapable = reaping.has_reapable(connection, owner, self._crash_policy, self._database.now_us())
        if not (reapable or self._database.clock_was_set()):
            return
        with self._writing() as tx:
            reaping.reap(tx, owner, self._crash_policy)

    def heartbeat(self, claim: Claim) -> HeartbeatReply:
        """Renew the lease; the reply tells whether the work has to stop."""
        with self._writing_claim(claim) as tx:
            return claims.heartbeat(tx, claim)

    def checkpoint(self, claim: Claim, results: Checkpoint) -> AuditRow | None:
        """Save results of an attempt; returns their audit row.

        If they end the version and a cancel came first, this raises Cancelled and saves nothing.
        """
        with self._writing_claim(claim) as tx:
            row = claims.checkpoint(tx, claim, results, self._leases.held_s(claim.token))
        if results.done:
            self._leases.drop(claim.token)
        return row

    def append_events(self, claim: Claim, drafts: Sequence[EventDraft], waits: WaitState | None = None) -> None:
        """Append events in order; unless it is None, ``waits`` replaces what was saved before."""
        with self._writing_claim(claim) as tx:
            claims.append_events(tx, claim, drafts, waits)

    def retry(self, claim: Claim) -> Claim:
        """Start a new attempt under the same claim; the result holds the version as it is now."""
        with self._writing_claim(claim) as tx:
            return claims.retry(tx, claim)

    def finish(self, claim: Claim) -> JobState:
        """End the version as DONE, or as CANCELLED if a cancel came first; returns the state."""
        return self._end(claim, JobState.DONE, None)

    def fail(self, claim: Claim, error: Json) -> None:
        """End the version as FAILED. ``error`` is proto-JSON of google.rpc.Status."""
        self._end(claim, JobState.FAILED, error)

    def end_cancelled(self, claim: Claim) -> None:
        """End the version as CANCELLED."""
        self._end(claim, JobState.CANCELLED, None)

    def release(self, claim: Claim) -> None:
        """Put the version back in its old place in the queue; the next attempt resumes after its checkpointed stage."""
        with self._writing_claim(claim) as tx:
            claims.release(tx, claim)
        self._leases.drop(claim.token)

    # For watchers

    def events_after(self, job_id: str, sequence: int, limit: int) -> EventPage:
        """At most ``limit`` events of a job with a sequence number above ``sequence``."""
        with self._database.reading() as connection:
            return event_log.of_job(connection, job_id, sequence, limit)

    def feed_after(self, owner: OwningService, tenant: str | None, position: int, limit: int) -> EventPage:
        """At most ``limit`` events after a feed position, of an owner's jobs; of one tenant or (None) of all."""
        with self._database.reading() as connection:
            return event_log.of_feed(connection, owner, tenant, position, limit)

    def feed_head(self) -> int:
        """The feed position of the newest event."""
        with self._database.reading() as connection:
            return event_log.head(connection)

    def cursor(self, tenant: str, position: int) -> str:
        """A feed position as an opaque text for callers."""
        return self.sealer.seal(position, _FEED, tenant)

    def position(self, tenant: str, cursor: str) -> int:
        """The feed position of a cursor. Raises InvalidToken where it was not made for this tenant."""
        return int(self.sealer.open(cursor, _FEED, tenant))

    def subscribe(self, listener: Listener) -> AbstractContextManager[None]:
        """During the block, call ``listener`` with the events of every commit of this process, in the committing thread."""
        return self._wakeups.subscribe(listener)

    # The audit chain

    def erase_prompt(self, tenant: str, job_id: str) -> Erasure:
        """Erase the prompts of an ended or deleted job; the chain stays intact.

        Raises FailedPrecondition WRONG_STATE, NotFound.
        """
        with self._writing() as tx:
            erased = audit_chain.erase_prompt(tx, tenant, job_id)
            upkeep.set_purge_pending(tx, pending=True)
        return Erasure(erased, purge_pending=not self.purge_erased())

    def purge_erased(self) -> bool:
        """Remove erased prompts from the database's log too; False where that is not possible yet. Call again until it is True."""
        with self._database.reading() as connection:
            if not upkeep.is_purge_pending(connection):
                return True
        if not self._database.purge_overwritten():
            return False
        with self._writing() as tx:
            upkeep.set_purge_pending(tx, pending=False)
        return True

    # Retention

    def prune_events(self, owner: OwningService, *, older_than_s: float, limit: int) -> int:
        """Look at the next ``limit`` old events and remove those that nobody needs; returns how many were looked at.

        PROGRESS events of ended jobs are removed, but for each track's newest, and the DELETED events of deleted jobs.
        """
        with self._writing() as tx:
            return upkeep.prune_events(tx, owner, tx.now_us - round(older_than_s * 1e6), limit)

    def old_jobs(self, owner: OwningService, *, older_than_s: float, limit: int) -> Sequence[tuple[str, str]]:
        """Tenant and id of at most ``limit`` jobs that were accepted, and have ended, more than ``older_than_s`` ago."""
        with self._database.reading() as connection:
            return upkeep.old_jobs(connection, owner, self._database.now_us() - round(older_than_s * 1e6), limit)

    def audit_rows(self, tenant: str, job_id: str = "", *, page_size: int = 50, page_token: str = "") -> AuditPage:
        """A page of at most 200 audit rows of a job or ("") of all jobs, oldest first. Raises InvalidToken."""
        with self._database.reading() as connection:
            return audit_chain.read_rows(
                connection, self.sealer, tenant, job_id, page_size=page_size, page_token=page_token
            )

    def chain_heads(self) -> Mapping[str, ChainHead]:
        """The newest row of each tenant's chain, for :meth:`has_chain_heads`."""
        with self._database.reading() as connection:
            return audit_chain.heads(connection)

    def has_chain_heads(self, heads: Mapping[str, ChainHead]) -> bool:
        """Whether it has all rows that were once the newest; not so if it was restored from an earlier copy."""
        with self._database.reading() as connection:
            return all(audit_chain.has_row(connection, tenant, head) for tenant, head in heads.items())

    def verify_chain(self, tenant: str, head: ChainHead | None = None) -> ChainReport:
        """Check a tenant's whole chain, and that it contains the exported ``head``."""
        with self._database.reading() as connection:
            return audit_chain.verify(connection, tenant, head)

    def _end(self, claim: Claim, state: JobState, error: Json | None) -> JobState:
        with self._writing_claim(claim) as tx:
            ended = claims.end(tx, claim, state, error=error, held_s=self._leases.held_s(claim.token))
        self._leases.drop(claim.token)
        return ended

    @contextmanager
    def _writing_claim(self, claim: Claim) -> Iterator[Transaction]:
        """As `_writing`, for the holder of a claim. If it has lost the claim, that is no crash, since it lives."""
        try:
            with self._writing() as tx:
                yield tx
        except ClaimLost:
            self._leases.drop(claim.token)
            with suppress(ServiceError), self._writing() as tx:
                claims.excuse(tx, claim)
            raise

    @contextmanager
    def _writing(self) -> Iterator[Transaction]:
        try:
            with self._database.writing() as tx:
                yield tx
        except ServiceError as error:
            if error.reason in _NOT_WRITTEN:
                self._leases.interrupt()
            raise
        if tx.events:
            self._wakeups.notify(tx.events)
