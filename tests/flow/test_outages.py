"""What no caller may notice for long: a lost answer of the journal, a server of it that stands still, and workers that die."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client import CallOptions, Client
from sonichaos_client.errors import UnavailableError
from sonichaos_client.verify import verify_zip
from tests.flow.conftest import FreshPair
from tests.support.databases import empty_database, frozen, postgresql_server
from tests.support.lost_commits import LostCommits
from tests.support.pair import RENDER, SEPARATION, Pair, eventually
from tests.support.takes import at, brief, check_numbers, collect_events, stems_of, until

pytestmark = pytest.mark.soak
_STILL_S = 20.0
NOT_SERVING = int(health_pb2.HealthCheckResponse.NOT_SERVING)


@pytest.fixture
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LostCommits]:
    """In front of an empty PostgreSQL database."""
    folder = tmp_path_factory.mktemp("pg")
    with (
        postgresql_server(folder / "server") as server,
        LostCommits(folder, empty_database(server)) as opened,
    ):
        yield opened


def uploads(pair: Pair) -> list[str]:
    """Records of uploads whose outcome is not known."""
    return [path.name for path in (pair.data / "pending-uploads").iterdir()]


def test_an_upload_whose_commit_is_not_answered(
    proxy: LostCommits, fresh_pair: FreshPair, clips: dict[str, Path], tmp_path: Path
) -> None:
    """The service asks what became of it. Where it cannot, the call is refused, and its retry gets the same job."""
    pair = fresh_pair(SONICHAOS_JOURNAL_URL=proxy.url)
    client, clip = pair.client, clips["tone"]
    proxy.lose()
    first = client.separate_file(clip, request_id="first")
    assert proxy.lost == 1
    second_id = uuid.uuid4().hex
    with proxy.losing_all(), pytest.raises(UnavailableError) as refused:
        client.separate_file(clip, request_id=second_id)
    assert (proxy.lost, refused.value.reason) == (2, "STORE_UNAVAILABLE")
    second = client.separate_file(clip, request_id=second_id)
    third = client.separate_file(clip)
    assert {job.job_id for job in client.list_jobs()} == {first.job_id, second.job_id, third.job_id}
    for job in (first, second, third):
        story = collect_events(client, job)
        assert story.job.state == job_pb2.JOB_STATE_DONE
        check_numbers(story.events)
        assert [row.kind for row in client.list_audit_rows(job.job_id)] == ["bounce", "stems"]
        assert verify_zip(client.download(job.job_id, tmp_path).path).failures == ()
    assert {path.name for path in (pair.data / "store" / "jobs").iterdir()} == {
        job.job_id for job in (first, second, third)
    }
    assert uploads(pair) == []


def test_postgresql_stands_still(fresh_pair: FreshPair, tmp_path: Path) -> None:
    """Its kernel acknowledges every byte. Calls are refused with a reason; the running take waits, and is done afterwards."""
    folder = tmp_path / "pg"
    with postgresql_server(folder) as server:
        pair = fresh_pair(SONICHAOS_JOURNAL_URL=empty_database(server), SONICHAOS_LEASE_SECONDS="3")
        undisturbed = pair.client.wait(pair.client.create_render(brief(stems=True)))
        with Client(pair.address(RENDER), pair.address(SEPARATION), options=CallOptions(timeout_s=100.0)) as client:
            job = client.create_render(brief(stems=True))
            until(client, job, at(job_pb2.STAGE_DENOISE))
            still_s = time.monotonic()
            with frozen(folder):
                for call in (lambda: client.get_job(job.job_id), lambda: client.create_render(brief())):
                    with pytest.raises(UnavailableError) as refused:
                        call()
                    assert refused.value.reason == "STORE_UNAVAILABLE"
                time.sleep(max(_STILL_S - (time.monotonic() - still_s), 0.0))
            story = collect_events(client, job)
            assert story.job.state == job_pb2.JOB_STATE_DONE
            check_numbers(story.events)
            assert [row.kind for row in client.list_audit_rows(job.job_id)] == ["bounce", "stems"]
            assert {one.job_id for one in client.list_jobs()} == {undisturbed.job_id, job.job_id}
            assert stems_of(client, job.job_id, tmp_path) == stems_of(client, undisturbed.job_id, tmp_path)


def test_health_while_workers_cannot_be_replaced(fresh_pair: FreshPair) -> None:
    """Calls are answered and accepted, health is NOT_SERVING, and the next start does the accepted work."""
    pair = fresh_pair()
    pair.kill(RENDER)
    plain = pair.settings
    pair.settings = {**plain, "SONICHAOS_FAULTS": "rate=1,points=thread.death+thread.start"}
    pair.launch(RENDER)
    eventually(lambda: "serving" in {line["event"] for line in pair.log_lines(RENDER)}, "it is warm")
    eventually(
        lambda: "a thread died and cannot be replaced" in {line["event"] for line in pair.log_lines(RENDER)}, "logged"
    )
    eventually(lambda: pair.health(RENDER) == NOT_SERVING, "health says so")
    job = pair.client.create_render(brief(stems=True))
    assert pair.client.get_job(job.job_id).state == job_pb2.JOB_STATE_QUEUED
    pair.kill(RENDER)
    pair.settings = plain
    pair.start(RENDER)
    assert pair.client.wait(job).state == job_pb2.JOB_STATE_DONE
