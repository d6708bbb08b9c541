"""The journal of one installation: jobs, versions, numbered events and the audit chain.

Every method is one transaction, committed to disk before it returns, and may be called from any thread. Errors: NotFound,
AlreadyExists, FailedPrecondition, ResourceExhausted and InvalidToken as the methods say; Unavailable STORE_UNAVAILABLE where the
database does not answer and ResourceExhausted DISK_FULL where its disk is full, from all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Self

from servicekit.clock import Clock, to_micros
from servicekit.delivery.names import StemMode, StemName
from servicekit.journal import admission as accepting
from servicekit.journal import audit_chain, event_log, reading
from servicekit.journal import claims as claiming
from servicekit.journal import reaping as settling
from servicekit.journal.database import Database, Transaction
from servicekit.journal.liveness import Liveness
from servicekit.journal.rows import (
    Accepted,
    AuditDraft,
    AuditPage,
    AuditRow,
    ChainHead,
    ChainReport,
    Claim,
    EventDraft,
    EventPage,
    Job,
    JobFilter,
    JobPage,
    Json,
    NewJob,
    NewVersion,
    Orders,
    OrphanedVersion,
    Request,
    Rerendered,
    Standing,
)
from servicekit.journal.states import JobState, Owner, Stage
from servicekit.journal.tokens import Sealer
from servicekit.journal.wakeups import Listener, Wakeups

_FEED = "feed"


class Journal:
    """See the module. Made by :meth:`open`, closed by its ``with`` block or :meth:`close`."""

    def __init__(self, database: Database, liveness: Liveness, clock: Clock) -> None:
        self._database = database
        self._liveness = liveness
        self._clock = clock
        self._sealer = Sealer(database.token_key)
        self._wakeups = Wakeups()

    @classmethod
    def open(cls, url: str, *, clock: Clock) -> Self:
        """Open or create the journal at ``sqlite:////absolute/file`` or ``postgresql://…``.

        Raises :class:`SchemaError` for one that another release wrote, ValueError for another kind of URL.
        """
        database = Database.open(url, clock=clock)
        folder = database.path.with_name(database.path.name + "-alive") if database.path else None
        return cls(database, Liveness(folder), clock)

    def close(self) -> None:
        """Close every connection. Versions still claimed can be claimed by others at once."""
        self._liveness.close()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What callers ask for

    def known(self, request: Request) -> Accepted | None:
        """The job that the same request made before, before anything else is checked. Raises AlreadyExists REQUEST_ID_REUSED."""
        with self._writing() as tx:
            return accepting.known(tx, request)

    def accept(self, new: NewJob, *, limit: int) -> Accepted:
        """Accept a job, at most ``limit`` waiting at once; a retry of the same request gives the same job.

        Raises AlreadyExists REQUEST_ID_REUSED and ResourceExhausted QUEUE_FULL.
        """
        with self._writing() as tx:
            return accepting.accept(tx, new, limit)

    def accept_version(self, new: NewVersion, *, limit: int) -> Accepted:
        """Accept a job's next version, with a number never used before.

        Where ``new.owner`` is another service, the job passes to it. Raises as :meth:`accept`, NotFound, and
        FailedPrecondition WRONG_STATE where a version of a job that would pass has not ended.
        """
        with self._writing() as tx:
            return accepting.accept_version(tx, new, limit)

    def add_stems(self, tenant: str, job_id: str, version: int, stem_mode: StemMode | None, *, limit: int) -> Job:
        """Queue an ended version with a bounce and no stems (0: the newest such) again; None keeps its stem mode.

        Raises NotFound, FailedPrecondition WRONG_STATE and ResourceExhausted QUEUE_FULL.
        """
        with self._writing() as tx:
            return accepting.add_stems(tx, tenant, job_id, version, stem_mode=stem_mode, limit=limit)

    def cancel(self, tenant: str, job_id: str, version: int = 0) -> Job:
        """Order a stop of a version (0: the newest that has not ended). Raises NotFound."""
        with self._writing() as tx:
            return accepting.cancel(tx, tenant, job_id, version)

    def begin_delete(self, tenant: str, job_id: str) -> Job:
        """Close an ended job to changes, so that its files can go. Raises NotFound and FailedPrecondition WRONG_STATE."""
        with self._writing() as tx:
            return accepting.begin_delete(tx, tenant, job_id)

    def finish_delete(self, tenant: str, job_id: str) -> None:
        """Remove a job that :meth:`begin_delete` closed, once its files are gone.

        Its audit rows stay, and of its re-renders what was measured where they failed for it.
        """
        with self._writing() as tx:
            accepting.finish_delete(tx, tenant, job_id)

    def job(self, tenant: str, job_id: str) -> Job:
        """One job. Raises NotFound JOB_NOT_FOUND, also for another tenant's."""
        with self._database.reading() as connection:
            return reading.read_job(connection, tenant, job_id, self._now_us())

    def standing(self, tenant: str, job_id: str) -> Standing:
        """Where a job stands. Raises as :meth:`job`."""
        with self._database.reading() as connection:
            return reading.read_standing(connection, tenant, job_id)

    def jobs(self, tenant: str, wanted: JobFilter, *, page_size: int = 50, page_token: str = "") -> JobPage:
        """A page of at most 200 jobs, newest first. Raises InvalidToken."""
        with self._database.reading() as connection:
            return reading.read_jobs(
                connection,
                self._sealer,
                tenant,
                wanted,
                page_size=page_size,
                page_token=page_token,
                now_us=self._now_us(),
            )

    def rerendered(self, tenant: str, stem: StemName) -> Sequence[Rerendered]:
        """Every re-render of a stem (a name such as "DRUMS") of a tenant, oldest first; of deleted jobs the measured failures."""
        with self._database.reading() as connection:
            return reading.read_rerendered(connection, tenant, stem)

    def queued(self, owner: Owner) -> int:
        """How many versions wait."""
        with self._database.reading() as connection:
            return claiming.count_queued(connection, owner)

    # What workers do

    def claim(self, owner: Owner, *, lease_s: float) -> Claim | None:
        """The next version to work on; None where nothing waits. Its attempt is one more than the last."""
        with self._database.reading() as connection:
            if not claiming.is_work_there(connection, owner, self._liveness.is_dead, self._now_us()):
                return None
        with self._writing() as tx:
            return claiming.claim(tx, owner, self._liveness.name, lease_s, self._liveness.is_dead)

    def left_behind(self, owner: Owner) -> Sequence[OrphanedVersion]:
        """What :meth:`settle` and :meth:`claim` are about to end without a worker: what its last one stored is nobody's then."""
        with self._database.reading() as connection:
            rows = settling.given_up(connection, owner, self._liveness.is_dead, self._now_us())
            tenants = reading.tenants_of(connection, [row.job_id for row in rows])
        return [
            OrphanedVersion(
                tenant=tenants[row.job_id],
                job_id=row.job_id,
                version=row.number,
                rerendered_stem=reading.rerendered_stem(row),
                files=json.loads(row.files),
            )
            for row in rows
        ]

    def settle(self, owner: Owner) -> None:
        """End what needs no worker: expired versions that wait, abandoned ones that are cancelled or died too often."""
        with self._database.reading() as connection:
            if not settling.is_unsettled(connection, owner, self._liveness.is_dead, self._now_us()):
                return
        with self._writing() as tx:
            settling.settle(tx, owner, self._liveness.is_dead)

    def heartbeat(self, claim: Claim) -> Orders:
        """Renew the lease and hear what to obey. Raises ClaimLost, as every method that takes a claim."""
        with self._writing() as tx:
            return claiming.heartbeat(tx, claim)

    def keep(
        self,
        claim: Claim,
        *,
        files: Json | None = None,
        loudness: Json | None = None,
        stage: Stage | None = None,
        timings: Sequence[Json] = (),
        audit: AuditDraft | None = None,
        events: Sequence[EventDraft] = (),
        done: bool = False,
    ) -> AuditRow | None:
        """Keep results together with the audit row and the events that tell of them.

        ``files`` and ``timings`` are added to what is there; ``stage`` is the one that a later attempt may skip. With ``done`` the
        version ends as DONE in the same step; Cancelled, and nothing is kept, where a cancel was accepted before.
        """
        with self._writing() as tx:
            return claiming.keep(
                tx,
                claim,
                files=files,
                loudness=loudness,
                stage=stage,
                timings=timings,
                audit=audit,
                events=events,
                done=done,
            )

    def append(self, claim: Claim, drafts: Sequence[EventDraft]) -> None:
        """Append events in order."""
        with self._writing() as tx:
            claiming.append(tx, claim, drafts)

    def try_again(self, claim: Claim) -> Claim:
        """The same claim as a new attempt, with the version as it now stands."""
        with self._writing() as tx:
            return claiming.try_again(tx, claim)

    def finish(self, claim: Claim) -> JobState:
        """End the version as DONE, or as CANCELLED where a cancel was accepted before; gives which."""
        return self._end(claim, JobState.DONE, None)

    def fail(self, claim: Claim, error: Json) -> None:
        """End the version as FAILED with a google.rpc.Status as proto-JSON."""
        self._end(claim, JobState.FAILED, error)

    def cancelled(self, claim: Claim) -> None:
        """End the version as CANCELLED."""
        self._end(claim, JobState.CANCELLED, None)

    def give_back(self, claim: Claim) -> None:
        """Queue the version again, in its old place, to go on from its last kept stage."""
        with self._writing() as tx:
            claiming.give_back(tx, claim)

    # What watchers read

    def events_after(self, job_id: str, sequence: int, limit: int) -> EventPage:
        """At most ``limit`` events of a job with a greater number."""
        with self._database.reading() as connection:
            return event_log.of_job(connection, job_id, sequence, limit)

    def feed_after(self, owner: Owner, tenant: str | None, position: int, limit: int) -> EventPage:
        """At most ``limit`` events after a position: of an owner's jobs of one tenant, or (None) of all tenants."""
        with self._database.reading() as connection:
            return event_log.of_feed(connection, owner, tenant, position, limit)

    def feed_head(self) -> int:
        """The position of the newest event."""
        with self._database.reading() as connection:
            return event_log.head(connection)

    def cursor(self, tenant: str, position: int) -> str:
        """A feed position as text that a caller can keep."""
        return self._sealer.seal(position, _FEED, tenant)

    def position(self, tenant: str, cursor: str) -> int:
        """The position of a cursor. Raises InvalidToken for one that was not made for this tenant."""
        return int(self._sealer.open(cursor, _FEED, tenant))

    def listening(self, listener: Listener) -> AbstractContextManager[None]:
        """Call ``listener`` with the events of every commit of this process, in the thread that made it."""
        return self._wakeups.listening(listener)

    # The audit chain

    def append_audit(self, tenant: str, job_id: str, version: int, draft: AuditDraft) -> AuditRow:
        """Write an audit row, or give the one that was written before for the same job, version and kind."""
        with self._writing() as tx:
            return audit_chain.append(tx, tenant, job_id, version, draft)

    def erase_prompt(self, tenant: str, job_id: str) -> int:
        """Erase an ended or deleted job's prompts from the journal; the chain stays intact. Gives how many audit rows held one.

        Raises FailedPrecondition WRONG_STATE, NotFound.
        """
        with self._writing() as tx:
            erased = audit_chain.erase_prompt(tx, tenant, job_id)
        self._database.forget_overwritten()
        return erased

    def audit_rows(self, tenant: str, job_id: str = "", *, page_size: int = 50, page_token: str = "") -> AuditPage:
        """A page of at most 200 audit rows, oldest first, of a job or of all. Raises InvalidToken."""
        with self._database.reading() as connection:
            return audit_chain.read_rows(
                connection, self._sealer, tenant, job_id, page_size=page_size, page_token=page_token
            )

    def verify_chain(self, tenant: str, head: ChainHead | None = None) -> ChainReport:
        """Check a tenant's whole chain, and that an exported head lies in it."""
        with self._database.reading() as connection:
            return audit_chain.verify(connection, tenant, head)

    def _end(self, claim: Claim, state: JobState, error: Json | None) -> JobState:
        with self._writing() as tx:
            return claiming.end(tx, claim, state, error=error)

    def _now_us(self) -> int:
        return to_micros(self._clock.now())

    @contextmanager
    def _writing(self) -> Iterator[Transaction]:
        with self._database.writing() as tx:
            yield tx
        if tx.events:
            self._wakeups.tell(tx.events)
