"""``python -m servicekit.rpc.probe ADDRESS``: exit 0 when health says SERVING, for container health checks."""

from __future__ import annotations

import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from servicekit.rpc.endpoints import LOCAL_OPTIONS


def serving(address: str, *, timeout_s: float = 3.0) -> bool:
    """True if the server at ``address`` reports SERVING."""
    with grpc.insecure_channel(address, options=LOCAL_OPTIONS) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=timeout_s)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


if __name__ == "__main__":
    sys.exit(0 if serving(sys.argv[1]) else 1)
