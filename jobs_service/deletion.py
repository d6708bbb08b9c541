"""Deletes jobs, and single versions, with their files. A deletion that a kill or a failing store cuts short is finished later.

A deletion has three steps: the journal records that the job is being deleted, the files are removed, the job's rows are removed.
From the first step on nobody sees the job any more, so no caller is shown a job whose files are missing. The deletion of a version
likewise: from the first step on no caller is shown its files, whose keys its row keeps until they are removed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from servicekit.delivery.keys import is_of_version, job_folder
from servicekit.errors import NotFound, ServiceError
from servicekit.faults import NO_FAULTS, Faults
from servicekit.journal import Journal, OwningService, VersionDeletion
from servicekit.logs import logger
from servicekit.repeated_problem import RepeatedProblem
from servicekit.store.object_store import ObjectStore
from servicekit.work.repeating_thread import RepeatingThread
from servicekit.work.thread_group import boundary

_RETRY_S = 5.0
_log = logger(__name__)


class JobDeletions(RepeatingThread):
    """Deletions of one owner's jobs and versions.

    During its ``with`` block a thread finishes those that were cut short, earlier starts' too.
    """

    def __init__(
        self,
        journal: Journal,
        owner: OwningService,
        store: ObjectStore,
        *,
        retry_s: float = _RETRY_S,
        faults: Faults = NO_FAULTS,
    ) -> None:
        super().__init__("finishing deletions", pause_s=retry_s, faults=faults)
        self._journal = journal
        self._owner = owner
        self._store = store
        self._refusals = RepeatedProblem("finishing a deletion")
        self._are_read = False
        self._unfinished: set[tuple[str, str]] = set()
        self._unfinished_versions: set[VersionDeletion] = set()
        self._lock = threading.Lock()

    def delete(self, tenant: str, job_id: str) -> None:
        """Delete a job. Raises NotFound, FailedPrecondition WRONG_STATE, and as the store, after which the thread finishes it."""
        self._journal.start_delete(tenant, job_id, self._owner)
        self.finish(tenant, job_id)

    def delete_version(self, tenant: str, job_id: str, number: int) -> None:
        """Delete the files of a version.

        Raises as `Journal.start_delete_version`, and as the store, after which the thread finishes it.
        """
        deletion = self._journal.start_delete_version(tenant, job_id, number, self._owner)
        if deletion is not None:
            with self._lock:
                self._unfinished_versions.add(deletion)
            self._finish_version(deletion)

    def finish(self, tenant: str, job_id: str) -> int:
        """Finish a deletion that was started; returns how many files were removed. As :meth:`delete` after its start."""
        with self._lock:
            self._unfinished.add((tenant, job_id))
        return self._finish(tenant, job_id)

    def _finish(self, tenant: str, job_id: str) -> int:
        removed = self._store.delete_prefix(job_folder(job_id))
        try:
            self._journal.finish_delete(tenant, job_id)
        except NotFound:  # another call or another host was faster
            _log.info("the job was deleted meanwhile", job_id=job_id)
        with self._lock:
            self._unfinished.discard((tenant, job_id))
        return removed

    def _finish_version(self, deletion: VersionDeletion) -> None:
        """Remove what the row named, and what attempts left that ended without a result."""
        for key in deletion.keys:
            self._store.delete(key)
        for key in self._store.keys(job_folder(deletion.job_id)):
            if is_of_version(key, deletion.job_id, deletion.number):
                self._store.delete(key)
        self._journal.finish_delete_version(deletion)
        with self._lock:
            self._unfinished_versions.discard(deletion)

    def repeat(self) -> bool:
        """Read what earlier starts left, until that succeeds; try each unfinished deletion once."""
        try:
            if not self._are_read:
                found = self._journal.unfinished_deletions(self._owner)
                of_versions = self._journal.unfinished_version_deletions(self._owner)
                self._are_read = True
                with self._lock:
                    self._unfinished.update(found)
                    self._unfinished_versions.update(of_versions)
        finally:
            self._finish_all()
        return False

    def _finish_all(self) -> None:
        with self._lock:
            versions, jobs = sorted(self._unfinished_versions), sorted(self._unfinished)
        unfinished: list[tuple[str, Callable[[], object]]] = [
            *((deletion.job_id, partial(self._finish_version, deletion)) for deletion in versions),
            *((job_id, partial(self._finish, tenant, job_id)) for tenant, job_id in jobs),
        ]
        refused = False
        for job_id, finish in unfinished:
            with boundary("finishing a deletion failed unexpectedly"):
                try:
                    finish()
                except ServiceError as error:  # the other deletions do not wait for this one
                    refused = True
                    self._refusals.occurred(error, job_id=job_id)
        if not refused:
            self._refusals.over()
