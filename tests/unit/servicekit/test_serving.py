"""The life of a service process: what a signal does before it serves and while it serves."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from contextlib import nullcontext
from typing import Any

import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from servicekit.metrics import Metrics
from servicekit.rpc.gate import Phase
from servicekit.rpc.server import RpcServer
from servicekit.serving import ServiceProcess


class Drained:
    """Work that has nothing to drain."""

    def drain(self, timeout_s: float) -> bool:
        """All ended."""
        return timeout_s >= 0

    def keep_alive(self) -> bool:
        """All live."""
        return True


def process(server: RpcServer, warm: Any) -> ServiceProcess:
    """A service on a free port."""
    return ServiceProcess(
        name="test",
        server=server,
        addresses=("127.0.0.1:0",),
        runner=nullcontext(Drained()),
        warm=warm,
        drain_seconds=5.0,
    )


async def test_a_signal_while_it_warms_keeps_it_closed() -> None:
    """It drains at once, and what finishes warming afterwards opens nothing."""
    server = RpcServer(metrics=Metrics("test"), gated_methods=(), service_names=())
    warming, finish = threading.Event(), threading.Event()
    states: list[int] = []

    def warm() -> None:
        warming.set()
        finish.wait()

    running = asyncio.create_task(process(server, warm).run())
    await asyncio.to_thread(warming.wait)
    async with aio.insecure_channel(server.addresses[0]) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        states.append((await watch.read()).status)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.to_thread(finish.wait, 0.2)  # the signal is handled meanwhile
        assert server.gate.phase is Phase.DRAINING
        finish.set()
        await running
        with pytest.raises(aio.AioRpcError) as ended:
            await watch.read()
    assert ended.value.code().name == "UNAVAILABLE"
    assert states == [health_pb2.HealthCheckResponse.NOT_SERVING]
    assert server.gate.phase is Phase.DRAINING


async def test_a_warm_up_that_fails_ends_the_process() -> None:
    """With its error, so that the supervisor sees why."""
    server = RpcServer(metrics=Metrics("test"), gated_methods=(), service_names=())

    def warm() -> None:
        raise ValueError("no such weights")

    with pytest.raises(ValueError, match="no such weights"):
        await process(server, warm).run()
    await server.stop(0)
