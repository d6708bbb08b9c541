"""gRPC-Web through the bridge to a real gRPC server: messages, errors, deadlines, disconnects, and who may call what."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from aiohttp import ClientSession

from hostctl.web.bridge import MAX_BODY_BYTES
from hostctl.web.methods import PAGE_METHODS
from jobs_service.rpc_scopes import RPC_SCOPES
from servicekit.access.caller import Scope
from servicekit.access.gatekeeper import LocalTrust
from tests.support.scripted_methods import DETAILS, MESSAGE, STREAM, UNARY, UPLOAD, ScriptedMethods, serving_methods
from tests.support.web_bridge import CONTENT_TYPE, ServedWeb, call, frame, read_answer, served_web, small_page

DRAIN = "/sonichaos.operations.v1.OperationsService/Drain"
MODEL = "/sonichaos.separation.v1.SeparationService/GetModelInfo"
KEY = {"Authorization": "Bearer sonichaos_key"}


@dataclass
class Bridged:
    """Both services, the server before them, and a client."""

    render: ScriptedMethods
    separation: ScriptedMethods
    web: ServedWeb
    http: ClientSession

    async def call(self, path: str, *messages: bytes, **headers: str) -> tuple[list[bytes], dict[str, str]]:
        """Messages and trailers of a call."""
        return await call(self.http, self.web.url + path, b"".join(map(frame, messages)), headers)

    async def status(self, body: bytes | AsyncIterator[bytes] = b"", path: str = UNARY, **headers: str) -> int:
        """The HTTP status of a request."""
        async with self.http.post(self.web.url + path, data=body, headers=headers) as answer:
            return answer.status


@dataclass
class Opener:
    """Opens servers until the test ends."""

    page: Path
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __call__(self, **options: Any) -> Bridged:
        """Both services and the server, with its options."""
        render, render_address = await self.stack.enter_async_context(serving_methods())
        separation, separation_address = await self.stack.enter_async_context(serving_methods())
        served = served_web(render_address, separation_address, page=self.page, **options)
        web = await self.stack.enter_async_context(served)
        return Bridged(render, separation, web, await self.stack.enter_async_context(ClientSession()))


@pytest.fixture
async def bridged(tmp_path: Path) -> AsyncIterator[Opener]:
    """Opens servers."""
    opener = Opener(small_page(tmp_path / "page"))
    async with opener.stack:
        yield opener


async def test_messages_pass_as_they_are(bridged: Opener) -> None:
    """Of unary calls, streams of answers and streams of requests, empty ones too."""
    both = await bridged()
    assert await both.call(UNARY, b"echo \xc3\xa4") == ([b"\xc3\xa4"], {"grpc-status": "0"})
    assert await both.call(UNARY, b"echo") == ([b""], {"grpc-status": "0"})
    assert await both.call(STREAM, b"echo last") == ([b"first", b"last"], {"grpc-status": "0"})
    assert await both.call(UPLOAD, b"a", b"", b"c") == ([b"a++c"], {"grpc-status": "0"})


async def test_an_answer_has_the_content_type_of_its_request(bridged: Opener) -> None:
    """Both names of it; it is not cached and not sniffed."""
    both = await bridged()
    for path in (UNARY, STREAM):
        for kind in ("application/grpc-web", CONTENT_TYPE):
            sent = both.http.post(both.web.url + path, data=frame(b"echo a"), headers={"Content-Type": kind})
            async with sent as answer:
                headers = answer.headers
            assert headers["Content-Type"] == kind
            assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
            assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("path", [UNARY, STREAM])
async def test_an_error_arrives_with_its_details(bridged: Opener, path: str) -> None:
    """Status, message in any characters, and the service's trailers; after the messages that were sent before it."""
    messages, trailers = await (await bridged()).call(path, b"fail")
    assert messages == ([b"first"] if path == STREAM else [])
    assert trailers["grpc-status"] == "5"
    assert unquote(trailers["grpc-message"]) == MESSAGE
    assert base64.b64decode(trailers["grpc-status-details-bin"]) == DETAILS
    assert trailers["retry-note"] == "later"


