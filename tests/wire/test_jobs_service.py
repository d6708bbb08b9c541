"""JobsService on a real server over a real journal and store: get, list, cancel, delete, add stems, sign URLs."""

from __future__ import annotations

import asyncio
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2

from jobs_service import Retention
from servicekit.journal import AuditDraft, Checkpoint, EventDraft, EventKind, OwningService, ProgressTrack, Stage
from sonichaos.jobs.v1 import brief_pb2, job_pb2, jobs_service_pb2
from sonichaos.jobs.v1.job_pb2 import JOB_STATE_QUEUED, JOB_STATE_RUNNING
from tests.support.callers import as_tenant
from tests.support.jobs_server import Wire, refusal, serving
from tests.support.journal_rows import new_version, open_journal


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    """A running service."""
    with open_journal(tmp_path) as journal:
        async with serving(tmp_path, journal) as running:
            yield running


async def test_a_job_has_everything_that_the_journal_knows(wire: Wire) -> None:
    """Brief, files, error details, timings, loudness, progress, digests and times arrive as their messages."""
    job_id = wire.accept(labels={"album": "one"})
    claim = wire.claim()
    wire.keep(claim)
    event = EventDraft(
        kind=EventKind.PROGRESS,
        track=ProgressTrack.STEMS,
        stage=Stage.SEPARATE,
        attempt=1,
        fraction=0.5,
        time_left_s=1.5,
    )
    timing = {"stage": "STAGE_DENOISE", "duration": "1.250s", "attempt": 1}
    audit = AuditDraft(kind="bounce", body={}, prompt=None)
    wire.journal.checkpoint(claim, Checkpoint(loudness={"lufs": -14.5}, timings=[timing], events=[event], audit=audit))
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "NOT_FINITE",
        "metadata": {"stage": "VOCODE"},
    }
    wire.journal.fail(claim, {"code": 13, "message": "NaN", "details": [info]})
    job = (await wire.stub.GetJob(jobs_service_pb2.GetJobRequest(job_id=job_id))).job
    (version,) = job.versions
    assert (job.owner, job.state, job.tenant) == (job_pb2.OWNING_SERVICE_RENDER, job_pb2.JOB_STATE_FAILED, "local")
    assert (job.brief.seed, job.brief.stem_mode, job.brief.seconds) == (7, brief_pb2.STEM_MODE_EXACT, 8.0)
    assert version.files.bounce.key == f"jobs/{job_id}/bounce.wav"
    assert version.timings[0].duration.ToMilliseconds() == 1250
    assert (version.loudness.lufs, version.loudness.HasField("true_peak_dbtp")) == (-14.5, False)
    assert version.progress[0].fraction == 0.5
    assert version.progress[0].estimated_time_left.ToMilliseconds() == 1500
    assert len(version.audit_digests) == 1
    unpacked = error_details_pb2.ErrorInfo()
    assert version.error.details[0].Unpack(unpacked)
    assert unpacked.reason == "NOT_FINITE"
    assert version.end_time.ToDatetime(tzinfo=UTC) >= version.start_time.ToDatetime(tzinfo=UTC)
    assert not version.HasField("queue_position")


async def test_a_cancel_is_accepted_at_once(wire: Wire) -> None:
    """A running version becomes CANCELLING and its worker is told to stop; a final one stays as it is."""
    job_id = wire.accept()
    claim = wire.claim()
    answer = await wire.stub.CancelJob(jobs_service_pb2.CancelJobRequest(job_id=job_id))
    assert answer.job.state == job_pb2.JOB_STATE_CANCELLING
    assert wire.journal.heartbeat(claim).cancel_requested
    wire.journal.end_cancelled(claim)
    again = await wire.stub.CancelJob(jobs_service_pb2.CancelJobRequest(job_id=job_id, version=1))
    assert again.job.state == job_pb2.JOB_STATE_CANCELLED


