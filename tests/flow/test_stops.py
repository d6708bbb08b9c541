"""What ends a job early: a cancel at each stage, the brief's expiry, a full queue; and what does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from servicekit.clock import SystemClock
from servicekit.journal import Journal
from sonichaos.jobs.v1 import job_pb2
from sonichaos_client import FileKind, Job, JobHandle
from sonichaos_client.errors import FailedPreconditionError, JobCancelledError, JobFailedError, ResourceExhaustedError
from tests.flow.conftest import FreshPair
from tests.support import documented_shell
from tests.support.pair import RENDER, SEPARATION, Pair, eventually, turn_held
from tests.support.takes import Story, at, brief, check_numbers, collect_events, take, until

CANCELLING, CANCELLED = job_pb2.JOB_STATE_CANCELLING, job_pb2.JOB_STATE_CANCELLED


@pytest.fixture(scope="module")
def pair(module_pair: FreshPair) -> Pair:
    """One worker, a queue of one, and many steps."""
    return module_pair(SONICHAOS_RENDER_WORKERS="1", SONICHAOS_QUEUE_LIMIT="1", SONICHAOS_RENDER_STEPS="60")


def cancelled(pair: Pair, job: Job | JobHandle) -> Story:
    """Cancel, and wait for CANCELLED by way of CANCELLING."""
    pair.client.cancel(job.job_id)
    with pytest.raises(JobCancelledError):
        pair.client.wait(job)
    story = collect_events(pair.client, job)
    check_numbers(story.events)
    states = [event.state for event in story.events if event.kind == job_pb2.EVENT_KIND_STATE]
    assert states[-2:] == [CANCELLING, CANCELLED]
    return story


def test_a_cancel_while_it_waits(pair: Pair) -> None:
    """A queued job ends without running, and has a queue position until then."""
    with turn_held(pair.data):
        first = pair.client.create_render(brief())
        until(pair.client, first, at(job_pb2.STAGE_PLAN))
        second = pair.client.create_render(brief(seed=1))
        assert pair.client.get_job(second.job_id).versions[0].queue_position == 0
        story = cancelled(pair, second)
    assert not story.version.HasField("start_time")
    assert pair.stored(second.job_id) == []
    assert pair.client.wait(first).state == job_pb2.JOB_STATE_DONE


def test_a_cancel_while_it_denoises(pair: Pair) -> None:
    """Work stops between two steps and leaves no file."""
    job = pair.client.create_render(brief(seconds=20.0))
    until(pair.client, job, at(job_pb2.STAGE_DENOISE, done=1))
    story = cancelled(pair, job)
    assert pair.stored(job.job_id) == []
    assert not story.version.files.HasField("bounce")
    assert job_pb2.STAGE_BOUNCE not in {event.stage for event in story.events}


def test_a_cancel_while_it_separates(pair: Pair) -> None:
    """The call to separation_service is cancelled, the bounce stays, and stems can be requested later."""
    job = pair.client.create_render(brief(stems=True))
    until(pair.client, job, at(job_pb2.STAGE_DENOISE))
    with turn_held(pair.data):
        until(pair.client, job, at(job_pb2.STAGE_SEPARATE))
        story = cancelled(pair, job)
    assert story.version.files.HasField("bounce")
    assert pair.stored(job.job_id) == ["bounce.wav", "v1.json", "v1.latents.safetensors", "v1.mid"]
    done = pair.client.wait(pair.client.add_stems(job.job_id))
    assert done.versions[0].files.HasField("zip")


def test_a_cancel_while_no_service_runs(pair: Pair) -> None:
    """Killed after the manifest with stems was stored and before the commit, it leaves the manifest of its bounce and no ZIP."""
    job = pair.client.create_render(brief(stems=True, seed=3))
    until(pair.client, job, at(job_pb2.STAGE_DENOISE))
    folder = pair.data / "store" / "jobs" / job.job_id
    with turn_held(pair.data):
        until(pair.client, job, at(job_pb2.STAGE_SEPARATE))
        pair.kill(RENDER)
        (manifest,) = folder.rglob("v1.json")
        kept = manifest.read_bytes()
        assert b'"stems": null' in kept
        (folder / "v1.json").write_bytes(kept.replace(b'"stems": null', b'"stems": {}'))
        (folder / "v1.zip").touch()
        with Journal.open(f"sqlite:///{pair.data}/journal.sqlite3", clock=SystemClock()) as journal:
            journal.cancel("local", job.job_id, 1)
        pair.start(RENDER)
        with pytest.raises(JobCancelledError):
            pair.client.wait(job)
    assert manifest.read_bytes() == kept
    assert pair.stored(job.job_id) == ["bounce.wav", "v1.json", "v1.latents.safetensors", "v1.mid"]
    assert pair.client.wait(pair.client.add_stems(job.job_id)).versions[0].files.HasField("zip")


def test_leaving_a_watch_stops_nothing(pair: Pair) -> None:
    """Leaving a watch stops nothing, and a later watcher receives every event after the number it names."""
    job = pair.client.create_render(brief(seed=2))
    seen = until(pair.client, job, at(job_pb2.STAGE_DENOISE)).sequence
    rest = list(pair.client.watch(job, after_sequence=seen))
    assert [event.sequence for event in rest] == list(range(seen + 1, seen + 1 + len(rest)))
    assert rest[-1].state == job_pb2.JOB_STATE_DONE


def test_a_brief_expires_and_can_be_retried(pair: Pair, tmp_path: Path) -> None:
    """A job that is not done by its expiry fails as EXPIRED, without RetryInfo. The runbook's command runs it again."""
    wanted = brief(seed=3)
    wanted.expire_time.FromDatetime(datetime.now(tz=UTC) + timedelta(seconds=2))
    with turn_held(pair.data):
        job = pair.client.create_render(wanted)
        with pytest.raises(JobFailedError) as failed:
            pair.client.wait(job)
    assert failed.value.reason == "EXPIRED"
    assert failed.value.retry_after_s is None
    assert pair.stored(job.job_id) == []

    (retry,) = documented_shell.documented("docs/runbook.md", "tests/flow/test_stops.py")
    documented_shell.run(
        retry,
        tmp_path,
        documented_shell.environment(
            tmp_path,
            SONICHAOS_RENDER_ADDRESS=pair.address(RENDER),
            SONICHAOS_SEPARATION_ADDRESS=pair.address(SEPARATION),
            JOB_ID=job.job_id,
        ),
    )
    assert pair.client.wait(job).state == job_pb2.JOB_STATE_DONE