async def test_a_service_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    """Its address stays here; the call works once the service is there."""
    page = small_page(tmp_path / "page")
    address = f"unix:{tmp_path}/none.sock"
    async with served_web(address, address, page=page) as web, ClientSession() as http:
        for path in (UNARY, STREAM):
            messages, trailers = await call(http, web.url + path, frame(b"echo a"))
            assert (messages, trailers["grpc-status"]) == ([], "14")
            assert "render_service does not answer" in unquote(trailers["grpc-message"])
            assert str(tmp_path) not in unquote(trailers["grpc-message"])


async def test_a_message_of_4_mib_passes_and_a_larger_one_does_not(bridged: Opener) -> None:
    """The limits of the services hold in both directions."""
    both = await bridged()
    size = 4 << 20
    messages, _ = await both.call(UNARY, b"size %d" % size)
    assert list(map(len, messages)) == [size]
    assert (await both.call(UNARY, b"size %d" % (size + 1)))[1]["grpc-status"] == "8"
    sent = b"echo " + bytes(size - 5)
    assert (await both.call(UNARY, sent))[0] == [bytes(size - 5)]
    assert (await both.call(UNARY, sent + b"\0"))[1]["grpc-status"] == "8"
    headers = {"Content-Type": CONTENT_TYPE}
    assert await both.status(bytes(MAX_BODY_BYTES + 1), **headers) == 413
    assert (await both.call(UNARY, b"echo a"))[0] == [b"a"]


@pytest.mark.parametrize("path", [UNARY, STREAM])
async def test_a_page_that_goes_away_ends_its_call(bridged: Opener, path: str) -> None:
    """The service sees the cancel."""
    both = await bridged()
    calling = asyncio.create_task(both.call(path, b"wait"))
    await both.render.running.wait()
    calling.cancel()
    await asyncio.wait_for(both.render.cancelled.wait(), 10)


@pytest.mark.parametrize("path", [UNARY, STREAM])
async def test_a_deadline_ends_a_call_on_both_sides(bridged: Opener, path: str) -> None:
    """As DEADLINE_EXCEEDED."""
    both = await bridged()
    _, trailers = await both.call(path, b"wait", **{"grpc-timeout": "200m"})
    assert trailers["grpc-status"] == "4"
    await asyncio.wait_for(both.render.cancelled.wait(), 10)


async def test_events_arrive_while_the_stream_is_open(bridged: Opener) -> None:
    """The first message is there before the call has ended."""
    both = await bridged()
    sent = both.http.post(both.web.url + STREAM, data=frame(b"wait"), headers={"Content-Type": CONTENT_TYPE})
    async with sent as answer:
        assert await answer.content.readexactly(10) == frame(b"first")


