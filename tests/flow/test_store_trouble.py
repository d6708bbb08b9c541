"""Trouble with the store: a full disk, an S3 server, and an S3 server that goes down."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client.errors import ResourceExhaustedError
from sonichaos_client.verify import verify_zip
from tests.flow.conftest import FreshPair
from tests.support.cuttable_proxy import HttpProxy
from tests.support.pair import Pair, turn_held
from tests.support.s3_servers import S3Server, moto_server
from tests.support.takes import at, brief, check_numbers, collect_events, take, until

_MIB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={48 * _MIB}", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs root that may mount a tmpfs: a full disk cannot be made otherwise")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk(small_disk: Path, fresh_pair: FreshPair, tmp_path: Path) -> None:
    """The version waits with DISK_FULL, nothing new is begun, and no partial file is seen; with space again, both are done."""
    pair = fresh_pair(data=small_disk / "data")
    client = pair.client
    job = client.create_render(brief(stems=True, seconds=6.0))
    until(client, job, at(job_pb2.STAGE_DENOISE))
    filler = small_disk / "filler"
    with turn_held(pair.data):
        until(client, job, at(job_pb2.STAGE_SEPARATE))
        free = os.statvfs(small_disk)
        filler.write_bytes(bytes(free.f_bavail * free.f_frsize - 2 * _MIB))
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