def test_a_full_queue_says_when_to_come_again(pair: Pair) -> None:
    """Beyond the limit a brief is refused with RetryInfo and creates no job; a retry of an accepted one does not count."""
    with turn_held(pair.data):
        first = pair.client.create_render(brief(seed=4))
        until(pair.client, first, at(job_pb2.STAGE_PLAN))
        waits = pair.client.create_render(brief(seed=5), request_id="waits")
        rows = [job.job_id for job in pair.client.list_jobs()]
        with pytest.raises(ResourceExhaustedError) as full:
            pair.client.create_render(brief(seed=6))
        assert full.value.reason == "QUEUE_FULL"
        assert full.value.retry_after_s
        assert pair.client.create_render(brief(seed=5), request_id="waits").job_id == waits.job_id
        assert [job.job_id for job in pair.client.list_jobs()] == rows
    for job in (first, waits):
        assert pair.client.wait(job).state == job_pb2.JOB_STATE_DONE


def test_no_separation_service(pair: Pair) -> None:
    """The bounce is stored and the version waits, the reason in its row; others are done meanwhile. It ends when it is back."""
    pair.kill(SEPARATION)
    job = pair.client.create_render(brief(stems=True, seed=7))
    refused = until(pair.client, job, lambda event: event.error is not None)
    assert refused.error is not None
    assert refused.error.reason == "SEPARATION_UNAVAILABLE"
    version = pair.client.get_job(job.job_id).versions[0]
    assert version.state == job_pb2.JOB_STATE_RUNNING
    assert version.files.HasField("bounce")
    assert any(event.HasField("error") for event in version.progress)
    assert pair.client.create_signed_url(job.job_id, kind=FileKind.BOUNCE).url
    assert take(pair.client, brief(seed=8)).job.state == job_pb2.JOB_STATE_DONE
    pair.start(SEPARATION)
    story = collect_events(pair.client, job)
    assert story.job.state == job_pb2.JOB_STATE_DONE
    assert not any(event.HasField("error") for event in story.version.progress)
    check_numbers(story.events)
    assert {event.attempt for event in story.events if event.track == job_pb2.PROGRESS_TRACK_RENDER} == {1}


def test_a_deleted_job_leaves_nothing(pair: Pair) -> None:
    """A running job cannot be deleted; an ended one is deleted with its files."""
    with turn_held(pair.data):
        job = pair.client.create_render(brief(seed=8))
        until(pair.client, job, at(job_pb2.STAGE_PLAN))
        with pytest.raises(FailedPreconditionError) as wrong:
            pair.client.delete(job.job_id)
    assert wrong.value.reason == "WRONG_STATE"
    pair.client.wait(job)
    pair.client.delete(job.job_id)
    assert pair.stored(job.job_id) == []
    assert eventually(lambda: job.job_id not in {one.job_id for one in pair.client.list_jobs()}, "its row is gone")
