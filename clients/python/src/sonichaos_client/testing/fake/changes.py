"""What callers change about their jobs: cancel, delete, erase, request stems, retry."""

from __future__ import annotations

from dataclasses import dataclass

from google.rpc import error_details_pb2

from sonichaos.jobs.v1 import brief_pb2, erasure_pb2, job_pb2
from sonichaos_client.testing.fake.records import JobRecord, VersionRecord, timestamp
from sonichaos_client.testing.fake.refusals import invalid, job_not_found, wrong_state
from sonichaos_client.testing.fake.requests import Requests
from sonichaos_client.testing.fake.studio import Studio
from sonichaos_client.testing.fake.tokens import is_job_id
from sonichaos_client.testing.fake.workers import Workers

_ROWS_REASON = (
    "append-only and chained: tenant, job id, tier, terms and coverage of the licence, persona id and embedding, seed, plan, "
    "score, keys, digests, fingerprints and times stay; texts only as salted digests whose salt was erased"
)
_EVENTS_REASON = (
    "the DELETED event of a job tells watchers that it is gone: ids and a time, no text; removed after "
    "SONICHAOS_EVENT_RETENTION_DAYS"
)
_LOG_REASON = (
    "lines of calls: tenant, subject, ids, and values that a call was refused for; prompts if "
    "SONICHAOS_ACCESS_LOG_PROMPTS is on. They last as long as you keep the log"
)
_BACKUPS_REASON = (
    "copies of journal and store that were made before, versions that a bucket keeps, and files that callers "
    "downloaded; erase again after a backup was restored"
)
_PERMANENT = ((erasure_pb2.DATA_KIND_SERVICE_LOG, _LOG_REASON), (erasure_pb2.DATA_KIND_BACKUPS, _BACKUPS_REASON))

Counts = dict[erasure_pb2.DataKind.ValueType, int]


