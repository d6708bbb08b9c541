"""The journal of one installation: jobs, versions, numbered events and the audit chain.

Every method is one transaction, durable before it returns, and may be called from any thread. Errors: NotFound, AlreadyExists,
FailedPrecondition, ResourceExhausted and InvalidToken as the methods state. Every method may also raise Unavailable
STORE_UNAVAILABLE (the database does not answer) and ResourceExhausted DISK_FULL (its disk is full).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

from servicekit.journal import (
    audit_chain,
    event_log,
    upkeep,
)
from servicekit.journal.api_keys import ApiKeyMethods
from servicekit.journal.caller_methods import CallerMethods
from servicekit.journal.erasure_methods import ErasureMethods
from servicekit.journal.rows import (
    AuditPage,
    ChainHead,
    ChainReport,
    EventPage,
)
from servicekit.journal.states import OwningService
from servicekit.journal.wakeups import Listener
from servicekit.journal.webhook_methods import WebhookMethods
from servicekit.journal.worker_methods import WorkerMethods

_FEED = "feed"


class Journal(CallerMethods, WorkerMethods, ApiKeyMethods, ErasureMethods, WebhookMethods):
    """See the module, and `OpenJournal` for how it is opened and closed."""

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

    # The audit chain

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
