"""How versions end: their last write, and the files that an attempt without a result leaves."""

from __future__ import annotations

from collections.abc import Callable

from servicekit.errors import Internal, ServiceError
from servicekit.journal import Claim, ClaimLost, JobState, Journal, OrphanedVersion, OwningService, Version
from servicekit.logs import logger
from servicekit.metrics import Metrics
from servicekit.repeated_problem import RepeatedProblem
from servicekit.rpc.status import as_service_error, status_json, to_status
from servicekit.work.cancellation import StopReason
from servicekit.work.heartbeat import Running

RemoveOrphans = Callable[[OrphanedVersion], None]
_log = logger(__name__)


class UnnamedFiles:
    """Removes the files of one owner's versions that no row names, by ``remove``; nothing where that is None."""

    def __init__(self, journal: Journal, owner: OwningService, remove: RemoveOrphans | None) -> None:
        self._journal = journal
        self._owner = owner
        self._remove = remove

    def remove_orphaned(self) -> None:
        """Those of orphaned versions. Called before the journal ends them: after that nobody knows about their files."""
        if self._remove is not None:
            for orphan in self._journal.orphaned_versions(self._owner):
                self._remove(orphan)

    def remove_earlier(self, claim: Claim) -> None:
        """Those of a version's earlier attempts: they can commit no more."""
        if claim.attempt > 1:
            self._remove_until(claim, claim.version, attempt=claim.attempt - 1)

    def remove_own(self, claim: Claim) -> None:
        """Those of this attempt and earlier ones, before it repeats its work."""
        self._remove_until(claim, claim.version, attempt=claim.attempt)

    def remove_all(self, claim: Claim) -> None:
        """The same for an attempt that ends without a result: also what a service left that died in it."""
        try:
            versions = self._journal.job(claim.job.tenant, claim.version.job_id).versions
            now = next(version for version in versions if version.number == claim.version.number)
            self._remove_until(claim, now, attempt=claim.attempt)
        except ServiceError as error:
            _log.warning("files of an attempt that ended may be left", message=error.message)

    def _remove_until(self, claim: Claim, version: Version, *, attempt: int) -> None:
        if self._remove is not None:
            earlier = OrphanedVersion(
                tenant=claim.job.tenant,
                job_id=version.job_id,
                version=version.number,
                attempt=attempt,
                files=version.files,
            )
            self._remove(earlier)


class VersionEndings:
    """Ends claimed versions.

    ``draining`` waits a moment and says whether the service drains: until then, an end that the journal refuses is tried again.
    """

    def __init__(
        self, journal: Journal, files: UnnamedFiles, *, draining: Callable[[], bool], metrics: Metrics | None
    ) -> None:
        self._journal = journal
        self._files = files
        self._draining = draining
        self._metrics = metrics

    def finish(self, running: Running) -> None:
        """The work has returned: the version is done, unless it ended with its results."""
        self._write(lambda: self._finish(running))

    def fail(self, running: Running, error: BaseException) -> None:
        """The work has raised. If it had to stop, the reason counts and not the error that stopping caused."""
        stage = running.progress.current_stage
        reason = running.cancellation.reason
        if reason is StopReason.CANCELLED:
            self._write(lambda: self._end_cancelled(running))
            self._files.remove_all(running.claim)  # afterwards: a cancel does not wait for a store that is down
        elif reason is StopReason.SHUTDOWN:
            self.release(running)
        elif reason is StopReason.CLAIM_LOST:
            self.discard(running)
        else:
            if reason is StopReason.EXPIRED:
                error = running.cancellation.expired()
            service_error = as_service_error(error)
            if isinstance(service_error, Internal) and service_error is not error:
                _log.error("unexpected error", stage=stage, exc_info=error)
            _log.info("work failed", stage=stage, reason=service_error.reason, message=service_error.message)
            status = status_json(to_status(error, stage=stage))
            self._files.remove_all(running.claim)
            self._write(lambda: self._end_failed(running, status))

    def discard(self, running: Running) -> None:
        """The claim was lost. What another service stored for it has to be removed here, if its answer was not read any more."""
        _log.warning("claim lost; the result of this attempt is discarded")
        self._files.remove_all(running.claim)

    def release(self, running: Running) -> None:
        """Put the version back in the queue."""
        try:
            running.progress.close(completed=False)
            self._journal.release(running.claim)
            _log.info("claim released")
        except ClaimLost:
            _log.info("work already ended")
        except ServiceError as error:
            _log.warning("releasing the claim failed; its lease will expire", message=error.message)

    def _finish(self, running: Running) -> None:
        if running.progress.ended:
            self._ended(JobState.DONE)
            return
        running.progress.close(completed=True)
        self._ended(self._journal.finish(running.claim))

    def _end_cancelled(self, running: Running) -> None:
        running.progress.close(completed=False)
        self._journal.end_cancelled(running.claim)
        self._ended(JobState.CANCELLED)

    def _end_failed(self, running: Running, status: dict[str, object]) -> None:
        running.progress.close(completed=False)
        self._journal.fail(running.claim, status)
        self._ended(JobState.FAILED)

    def _write(self, write: Callable[[], None]) -> None:
        """Write the end of a version; retry until the journal answers or the service drains."""
        problem = RepeatedProblem("writing the end of a version")
        while True:
            try:
                write()
                problem.over()
            except ClaimLost:
                _log.warning("claim lost; the result of this attempt is discarded")
            except ServiceError as error:
                problem.occurred(error)
                if not self._draining():
                    continue
                _log.warning("end of a version not written before shutdown; the next start runs it again")
            return

    def _ended(self, state: JobState) -> None:
        _log.info("work ended", state=str(state))
        if self._metrics is not None:
            self._metrics.jobs.labels(state=str(state)).inc()