async def test_a_deleted_job_and_its_files_are_gone(wire: Wire) -> None:
    """A running job is refused. After the deletion, files of other jobs stay, and watchers get a DELETED event."""
    job_id, other = wire.accept(), wire.accept()
    claim = wire.claim()
    wire.keep(claim)
    wire.store.put_bytes(f"jobs/{other}/bounce.wav", b"stays", content_type="audio/wav")
    refused = await refusal(wire.stub.DeleteJob(jobs_service_pb2.DeleteJobRequest(job_id=job_id)))
    assert refused[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "WRONG_STATE")
    wire.journal.finish(claim)
    watch = wire.stub.WatchJobs(jobs_service_pb2.WatchJobsRequest())
    await watch.initial_metadata()
    await wire.stub.DeleteJob(jobs_service_pb2.DeleteJobRequest(job_id=job_id))
    event = (await watch.read()).event
    watch.cancel()
    assert (event.kind, event.job_id) == (job_pb2.EVENT_KIND_DELETED, job_id)
    assert list(wire.store.keys("jobs")) == [f"jobs/{other}/bounce.wav"]
    for call in (
        wire.stub.GetJob(jobs_service_pb2.GetJobRequest(job_id=job_id)),
        wire.stub.DeleteJob(jobs_service_pb2.DeleteJobRequest(job_id=job_id)),
        wire.stub.WatchJob(jobs_service_pb2.WatchJobRequest(job_id=job_id)).read(),
    ):
        assert await refusal(call) == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND", {"job_id": job_id})


def done_rerender(wire: Wire, job_id: str) -> None:
    """The job's next version, with files."""
    wire.journal.accept_version(new_version(job_id), limit=9)
    claim = wire.claim()
    wire.keep(claim)
    wire.journal.finish(claim)


async def test_a_deleted_version_stays_listed_without_its_files(wire: Wire) -> None:
    """The call can be repeated and its answer is the same. The original and the version after it keep their files."""
    job_id = wire.accept()
    claim = wire.claim()
    wire.keep(claim)
    wire.journal.finish(claim)
    for _ in range(2):
        done_rerender(wire, job_id)
    before = (await wire.stub.GetJob(jobs_service_pb2.GetJobRequest(job_id=job_id))).job
    asked = jobs_service_pb2.DeleteVersionRequest(job_id=job_id, version=2)
    job = (await wire.stub.DeleteVersion(asked)).job
    deleted = job.versions[1]
    assert deleted.delete_time.ToDatetime(tzinfo=UTC) >= deleted.end_time.ToDatetime(tzinfo=UTC)
    assert (deleted.state, deleted.files) == (job_pb2.JOB_STATE_DONE, job_pb2.VersionFiles())
    assert (await wire.stub.DeleteVersion(asked)).job == job
    assert (await wire.stub.GetJob(jobs_service_pb2.GetJobRequest(job_id=job_id))).job == job
    assert [job.versions[0], job.versions[2]] == [before.versions[0], before.versions[2]]
    assert (job.last_sequence, job.latest.number) == (before.last_sequence, 3)
    names = ("bounce.wav", "v1.zip", "v3.wav", "v3.zip")
    assert list(wire.store.keys("jobs")) == [f"jobs/{job_id}/{name}" for name in names]


async def test_what_a_deletion_of_a_version_cannot_do_is_refused(wire: Wire) -> None:
    """The original, an unknown version and one that has not ended; and then a URL and waveforms of what was deleted."""
    job_id = wire.accept()
    wire.journal.finish(wire.claim())
    wire.journal.accept_version(new_version(job_id), limit=9)

    async def refused(number: int) -> tuple[grpc.StatusCode, str]:
        asked = jobs_service_pb2.DeleteVersionRequest(job_id=job_id, version=number)
        return (await refusal(wire.stub.DeleteVersion(asked)))[:2]

    for number in (0, 1):
        assert await refused(number) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert await refused(3) == (grpc.StatusCode.NOT_FOUND, "VERSION_NOT_FOUND")
    assert await refused(2) == (grpc.StatusCode.FAILED_PRECONDITION, "WRONG_STATE")
    claim = wire.claim()
    wire.keep(claim)
    wire.journal.finish(claim)
    await wire.stub.DeleteVersion(jobs_service_pb2.DeleteVersionRequest(job_id=job_id, version=2))
    with pytest.raises(grpc.aio.AioRpcError, match=r"its files were deleted \(DeleteVersion\)") as no_file:
        await wire.stub.CreateSignedUrl(jobs_service_pb2.CreateSignedUrlRequest(job_id=job_id, version=2))
    assert no_file.value.code() is grpc.StatusCode.NOT_FOUND
    waveforms = wire.stub.GetWaveforms(jobs_service_pb2.GetWaveformsRequest(job_id=job_id, version=2))
    assert (await refusal(waveforms))[:2] == (grpc.StatusCode.NOT_FOUND, "FILE_NOT_FOUND")


