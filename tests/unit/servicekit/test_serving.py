"""The life of a service process: what a signal does before it serves, and a warm-up that fails."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from contextlib import nullcontext, suppress

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from servicekit.metrics import Metrics
from servicekit.rpc.endpoints import Endpoint
from servicekit.rpc.gate import Phase
from servicekit.rpc.server import RpcServer
from servicekit.serving import ServiceProcess, StopRequest
from tests.support.callers import trusting
from tests.support.warming_service import Nothing


def test_a_signal_while_it_warms_keeps_it_closed() -> None:
    """It drains at once, and what finishes warming afterwards opens nothing."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.warming_service"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        address = next(line for line in process.stdout if line.startswith("127.0.0.1:")).strip()
        with grpc.insecure_channel(address) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            first = next(watch)
            process.send_signal(signal.SIGTERM)
            assert "draining\n" in process.stdout
            process.stdin.close()
            with pytest.raises(grpc.RpcError) as ended:
                next(watch)
        assert process.wait(60) == 0
        assert Phase.DRAINING.name in process.stdout.read()
    assert first.status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_warm_up_that_fails_ends_the_process() -> None:
    """With its error, so that the supervisor sees why."""
    server = RpcServer(metrics=Metrics("test"), gated_methods=(), service_names=(), gatekeeper=trusting())

    def warm() -> None:
        raise ValueError("no such weights")

    process = ServiceProcess(
        name="test",
        server=server,
        endpoints=(Endpoint("127.0.0.1:0"),),
        runner=nullcontext(Nothing()),
        warm=warm,
        stopping=StopRequest(5.0),
    )
    with pytest.raises(ValueError, match="no such weights"):
        await process.run()
    await server.stop(0)


class _Thread:
    """A thread beside the work, which the test kills and lets live."""

    is_alive = True

    def keep_alive(self) -> bool:
        return self.is_alive


async def test_a_missing_thread_of_upkeep_shows_in_health() -> None:
    """NOT_SERVING while it cannot be replaced, SERVING again once it is."""
    server = RpcServer(metrics=Metrics("test"), gated_methods=(), service_names=(), gatekeeper=trusting())
    thread, listens = _Thread(), asyncio.Event()
    loop = asyncio.get_running_loop()
    process = ServiceProcess(
        name="test",
        server=server,
        endpoints=(Endpoint("127.0.0.1:0"),),
        runner=nullcontext(Nothing()),
        warm=lambda: loop.call_soon_threadsafe(listens.set),
        stopping=StopRequest(0.0),
        upkeep=(thread,),
    )
    running = asyncio.create_task(process.run())
    await listens.wait()
    serving = health_pb2.HealthCheckResponse.SERVING
    states = []
    async with grpc.aio.insecure_channel(server.addresses[0]) as channel:
        async for answer in health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest()):
            states.append(answer.status)
            thread.is_alive = answer.status != serving
            if states.count(serving) == 2:
                break
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await server.stop(0)
    assert states[-3:] == [serving, health_pb2.HealthCheckResponse.NOT_SERVING, serving]
