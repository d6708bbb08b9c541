"""The threads that a service has beside its calls and its work on jobs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from types import MappingProxyType, TracebackType
from typing import Self

from jobs_service.deletion import JobDeletions
from jobs_service.erasure import JobErasures
from jobs_service.retention import Retention
from jobs_service.store_marker import StoreMarker
from jobs_service.sweep import StoreSweep, Unnamed, UnnamedJobFiles
from jobs_service.tenant_erasure import EraseFiles, TenantErasures
from jobs_service.upkeep import Upkeep
from servicekit.faults import Faults
from servicekit.host_settings import HostSettings
from servicekit.journal import Journal, OwningService
from servicekit.store.object_store import ObjectStore
from servicekit.work.repeating_thread import RepeatingThread

_NO_FOLDERS: Mapping[str, Unnamed] = MappingProxyType({})


class UpkeepThreads:
    """Deletions, erasures, retention, the sweep of the store and its marker, for one owner's jobs, during the ``with`` block.

    ``erase_files`` erases what a tenant has in the store besides jobs. ``swept`` are folders of the store besides that of jobs,
    each with what finds files in it that nothing names.
    """

    def __init__(
        self,
        journal: Journal,
        owner: OwningService,
        store: ObjectStore,
        settings: HostSettings,
        *,
        faults: Faults,
        erase_files: EraseFiles,
        swept: Mapping[str, Unnamed] = _NO_FOLDERS,
    ) -> None:
        self.deletions = JobDeletions(journal, owner, store, faults=faults)
        upkeep = Upkeep(journal, owner, self.deletions, Retention.of(settings), faults=faults)
        jobs = JobErasures(journal, owner, self.deletions)
        self.erasures = TenantErasures(journal, owner, jobs, erase_files, faults=faults)
        self._threads: list[RepeatingThread] = [self.deletions, upkeep, self.erasures]
        if settings.orphan_age_s is not None:
            marker = StoreMarker(journal, store, faults=faults)
            folders: Mapping[str, Unnamed] = {UnnamedJobFiles.folder: UnnamedJobFiles(journal, marker), **swept}
            now, older_than_s = journal.clock.now, settings.orphan_age_s
            self._threads += [marker, StoreSweep(store, folders, older_than_s=older_than_s, now=now, faults=faults)]
        self._running = ExitStack()

    def __enter__(self) -> Self:
        for thread in self._threads:
            self._running.enter_context(thread)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.__exit__(kind, error, trace)

    def keep_alive(self) -> bool:
        """Replace threads that have died; False where one cannot be started."""
        return all(thread.keep_alive() for thread in self._threads)
