"""Running versions: progress that only rises, cancellation, retries, and errors with reason and stage."""

from __future__ import annotations

import errno
import itertools
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from servicekit.clock import SystemClock
from servicekit.errors import InvalidAudio, ServiceError, Unavailable
from servicekit.journal import AuditDraft, ClaimLost, EventKind, JobState, Journal, ProgressTrack, Stage
from servicekit.metrics import Metrics
from servicekit.work import Assignment, RetryPolicy, WorkerShutdown
from tests.support.journal_rows import BOUNCE, PROMPT, ZIP, new_job, open_journal
from tests.support.work_runs import MANY, ended, events_of, info_of, running


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An open journal."""
    with open_journal(tmp_path) as opened:
        yield opened


def render_take(assignment: Assignment) -> None:
    """A take with stems."""
    progress = assignment.progress
    progress.stage(Stage.PLAN)
    progress.stage(Stage.DENOISE, 16)
    for done in range(16):
        progress.step(done + 1)
    progress.stage(Stage.VOCODE)
    progress.stage(Stage.BOUNCE)
    audit = AuditDraft(kind="bounce", body={}, prompt=PROMPT)
    progress.bounce_ready(files=BOUNCE, loudness={"lufs": -14.0}, audit=audit)
    progress.stage(Stage.HANDOFF)
    progress.stage(Stage.SEPARATE, 4)
    progress.step(2, total=8)
    progress.stage(Stage.STORE)
    progress.stems_ready(files=ZIP, audit=AuditDraft(kind="stems", body={}, prompt=None))


def test_a_take_publishes_all_its_progress(journal: Journal) -> None:
    """Both tracks go from 0 to 1; each stage publishes its first and last step; files and audit rows come with their events."""
    metrics = Metrics("render")
    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    with running(journal, render_take, metrics=metrics):
        version = ended(journal, job_id).versions[0]
    assert version.state is JobState.DONE
    assert version.files == {**BOUNCE, **ZIP}
    assert len(version.audit_digests) == 2
    assert [timing["stage"] for timing in version.timings] == [
        f"STAGE_{stage}" for stage in ("PLAN", "DENOISE", "VOCODE", "BOUNCE", "HANDOFF", "SEPARATE", "STORE")
    ]
    events = events_of(journal, job_id)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert [event.state for event in events if event.kind is EventKind.STATE] == ["QUEUED", "RUNNING", "DONE"]
    for track in ProgressTrack:
        fractions = [event.fraction for event in events if event.track is track]
        assert (fractions[0], fractions[-1]) == (0.0, 1.0)
        assert fractions == sorted(fractions)
    for stage in (Stage.PLAN, Stage.DENOISE, Stage.SEPARATE):
        of_stage = [event for event in events if event.stage is stage]
        assert of_stage[0].steps_done == 0
        assert of_stage[-1].steps_done == of_stage[-1].steps_total
    kinds = [event.kind for event in events]
    assert kinds.index(EventKind.BOUNCE_READY) < kinds.index(EventKind.STEMS_READY)
    assert metrics.registry.get_sample_value("sonichaos_render_versions_total", {"state": "DONE"}) == 1


def test_a_fast_loop_is_throttled(journal: Journal) -> None:
    """Five thousand steps at full speed make few events, among them the last step."""

    def work(assignment: Assignment) -> None:
        assignment.progress.stage(Stage.DENOISE, 5000)
        for done in range(5000):
            assignment.progress.step(done + 1)

    job_id = journal.accept(new_job(stems=False), limit=MANY).job.job_id
    with running(journal, work):
        ended(journal, job_id)
    steps = [event.steps_done for event in events_of(journal, job_id) if event.stage is Stage.DENOISE]
    assert (steps[0], steps[-1]) == (0, 5000)
    assert len(steps) < 500


def test_a_cancel_reaches_blocked_work(journal: Journal) -> None:
    """A blocked call is aborted by its stop callback, and the error that it raises does not hide the cancel."""
    entered = threading.Event()

    def work(assignment: Assignment) -> None:
        assignment.progress.stage(Stage.SEPARATE)
        broken = threading.Event()
        with assignment.progress.on_stop(broken.set):
            entered.set()
            broken.wait(30)
        raise Unavailable("the stream broke", reason="SEPARATION_UNAVAILABLE")

    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    with running(journal, work, heartbeat_s=60.0):
        entered.wait(30)
        journal.cancel("local", job_id)
        job = ended(journal, job_id)
    assert job.state is JobState.CANCELLED
    states = [event.state for event in events_of(journal, job_id) if event.kind is EventKind.STATE]
    assert states == ["QUEUED", "RUNNING", "CANCELLING", "CANCELLED"]


def test_a_cancel_through_another_process_arrives_with_the_heartbeat(tmp_path: Path, journal: Journal) -> None:
    """A cancel through another open journal stops the work too."""
    entered = threading.Event()

    def work(assignment: Assignment) -> None:
        entered.set()
        assignment.progress.wait(30)

    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    with open_journal(tmp_path) as other, running(journal, work, heartbeat_s=0.05):
        entered.wait(30)
        other.cancel("local", job_id)
        assert ended(other, job_id).state is JobState.CANCELLED


@pytest.mark.parametrize(
    ("raised", "code", "reason"),
    [
        (InvalidAudio("sample rate must be 44100 Hz, got 48000 Hz"), 3, "INVALID_AUDIO"),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), 8, "DISK_FULL"),
        (MemoryError(), 8, "OUT_OF_MEMORY"),
        (ZeroDivisionError("never shown to callers"), 13, "INTERNAL"),
    ],
)
def test_an_error_ends_the_version_with_reason_and_stage(
    journal: Journal, raised: Exception, code: int, reason: str
) -> None:
    """Service errors keep their message, other errors only appear in the log; stored files stay."""

    def work(assignment: Assignment) -> None:
        assignment.progress.stage(Stage.BOUNCE)
        assignment.progress.bounce_ready(files=BOUNCE)
        assignment.progress.stage(Stage.SEPARATE, 4)
        raise raised

    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    with running(journal, work, retries=RetryPolicy(max_wait_s=0.0)):
        version = ended(journal, job_id).versions[0]
    assert (version.state, version.files) == (JobState.FAILED, BOUNCE)
    assert version.error is not None
    assert version.error["code"] == code
    assert (info_of(version.error)["reason"], info_of(version.error)["metadata"]["stage"]) == (reason, "SEPARATE")
    assert "never shown" not in str(version.error)
    last = events_of(journal, job_id)[-1]
    assert (last.state, last.error) == (JobState.FAILED, version.error)
    assert [timing["stage"] for timing in version.timings] == ["STAGE_BOUNCE"]


def test_work_is_retried_until_a_dependency_answers(journal: Journal) -> None:
    """A retry sees the checkpoint and counts as a new attempt; fractions never fall within an attempt."""
    attempt_numbers = itertools.count(1)

    def work(assignment: Assignment) -> None:
        progress = assignment.progress
        if assignment.version.checkpointed_stage is None:
            progress.stage(Stage.BOUNCE)
            progress.bounce_ready(files=BOUNCE)
        progress.stage(Stage.SEPARATE, 2)
        progress.step(1)
        if next(attempt_numbers) < 3:
            raise Unavailable("separation_service does not answer", reason="SEPARATION_UNAVAILABLE", retry_after_s=1.0)

    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    with running(journal, work):
        version = ended(journal, job_id).versions[0]
    assert (version.state, version.attempt) == (JobState.DONE, 3)
    events = events_of(journal, job_id)
    assert {event.attempt for event in events if event.track is ProgressTrack.RENDER} == {1}
    attempts = [event.attempt for event in events if event.track is ProgressTrack.STEMS]
    assert attempts == sorted(attempts)
    assert set(attempts) == {1, 2, 3}
    for attempt in (1, 2, 3):
        fractions = [
            event.fraction for event in events if (event.track, event.attempt) == (ProgressTrack.STEMS, attempt)
        ]
        assert fractions == sorted(fractions)


def test_a_dependency_that_never_answers_fails_the_version_with_retry_info(journal: Journal) -> None:
    """When its time is up the version fails with RetryInfo, even where the error itself has no delay."""

    def work(assignment: Assignment) -> None:
        assignment.progress.stage(Stage.HANDOFF)
        raise Unavailable("separation_service does not answer", reason="SEPARATION_UNAVAILABLE")

    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    with running(journal, work, retries=RetryPolicy(initial_delay_s=0.01, backoff_factor=1.0, max_wait_s=0.1)):
        version = ended(journal, job_id).versions[0]
    assert version.state is JobState.FAILED
    assert version.attempt > 1
    assert version.error is not None
    assert [d["retryDelay"] for d in version.error["details"] if d["@type"].endswith("RetryInfo")] == ["30s"]


def test_work_is_stopped_at_its_expiry(journal: Journal) -> None:
    """A running version whose brief expires fails as EXPIRED, and so does the queued one behind it."""

    def work(assignment: Assignment) -> None:
        assignment.progress.stage(Stage.DENOISE)
        assignment.progress.wait(30)

    due = SystemClock().now() + timedelta(seconds=0.4)
    job_ids = [journal.accept(new_job(expire_time=due), limit=MANY).job.job_id for _ in range(2)]
    with running(journal, work):
        jobs = [ended(journal, job_id) for job_id in job_ids]
    assert {job.state for job in jobs} == {JobState.FAILED}
    assert {info_of(job.versions[0].error)["reason"] for job in jobs} == {"EXPIRED"}


def test_a_stage_without_a_weight_fails_the_version(journal: Journal) -> None:
    """It fails as INTERNAL instead of publishing a wrong fraction."""
    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    with running(journal, lambda assignment: assignment.progress.stage(Stage.ALIGN)):
        version = ended(journal, job_id).versions[0]
    assert info_of(version.error)["reason"] == "INTERNAL"


def test_reasons_to_stop_are_not_service_errors() -> None:
    """A boundary that turns a ServiceError into a status must not catch them."""
    assert not issubclass(WorkerShutdown, ServiceError)
    assert not issubclass(ClaimLost, ServiceError)
