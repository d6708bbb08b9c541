"""A tool call that creates a version: follow it, report its progress, and convert errors to those of tools."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError

from sonichaos_client.aio import AsyncClient
from sonichaos_client.enums import OwningService
from sonichaos_client.errors import JobFailedError, SonichaosError
from sonichaos_client.events import JobEvent
from sonichaos_client.job_handle import AsyncJobHandle
from sonichaos_client.job_reference import owner_of, version_of
from sonichaos_client.mcp.folder import Folder, FolderError
from sonichaos_client.mcp.results import VersionResult

_LOG = logging.getLogger("sonichaos.mcp")


@dataclass(frozen=True)
class Studio:
    """What the tools work with."""

    client: AsyncClient
    folder: Folder


ToolContext: TypeAlias = Context[Studio, Any]


@contextmanager
def tool_errors() -> Iterator[None]:
    """Convert errors to those that the model reads: what was expected, the reason, and what to do."""
    try:
        yield
    except SonichaosError as error:
        raise ToolError(_explain(error)) from error
    except FolderError as error:
        raise ToolError(str(error)) from error


def _explain(error: SonichaosError) -> str:
    lines = [error.message]
    lines += [f"{one.field}: {one.description}" for one in error.violations if one.description not in error.message]
    known = error.metadata.get("known", "")
    if known and known not in error.message:
        lines.append(f"available: {known}")
    lines.append(f"reason: {error.reason or error.code.name}")
    if isinstance(error, JobFailedError):
        lines.append(f"job: {error.job.job_id}, version {error.version}; the tool status shows what it stored")
    if error.retry_after_s is not None:
        lines.append(f"Try again after {error.retry_after_s:.0f} s.")
    return "\n".join(lines)


async def follow(context: ToolContext, handle: AsyncJobHandle, *, wait: bool) -> VersionResult:
    """The version at its end, or without ``wait`` as it was accepted. Raises SonichaosError.

    If the call is cancelled, the job goes on: its first progress message says so and how to cancel it, and so does the log.
    """
    if wait:
        name = f"{handle.job_id} v{handle.version}"
        progress = _Progress(context, _tracks(handle))
        await progress.report(
            0.0, f"{name} is accepted. It goes on if this call is cancelled; the tool cancel ends it, status shows it."
        )
        try:
            async with aclosing(handle.events()) as events:
                async for event in events:
                    await progress.on_event(event)
            await handle.wait()
        except asyncio.CancelledError:
            _LOG.warning("%s goes on. The tool cancel ends it, and so does: sonichaos cancel %s", name, handle.job_id)
            raise
    return VersionResult.of(handle.message, version_of(handle.message, handle.version))


def _tracks(handle: AsyncJobHandle) -> int:
    is_take = owner_of(handle.message) is OwningService.RENDER
    return 2 if is_take and version_of(handle.message, handle.version).stems_wanted else 1


class _Progress:
    """Progress of a version as one number from 0 to 1 that only grows, as the protocol requires."""

    def __init__(self, context: ToolContext, tracks: int) -> None:
        self._context = context
        self._tracks = tracks
        self._fractions: dict[int, float] = {}
        self._reported = -1.0

    async def on_event(self, event: JobEvent) -> None:
        """Report an event of a track that takes the whole further."""
        if not event.track:
            return
        self._fractions[event.track] = event.fraction
        words = [event.track.name.lower(), f"{event.fraction:.0%}"]
        if event.stage:
            words.append(event.stage.name.lower())
        if event.estimated_time_left is not None:
            left_s = round(event.estimated_time_left.total_seconds())
            words.append(f"about {left_s} s left" if left_s else "under 1 s left")
        await self.report(sum(self._fractions.values()) / self._tracks, ", ".join(words))

    async def report(self, fraction: float, message: str) -> None:
        """Report, unless it would not grow."""
        if fraction > self._reported:
            self._reported = fraction
            await self._context.report_progress(fraction, 1.0, message)
