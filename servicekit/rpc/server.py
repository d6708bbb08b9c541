"""Assembles a gRPC server: listening, health, reflection, the boundary, graceful stop."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from servicekit.access.call_limits import CallLimits
from servicekit.access.gatekeeper import Gatekeeper
from servicekit.logs import logger
from servicekit.metrics import Metrics
from servicekit.rpc.access_log import AccessLog
from servicekit.rpc.boundary import Boundary
from servicekit.rpc.endpoints import Endpoint
from servicekit.rpc.gate import Gate, Phase
from servicekit.rpc.health_servicer import HealthServicer
from servicekit.rpc.pools import CallPools
from servicekit.rpc.reflection import enable_reflection
from servicekit.settings import SettingsError
from servicekit.socket_path import SocketPathError, private_path

_log = logger(__name__)
RECHECK_S = 15.0
"""How often the callers of running calls are checked again. A revoked key or an expired token ends its streams within this time."""
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_METADATA_BYTES = 16 * 1024
"""Of a call: a token of 8 KiB and the rest."""
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # By default gRPC refuses calls with 8 to 16 KiB at random, the more often the more they have.
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.so_reuseport", 0),
    # Find dead clients, with and without a call.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Accept what clients of every language send as keepalive: a ping every 10 s, with and without a call. The defaults of gRPC
    # (5 minutes, and 2 hours without a call) end such connections with ENHANCE_YOUR_CALM.
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    # A connection that sends no HTTP/2 must not hold a descriptor.
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.max_concurrent_streams", 4096),
)


class RpcServer:
    """A grpc.aio server with health, reflection, the boundary and thread pools for calls: it listens at once, serves after `serve`.

    ``service_names`` are full names of the services added to ``grpc_server``. ``gatekeeper`` admits every call; calls whose callers
    it would not admit again end within ``recheck_s`` seconds.
    """

    def __init__(
        self,
        *,
        metrics: Metrics,
        gated_methods: Collection[str],
        service_names: Sequence[str],
        gatekeeper: Gatekeeper,
        call_limits: CallLimits | None = None,
        access_log: AccessLog | None = None,
        recheck_s: float = RECHECK_S,
    ) -> None:
        self.gate = Gate()
        self._metrics = metrics
        self._names = tuple(service_names)
        self._works = True
        self.addresses: tuple[str, ...] = ()
        self.pools = CallPools.open()
        self.call_limits = call_limits or CallLimits()
        self._recheck_s = recheck_s
        self._rechecking: asyncio.Task[None] | None = None
        self._boundary = Boundary(
            metrics=metrics,
            gate=self.gate,
            gated=gated_methods,
            gatekeeper=gatekeeper,
            call_limits=self.call_limits,
            access_log=access_log or AccessLog(),
        )
        self.grpc_server = aio.server(interceptors=(self._boundary,), options=_OPTIONS)
        self._health = HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.grpc_server)
        enable_reflection((*self._names, health.SERVICE_NAME), self.grpc_server)

    async def start(self, endpoints: Sequence[Endpoint]) -> tuple[str, ...]:
        """Listen, with health NOT_SERVING. Returns the bound addresses, port 0 replaced by the actual port.

        Unix sockets get mode 0600. Raises :class:`SettingsError` where it cannot listen.
        """
        bound = tuple(map(self._listen, endpoints))
        await self._say(health_pb2.HealthCheckResponse.NOT_SERVING)
        await self.grpc_server.start()
        self._rechecking = asyncio.create_task(self._recheck_callers())
        self.addresses = bound
        return self.addresses

    async def serve(self) -> None:
        """Report SERVING and open the gate."""
        self.gate.phase = Phase.SERVING
        self._metrics.ready.set(1)
        await self._say(health_pb2.HealthCheckResponse.SERVING)

    async def report(self, *, works: bool) -> None:
        """Report NOT_SERVING while accepted work stands still, SERVING again afterwards. Calls are answered all the while."""
        if works != self._works:
            self._works = works
            self._metrics.ready.set(int(works))
            serving = health_pb2.HealthCheckResponse.SERVING if works else health_pb2.HealthCheckResponse.NOT_SERVING
            await self._say(serving)

    async def drain(self) -> None:
        """Refuse new work; running calls continue."""
        self.gate.phase = Phase.DRAINING
        self._metrics.ready.set(0)
        await self._say(health_pb2.HealthCheckResponse.NOT_SERVING)

    async def stop(self, grace_s: float) -> None:
        """Stop: running calls end with DRAINING, and have ``grace_s`` seconds to send that."""
        if self._rechecking is not None:
            self._rechecking.cancel()
        self._boundary.end_calls()
        await self.grpc_server.stop(grace_s)
        self.pools.close()

    def _listen(self, endpoint: Endpoint) -> str:
        address, credentials = endpoint.address, endpoint.server_credentials()
        try:
            if credentials is not None:
                port = self.grpc_server.add_secure_port(address, credentials)
            elif endpoint.socket is None:
                port = self.grpc_server.add_insecure_port(address)
            else:
                with private_path(endpoint.socket):
                    self.grpc_server.add_insecure_port(address)
                return address
        except (RuntimeError, OSError, SocketPathError) as error:
            raise SettingsError(f"cannot listen on {address}: {error}; is another service running there?") from None
        return f"{address.rpartition(':')[0]}:{port}"

    async def _recheck_callers(self) -> None:
        while True:
            await asyncio.sleep(self._recheck_s)
            try:
                await self._boundary.end_calls_of_invalid_callers()
            except Exception as error:  # noqa: BLE001  the next round must come, whatever this one met
                _log.error("callers could not be checked again", exc_info=error)

    async def _say(self, status: int) -> None:
        for name in ("", *self._names):
            await self._health.set(name, status)
