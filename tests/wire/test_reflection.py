"""Server reflection, asked by a tool that was not written here."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from servicekit.metrics import Metrics
from servicekit.rpc.endpoints import Endpoint
from servicekit.rpc.server import RpcServer
from sonichaos.jobs.v1 import jobs_service_pb2_grpc
from tests.support.callers import trusting

BUF = Path(__file__).resolve().parents[2] / "node_modules" / ".bin" / "buf"
NAME = "sonichaos.jobs.v1.JobsService"


@pytest.mark.skipif(not BUF.exists(), reason="needs npm package @bufbuild/buf (npm install)")
@pytest.mark.parametrize("protocol", ["grpc-v1", "grpc-v1alpha"])
async def test_buf_curl_lists_every_method(protocol: str) -> None:
    """Buf curl reads the descriptor of each service that is listed, those of reflection included."""
    server = RpcServer(metrics=Metrics("test"), gated_methods=(), service_names=[NAME], gatekeeper=trusting())
    jobs_service_pb2_grpc.add_JobsServiceServicer_to_server(
        jobs_service_pb2_grpc.JobsServiceServicer(), server.grpc_server
    )
    (address,) = await server.start([Endpoint("127.0.0.1:0")])
    options = ("--protocol", "grpc", "--http2-prior-knowledge", "--reflect-protocol", protocol, "--list-methods")
    process = await asyncio.create_subprocess_exec(
        str(BUF), "curl", *options, f"http://{address}", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, complaint = await asyncio.wait_for(process.communicate(), timeout=30)
    await server.stop(0)
    assert process.returncode == 0, complaint.decode()
    methods = printed.decode().split()
    assert f"{NAME}/WatchJobs" in methods
    assert "grpc.reflection.v1.ServerReflection/ServerReflectionInfo" in methods
