"""Erases jobs for callers, and says what was erased and what remains.

The journal erases a job's texts and records its deletion in one transaction; then the deletion goes on as any other
(`jobs_service.deletion`), so it is finished by the service or its next start where a kill or a failing store cuts it short.
"""

from __future__ import annotations

from collections.abc import Mapping

from jobs_service.deletion import JobDeletions
from servicekit.access.caller import LOCAL_TENANT
from servicekit.journal import Counts, DataKind, Journal, OwningService, TenantErasure
from sonichaos.jobs.v1 import erasure_pb2

_REASONS: Mapping[DataKind, str] = {
    DataKind.AUDIT_ROWS: "append-only and chained: tenant, job id, tier, terms and coverage of the licence, persona id and "
    "embedding, seed, plan, score, keys, digests, fingerprints and times stay; texts only as salted digests whose salt was erased",
    DataKind.EARLIER_AUDIT_ROWS: "rows of an earlier release: labels, licensee, prefix of the persona and name of the uploaded "
    "file are in the chained body, which cannot be changed",
    DataKind.EVENTS: "the DELETED event of a job tells watchers that it is gone: ids and a time, no text; removed after "
    "SONICHAOS_EVENT_RETENTION_DAYS",
    DataKind.JOBS: "jobs of the other service, which erases them itself, and jobs that were accepted after the erasure was started",
    DataKind.MEASUREMENTS: "measured drift of failed re-renders: ids and numbers, no text; drift reports count them",
    DataKind.UPLOADS: "files in folders of the store's upload folder: they may be other tenants'; remove yours in the store",
    DataKind.SERVICE_LOG: "lines of calls: tenant, subject, ids, and values that a call was refused for; prompts if "
    "SONICHAOS_ACCESS_LOG_PROMPTS is on. They last as long as you keep the log",
    DataKind.BACKUPS: "copies of journal and store that were made before, versions that a bucket keeps, and files that callers "
    "downloaded; erase again after a backup was restored",
}
_PERMANENT = (DataKind.SERVICE_LOG, DataKind.BACKUPS)
_LOG_REASON = (
    "SQLite: until readers of its log end, the service then removes it by itself. PostgreSQL: until VACUUM has run and its log was "
    "recycled"
)


class JobErasures:
    """Erasures of one owner's jobs."""

    def __init__(self, journal: Journal, owner: OwningService, deletions: JobDeletions) -> None:
        self._journal = journal
        self._owner = owner
        self._deletions = deletions

    def erase(self, tenant: str, job_id: str) -> erasure_pb2.ErasureReport:
        """Erase a job. Raises NotFound, FailedPrecondition WRONG_STATE, and as the store, after which the deletions finish it."""
        counts = self.erase_for(tenant, job_id, of_tenant=False)
        remaining = self._journal.count_remaining(tenant, job_id)
        return erasure_report(counts, remaining, purge_pending=not self._journal.purge_erased())

    def erase_for(self, tenant: str, job_id: str, *, of_tenant: bool) -> Counts:
        """As :meth:`erase`, without a report. ``of_tenant``: it is part of the erasure of the tenant, which counts it."""
        counts = self._journal.start_erase(tenant, job_id, self._owner, of_tenant=of_tenant)
        files = {DataKind.JOB_FILES: self._deletions.finish(tenant, job_id)}
        if of_tenant:
            self._journal.count_erased(tenant, self._owner, files)
        return {**counts, **files}


def tenant_report(journal: Journal, tenant: str, erasure: TenantErasure) -> erasure_pb2.ErasureReport:
    """The report about a tenant. What remains is listed once its erasure has ended."""
    remaining = journal.count_remaining_of_tenant(tenant) if erasure.finished else {}
    report = erasure_report(erasure.counts, remaining, purge_pending=not journal.purge_erased())
    if tenant == LOCAL_TENANT:
        report.remaining.add(kind=_kind(DataKind.UPLOADS), reason=_REASONS[DataKind.UPLOADS])
    return report


def erasure_report(erased: Counts, remaining: Counts, *, purge_pending: bool) -> erasure_pb2.ErasureReport:
    """The report. A kind of which there is nothing is left out."""
    left = [
        erasure_pb2.RemainingData(kind=_kind(kind), count=count, reason=_REASONS[kind])
        for kind, count in remaining.items()
        if count
    ]
    if purge_pending:
        left.append(erasure_pb2.RemainingData(kind=_kind(DataKind.DATABASE_LOG), reason=_LOG_REASON))
    left += [erasure_pb2.RemainingData(kind=_kind(kind), reason=_REASONS[kind]) for kind in _PERMANENT]
    return erasure_pb2.ErasureReport(
        erased=[
            erasure_pb2.ErasedData(kind=_kind(kind), count=count) for kind, count in sorted(erased.items()) if count
        ],
        remaining=left,
        purge_pending=purge_pending,
    )


def _kind(kind: DataKind) -> erasure_pb2.DataKind.ValueType:
    return erasure_pb2.DataKind.Value(f"DATA_KIND_{kind}")