async def test_no_call_finds_the_job_of_another_tenant(wire: Wire) -> None:
    """Every RPC answers NOT_FOUND, as for a job that does not exist or belongs to the other service."""
    foreign = wire.accept(owner=OwningService.SEPARATION)
    mine = wire.accept()
    for job_id, metadata in ((mine, as_tenant("other")), (foreign, ())):
        calls = [
            wire.stub.GetJob(jobs_service_pb2.GetJobRequest(job_id=job_id), metadata=metadata),
            wire.stub.CancelJob(jobs_service_pb2.CancelJobRequest(job_id=job_id), metadata=metadata),
            wire.stub.DeleteJob(jobs_service_pb2.DeleteJobRequest(job_id=job_id), metadata=metadata),
            wire.stub.DeleteVersion(jobs_service_pb2.DeleteVersionRequest(job_id=job_id, version=2), metadata=metadata),
            wire.stub.AddStems(jobs_service_pb2.AddStemsRequest(job_id=job_id), metadata=metadata),
            wire.stub.RetryVersion(jobs_service_pb2.RetryVersionRequest(job_id=job_id), metadata=metadata),
            wire.stub.CreateSignedUrl(jobs_service_pb2.CreateSignedUrlRequest(job_id=job_id), metadata=metadata),
            wire.stub.GetWaveforms(jobs_service_pb2.GetWaveformsRequest(job_id=job_id), metadata=metadata),
            wire.stub.WatchJob(jobs_service_pb2.WatchJobRequest(job_id=job_id), metadata=metadata).read(),
        ]
        for call in calls:
            assert (await refusal(call))[:2] == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")
    assert wire.journal.job("local", mine).state == "QUEUED"


async def test_a_job_says_when_its_retention_ends(tmp_path: Path) -> None:
    """Every answer with the job has the time, once its versions have ended."""
    retention = Retention(events_s=None, jobs_s=3600.0)
    with open_journal(tmp_path) as journal:
        async with serving(tmp_path, journal, retention=retention) as wire:
            asked = jobs_service_pb2.GetJobRequest(job_id=wire.accept())
            assert not (await wire.stub.GetJob(asked)).job.HasField("purge_time")
            wire.journal.finish(wire.claim())
            job = (await wire.stub.GetJob(asked)).job
            assert job.purge_time.ToNanoseconds() == job.versions[0].end_time.ToNanoseconds() + 3600 * 10**9
            (listed,) = (await wire.stub.ListJobs(jobs_service_pb2.ListJobsRequest())).jobs
            assert listed.purge_time == job.purge_time


async def test_a_list_is_paged_and_filtered(wire: Wire) -> None:
    """Pages list the service's jobs, newest first. Wrong states, tokens and labels are named field by field."""
    jobs = [wire.accept(labels={"n": str(number % 2)}) for number in range(5)]
    wire.accept(owner=OwningService.SEPARATION)
    listed, token = [], ""
    while True:
        page = await wire.stub.ListJobs(jobs_service_pb2.ListJobsRequest(page_size=2, page_token=token))
        listed += [job.job_id for job in page.jobs]
        token = page.next_page_token
        if not token:
            break
    assert sorted(listed) == sorted(jobs)
    asked = jobs_service_pb2.ListJobsRequest(states=[job_pb2.JOB_STATE_QUEUED], labels={"n": "1"}, page_size=200)
    assert len((await wire.stub.ListJobs(asked)).jobs) == 2
    late = jobs_service_pb2.ListJobsRequest()
    late.created_after_time.FromDatetime(datetime(2999, 1, 1, tzinfo=UTC))
    assert not (await wire.stub.ListJobs(late)).jobs
    by_prompt = jobs_service_pb2.ListJobsRequest(prompt_contains="TAPE Piano", page_size=3)
    first = await wire.stub.ListJobs(by_prompt)
    by_prompt.page_token = first.next_page_token
    second = await wire.stub.ListJobs(by_prompt)
    assert [job.job_id for job in (*first.jobs, *second.jobs)] == listed
    by_prompt.prompt_contains = "tape_piano"
    assert (await refusal(wire.stub.ListJobs(by_prompt)))[1] == "INVALID_TOKEN"
    by_prompt.page_token = ""
    assert not (await wire.stub.ListJobs(by_prompt)).jobs
    by_prompt.prompt_contains = "é" * 257
    assert (await refusal(wire.stub.ListJobs(by_prompt)))[1] == "INVALID_FIELD"
    wrong = jobs_service_pb2.ListJobsRequest(states=[77], persona_id="\0")
    assert (await refusal(wire.stub.ListJobs(wrong)))[:2] == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    lie = jobs_service_pb2.ListJobsRequest(page_token="abc")
    assert (await refusal(wire.stub.ListJobs(lie)))[:2] == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_TOKEN")


