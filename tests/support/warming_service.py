"""A service process without calls of its own, which warms up until its standard input ends.

It writes its address while it warms up, then a line once it drains, and last the phase in which it ended.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import nullcontext

from servicekit.metrics import Metrics
from servicekit.rpc.endpoints import Endpoint
from servicekit.rpc.gate import Phase
from servicekit.rpc.server import RpcServer
from servicekit.serving import ServiceProcess, StopRequest
from tests.support.callers import trusting
from tests.support.pair import eventually


class Nothing:
    """Work that has nothing to drain."""

    def drain(self, timeout_s: float) -> bool:
        """All ended."""
        return timeout_s >= 0

    def keep_alive(self) -> bool:
        """All live."""
        return True


async def main() -> None:
    """Serve until a signal."""
    server = RpcServer(metrics=Metrics("test"), gated_methods=(), service_names=(), gatekeeper=trusting())

    def say(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def warm() -> None:
        say(server.addresses[0])
        eventually(lambda: server.gate.phase is Phase.DRAINING, "it drains")
        say("draining")
        sys.stdin.read()

    process = ServiceProcess(
        name="test",
        server=server,
        endpoints=(Endpoint("127.0.0.1:0"),),
        runner=nullcontext(Nothing()),
        warm=warm,
        stopping=StopRequest(30.0),
    )
    await process.run()
    say(server.gate.phase.name)


if __name__ == "__main__":
    asyncio.run(main())