@dataclass(frozen=True, kw_only=True)
class JobChanges:
    """Changes of the jobs of one service."""

    studio: Studio
    workers: Workers
    requests: Requests

    def cancel(self, job_id: str, number: int) -> JobRecord:
        """Cancel a version; 0: the newest that has not ended."""
        job = self.studio.records.get(job_id, self.workers.owner)
        version = job.pick(number, [version for version in job.versions if not version.ended])
        self.workers.cancel(job, version)
        return job

    def delete(self, job_id: str) -> None:
        """Delete a job and its files."""
        job = self._ended(job_id, "delete")
        self.studio.records.delete(job)
        self.requests.forget(job_id)
        self.studio.files.remove_job(job_id)

    def delete_version(self, job_id: str, number: int) -> JobRecord:
        """Delete the files of a re-rendered version."""
        if number < 2:  # the original
            advice = "the original is deleted with its job (DeleteJob)"
            raise invalid("version", f"must be 2 or more, got {number}: {advice}")
        job = self.studio.records.get(job_id, self.workers.owner)
        version = job.version(number)
        if not version.deleted:
            _check_unneeded(job, version)
            files = version.message.files
            self.studio.files.remove([file.key for file in (files.bounce, files.zip, files.manifest) if file.key])
            files.Clear()
            version.message.delete_time.CopyFrom(timestamp(self.studio.clock.now()))
        return job

    def erase(self, job_id: str) -> erasure_pb2.ErasureReport:
        """Delete a job, or what is left of a deleted one, and the texts beside its audit rows."""
        counts: Counts = {}
        records, audit = self.studio.records, self.studio.audit
        if any(job.job_id == job_id for job in records.jobs()):
            job = self._ended(job_id, "erase")
            counts[erasure_pb2.DATA_KIND_JOBS] = 1
            counts[erasure_pb2.DATA_KIND_LABELS] = len(job.versions[0].message.brief.labels)
            counts[erasure_pb2.DATA_KIND_REQUEST_IDS] = self.requests.forget(job_id)
            counts[erasure_pb2.DATA_KIND_JOB_FILES] = self.studio.files.remove_job(job_id)
            counts[erasure_pb2.DATA_KIND_EVENTS] = records.delete(job)
        elif not is_job_id(job_id) or not (list(audit.rows(job_id)) or records.has_events(job_id)):
            raise job_not_found(job_id)
        counts[erasure_pb2.DATA_KIND_AUDIT_TEXTS] = audit.erase_texts(job_id)
        remaining = {
            erasure_pb2.DATA_KIND_AUDIT_ROWS: (len(list(audit.rows(job_id))), _ROWS_REASON),
            erasure_pb2.DATA_KIND_EVENTS: (int(records.has_events(job_id)), _EVENTS_REASON),
        }
        return erasure_report(counts, remaining)

    def add_stems(self, request_id: str, number: int, mode: brief_pb2.StemMode.ValueType, priority: int) -> JobRecord:
        """Queue an ended version again, for its stems."""
        job = self.studio.records.get(request_id, self.workers.owner)
        lacking = [
            version for version in job.versions if version.ended and version.has_bounce and not version.has_stems
        ]
        version = job.pick(number, lacking)
        if not version.ended:
            raise job.wrong_state(version, "wait until it ends, then request its stems")
        job.check_not_deleted(version, "request the stems of another version")
        if not version.has_bounce:
            raise job.wrong_state(version, "it has no bounce to separate; create a new job")
        if version.has_stems:
            raise job.wrong_state(version, "it already has stems; download its ZIP")
        self.workers.check_room()
        brief = version.message.brief
        brief.stems = version.message.stems_wanted = True
        brief.stem_mode = mode or brief.stem_mode
        self._queue_again(job, version, priority)
        return job

    def retry(self, job_id: str, number: int, priority: int) -> JobRecord:
        """Queue a failed version again. It no longer expires."""
        job = self.studio.records.get(job_id, self.workers.owner)
        failed = [version for version in job.versions if version.message.state == job_pb2.JOB_STATE_FAILED]
        version = job.pick(number, [one for one in failed if not (one.deleted or job.lacks_base(one))])
        if version.message.state != job_pb2.JOB_STATE_FAILED:
            raise job.wrong_state(version, "only a failed version is retried")
        job.check_not_deleted(version, "re-render the stem instead")
        if job.lacks_base(version):
            needed = f"the files of version {version.message.base_version}, which it is made from, were deleted"
            raise job.wrong_state(version, f"{needed}; re-render a stem of another version")
        if "DRIFT_EXCEEDED" in reasons_of(version):
            advice = "its failure is a measurement that drift reports count; re-render the stem instead"
            raise job.wrong_state(version, advice)
        if version.prompt_erased:
            raise job.wrong_state(version, "its prompt was erased; create a new job")
        self.workers.check_room()
        self._queue_again(job, version, priority)
        return job

    def erase_prompt(self, job_id: str) -> tuple[int, list[str]]:
        """Erase the prompts of a job, also of a deleted one: how many audit rows had one, and the files that still have it."""
        job = next((job for job in self.studio.records.jobs() if job.job_id == job_id), None)
        if job is None and not list(self.studio.audit.rows(job_id or "-")):
            raise job_not_found(job_id)
        keys: list[str] = []
        for version in job.versions if job is not None else ():
            if not version.ended:
                state = version.state_name
                text = f"version {version.number} of job {job_id} is {state} and needs its prompt; cancel it or wait, then erase"
                raise wrong_state(job_id, version.number, state, text)
        for version in job.versions if job is not None else ():
            version.message.brief.prompt = ""
            version.prompt_erased = True
            files = version.message.files
            keys += [file.key for file in (files.manifest, files.zip) if file.key]
        self.requests.forget_content(job_id)
        return self.studio.audit.erase_prompt(job_id), keys

    def _ended(self, job_id: str, what: str) -> JobRecord:
        """A job whose versions have all ended."""
        job = self.studio.records.get(job_id, self.workers.owner)
        for version in job.versions:
            if not version.ended:
                raise job.wrong_state(version, f"cancel it and wait until it ends, then {what} the job")
        return job

    def _queue_again(self, job: JobRecord, version: VersionRecord, priority: int) -> None:
        version.message.priority = priority
        version.message.brief.ClearField("expire_time")
        version.crashes = 0
        self.workers.enqueue(job, version)


def _check_unneeded(job: JobRecord, version: VersionRecord) -> None:
    """Raise WRONG_STATE where the version, or one that is made from it, has not ended."""
    if not version.ended:
        raise job.wrong_state(version, "cancel it and wait until it ends, then delete it")
    for other in job.versions:
        if other.message.base_version == version.number and not other.ended:
            needed = f"it is made from version {version.number}"
            advice = f"cancel it or wait until it ends, then delete version {version.number}"
            raise job.wrong_state(other, f"{needed}; {advice}")


def erasure_report(
    erased: Counts, remaining: dict[erasure_pb2.DataKind.ValueType, tuple[int, str]]
) -> erasure_pb2.ErasureReport:
    """What was erased, by name, and what remains, each with its reason. A kind of which there is nothing is left out."""
    named = sorted(erased.items(), key=lambda item: erasure_pb2.DataKind.Name(item[0]))
    left = [
        erasure_pb2.RemainingData(kind=kind, count=count, reason=reason)
        for kind, (count, reason) in remaining.items()
        if count
    ]
    left += [erasure_pb2.RemainingData(kind=kind, reason=reason) for kind, reason in _PERMANENT]
    return erasure_pb2.ErasureReport(
        erased=[erasure_pb2.ErasedData(kind=kind, count=count) for kind, count in named if count], remaining=left
    )


def reasons_of(version: VersionRecord) -> list[str]:
    """The reasons in a version's error."""
    found = []
    for detail in version.message.error.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            found.append(info.reason)
    return found
