"""The fake in a thread of this process, for tests in Python."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

from sonichaos_client.client import Client
from sonichaos_client.credentials import Credentials
from sonichaos_client.testing.fake.refusals import Refusal
from sonichaos_client.testing.fake.script import Value, make_fault
from sonichaos_client.testing.fake.services import FakeAddresses, FakeOptions, FakeServices

ANY_PORT = "127.0.0.1:0"
_LIMIT_S = 60.0
T = TypeVar("T")


class FakeSonichaos:
    """Running fake services. `start_fake` starts them."""

    def __init__(
        self, services: FakeServices, addresses: FakeAddresses, options: FakeOptions, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._services = services
        self._addresses = addresses
        self._options = options
        self._loop = loop

    @property
    def address(self) -> str:
        """The address of render_service."""
        return self._addresses.render

    @property
    def render_address(self) -> str:
        """The same, for ``SONICHAOS_RENDER_ADDRESS``."""
        return self._addresses.render

    @property
    def separation_address(self) -> str:
        """The address of separation_service, for ``SONICHAOS_SEPARATION_ADDRESS``."""
        return self._addresses.separation

    @property
    def url_address(self) -> str:
        """The base of signed URLs."""
        return self._addresses.url

    def client(self) -> Client:
        """A new client of both services, with a key if they need one. Close it, or use it as a ``with``."""
        options = self._options
        key = next(iter(options.api_keys), None)
        credentials = Credentials(ca=options.certificate, api_key=key)
        return Client(self.render_address, self.separation_address, credentials=credentials)

    def skip(self, seconds: float) -> datetime:
        """Advance the clock, 0 to 365 days; what becomes due by then has happened on return. Returns the time of the clock.

        Raises ValueError.
        """
        try:
            return self._run(self._services.control.skip(seconds))
        except Refusal as refusal:
            raise ValueError(refusal.message) from None

    def fault(self, kind: str, **fields: Value) -> None:
        """Add a fault, as `make_fault` makes it: ``fault("fail_stage", stage="separate", reason="NOT_FINITE", times=1)``.

        Raises ScriptError, a ValueError.
        """
        fault = make_fault(kind, **fields)
        self._run(_called(lambda: self._services.control.add_fault(fault)))

    def clear_faults(self) -> None:
        """Remove all faults; what they stalled goes on."""
        self._run(self._services.control.clear_faults())

    def reset(self) -> None:
        """Remove all faults, jobs, files and created personas."""
        self._run(_called(self._services.control.reset))

    def _run(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result(_LIMIT_S)


@contextmanager
def start_fake(options: FakeOptions | None = None) -> Iterator[FakeSonichaos]:
    """Fake services in a thread, until the end of the block; by default on any free ports of loopback.

    Raises OSError if an address is in use.
    """
    options = options or FakeOptions(render_listen=ANY_PORT, separation_listen=ANY_PORT, url_listen=ANY_PORT)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sonichaos-fake", daemon=True)
    thread.start()

    def run(call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(call, loop).result(_LIMIT_S)

    try:
        services = run(_called(lambda: FakeServices(options)))
        try:
            yield FakeSonichaos(services, run(services.start()), options, loop)
        finally:
            run(services.stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _called(function: Callable[[], T]) -> T:
    """The answer of a function that belongs in the fake's event loop."""
    return function()
