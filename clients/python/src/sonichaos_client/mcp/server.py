"""The MCP server: its tools, what it says about itself, and its life on stdin and stdout."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp_types import ToolAnnotations

from sonichaos_client.aio import AsyncClient
from sonichaos_client.mcp import tools
from sonichaos_client.mcp.folder import Folder
from sonichaos_client.mcp.follow import Studio

_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_CREATES = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False)
_DESTROYS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)
_INSTRUCTIONS = """\
SONICHAOS AI Studio renders music from a prompt and a persona, and separates recordings into stems. A call of render, rerender or
separate makes a job, which goes on whatever happens to the call; status shows it and cancel ends it. Results stay at the service
until download fetches them into this server's folder: {folder}. Recordings to separate must lie in that folder."""


def make_server(folder: Path, open_client: Callable[[], AbstractAsyncContextManager[AsyncClient]]) -> MCPServer[Studio]:
    """A server whose tools read and write files only in ``folder``, which exists. ``open_client`` is called once, at the start."""
    root = folder.resolve(strict=True)

    @asynccontextmanager
    async def lifespan(_server: MCPServer[Studio]) -> AsyncIterator[Studio]:
        async with open_client() as client:
            yield Studio(client, Folder(root))

    server = MCPServer(
        "sonichaos",
        title="SONICHAOS AI Studio",
        instructions=_INSTRUCTIONS.format(folder=root),
        version=version("sonichaos-client"),
        log_level="WARNING",
        lifespan=lifespan,
    )
    annotated: tuple[tuple[Callable[..., Any], str, ToolAnnotations], ...] = (
        (tools.render, "Render music", _CREATES),
        (tools.rerender, "Render a stem again", _CREATES),
        (tools.separate, "Separate a recording", _CREATES),
        (tools.status, "Show a job", _READS),
        (tools.cancel, "Cancel a job", _DESTROYS),
        (tools.personas, "List personas", _READS),
        (tools.download, "Download a result", _CREATES),
    )
    for function, title, hints in annotated:
        server.add_tool(function, title=title, annotations=hints)
    return server