async def test_a_page_that_does_not_read_is_disconnected(bridged: Opener) -> None:
    """A stalled stream holds no call for long."""
    both = await bridged(limits={"stall_limit_s": 0.2})
    host, _, port = both.web.address.partition(":")
    _, writer = await asyncio.open_connection(host, int(port), limit=1)  # reads no more than its buffers hold
    body = frame(b"flood")
    head = (
        f"POST {STREAM} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await asyncio.wait_for(both.render.cancelled.wait(), 30)
    writer.close()


async def test_a_request_that_arrives_too_slowly_is_refused(bridged: Opener) -> None:
    """A body that does not come holds its connection for a limited time."""
    both = await bridged(limits={"body_limit_s": 0.2})

    async def slow() -> AsyncIterator[bytes]:
        yield b"\0"
        await asyncio.Event().wait()

    headers = {"Content-Type": CONTENT_TYPE}
    async with both.http.post(both.web.url + UNARY, data=slow(), headers=headers) as answer:
        assert answer.status == 408


async def test_the_bodies_of_all_requests_have_a_limit_together(bridged: Opener) -> None:
    """Those who hold half a request each cannot take the memory; what has ended makes room."""
    both = await bridged(limits={"max_bodies_bytes": 3000})
    headers, held = {"Content-Type": CONTENT_TYPE}, asyncio.Event()

    async def half() -> AsyncIterator[bytes]:
        yield bytes(2000)
        await held.wait()

    first = asyncio.create_task(both.status(half(), **headers))
    status = 200
    while status == 200:
        status = await both.status(frame(b"echo " + bytes(1500)), **headers)
    assert status == 503
    assert await both.status(frame(b"echo a"), **headers) == 200
    held.set()
    await first
    assert await both.status(frame(b"echo " + bytes(1500)), **headers) == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "takes one message, got 0"),
        (frame(b"echo a") * 2, "takes one message, got 2"),
        (frame(b"echo a")[:-1], "ends within a message"),
        (b"\0\0\0", "ends within a message"),
        (frame(b"echo a", flags=1), "must not be compressed"),
        (frame(b"grpc-status: 0", flags=0x80), "a request has no trailers"),
    ],
)
async def test_what_is_no_call_is_refused(bridged: Opener, body: bytes, words: str) -> None:
    """As INVALID_ARGUMENT, without a call to a service."""
    both = await bridged()
    messages, trailers = await call(both.http, both.web.url + UNARY, body)
    assert (messages, trailers["grpc-status"]) == ([], "3")
    assert words in unquote(trailers["grpc-message"])
    assert both.render.calls == []


@pytest.mark.parametrize("text", ["", "1", "S", "-1S", "123456789S", "1s", "1.5S"])
async def test_a_malformed_deadline_is_refused(bridged: Opener, text: str) -> None:
    """Not taken for none."""
    both = await bridged()
    _, trailers = await both.call(UNARY, b"echo a", **{"grpc-timeout": text})
    assert trailers["grpc-status"] == "3"
    assert both.render.calls == []


async def test_a_deadline_that_is_far_away_has_not_passed(bridged: Opener) -> None:
    """That of 11,000 years, which gRPC's format allows, is no error."""
    both = await bridged()
    assert (await both.call(UNARY, b"echo a", **{"grpc-timeout": "99999999H"}))[0] == [b"a"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json"},
        {"Content-Type": "application/grpc"},
        {"Content-Type": "application/grpc-web-text"},
        {"Content-Type": "application/grpc-web+json"},
        {"Content-Type": CONTENT_TYPE, "Content-Encoding": "gzip"},
    ],
)
async def test_other_content_types_are_refused(bridged: Opener, headers: dict[str, str]) -> None:
    """Among them all that a page of another origin can send without asking first."""
    both = await bridged()
    assert await both.status(frame(b"echo a"), **headers) == 415
    assert both.render.calls == []


async def test_only_the_authorization_reaches_a_service(bridged: Opener) -> None:
    """No other header that may mean something to it; none is there if the page sent none."""
    both = await bridged()
    others = {"Cookie": "a=b", "X-Forwarded-For": "10.0.0.1", "traceparent": "00-1-1-01", "grpc-trace-bin": "AA=="}
    await both.call(UNARY, b"echo a", **KEY, **others)
    await both.call(UNARY, b"echo a")
    (sent, agent), (other_agent,) = map(sorted, both.render.metadata)
    assert sent == ("authorization", KEY["Authorization"])
    assert agent == other_agent
    assert agent[0] == "user-agent"
    assert agent[1].startswith("sonichaos-web ")


async def test_a_token_of_8_kib_passes(bridged: Opener) -> None:
    """As the services promise."""
    both = await bridged()
    token = f"Bearer {'x' * 8192}"
    assert (await both.call(UNARY, b"echo a", Authorization=token))[0] == [b"a"]
    assert ("authorization", token) in both.render.metadata[0]


