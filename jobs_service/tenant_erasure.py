"""Erases tenants. An erasure is recorded first; calls, and a thread of the service, carry it on until its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from jobs_service.erasure import JobErasures, tenant_report
from servicekit.errors import FailedPrecondition, NotFound, ServiceError
from servicekit.faults import NO_FAULTS, Faults
from servicekit.journal import Counts, JobToErase, Journal, OwningService
from servicekit.logs import logger
from servicekit.repeated_problem import RepeatedProblem
from servicekit.work.repeating_thread import RepeatingThread
from servicekit.work.thread_group import boundary
from sonichaos.operations.v1 import operations_pb2

_PAUSE_S = 1.0
_STEP_S = 2.0
_log = logger(__name__)

EraseFiles = Callable[[str], Counts]
"""Erases what a tenant has in the store besides the files of jobs; returns how much there was. Can be repeated."""


class TenantErasures(RepeatingThread):
    """Erasures of the data of tenants that one service holds. During the ``with`` block a thread carries on what has not ended.

    ``erase_files`` is called when the jobs are gone.
    """

    def __init__(
        self,
        journal: Journal,
        owner: OwningService,
        jobs: JobErasures,
        erase_files: EraseFiles,
        *,
        pause_s: float = _PAUSE_S,
        faults: Faults = NO_FAULTS,
    ) -> None:
        super().__init__("erasing tenants", pause_s=pause_s, faults=faults)
        self._journal = journal
        self._owner = owner
        self._jobs = jobs
        self._erase_files = erase_files
        self._refusals = RepeatedProblem("erasing a job of a tenant")
        self._lock = threading.Lock()  # of two steps at once, both would count a job

    def begin(self, tenant: str) -> None:
        """Record the erasure of a tenant and revoke its API keys. From then on it is carried on until its end."""
        self._journal.start_tenant_erasure(tenant, self._owner)
        _log.info("the erasure of a tenant was started", erased_tenant=tenant)

    def step(self, tenant: str) -> bool:
        """Carry an erasure on for about 2 s; True once it has ended. Work that runs is cancelled and erased after its end.

        Raises as the journal, and as the store where a persona or an upload cannot be removed.
        """
        with self._lock:
            until_s = time.monotonic() + _STEP_S
            if not self._erase_jobs(tenant, until_s=until_s):
                return False
            while self._journal.erase_leftovers(tenant, self._owner):
                if time.monotonic() > until_s:
                    return False
            self._journal.count_erased(tenant, self._owner, self._erase_files(tenant))
            self._journal.finish_tenant_erasure(tenant, self._owner)
        self._journal.purge_erased()
        _log.info("a tenant was erased", erased_tenant=tenant)
        return True

    def repeat(self) -> bool:
        """One step of each erasure that has not ended."""
        for tenant in self._journal.unfinished_tenant_erasures(self._owner):
            with boundary("erasing a tenant failed unexpectedly"):
                try:
                    self.step(tenant)
                except ServiceError as error:  # the other tenants do not wait for this one
                    self._refusals.occurred(error, erased_tenant=tenant)
        return False

    def response(self, tenant: str) -> operations_pb2.EraseTenantResponse:
        """How far the erasure of a tenant has come, and after its end what remains."""
        erasure = self._journal.tenant_erasure(tenant, self._owner)
        if erasure is None:
            return operations_pb2.EraseTenantResponse()
        report = tenant_report(self._journal, tenant, erasure)
        return operations_pb2.EraseTenantResponse(finished=erasure.finished, report=report, jobs_left=erasure.jobs_left)

    def _erase_jobs(self, tenant: str, *, until_s: float) -> bool:
        """Erase the tenant's jobs until the time is over; True where none is left."""
        none_left, last = True, None
        while batch := self._journal.jobs_to_erase(tenant, self._owner, last):
            for job in batch:
                if time.monotonic() > until_s:
                    return False
                none_left = self._erase_job(tenant, job) and none_left
            last = batch[-1]
        return none_left

    def _erase_job(self, tenant: str, job: JobToErase) -> bool:
        """Cancel and erase a job; False where it has to be tried again."""
        try:
            for number in job.unended:
                self._journal.cancel(tenant, job.job_id, number, owner=self._owner)
            self._jobs.erase_for(tenant, job.job_id, of_tenant=True)
        except NotFound:  # its deletion was finished meanwhile
            return True
        except FailedPrecondition:  # its work has not ended yet
            return False
        except ServiceError as error:
            self._refusals.occurred(error, job_id=job.job_id)
            return False
        return True
