"""A host of ``sonichaos mcp``: the mcp package's own client, over stdio."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult, TextContent

ROOT = Path(__file__).resolve().parents[2]


@asynccontextmanager
async def connected(folder: Path, variables: Mapping[str, str]) -> AsyncIterator[Client]:
    """A client of a running ``sonichaos mcp``. ``variables`` is what a host's configuration adds to its environment."""
    arguments = ["-m", "sonichaos_client", "mcp", "--folder", str(folder)]
    path = os.pathsep.join([str(ROOT), str(ROOT / "clients" / "python" / "src")])
    server = StdioServerParameters(command=sys.executable, args=arguments, env={"PYTHONPATH": path, **variables})
    async with Client(server) as client:
        yield client


def structured(result: CallToolResult) -> dict[str, Any]:
    """The typed result of a call that succeeded."""
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content


def error_of(result: CallToolResult) -> str:
    """The text of a call that failed."""
    assert result.is_error, result.content
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text
