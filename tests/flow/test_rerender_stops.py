"""What ends a re-render early, at each stage: no partial version stays, the job stays DONE, the next version is complete."""

from __future__ import annotations

import math
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from servicekit.clock import SystemClock
from servicekit.journal import Journal
from sonichaos.jobs.v1 import job_pb2
from sonichaos_client import JobEvent, JobHandle
from sonichaos_client.errors import JobCancelledError, JobFailedError, from_status
from sonichaos_client.verify import verify_zip
from tests.flow.conftest import FreshPair
from tests.support.pair import RENDER, SEPARATION, Pair, eventually, turn_held
from tests.support.rerenders import folder_of, of, start_rerender
from tests.support.takes import Story, at, brief, check_numbers, collect_events, take, until
from tests.support.tiny_separator import tiny_separator

TRIES = 8
DONE = -1  # instead of a stage: it was done before the cancel arrived


@pytest.fixture(scope="module")
def pair(module_pair: FreshPair, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """One worker, so that a second job waits."""
    repo = tiny_separator(tmp_path_factory.mktemp("loud") / "separator", gain=12.0)
    return module_pair(SONICHAOS_SEPARATOR_REPO=str(repo), SONICHAOS_RENDER_STEPS="12", SONICHAOS_RENDER_WORKERS="1")


@pytest.fixture(scope="module")
def base(pair: Pair) -> Story:
    """The original."""
    return take(pair.client, brief("tone", stems=True, seconds=4.0))


@contextmanager
def frozen(pair: Pair, service: str) -> Iterator[None]:
    """The service is stopped during the block."""
    pair.signal(service, signal.SIGSTOP)
    try:
        yield
    finally:
        pair.signal(service, signal.SIGCONT)


def cancelled(pair: Pair, made: JobHandle) -> list[JobEvent]:
    """Cancel, and wait for the end by way of CANCELLING; the version's events."""
    pair.client.cancel(made.job_id, version=made.version)
    assert ends_cancelled(pair, made)
    return events_of_cancelled(pair, made)


def ends_cancelled(pair: Pair, made: JobHandle) -> bool:
    """Wait for the end; False where the version was done before the cancel was accepted."""
    with suppress(JobCancelledError):
        pair.client.wait(made.message, version=made.version)
        return False
    return True


def events_of_cancelled(pair: Pair, made: JobHandle) -> list[JobEvent]:
    """The events of a version that went by way of CANCELLING, and left nothing."""
    story = collect_events(pair.client, made.message)
    check_numbers(story.events)
    mine = [event for event in story.events if event.version == made.version]
    states = [event.state for event in mine if event.kind == job_pb2.EVENT_KIND_STATE]
    assert states[-2:] == [job_pb2.JOB_STATE_CANCELLING, job_pb2.JOB_STATE_CANCELLED]
    assert story.job.state == job_pb2.JOB_STATE_DONE
    version = story.job.versions[made.version - 1]
    assert not version.files.ListFields()
    assert not version.audit_digests
    return mine


def is_gone(pair: Pair, made: JobHandle) -> bool:
    """Whether no file of a version is stored."""
    own = (f"v{made.version}.", f"v{made.version}-")
    return not any(name.startswith(own) for name in folder_of(pair, made.job_id))


def stage_of(events: list[JobEvent]) -> int:
    """The running stage when the cancel was accepted; 0 for none."""
    before = 0
    for event in events:
        if event.state == job_pb2.JOB_STATE_CANCELLING:
            break
        before = event.stage or before
    return before


def test_a_cancel_before_it_has_the_device(pair: Pair, base: Story) -> None:
    """A queued re-render has not started; one in its plan waits for the GPU lock."""
    before = folder_of(pair, base.job.job_id)
    with turn_held(pair.data):
        first = start_rerender(pair, base.job.job_id)
        until(pair.client, first.message, of(first.version, at(job_pb2.STAGE_PLAN)))
        second = start_rerender(pair, base.job.job_id)
        assert stage_of(cancelled(pair, second)) == 0
        assert stage_of(cancelled(pair, first)) == job_pb2.STAGE_PLAN
    assert folder_of(pair, base.job.job_id) == before


SEPARATIONS = {job_pb2.STAGE_RECEIVE, job_pb2.STAGE_ALIGN, job_pb2.STAGE_PACKAGE, job_pb2.STAGE_STORE}


def reached(pair: Pair, job_id: str, stage: int, held: ExitStack) -> JobHandle:
    """A re-render that has reached a stage.

    Before the handoff separation_service is stopped, before its separation the device is taken away: there the re-render waits. In
    other stages of separation_service that is stopped as soon as the stage is reported.
    """
    with turn_held(pair.data):
        made = start_rerender(pair, job_id)
        until(pair.client, made.message, of(made.version, at(job_pb2.STAGE_PLAN)))
        if stage == job_pb2.STAGE_HANDOFF:
            held.enter_context(frozen(pair, SEPARATION))
    if stage == job_pb2.STAGE_SEPARATE:
        until(pair.client, made.message, of(made.version, at(job_pb2.STAGE_DENOISE)))
        held.enter_context(turn_held(pair.data))
    until(pair.client, made.message, of(made.version, at(stage)), after_sequence=made.message.last_sequence)
    if stage in SEPARATIONS:
        held.enter_context(frozen(pair, SEPARATION))
    return made


# The bounce takes milliseconds, less than a cancel that is sent in it takes to arrive.
SOON_AFTER = {job_pb2.STAGE_BOUNCE: (job_pb2.STAGE_HANDOFF, job_pb2.STAGE_RECEIVE)}


@pytest.mark.parametrize(
    "stage",
    [
        job_pb2.STAGE_DENOISE,
        job_pb2.STAGE_VOCODE,
        job_pb2.STAGE_BOUNCE,
        job_pb2.STAGE_HANDOFF,
        job_pb2.STAGE_RECEIVE,
        job_pb2.STAGE_SEPARATE,
        job_pb2.STAGE_ALIGN,
        job_pb2.STAGE_PACKAGE,
        job_pb2.STAGE_STORE,
    ],
    ids=job_pb2.Stage.Name,
)
def test_a_cancel(pair: Pair, base: Story, stage: int) -> None:
    """A cancel sent in a stage leaves a cancelled version without files. Repeated if the stage ended before it was accepted."""
    met: list[int] = []
    expected = {stage, *SOON_AFTER.get(stage, ())}
    while not expected.intersection(met):
        assert len(met) < TRIES, f"the cancel always met another stage: {met}"
        with ExitStack() as held:
            made = reached(pair, base.job.job_id, stage, held)
            pair.client.cancel(made.job_id, version=made.version)
            held.close()
            if not ends_cancelled(pair, made):
                met.append(DONE)
                continue
            met.append(stage_of(events_of_cancelled(pair, made)))
        eventually(partial(is_gone, pair, made), "no file of it is left")


def test_the_version_after_them_is_whole(pair: Pair, base: Story) -> None:
    """Stopped versions leave nothing: beside the base there are only the three files of the next version."""
    before = folder_of(pair, base.job.job_id)
    made = start_rerender(pair, base.job.job_id)
    done = pair.client.wait(made.message, version=made.version)
    assert done.versions[made.version - 1].state == job_pb2.JOB_STATE_DONE
    added = set(folder_of(pair, base.job.job_id)) - set(before)
    assert added == {f"v{made.version}.{ending}" for ending in ("wav", "mid", "zip", "json")}
    assert pair.client.verify_audit_chain().intact


def fails(pair: Pair, job_id: str) -> JobFailedError:
    """Re-render, and how it failed: without a file, an audit row or a change of anything else."""
    before = folder_of(pair, job_id)
    made = start_rerender(pair, job_id)
    with pytest.raises(JobFailedError) as failed:
        pair.client.wait(made.message, version=made.version)
    job = pair.client.get_job(job_id)
    assert job.state == job_pb2.JOB_STATE_DONE
    version = job.versions[made.version - 1]
    assert not version.files.ListFields()
    assert not version.audit_digests
    assert folder_of(pair, job_id) == before
    return failed.value


@contextmanager
def flipped(path: Path, offset: int) -> Iterator[None]:
    """One bit of a stored file is flipped during the block."""
    whole = path.read_bytes()
    data = bytearray(whole)
    data[offset] ^= 1
    path.write_bytes(data)
    yield
    path.write_bytes(whole)


def test_inputs_that_changed_are_data_loss(pair: Pair, base: Story) -> None:
    """Latents before anything is rendered; bounce, kept stem and manifest of the base before anything is separated."""
    job_id, files = base.job.job_id, base.version.files
    with flipped(pair.data / "store" / files.latents.key, -1):
        failed = fails(pair, job_id)
    assert (failed.reason, failed.metadata["stage"]) == ("DIGEST_MISMATCH", "PLAN")
    for entry in (entry for entry in files.zip_entries if entry.name in {"bounce.wav", "drums.wav", "manifest.json"}):
        with flipped(pair.data / "store" / files.zip.key, entry.offset_bytes + entry.size_bytes - 1):
            failed = fails(pair, job_id)
        assert (failed.reason, failed.metadata["stage"]) == ("DIGEST_MISMATCH", "RECEIVE")
        assert failed.metadata["expected_sha256"] == entry.sha256


def test_a_separation_that_dies_while_it_packs_and_then_breaks(pair: Pair, base: Story, tmp_path: Path) -> None:
    """Killed in PACKAGE and retried with a model that returns NaN, the version fails in SEPARATE and leaves no file.

    Where it was done before the kill came, once more.
    """
    job_id, settings = base.job.job_id, pair.settings
    broken = str(tiny_separator(tmp_path / "broken", gain=math.nan))
    for _ in range(TRIES):
        before = folder_of(pair, job_id)
        with ExitStack() as held:
            made = reached(pair, job_id, job_pb2.STAGE_PACKAGE, held)
            pair.kill(SEPARATION)
            pair.settings = {**settings, "SONICHAOS_SEPARATOR_REPO": broken}
            pair.start(SEPARATION)
        with suppress(JobFailedError):
            pair.client.wait(made.message, version=made.version)
        pair.kill(SEPARATION)
        pair.settings = settings
        pair.start(SEPARATION)
        version = pair.client.get_job(job_id).versions[made.version - 1]
        if version.state == job_pb2.JOB_STATE_FAILED:
            break
    error = from_status(version.error)
    assert (error.reason, error.metadata["stage"]) == ("NOT_FINITE", "SEPARATE")
    mine = [event for event in pair.client.watch(made.message, version=made.version) if event.version == made.version]
    assert {event.attempt for event in mine if event.stage == job_pb2.STAGE_PACKAGE} == {1}
    assert max(event.attempt for event in mine if event.stage == job_pb2.STAGE_SEPARATE) >= 2
    assert not version.files.ListFields()
    assert not version.audit_digests
    assert folder_of(pair, job_id) == before
    again = start_rerender(pair, job_id)
    assert pair.client.wait(again.message, version=again.version).versions[-1].state == job_pb2.JOB_STATE_DONE


def test_something_in_the_way_of_a_name_does_not_matter(pair: Pair, base: Story, tmp_path: Path) -> None:
    """Where the name of a file is taken, it is stored under another key, and callers see no difference."""
    job_id = base.job.job_id
    number = len(pair.client.get_job(job_id).versions) + 1
    in_the_way = pair.data / "store" / "jobs" / job_id / f"v{number}.json" / "x"
    in_the_way.parent.mkdir()
    in_the_way.touch()
    try:
        made = start_rerender(pair, job_id)
        job = pair.client.wait(made.message, version=number)
        assert job.versions[-1].files.manifest.key == f"jobs/{job_id}/v{number}.json"
        assert verify_zip(pair.client.download(job_id, tmp_path, version=number).path).failures == ()
        assert in_the_way.exists()
    finally:
        in_the_way.unlink()
        in_the_way.parent.rmdir()


def test_a_version_cancelled_while_no_service_runs_leaves_no_file(pair: Pair, base: Story) -> None:
    """Both services are killed after its three files are stored and before the commit; the next start removes them."""
    job_id = base.job.job_id
    before = folder_of(pair, job_id)
    with ExitStack() as held:
        made = reached(pair, job_id, job_pb2.STAGE_SEPARATE, held)
        pair.signal(RENDER, signal.SIGSTOP)
        held.close()
        eventually(lambda: f"v{made.version}.zip" in pair.stored(job_id), "bounce and ZIP are stored")
    for service in (RENDER, SEPARATION):
        pair.kill(service)
    # The owner stores the manifest right before its commit.
    (pair.data / "store" / "jobs" / job_id / f"v{made.version}.json").write_text("{}")
    with Journal.open(f"sqlite:///{pair.data}/journal.sqlite3", clock=SystemClock()) as journal:
        journal.cancel("local", job_id, made.version)
    assert folder_of(pair, job_id) != before
    pair.start()
    with pytest.raises(JobCancelledError):
        pair.client.wait(made.message, version=made.version)
    assert folder_of(pair, job_id) == before
