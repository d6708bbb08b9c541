"""The handoff socket and the HTTP endpoint under mutated bytes: the peer is dropped or refused, and the next one is served."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest
from structlog.testing import capture_logs

from render_service.separation.codec import HandoffCodec
from servicekit.loans.framing import pack_frame
from servicekit.loans.messages import LendRequest, TensorHeader, WithdrawRequest
from servicekit.store.folder_store import FolderStore
from servicekit.store.folder_url_server import FolderUrlServer
from servicekit.store.url_signer import UrlSigner
from sonichaos.handoff.v1 import handoff_pb2
from tests.support.loan_pair import Pair, ramp
from tests.support.mutation import fuzzed, mutate, mutated_bytes, reader

LIMIT_S = 30.0


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """A real lender and borrower."""
    with tempfile.TemporaryDirectory() as folder:
        made = Pair(Path(folder))
        with made.server, made.pool, made.client:
            yield made


def lend_message(rng: Random) -> bytes:
    """A lend or a withdrawal, with fields at extremes."""
    now_s = datetime.now(UTC) + timedelta(seconds=20)
    header = TensorHeader(
        lease_id="fuzz",
        channels=2,
        frames=1000,
        sample_rate_hz=44100,
        xxh3_128="0" * 32,
        lease_expires_at_s=now_s.timestamp(),
        job_id="job",
    )
    request = LendRequest(header) if rng.random() < 0.8 else WithdrawRequest("fuzz")
    message = handoff_pb2.LenderMessage.FromString(HandoffCodec().encode(request))
    if rng.random() < 0.8:
        mutate(message, rng)
    return message.SerializeToString()


def test_the_handoff_socket(pair: Pair) -> None:
    """Mutated messages, frames and descriptors; afterwards a loan works, and no descriptor is left."""

    @reader
    def fuzz(rng: Random) -> None:
        with socket.socket(socket.AF_UNIX) as lender, contextlib.suppress(OSError):
            lender.settimeout(LIMIT_S)
            lender.connect(str(pair.path))
            for _ in range(rng.choice((1, 1, 3))):
                body = lend_message(rng)
                if rng.random() < 0.3:
                    body = mutated_bytes(body, rng)
                data = pack_frame(body[: 64 * 1024])
                if rng.random() < 0.2:
                    data = mutated_bytes(data, rng)
                files = [os.memfd_create("fuzz") for _ in range(rng.choice((0, 1, 1, 1, 2, 9)))]
                try:
                    os.truncate(files[0], rng.choice((0, 8000, 1 << 20))) if files else None
                    socket.send_fds(lender, [data], files)
                finally:
                    for file in files:
                        os.close(file)
            lender.shutdown(socket.SHUT_WR)
            while lender.recv(65536):  # until the borrower has answered or dropped everything
                pass

    before = psutil.Process().num_fds()
    with capture_logs() as logged:
        fuzz()
    assert not [entry for entry in logged if entry["log_level"] == "error"]
    with pair.lend(ramp(500)) as lent, pair.borrowings.borrow(lent.lease_id) as tensor:
        assert np.array_equal(tensor.array, ramp(500))
    assert psutil.Process().num_fds() <= before + 10


KEY = "jobs/j-01ks4k8000abcdefghjkmnpqrs/v1.zip"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[tuple[int, bytes]]:
    """The port of an endpoint in a thread of its own, and a valid request to it."""
    with tempfile.TemporaryDirectory() as folder:
        loop, ready, ended = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
        signer = UrlSigner(base_url="http://127.0.0.1:1", secret=b"s" * 32, now=lambda: datetime.now(UTC))
        store = FolderStore(Path(folder), signer)
        store.put_bytes(KEY, b"x" * 1000, content_type="application/zip")
        server = FolderUrlServer(store, host="127.0.0.1", port=0, header_limit_s=0.3, origins=["https://a.example"])

        async def run() -> None:
            async with server:
                ready.set()
                await ended.wait()

        thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
        thread.start()
        assert ready.wait(LIMIT_S)
        parts = urlsplit(signer.sign(KEY, ttl_s=3600 * 24).url)
        request = (
            f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\nRange: bytes=0-9\r\nOrigin: https://a.example\r\n"
            'If-Range: "x"\r\nIf-None-Match: "y"\r\nConnection: close\r\n\r\n'
        )
        yield server.port, request.encode()
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


def ask(port: int, data: bytes) -> bytes:
    """Everything that the endpoint answers."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as connection:
        connection.sendall(data)  # an unfinished request is dropped by the endpoint
        try:
            while part := connection.recv(65536):
                answer += part
        except ConnectionError:
            pass
    return answer


def test_the_url_endpoint(endpoint: tuple[int, bytes]) -> None:
    """No mutated request is answered with 500, and none without a valid signature with the file."""
    port, valid = endpoint

    @fuzzed
    def fuzz(rng: Random) -> None:
        answer = ask(port, mutated_bytes(valid, rng))
        assert b" 500 " not in answer.split(b"\r\n", 1)[0]
        assert not answer or answer.startswith(b"HTTP/")

    fuzz()
    assert ask(port, valid).startswith(b"HTTP/1.1 20")
