"""What the journal does for workers: versions are claimed, saved and ended, and those of dead workers are reaped."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from servicekit.errors import ServiceError
from servicekit.journal import (
    claims,
    reaping,
)
from servicekit.journal.database import Transaction
from servicekit.journal.open_journal import OpenJournal
from servicekit.journal.rows import (
    AuditRow,
    Checkpoint,
    Claim,
    ClaimLost,
    EventDraft,
    HeartbeatReply,
    Json,
    OrphanedVersion,
    WaitState,
)
from servicekit.journal.states import JobState, OwningService


class WorkerMethods(OpenJournal):
    """Every method is one transaction. Every method that takes a claim raises ClaimLost once the claim is no longer valid."""

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
