"""What the journal does to erase personal data."""

from __future__ import annotations

from collections.abc import Sequence

from servicekit.journal import erasure, tenant_erasure, upkeep
from servicekit.journal.open_journal import OpenJournal
from servicekit.journal.rows import Counts, Erasure
from servicekit.journal.states import OwningService
from servicekit.journal.tenant_erasure import JobToErase, TenantErasure


class ErasureMethods(OpenJournal):
    """But for `erase_leftovers` each method is one transaction; for the errors of all see `servicekit.journal.journal`."""

    def erase_prompt(self, tenant: str, job_id: str) -> Erasure:
        """Erase the prompts of an ended or deleted job; the chain stays intact.

        Raises FailedPrecondition WRONG_STATE, NotFound.
        """
        with self._writing() as tx:
            erased = erasure.erase_prompt(tx, tenant, job_id)
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

    def start_erase(self, tenant: str, job_id: str, owner: OwningService, *, of_tenant: bool = False) -> Counts:
        """Erase the texts of an ended or deleted job; returns how much there was.

        A job's deletion is started, as by `start_delete`. The chain of its audit rows stays intact. ``of_tenant``: count it for the
        erasure of the tenant too. Can be repeated. Raises NotFound, also for a job of another owner, and FailedPrecondition
        WRONG_STATE.
        """
        with self._writing() as tx:
            counts = erasure.start_erase(tx, tenant, job_id, owner)
            if of_tenant:
                tenant_erasure.add_counts(tx, tenant, owner, counts)
            upkeep.set_purge_pending(tx, pending=True)
        return counts

    def count_remaining(self, tenant: str, job_id: str) -> Counts:
        """What an erased job has left, by kind."""
        with self._database.reading() as connection:
            return erasure.count_remaining(connection, tenant, job_id)

    def count_remaining_of_tenant(self, tenant: str) -> Counts:
        """What an erased tenant has left, by kind; its jobs of the other service among it."""
        with self._database.reading() as connection:
            return tenant_erasure.count_remaining(connection, tenant)

    def start_tenant_erasure(self, tenant: str, owner: OwningService) -> None:
        """Record that the tenant's data of one service is being erased; revoke its API keys, remove its webhooks.

        Can be repeated.
        """
        with self._writing() as tx:
            tenant_erasure.start(tx, tenant, owner)
            upkeep.set_purge_pending(tx, pending=True)

    def tenant_erasure(self, tenant: str, owner: OwningService) -> TenantErasure | None:
        """How far that has come; None where it was never started."""
        with self._database.reading() as connection:
            return tenant_erasure.read(connection, tenant, owner)

    def unfinished_tenant_erasures(self, owner: OwningService) -> Sequence[str]:
        """The tenants whose erasure was started and has not ended."""
        with self._database.reading() as connection:
            return tenant_erasure.unfinished(connection, owner)

    def jobs_to_erase(self, tenant: str, owner: OwningService, after: JobToErase | None = None) -> Sequence[JobToErase]:
        """The next jobs after one of them, oldest first, of those that were accepted before the tenant's erasure was started."""
        with self._database.reading() as connection:
            return tenant_erasure.jobs_to_erase(connection, tenant, owner, after)

    def count_erased(self, tenant: str, owner: OwningService, counts: Counts) -> None:
        """Add to the counts of a tenant's erasure."""
        with self._writing() as tx:
            tenant_erasure.add_counts(tx, tenant, owner, counts)

    def erase_leftovers(self, tenant: str, owner: OwningService) -> bool:
        """Erase some events, and some texts beside audit rows, of deleted jobs of a tenant; False where there are none."""
        with self._database.reading() as connection:
            found = tenant_erasure.leftovers(connection, tenant, owner)
        if not found.positions and not found.sequences:
            return False
        with self._writing() as tx:
            tenant_erasure.erase_leftovers(tx, tenant, owner, found)
        return True

    def finish_tenant_erasure(self, tenant: str, owner: OwningService) -> None:
        """Erase the measurements of deleted jobs and the tenant's use, and record the end."""
        with self._writing() as tx:
            tenant_erasure.finish(tx, tenant, owner)
            upkeep.set_purge_pending(tx, pending=True)
