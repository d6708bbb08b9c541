"""The server of `sonichaos up --web` before services under test, and calls of gRPC-Web to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from hostctl.supervisor import SERVICES
from hostctl.web.bridge import GrpcWebBridge
from hostctl.web.guard import HostGuard
from hostctl.web.page import Page
from hostctl.web.readiness import Readiness
from hostctl.web.server import WebServer
from servicekit.access.gatekeeper import LocalTrust
from tests.support.s3_servers import free_port
from tests.support.typescript_build import OUT, Pages, require_build

HOST = "127.0.0.1"
CONTENT_TYPE = "application/grpc-web+proto"


@dataclass
class ServedWeb:
    """A running server."""

    address: str
    readiness: Readiness
    server: WebServer

    @property
    def url(self) -> str:
        """What its paths are added to."""
        return f"http://{self.address}"


@asynccontextmanager
async def served_web(
    render_address: str,
    separation_address: str,
    *,
    page: Path,
    trust: LocalTrust | None = None,
    guard: HostGuard | None = None,
    limits: Mapping[str, float] | None = None,
    port: int = 0,
    **options: Any,
) -> AsyncIterator[ServedWeb]:
    """The server, on a free port unless one is given. ``limits`` are those of the bridge, ``options`` those of the server."""
    port, readiness = port or free_port(), Readiness(SERVICES)
    bridge = GrpcWebBridge(
        render_address=render_address,
        separation_address=separation_address,
        trust=trust or LocalTrust(loopback=True),
        **(limits or {}),
    )
    given: dict[str, Any] = {"file_origins": (), "guard": guard or HostGuard(HOST), **options}
    server = WebServer(host=HOST, port=port, page=Page.load(page), bridge=bridge, readiness=readiness, **given)
    async with bridge, server:
        yield ServedWeb(f"{HOST}:{port}", readiness, server)


@contextmanager
def bridge_before(render_address: str, separation_address: str, page: Path) -> Iterator[str]:
    """As `served_web`, in a thread of its own, for clients in other processes; gives the address."""
    started: Future[str] = Future()
    loop, ended = asyncio.new_event_loop(), asyncio.Event()

    async def run() -> None:
        try:
            async with served_web(render_address, separation_address, page=page) as served:
                started.set_result(served.address)
                await ended.wait()
        except BaseException as error:
            if not started.done():
                started.set_exception(error)
            raise

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    try:
        yield started.result(timeout=60.0)
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


@contextmanager
def facts_page(render_address: str, separation_address: str) -> Iterator[Pages]:
    """The facts of the TypeScript client as the page of such a server, which also takes its calls."""
    require_build()
    with bridge_before(render_address, separation_address, OUT / "facts") as address:
        yield Pages(f"http://{address}", facts="/")


def small_page(folder: Path) -> Path:
    """A folder with the files of a page."""
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Page</title>" + "<p>text</p>" * 50)
    (folder / "assets" / "index-Ab3_d-9x.js").write_text("console.log(1);\n" * 100)
    (folder / "icon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    return folder


def frame(message: bytes, flags: int = 0) -> bytes:
    """A message of a request."""
    return bytes([flags]) + len(message).to_bytes(4, "big") + message


def read_answer(body: bytes) -> tuple[list[bytes], dict[str, str]]:
    """The messages and the trailers of an answer."""
    messages: list[bytes] = []
    while body:
        flags, size, body = body[0], int.from_bytes(body[1:5], "big"), body[5:]
        part, body = body[:size], body[size:]
        assert len(part) == size
        if flags & 0x80:
            assert not body
            lines = (line.partition(":") for line in part.decode("ascii").split("\r\n") if line)
            return messages, {name: value.strip() for name, _, value in lines}
        messages.append(part)
    raise AssertionError("the answer has no trailers")


async def call(
    http: ClientSession, url: str, body: bytes, headers: Mapping[str, str] | None = None
) -> tuple[list[bytes], dict[str, str]]:
    """Messages and trailers of a call with whole frames in ``body``."""
    async with http.post(url, data=body, headers={"Content-Type": CONTENT_TYPE, **(headers or {})}) as answer:
        assert answer.status == 200, await answer.text()
        return read_answer(await answer.read())
