"""How long calls take while many clients create, watch and cancel jobs, each as fast as it gets answers.

    sonichaos up --data /tmp/closed-loop &
    python -m benchmarks.closed_loop [--clients 30] [--seconds 60] [--address 127.0.0.1:50071]

Every client creates a take, watches it, cancels it after the first event, waits for the end of the watch, then begins again. The
table has the median, the 99th percentile and the longest of each step.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import grpc

from sonichaos.jobs.v1 import brief_pb2, jobs_service_pb2, jobs_service_pb2_grpc
from sonichaos.render.v1 import render_pb2, render_pb2_grpc


@dataclass
class Measured:
    """Seconds of each step, and how often calls were refused by code."""

    spent_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    refused: Counter[str] = field(default_factory=Counter)


async def job(channel: grpc.aio.Channel, persona_id: str, measured: Measured) -> None:
    """One take, from its creation to the end of its watch."""
    jobs = jobs_service_pb2_grpc.JobsServiceStub(channel)
    brief = brief_pb2.Brief(prompt="warm tape piano", persona_id=persona_id, seconds=8.0)
    started_s = time.perf_counter()
    created = await render_pb2_grpc.RenderServiceStub(channel).CreateRender(
        render_pb2.CreateRenderRequest(request_id=uuid.uuid4().hex, brief=brief)
    )
    created_s = time.perf_counter()
    watch = jobs.WatchJob(jobs_service_pb2.WatchJobRequest(job_id=created.job.job_id))
    await watch.read()
    seen_s = time.perf_counter()
    await jobs.CancelJob(jobs_service_pb2.CancelJobRequest(job_id=created.job.job_id))
    cancelled_s = time.perf_counter()
    while await watch.read() is not grpc.aio.EOF:
        pass
    ended_s = time.perf_counter()
    steps = {"CreateRender": created_s - started_s, "WatchJob, first event": seen_s - created_s}
    steps |= {"CancelJob": cancelled_s - seen_s, "end of the watch": ended_s - cancelled_s}
    for name, spent_s in steps.items():
        measured.spent_s[name].append(spent_s)


async def client(address: str, until_s: float, measured: Measured) -> None:
    """Jobs one after the other, over a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        found = await render_pb2_grpc.RenderServiceStub(channel).ListPersonas(render_pb2.ListPersonasRequest())
        while time.perf_counter() < until_s:
            try:
                await job(channel, found.personas[0].id, measured)
            except grpc.aio.AioRpcError as error:
                measured.refused[error.code().name] += 1
                await asyncio.sleep(1.0)


async def run(clients: int, seconds: float, address: str) -> Measured:
    """All clients at once."""
    measured = Measured()
    until_s = time.perf_counter() + seconds
    await asyncio.gather(*(client(address, until_s, measured) for _ in range(clients)))
    return measured


def main() -> None:
    """Run the clients, print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--clients", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--address", default="127.0.0.1:50071")
    options = parser.parse_args()
    measured = asyncio.run(run(options.clients, options.seconds, options.address))
    print("| s | calls | median | 99th percentile | longest |")
    print("| --- | --- | --- | --- | --- |")
    for name, spent_s in measured.spent_s.items():
        high = statistics.quantiles(spent_s, n=100)[-1]
        print(f"| {name} | {len(spent_s)} | {statistics.median(spent_s):.3f} | {high:.3f} | {max(spent_s):.3f} |")
    if measured.refused:
        print("refused:", ", ".join(f"{code} {count}" for code, count in measured.refused.items()))


if __name__ == "__main__":
    main()
