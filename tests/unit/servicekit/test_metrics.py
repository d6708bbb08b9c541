"""The endpoint of the metrics."""

from __future__ import annotations

import asyncio
import contextlib

from servicekit.metrics import Metrics
from tests.support.s3_servers import free_port


async def page(port: int, target: str = "/metrics") -> bytes:
    """The answer to a GET, with its head."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_the_page_has_every_metric_in_the_text_format() -> None:
    """Only /metrics does."""
    metrics, port = Metrics("render"), free_port()
    metrics.ready.set(1)
    async with metrics.serving("127.0.0.1", port), asyncio.timeout(20):
        found = await page(port)
        assert found.startswith(b"HTTP/1.1 200 OK")
        assert b"Content-Type: text/plain; version=0.0.4" in found
        assert b"\nsonichaos_render_ready 1.0\n" in found
        assert (await page(port, "/other")).startswith(b"HTTP/1.1 404 ")


async def test_half_open_connections_are_bounded_in_number_and_time() -> None:
    """They take no thread and no descriptor each, and the page is there again when their time is over."""
    port = free_port()
    serving = Metrics("render").serving("127.0.0.1", port, max_connections=8, header_limit_s=0.5)
    async with serving, asyncio.timeout(20):
        silent = []
        for _ in range(30):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /met")
            silent.append((reader, writer))
        for reader, writer in silent:  # each ends, by the number or by its time
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            writer.transport.abort()
        assert b"sonichaos_render_ready" in await page(port)
