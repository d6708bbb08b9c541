"""kill -9 of each service at each stage of the pipeline: no orphaned files, and every accepted job ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client import JobEvent, JobHandle
from sonichaos_client.errors import from_status
from sonichaos_client.verify import verify_zip
from tests.flow.conftest import FreshPair
from tests.support.pair import RENDER, SEPARATION, Pair, eventually, loan_maps, open_files, turn_held
from tests.support.takes import Story, at, brief, check_numbers, collect_events, take, until

STEPS = 40
MORE_TAKES = 4
JOURNAL_CONNECTIONS = 8
LONG = 8.0
BOUNCE_READY = job_pb2.EVENT_KIND_BOUNCE_READY


@pytest.fixture(scope="module")
def pair(module_pair: FreshPair) -> Pair:
    """A pair whose services are killed in turn, after a first take."""
    made = module_pair(SONICHAOS_RENDER_STEPS=str(STEPS))
    take(made.client, brief(stems=True, seconds=LONG))  # later takes reuse the region of this one
    return made


def ended(pair: Pair, job: JobHandle) -> Story:
    """All events of the job; if separation was down for longer than the retries, stems are requested again."""
    story = collect_events(pair.client, job)
    if story.job.state == job_pb2.JOB_STATE_FAILED:
        error = from_status(story.version.error)
        assert error.reason in {"SEPARATION_UNAVAILABLE", "WARMING"}
        assert error.retry_after_s
        story = collect_events(pair.client, pair.client.add_stems(job.job_id))
    return story


def check_taken_up(pair: Pair, job: JobHandle, track: int, folder: Path) -> Story:
    """DONE, numbered without a gap, with a later attempt on ``track``, and only whole files."""
    story = ended(pair, job)
    check_numbers(story.events)
    assert story.job.state == job_pb2.JOB_STATE_DONE
    assert max(event.attempt for event in story.events if event.track == track) >= 2
    assert pair.stored(job.job_id) == ["bounce.wav", "v1.json", "v1.latents.safetensors", "v1.mid", "v1.zip"]
    assert [row.kind for row in pair.client.list_audit_rows(job.job_id)] == ["bounce", "stems"]
    assert verify_zip(pair.client.download(job.job_id, folder).path).failures == ()
    return story


@dataclass(frozen=True)
class Point:
    """The event at which a service is killed, and whether the GPU lock is held from the render's end on."""

    name: str
    test: Callable[[JobEvent], bool]
    hold: bool = False


def kill_at(pair: Pair, service: str, point: Point) -> JobHandle:
    """A take with stems whose ``service`` is killed at a point."""
    client = pair.client
    job = client.create_render(brief(stems=True, seconds=LONG))
    until(client, job, at(job_pb2.STAGE_DENOISE))
    with turn_held(pair.data) if point.hold else nullcontext():
        until(client, job, point.test)
        pair.kill(service)
    return job


def is_ready(event: JobEvent) -> bool:
    """The bounce is stored."""
    return event.kind == BOUNCE_READY


@pytest.mark.parametrize(
    "point",
    [
        Point("denoise", at(job_pb2.STAGE_DENOISE, done=1)),
        Point("bounce-ready", is_ready, hold=True),
        Point("handoff", at(job_pb2.STAGE_HANDOFF), hold=True),
        Point("separate", at(job_pb2.STAGE_SEPARATE, done=1)),
    ],
    ids=lambda point: point.name,
)
def test_render_service_killed(pair: Pair, tmp_path: Path, point: Point) -> None:
    """separation_service drops the loan and its work; the next start resumes from the last checkpointed stage."""
    job = kill_at(pair, RENDER, point)
    survivor = pair.pids[SEPARATION]
    eventually(lambda: not loan_maps(survivor), "separation_service has no lent region mapped any more")
    eventually(lambda: not any("memfd" in name for name in open_files(survivor)), "nor a descriptor of one")
    names = pair.stored(job.job_id)
    assert "v1.zip" not in names
    pair.start(RENDER)
    if point.name != "denoise":
        assert "bounce.wav" in names
        story = ended(pair, job)
        check_numbers(story.events)
        assert {event.attempt for event in story.events if event.track == job_pb2.PROGRESS_TRACK_RENDER} == {1}
        assert [event.kind for event in story.events].count(BOUNCE_READY) == 1
        assert story.job.state == job_pb2.JOB_STATE_DONE
        assert verify_zip(pair.client.download(job.job_id, tmp_path).path).failures == ()
    else:
        check_taken_up(pair, job, job_pb2.PROGRESS_TRACK_RENDER, tmp_path)


@pytest.mark.parametrize(
    "point",
    [
        Point("handoff", at(job_pb2.STAGE_HANDOFF), hold=True),
        Point("receive", at(job_pb2.STAGE_RECEIVE), hold=True),
        Point("separate", at(job_pb2.STAGE_SEPARATE, done=1)),
        Point("package", at(job_pb2.STAGE_PACKAGE)),
    ],
    ids=lambda point: point.name,
)
def test_separation_service_killed(pair: Pair, tmp_path: Path, point: Point) -> None:
    """render_service keeps the bounce and retries; once separation_service is back, another attempt makes the stems."""
    survivor = pair.pids[RENDER]
    job = kill_at(pair, SEPARATION, point)
    assert pair.client.get_job(job.job_id).versions[0].files.HasField("bounce")
    pair.start(SEPARATION)
    check_taken_up(pair, job, job_pb2.PROGRESS_TRACK_STEMS, tmp_path)
    assert len(loan_maps(survivor)) <= 1
    assert pair.pids[RENDER] == survivor


def test_nothing_piles_up(pair: Pair) -> None:
    """After all kills, no service leaks a descriptor per take, of any kind.

    The journal's pool may still grow to its eight connections, each opened when it is first needed.
    """
    take(pair.client, brief(stems=True))
    before = {service: Counter(open_files(pid)) for service, pid in pair.pids.items()}
    for seed in range(MORE_TAKES):
        take(pair.client, brief(stems=True, seed=seed))

    def piled(service: str) -> list[str]:
        now = Counter(open_files(pair.pids[service]))
        return [
            kind
            for kind, more in (now - before[service]).items()
            if more >= MORE_TAKES and not ("journal.sqlite3" in kind and now[kind] <= JOURNAL_CONNECTIONS)
        ]

    for service in pair.pids:
        eventually(lambda service=service: not piled(service), f"{service} lets go: {before[service]}")  # type: ignore[misc]
    stored = [path.relative_to(pair.data / "store") for path in (pair.data / "store").rglob("*") if path.is_file()]
    assert [path for path in stored if path.parts[0] not in {"jobs", "personas", "journal.json"}] == []
    assert {path.parts[1] for path in stored if path.parts[0] == "personas"} == {"tone", "hiss"}
    assert pair.client.verify_audit_chain().intact