async def test_a_call_goes_to_its_service(bridged: Opener) -> None:
    """By its path, and for what both services have by the header."""
    both = await bridged()
    await both.call(UNARY, b"echo a")
    await both.call(UNARY, b"echo a", **{"sonichaos-service": "render"})
    await both.call(UNARY, b"echo a", **{"sonichaos-service": "separation"})
    await both.call(MODEL, b"echo a")
    assert both.render.calls == [UNARY, UNARY]
    assert both.separation.calls == [UNARY, MODEL]


async def test_methods_are_those_of_the_public_protocol(bridged: Opener) -> None:
    """Not the calls between the services, not what else a server has; by their exact path."""
    both = await bridged()
    for path in (
        "/sonichaos.handoff.v1.HandoffService/SendTensor",
        "/sonichaos.separation.v1.SeparationService/SeparateTensor",
        "/sonichaos.separation.v1.SeparationService/ReplaceStem",
        "/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        f"{UNARY}/",
        f"{UNARY}?a=b",
        f"/{UNARY}",
        "/sonichaos.jobs.v1.JobsService%2FGetJob",
    ):
        assert (await both.call(path, b"echo a", **KEY))[1]["grpc-status"] == "12", path
    assert both.render.calls == both.separation.calls == []


def test_the_methods_are_all_but_those_between_the_services() -> None:
    """Whoever adds one to the protocol has it here, and a call for the other service never is."""
    between = {path for path, scope in RPC_SCOPES.items() if scope is Scope.PEER}
    assert PAGE_METHODS.keys() == RPC_SCOPES.keys() - between


async def test_operators_calls_need_a_credential(bridged: Opener) -> None:
    """Though the services trust whoever calls at their Unix socket, where the bridge does."""
    both = await bridged()
    assert (await both.call(DRAIN, b"echo a"))[1]["grpc-status"] == "16"
    assert both.render.calls == []
    assert (await both.call(DRAIN, b"echo a", **KEY))[1]["grpc-status"] == "0"


async def test_callers_that_are_not_trusted_need_a_credential(bridged: Opener) -> None:
    """Where the services ask callers on this machine for one, the bridge does, for calls and streams."""
    both = await bridged(trust=LocalTrust(loopback=False))
    for path in (UNARY, STREAM, UPLOAD, MODEL):
        messages, trailers = await both.call(path, b"echo a")
        assert (messages, trailers["grpc-status"]) == ([], "16")
        assert (await both.call(path, b"echo a", **KEY))[1]["grpc-status"] == "0"
    assert len(both.render.calls) == 3


@pytest.mark.parametrize("credential", ["Bearer ä", "Bearer \udcff", "Bearer a\tb"])
@pytest.mark.parametrize("path", [UNARY, STREAM])
async def test_a_credential_that_grpc_cannot_send_is_refused(
    bridged: Opener, path: str, credential: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Like any other that is wrong, and it is logged nowhere."""
    both = await bridged()
    sent = ["Authorization: " + credential, "Content-Type: " + CONTENT_TYPE, "Content-Length: 11", "Connection: close"]
    header = "\r\n".join([f"POST {path} HTTP/1.1", f"Host: {both.web.address}", *sent, "", ""])
    reader, writer = await asyncio.open_connection(*both.web.address.split(":"))
    writer.write(header.encode(errors="surrogateescape") + frame(b"echo a"))
    status, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert status.startswith(b"HTTP/1.1 200")
    messages, trailers = read_answer(body)
    assert (messages, trailers["grpc-status"], both.render.calls) == ([], "16", [])
    assert credential not in "".join(capsys.readouterr())


async def test_two_authorizations_both_arrive(bridged: Opener) -> None:
    """The service refuses such a call; the bridge chooses none of them."""
    both = await bridged()
    headers = [("Content-Type", CONTENT_TYPE), ("Authorization", "Bearer a"), ("Authorization", "Bearer b")]
    async with both.http.post(both.web.url + UNARY, data=frame(b"echo a"), headers=headers) as answer:
        assert read_answer(await answer.read())[1]["grpc-status"] == "0"
    assert [text for name, text in both.render.metadata[0] if name == "authorization"] == ["Bearer a", "Bearer b"]
