"""Both clients behind one blocking face, so that a test is written once."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from sonichaos_client import AsyncClient, CallOptions, Client, JobReference
from tests.support.scripted_services import ScriptedPair


class Blocking:
    """A `Client` or one of its handles: streams are read to their end, or up to ``limit`` values."""

    def __init__(self, target: Any) -> None:
        self.target = target

    @classmethod
    def of(cls, pair: ScriptedPair, options: CallOptions) -> Blocking:
        """A client of a pair."""
        return cls(Client(pair.render_address, pair.separation_address, options=options))

    def __getattr__(self, name: str) -> Any:
        member = getattr(self.target, name)
        return self._caller(member) if inspect.ismethod(member) else member

    def _caller(self, method: Any) -> Any:
        def call(*args: Any, limit: int | None = None, **kwargs: Any) -> Any:
            unwrapped = [one.target if isinstance(one, Blocking) else one for one in args]
            result = self.finish(method(*unwrapped, **kwargs), limit)
            return self.wrap(result) if isinstance(result, JobReference | Client | AsyncClient) else result

        return call

    def finish(self, result: Any, limit: int | None) -> Any:
        """The result itself, or the values of a stream."""
        if not inspect.isgenerator(result):
            return result
        values = []
        for value in result:
            values.append(value)
            if len(values) == limit:
                break
        result.close()
        return values

    def wrap(self, handle: Any) -> Blocking:
        """A handle or another client, likewise."""
        return Blocking(handle)

    def stop(self) -> None:
        """Close the client."""
        self.target.close()


class Awaited(Blocking):
    """An `AsyncClient` or one of its handles, with its own event loop."""

    def __init__(self, target: Any, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(target)
        self._loop = loop

    @classmethod
    def of(cls, pair: ScriptedPair, options: CallOptions) -> Awaited:
        """A client of a pair."""
        client = AsyncClient(pair.render_address, pair.separation_address, options=options)
        return cls(client, asyncio.new_event_loop())

    def finish(self, result: Any, limit: int | None) -> Any:
        """The result itself, or the values of a stream."""
        return self._loop.run_until_complete(self._finish(result, limit))

    async def _finish(self, result: Any, limit: int | None) -> Any:
        if inspect.isawaitable(result):
            return await result
        if not inspect.isasyncgen(result):
            return result
        values = []
        async for value in result:
            values.append(value)
            if len(values) == limit:
                break
        await result.aclose()
        return values

    def wrap(self, handle: Any) -> Awaited:
        """A handle or another client, likewise."""
        return Awaited(handle, self._loop)

    def stop(self) -> None:
        """Close the client and its loop."""
        self._loop.run_until_complete(self.target.close())
        self._loop.close()


KINDS = (Blocking, Awaited)
