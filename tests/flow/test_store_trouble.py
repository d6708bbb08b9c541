"""Trouble with disks and the store: a full disk, also under the log, an S3 server, and an S3 server that goes down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import soundfile
from grpc_health.v1 import health_pb2

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client.errors import ResourceExhaustedError
from sonichaos_client.verify import verify_zip
from tests.flow.conftest import FreshPair, add_personas
from tests.support.cuttable_proxy import HttpProxy
from tests.support.pair import RENDER, SEPARATION, Pair, eventually, turn_held
from tests.support.s3_servers import S3Server, moto_server
from tests.support.small_disk import MIB, fill, small_disk
from tests.support.takes import at, brief, check_numbers, collect_events, take, until


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MiB."""
    with small_disk(tmp_path / "disk", size_bytes=48 * MIB) as folder:
        yield folder


def test_a_full_disk(disk: Path, fresh_pair: FreshPair, tmp_path: Path) -> None:
    """The version waits with DISK_FULL, nothing new is begun, and no partial file is seen; with space again, both are done."""
    pair = fresh_pair(data=disk / "data")
    client = pair.client
    job = client.create_render(brief(stems=True, seconds=6.0))
    until(client, job, at(job_pb2.STAGE_DENOISE))
    with turn_held(pair.data):
        until(client, job, at(job_pb2.STAGE_SEPARATE))
        filler = fill(disk, leave_bytes=2 * MIB)
    waiting = until(client, job, lambda event: event.error is not None)
    assert waiting.error is not None
    assert waiting.error.reason == "DISK_FULL"
    assert client.get_job(job.job_id).versions[0].HasField("waiting")
    assert pair.stored(job.job_id) == ["bounce.wav", "v1.json", "v1.latents.safetensors", "v1.mid"]
    second = client.create_render(brief(seconds=2.0))
    upload = tmp_path / "upload.wav"
    soundfile.write(upload, np.zeros((20 * 44100, 2)), 44100, subtype="PCM_24")
    with pytest.raises(ResourceExhaustedError) as full:
        client.separate_file(upload)
    assert full.value.reason == "DISK_FULL"
    found = {one.job_id: one.state for one in client.list_jobs()}
    assert found == {job.job_id: job_pb2.JOB_STATE_RUNNING, second.job_id: job_pb2.JOB_STATE_QUEUED}
    filler.unlink()
    again = collect_events(client, job)
    assert client.wait(second).state == job_pb2.JOB_STATE_DONE
    assert again.job.state == job_pb2.JOB_STATE_DONE
    check_numbers(again.events)
    assert verify_zip(client.download(job.job_id, tmp_path / "out").path).failures == ()


@pytest.mark.soak
def test_a_full_disk_under_the_log(fresh_pair: FreshPair, clips: dict[str, Path], tmp_path: Path) -> None:
    """Both services log to it. A take is done, health is SERVING, and with space again the log has the number of lost lines."""
    with small_disk(tmp_path / "logs", size_bytes=MIB) as logs:
        pair = fresh_pair(start=False)
        pair.folder = logs
        pair.start()
        add_personas(pair.client, clips)
        filler = fill(logs)
        for _ in range(100):  # the last page of a log file has room for some lines
            list(pair.client.list_jobs())
        assert take(pair.client, brief(stems=True)).job.state == job_pb2.JOB_STATE_DONE
        assert {pair.health(name) for name in (RENDER, SEPARATION)} == {int(health_pb2.HealthCheckResponse.SERVING)}
        filler.unlink()

        def counted() -> bool:
            list(pair.client.list_jobs())  # something to log
            return all("log lines were dropped" in pair.log(name).read_text() for name in (RENDER, SEPARATION))

        eventually(counted, "both logs have the number of lost lines")
        pair.stop()


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    """An S3 server."""
    with moto_server() as server:
        yield server


def on_s3(fresh_pair: FreshPair, server: S3Server, endpoint: str) -> Pair:
    """A pair whose files go to a new bucket."""
    return fresh_pair(
        SONICHAOS_STORE="s3",
        SONICHAOS_STORE_PREFIX="studio-a",
        SONICHAOS_S3_ENDPOINT=endpoint,
        SONICHAOS_S3_BUCKET=server.make_bucket(),
        SONICHAOS_S3_ACCESS_KEY=server.access_key,
        SONICHAOS_S3_SECRET_KEY=server.secret_key,
    )


def test_a_take_on_s3_also_while_it_is_down(s3: S3Server, fresh_pair: FreshPair, tmp_path: Path) -> None:
    """While S3 is down a version waits, the reason in its events; once it is back, it is done without another rendering."""
    with HttpProxy(int(s3.endpoint.rpartition(":")[2])) as proxy:
        pair = on_s3(fresh_pair, s3, proxy.url)
        client = pair.client
        story = take(client, brief(stems=True))
        assert story.job.state == job_pb2.JOB_STATE_DONE
        assert client.create_signed_url(story.job.job_id).url.startswith(proxy.url)
        assert verify_zip(client.download(story.job.job_id, tmp_path).path).failures == ()

        job = client.create_render(brief(stems=True, seed=8))
        until(client, job, at(job_pb2.STAGE_DENOISE))
        with ExitStack() as away:
            with turn_held(pair.data):
                until(client, job, at(job_pb2.STAGE_SEPARATE))
                away.enter_context(proxy.cut())
            refused = until(client, job, lambda event: event.error is not None)
            assert refused.error is not None
            assert refused.error.reason == "STORE_UNAVAILABLE"
        again = collect_events(client, job)
        assert again.job.state == job_pb2.JOB_STATE_DONE
        check_numbers(again.events)
        assert {event.attempt for event in again.events if event.track == job_pb2.PROGRESS_TRACK_RENDER} == {1}
        assert verify_zip(client.download(job.job_id, tmp_path).path).failures == ()