def fetch(url: str, **headers: str) -> tuple[int, bytes]:
    """GET."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


async def test_a_signed_url_fetches_its_file_only(wire: Wire) -> None:
    """By default the ZIP, else the bounce. A missing file and a TTL out of range are refused."""
    job_id = wire.accept()
    asked = jobs_service_pb2.CreateSignedUrlRequest(job_id=job_id)
    code, reason, metadata = await refusal(wire.stub.CreateSignedUrl(asked))
    assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "FILE_NOT_FOUND")
    assert metadata == {"job_id": job_id, "version": "1", "kind": "bounce"}
    wire.keep(wire.claim())
    answer = await wire.stub.CreateSignedUrl(asked)
    assert answer.file.key == f"jobs/{job_id}/v1.zip"
    assert await asyncio.to_thread(fetch, answer.url) == (200, b"zip" * 100)
    assert await asyncio.to_thread(fetch, answer.url, Range="bytes=3-8") == (206, b"zipzip")
    assert (await asyncio.to_thread(fetch, answer.url.replace("v1.zip", "bounce.wav")))[0] == 403
    asked.kind = jobs_service_pb2.FILE_KIND_BOUNCE
    assert (await wire.stub.CreateSignedUrl(asked)).file.key.endswith("bounce.wav")
    asked.ttl.seconds = 8 * 24 * 3600
    assert (await refusal(wire.stub.CreateSignedUrl(asked)))[1] == "INVALID_FIELD"


async def test_version_0_of_a_signed_url_is_the_newest_that_has_the_file(wire: Wire) -> None:
    """A later version without files is skipped. If no version has the file, the error names the newest."""
    job_id = wire.accept()
    wire.keep(wire.claim())
    wire.journal.accept_version(new_version(job_id), limit=9)
    job = (await wire.stub.GetJob(jobs_service_pb2.GetJobRequest(job_id=job_id))).job
    assert (job.state, job.latest.number, job.latest.state) == (JOB_STATE_RUNNING, 2, JOB_STATE_QUEUED)
    asked = jobs_service_pb2.CreateSignedUrlRequest(job_id=job_id)
    assert (await wire.stub.CreateSignedUrl(asked)).file.key == f"jobs/{job_id}/v1.zip"
    asked.version = 2
    assert (await refusal(wire.stub.CreateSignedUrl(asked)))[2]["version"] == "2"
    latents = jobs_service_pb2.CreateSignedUrlRequest(job_id=job_id, kind=jobs_service_pb2.FILE_KIND_LATENTS)
    assert (await refusal(wire.stub.CreateSignedUrl(latents)))[2] == {
        "job_id": job_id,
        "version": "2",
        "kind": "latents",
    }


async def test_a_draining_service_reads_and_cancels_but_adds_no_stems(wire: Wire) -> None:
    """AddStems is refused with DRAINING; jobs can still be read, watched and cancelled."""
    job_id = wire.accept()
    await wire.rpc.drain()
    assert (await refusal(wire.stub.AddStems(jobs_service_pb2.AddStemsRequest(job_id=job_id))))[1] == "DRAINING"
    await wire.stub.CancelJob(jobs_service_pb2.CancelJobRequest(job_id=job_id))
    assert (await wire.watch(job_id))[-1].state == job_pb2.JOB_STATE_CANCELLED


async def test_a_cancel_does_not_wait_behind_jobs_that_are_being_accepted(wire: Wire) -> None:
    """As many acceptances as run at once, and one more that waits, are held up; a cancel is answered meanwhile."""
    job_id = wire.accept()
    go_on = threading.Event()
    held_up = [asyncio.ensure_future(wire.rpc.pools.writes.run(go_on.wait)) for _ in range(32)]
    try:
        call = wire.stub.CancelJob(jobs_service_pb2.CancelJobRequest(job_id=job_id))
        answer = await asyncio.wait_for(call, 30)
    finally:
        go_on.set()
        await asyncio.gather(*held_up)
    assert answer.job.state == job_pb2.JOB_STATE_CANCELLED
