"""What translating gRPC-Web costs: the bridge of `sonichaos up --web`, Envoy, and connectrpc where it is installed, side by side.

    python -m benchmarks.grpc_web [--rounds 40] [--calls 25] [--events 20000]

A gRPC server in a process of its own answers at once. Each translator is a process on loopback, and one client has a warm
connection of HTTP/1.1 to each. Each round makes some unary calls in a row through each of them, in an order drawn anew, and a call
directly by gRPC for comparison; then it reads a stream through each. Ratios are the median over all rounds of a round's value
divided by Envoy's of the same round. connectrpc (with uvicorn) forwards bytes by a codec of this file's own, without details of
errors.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import importlib.util
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import psutil

from sonichaos.jobs.v1 import job_pb2, jobs_service_pb2
from tests.support.envoy import envoy_before
from tests.support.s3_servers import free_port
from tests.support.web_bridge import frame, read_answer, served_web, small_page

UNARY, STREAM = "/sonichaos.jobs.v1.JobsService/GetJob", "/sonichaos.jobs.v1.JobsService/WatchJob"
_HEADERS = {"Content-Type": "application/grpc-web+proto"}
_HOST = "127.0.0.1"


def _job() -> bytes:
    """The answer to GetJob: a job of a usual size."""
    job = job_pb2.Job(job_id="j-0123456789abcdefghijklmnop")
    job.brief.prompt = "slow dusty boom bap with a warm bass" * 10
    for number in range(1, 4):
        version = job.versions.add(number=number)
        version.files.bounce.key, version.files.bounce.sha256 = f"jobs/x/v{number}.wav", "0" * 64
    return jobs_service_pb2.GetJobResponse(job=job).SerializeToString()


def _event() -> bytes:
    event = job_pb2.JobEvent(
        job_id="j-0123456789abcdefghijklmnop", sequence=4711, version=1, fraction=0.5, steps_done=5
    )
    return jobs_service_pb2.WatchJobResponse(event=event).SerializeToString()


async def _serve_upstream(port: int, events: int) -> None:
    job, event = _job(), _event()

    async def answer(_request: bytes, _context: object) -> bytes:
        return job

    async def stream(_request: bytes, _context: object) -> AsyncIterator[bytes]:
        for _ in range(events):
            yield event

    server = grpc.aio.server()
    methods = {
        "GetJob": grpc.unary_unary_rpc_method_handler(answer),
        "WatchJob": grpc.unary_stream_rpc_method_handler(stream),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("sonichaos.jobs.v1.JobsService", methods),))
    server.add_insecure_port(f"{_HOST}:{port}")
    await server.start()
    await server.wait_for_termination()


def _resident_mib(pid: int | None = None) -> float:
    """Memory of a process and of those that it started."""
    process = psutil.Process(pid)
    return sum(one.memory_info().rss for one in (process, *process.children(recursive=True))) / 2**20


async def _serve_bridge(port: int, upstream: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with served_web(upstream, upstream, page=small_page(Path(folder) / "page"), port=port):
            await asyncio.Event().wait()


async def _serve_connectrpc(port: int, upstream: str) -> None:
    import uvicorn
    from connectrpc.code import Code
    from connectrpc.codec import Codec
    from connectrpc.errors import ConnectError
    from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
    from connectrpc.server import ConnectASGIApplication, Endpoint

    class Bytes(Codec):
        def name(self) -> str:
            return "proto"

        def encode(self, message: bytes) -> bytes:
            return message

        def decode(self, data: bytes | bytearray | memoryview, _message_class: object) -> bytes:
            return bytes(data)

    channel = grpc.aio.insecure_channel(upstream)

    async def unary(request: bytes, _context: object) -> bytes:
        try:
            return await channel.unary_unary(UNARY, bytes, bytes)(request)
        except grpc.aio.AioRpcError as error:
            raise ConnectError(Code.UNKNOWN, error.details() or "") from error

    async def stream(request: bytes, _context: object) -> AsyncIterator[bytes]:
        async for message in channel.unary_stream(STREAM, bytes, bytes)(request):
            yield message

    def info(name: str, kind: StreamType) -> MethodInfo[bytes, bytes]:
        return MethodInfo(
            name=name,
            service_name="sonichaos.jobs.v1.JobsService",
            input=bytes,
            output=bytes,
            stream_type=kind,
            idempotency_level=IdempotencyLevel.UNKNOWN,
        )

    class Application(ConnectASGIApplication[Any]):
        @property
        def path(self) -> str:
            return "/sonichaos.jobs.v1.JobsService"

    endpoints = {
        UNARY: Endpoint.unary(info("GetJob", StreamType.UNARY), unary),
        STREAM: Endpoint.server_stream(info("WatchJob", StreamType.SERVER_STREAM), stream),
    }
    application = Application(service=None, endpoints=lambda _: endpoints, codecs=[Bytes()])
    config = uvicorn.Config(application, host=_HOST, port=port, log_level="warning", access_log=False)
    await uvicorn.Server(config).serve()


_SERVERS: dict[str, Callable[..., Any]] = {"bridge": _serve_bridge, "connectrpc": _serve_connectrpc}


@dataclass
class Translator:
    """A way to call, and its measured times: seconds of a call by round, seconds of a stream by round."""

    name: str
    connect: Callable[[], None]
    call: Callable[[], None]
    read: Callable[[], None]
    start_s: float
    resident_mib: float
    calls_s: list[float] = field(default_factory=list)
    streams_s: list[float] = field(default_factory=list)


def _wait_for(port: int, process: subprocess.Popen[bytes] | None = None) -> None:
    while True:
        if process is not None and process.poll() is not None:
            raise SystemExit(f"a server ended with status {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex((_HOST, port)) == 0:
                return
        time.sleep(0.01)


@contextmanager
def _process(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.grpc_web", *words])
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _translator(name: str, port: int, pid: int, start_s: float, events: int) -> Translator:
    connection = http.client.HTTPConnection(_HOST, port)

    def ask(path: str) -> list[bytes]:
        connection.request("POST", path, frame(b""), _HEADERS)
        messages, trailers = read_answer(connection.getresponse().read())
        assert trailers["grpc-status"] == "0", trailers
        return messages

    def read() -> None:
        assert len(ask(STREAM)) == events

    def call() -> None:
        assert len(ask(UNARY)) == 1

    def connect() -> None:
        connection.close()  # an idle one may have been closed
        call()

    connect()
    return Translator(name, connect, call, read, start_s, _resident_mib(pid))


def _direct(upstream: str, events: int) -> Translator:
    channel = grpc.insecure_channel(upstream)
    call, stream = channel.unary_unary(UNARY, bytes, bytes), channel.unary_stream(STREAM, bytes, bytes)

    def read() -> None:
        assert sum(1 for _ in stream(b"")) == events

    def once() -> None:
        assert call(b"")

    return Translator("gRPC, no translator", once, once, read, 0.0, 0.0)


def _measure(compared: list[Translator], rounds: int, calls: int) -> None:
    for _ in range(rounds):
        for one in random.sample(compared, len(compared)):
            one.connect()
            times = []
            for _ in range(calls):
                begin_s = time.perf_counter()
                one.call()
                times.append(time.perf_counter() - begin_s)
            one.calls_s.append(statistics.median(times))
        for one in random.sample(compared, len(compared)):
            one.connect()
            begin_s = time.perf_counter()
            one.read()
            one.streams_s.append(time.perf_counter() - begin_s)


def _row(one: Translator, envoy: Translator, events: int) -> str:
    def ratio(mine: list[float], theirs: list[float]) -> str:
        return f"{statistics.median(a / b for a, b in zip(mine, theirs, strict=True)):.2f}"

    cells = [
        one.name,
        f"{1000 * statistics.median(one.calls_s):.2f}",
        ratio(one.calls_s, envoy.calls_s),
        f"{events / statistics.median(one.streams_s):,.0f}",
        ratio(envoy.streams_s, one.streams_s),
        f"{one.start_s:.2f}" if one.start_s else "",
        f"{one.resident_mib:.0f}" if one.resident_mib else "",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Start all of them, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--calls", type=int, default=25)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--serve", nargs=3, metavar=("WHAT", "PORT", "UPSTREAM"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        what, port, upstream = options.serve
        with contextlib.suppress(KeyboardInterrupt):
            if what == "upstream":
                asyncio.run(_serve_upstream(int(port), options.events))
            else:
                asyncio.run(_SERVERS[what](int(port), upstream))
        return
    with ExitStack() as running:
        port = free_port()
        upstream = f"{_HOST}:{port}"
        running.enter_context(_process("--events", str(options.events), "--serve", "upstream", str(port), "none"))
        _wait_for(port)
        begin_s, known = time.perf_counter(), {one.pid for one in psutil.Process().children()}
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        address = running.enter_context(envoy_before(upstream, upstream, "http://localhost:8080", folder))
        (envoy_pid,) = {one.pid for one in psutil.Process().children()} - known
        start_s = time.perf_counter() - begin_s
        envoy = _translator("Envoy", int(address.rpartition(":")[2]), envoy_pid, start_s, options.events)
        compared = [_direct(upstream, options.events), envoy]
        for name in _SERVERS:
            if name == "connectrpc" and not all(map(importlib.util.find_spec, ("connectrpc", "uvicorn"))):
                continue
            begin_s, port = time.perf_counter(), free_port()
            process = running.enter_context(_process("--serve", name, str(port), upstream))
            _wait_for(port, process)
            start_s = time.perf_counter() - begin_s
            compared.append(_translator(name, port, process.pid, start_s, options.events))
        _measure(compared, options.rounds, options.calls)
        print("| translator | GetJob, ms | ratio | events/s | ratio | start, s | memory, MiB |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for one in compared:
            print(_row(one, envoy, options.events))


if __name__ == "__main__":
    main()
