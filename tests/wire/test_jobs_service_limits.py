"""What a client with its language's default limits can rely on: sizes of responses, heartbeats, keepalive."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sonichaos.jobs.v1 import jobs_service_pb2
from tests.support.jobs_server import Wire, refusal, serving
from tests.support.journal_rows import open_journal

_LIMIT_BYTES = 4 * 1024 * 1024
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME = struct.Struct(">HBBBI")
_SETTINGS, _PING, _GOAWAY = 4, 6, 7


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    """A running service."""
    with open_journal(tmp_path) as journal:
        async with serving(tmp_path, journal) as running:
            yield running


async def test_every_page_fits_and_no_job_is_missed(wire: Wire) -> None:
    """40 large jobs are 8 MB: several pages, each below 4 MiB, together all jobs."""
    made = {wire.accept(brief={"prompt": "x" * 100_000}) for _ in range(40)}
    token, seen, pages = "", [], 0
    while pages == 0 or token:
        page = await wire.stub.ListJobs(jobs_service_pb2.ListJobsRequest(page_size=200, page_token=token))
        assert page.ByteSize() < _LIMIT_BYTES
        seen += [job.job_id for job in page.jobs]
        token, pages = page.next_page_token, pages + 1
    assert pages > 1
    assert len(seen) == len(made)
    assert set(seen) == made


async def test_every_list_has_the_same_rule_for_its_page_size(wire: Wire) -> None:
    """More than 200 is refused, as by the other services."""
    call = wire.stub.ListJobs(jobs_service_pb2.ListJobsRequest(page_size=201))
    assert (await refusal(call))[1] == "INVALID_FIELD"


async def test_a_quiet_watch_sends_heartbeats_where_they_are_asked_for(wire: Wire) -> None:
    """An event stays an event; a heartbeat has a time and nothing else."""
    job_id = wire.accept()
    request = jobs_service_pb2.WatchJobRequest(job_id=job_id, heartbeat_seconds=1)
    watch = wire.stub.WatchJob(request)
    first, second = await watch.read(), await watch.read()
    watch.cancel()
    assert (first.event.sequence, first.HasField("heartbeat_time")) == (1, False)
    assert (second.HasField("event"), second.HasField("heartbeat_time")) == (False, True)
    followed = wire.stub.WatchJobs(jobs_service_pb2.WatchJobsRequest(heartbeat_seconds=1))
    assert (await followed.read()).HasField("heartbeat_time")
    followed.cancel()
    too_many = jobs_service_pb2.WatchJobRequest(job_id=job_id, heartbeat_seconds=3601)
    assert (await refusal(wire.stub.WatchJob(too_many).read()))[1] == "INVALID_FIELD"


def _frames(connection: socket.socket) -> list[int]:
    """The types of the HTTP/2 frames received so far; -1 for the end of the connection."""
    kinds, data = [], b""
    connection.settimeout(0.05)
    try:
        while part := connection.recv(65536):
            data += part
        kinds.append(-1)
    except TimeoutError:
        pass
    while len(data) >= 9:
        kinds.append(data[3])
        data = data[9 + int.from_bytes(data[:3], "big") :]
    return kinds


async def test_keepalive_pings_are_accepted_without_a_call(wire: Wire) -> None:
    """The defaults of gRPC end such a connection after the third ping with ENHANCE_YOUR_CALM.

    Clients ping every 10 s at most; the pings here follow each other as fast as the server's own limit allows.
    """
    host, _, port = wire.rpc.addresses[0].rpartition(":")
    kinds = []
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(_PREFACE + _FRAME.pack(0, 0, _SETTINGS, 0, 0))
        for _ in range(4):
            connection.sendall(_FRAME.pack(0, 8, _PING, 0, 0) + bytes(8))
            await asyncio.sleep(1.05)
            kinds += _frames(connection)
    assert kinds.count(_PING) >= 4
    assert _GOAWAY not in kinds
    assert -1 not in kinds
