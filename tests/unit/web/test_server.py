"""The page's server: files, headers, names, other origins, readiness, health and limits."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import ssl
from collections.abc import AsyncIterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest
from aiohttp import ClientSession

from hostctl.up_report import ServiceState
from hostctl.web.guard import HostGuard
from hostctl.web.page import Page, PageMissing
from servicekit.tls import CertificateFiles, https_context
from tests.support.certificates import Authority
from tests.support.scripted_methods import STREAM, UNARY, serving_methods
from tests.support.web_bridge import CONTENT_TYPE, ServedWeb, call, frame, served_web, small_page

FILES = "http://127.0.0.1:50073"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A built page."""
    return small_page(tmp_path / "page")


@pytest.fixture
async def web(page: Path, tmp_path: Path) -> AsyncIterator[ServedWeb]:
    """A server whose services are not there."""
    none = f"unix:{tmp_path}/none.sock"
    guard = HostGuard("127.0.0.1", ["Studio.example.com"])
    async with served_web(none, none, page=page, guard=guard, file_origins=[FILES]) as served:
        yield served


def _request(web: ServedWeb, method: str, path: str, headers: dict[str, str]) -> HTTPResponse:
    """The answer to exactly this path and these headers, its body read."""
    connection = HTTPConnection(web.address, timeout=30)
    connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    answer.body = answer.read()  # type: ignore[attr-defined]
    connection.close()
    return answer


async def request(web: ServedWeb, path: str = "/", *, method: str = "GET", **headers: str) -> HTTPResponse:
    """The same, while the server runs in this event loop."""
    return await asyncio.to_thread(_request, web, method, path, headers)


async def test_every_answer_has_the_headers_that_protect_the_page(web: ServedWeb) -> None:
    """Pages, files, refusals and errors of calls: only the page's own code runs, nothing frames it, nothing else is asked."""
    answers = [
        await request(web),
        await request(web, "/assets/index-Ab3_d-9x.js"),
        await request(web, "/nothing"),
        await request(web, Host="rebound.example.com"),
        await request(web, "/readiness.json"),
        await request(web, UNARY, method="POST"),
        await request(web, method="DELETE"),
    ]
    assert [answer.status for answer in answers] == [200, 200, 404, 421, 200, 415, 405]
    for answer in answers:
        rules = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
        assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == rules["form-action"] == "'none'"
        assert rules["script-src"] == rules["font-src"] == rules["worker-src"] == "'self'"
        assert re.fullmatch(r"'self' 'sha256-[A-Za-z0-9+/]{43}='", rules["style-src"])
        assert rules["connect-src"] == f"'self' {FILES}"
        assert rules["img-src"] == "'self' data:"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Server" not in answer.headers


async def test_no_answer_says_which_software_serves(page: Path) -> None:
    """Neither do streams of calls, nor refusals of what is no HTTP."""
    sent = frame(b"echo last")
    async with serving_methods() as (_, address), served_web(address, address, page=page) as web:
        fields = {"Host": web.address, "Connection": "close", "Content-Type": CONTENT_TYPE, "Content-Length": len(sent)}
        lines = [f"POST {STREAM} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        answers = [await _exchange(web, "\r\n".join(lines).encode() + sent), await _exchange(web, b"no HTTP\r\n\r\n")]
    assert [answer.split(b" ", 2)[1] for answer in answers] == [b"200", b"400"]
    for answer in answers:
        assert b"server:" not in answer.partition(b"\r\n\r\n")[0].lower()
        assert b"aiohttp" not in answer


async def _exchange(web: ServedWeb, sent: bytes) -> bytes:
    """Everything that the server answers until it closes the connection."""
    reader, writer = await asyncio.open_connection(*web.address.split(":"))
    writer.write(sent)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_hashed_files_are_cached_and_the_page_is_not(web: ServedWeb, page: Path) -> None:
    """A new build is seen at once; an unchanged page costs no download."""
    index = await request(web)
    assert index.headers["Cache-Control"] == (await request(web, "/icon.svg")).headers["Cache-Control"] == "no-cache"
    script = await request(web, "/assets/index-Ab3_d-9x.js")
    assert script.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
    again = await request(web, **{"If-None-Match": f'W/{index.headers["ETag"]}, "other"'})
    assert (again.status, again.body) == (304, b"")  # type: ignore[attr-defined]
    assert index.body == (page / "index.html").read_bytes()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [("gzip, br", True), ("br, gzip;q=0.5", True), ("gzip;q=0", False), ("br", False), ("", False)],
)
async def test_files_are_compressed_for_those_who_can_read_it(web: ServedWeb, accepted: str, compressed: bool) -> None:  # noqa: FBT001
    """With the same content."""
    path = "/assets/index-Ab3_d-9x.js"
    plain = await request(web, path)
    answer = await request(web, path, **{"Accept-Encoding": accepted})
    assert ("Content-Encoding" in answer.headers) is compressed
    body = gzip.decompress(answer.body) if compressed else answer.body  # type: ignore[attr-defined]
    assert body == plain.body  # type: ignore[attr-defined]
    assert answer.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "path",
    [
        "/../secret",
        "/assets/../../secret",
        "/..%2fsecret",
        "/%2e%2e/secret",
        "//secret",
        "/assets/..%5c..%5csecret",
        "/link",
        "/index.html/../../secret",
        "/secret%00.js",
        "/assets/",
        "/assets",
        "/index.html",
    ],
)
async def test_no_path_leads_out_of_the_page(tmp_path: Path, path: str) -> None:
    """Nor does a link in its folder; folders are not listed."""
    page, secret = small_page(tmp_path / "page"), tmp_path / "secret"
    secret.write_text("secret")
    (page / "link").symlink_to(secret)
    none = f"unix:{tmp_path}/none.sock"
    async with served_web(none, none, page=page) as web:
        answer = await request(web, path)
    assert answer.status == 404
    assert b"secret" not in answer.body  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:50070", "localhost:8000", "LOCALHOST", "[::1]:50070", "[::1]", "studio.EXAMPLE.com:443"],
)
async def test_the_names_of_this_server_are_admitted(web: ServedWeb, host: str) -> None:
    """Loopback and the configured ones, with any port."""
    assert (await request(web, Host=host)).status == 200


@pytest.mark.parametrize(
    "host",
    ["rebound.example.com", "127.0.0.1.example.com", "localhost.example.com:50070", "10.0.0.7", "", ":50070", "[::1", "[::1]x",
     "localhost:x", "localhost:50070:1", "user@localhost", "127.0.0.1/"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/readiness.json", "/healthz"])
async def test_other_names_are_refused(web: ServedWeb, path: str, host: str) -> None:
    """A name that points to this machine for a moment would give any page the services (DNS rebinding)."""
    assert (await request(web, path, Host=host)).status in (400, 421)


async def test_a_server_on_all_addresses_admits_addresses_and_no_names(page: Path, tmp_path: Path) -> None:
    """A page's name can be made to point here, an address cannot."""
    none = f"unix:{tmp_path}/none.sock"
    async with served_web(none, none, page=page, guard=HostGuard("0.0.0.0")) as web:  # noqa: S104
        assert (await request(web, Host="10.0.0.7:50070")).status == 200
        assert (await request(web, Host="[fd00::7]:50070")).status == 200
        assert (await request(web, Host="rebound.example.com")).status == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost:8080"},
        {"Origin": "https://elsewhere.example.com"},
        {"Origin": "null"},
        {"Origin": "http://[::1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_pages_of_other_origins_cannot_call(page: Path, headers: dict[str, str]) -> None:
    """Though they know the content type; what they ask first is refused too."""
    async with (
        serving_methods() as (methods, address),
        served_web(address, address, page=page) as web,
        ClientSession() as http,
    ):
        sent = {"Content-Type": CONTENT_TYPE, **headers}
        async with http.post(web.url + UNARY, data=frame(b"echo a"), headers=sent) as answer:
            assert answer.status == 403
        preflight = await request(web, UNARY, method="OPTIONS", **headers, **{"Access-Control-Request-Method": "POST"})
        assert preflight.status == 405
        assert not [name for name in preflight.headers if name.lower().startswith("access-control")]
        assert methods.calls == []
        own = {"Origin": web.url, "Sec-Fetch-Site": "same-origin"}
        assert (await call(http, web.url + UNARY, frame(b"echo a"), own))[0] == [b"a"]


async def test_health_is_that_of_both_services(page: Path, tmp_path: Path) -> None:
    """For load balancers: 200 while both serve, else 503."""
    async with serving_methods() as (_, first), serving_methods() as (_, second):
        async with served_web(first, second, page=page) as web:
            assert (await request(web, "/healthz")).status == 200
        async with served_web(first, f"unix:{tmp_path}/none.sock", page=page) as web:
            assert (await request(web, "/healthz")).status == 503
        async with serving_methods(healthy=False) as (_, third), served_web(first, third, page=page) as web:
            assert (await request(web, "/healthz")).status == 503


async def test_readiness_is_what_the_supervisor_knows(web: ServedWeb) -> None:
    """Not cached, for this origin only."""
    web.readiness.on_state("render_service", ServiceState.WARMING)
    answer = await request(web, "/readiness.json")
    assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == (
        "application/json; charset=utf-8",
        "no-store",
    )
    states = {name: one["state"] for name, one in json.loads(answer.body)["services"].items()}  # type: ignore[attr-defined]
    assert states == {"render_service": "warming", "separation_service": "starting"}


async def test_connections_and_headers_have_limits(page: Path, tmp_path: Path) -> None:
    """Too many connections, and one that sends half a header, are closed."""
    none = f"unix:{tmp_path}/none.sock"
    async with served_web(none, none, page=page, max_connections=2, header_limit_s=0.3) as web:
        host, _, port = web.address.partition(":")
        opened = [await asyncio.open_connection(host, int(port)) for _ in range(3)]
        for _, writer in opened:
            writer.write(b"GET / HTT")
        for reader, writer in opened:
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
            writer.close()
        assert (await request(web, **{"X-Long": "x" * 20_000})).status == 400
        assert (await request(web)).status == 200


async def test_pages_and_calls_over_tls(page: Path, tmp_path: Path) -> None:
    """With the certificate of the installation."""
    authority = Authority.create(tmp_path)
    certificate = authority.server()
    tls = https_context(CertificateFiles(certificate.certificate, certificate.key))
    trusting = ssl.create_default_context(cafile=str(authority.ca))
    async with serving_methods() as (_, address), served_web(address, address, page=page, tls=tls) as web:
        url = f"https://{web.address.replace('127.0.0.1', 'localhost')}"
        async with ClientSession() as http:
            async with http.get(url, ssl=trusting) as answer:
                assert answer.status == 200
            sent = {"data": frame(b"echo a"), "headers": {"Content-Type": CONTENT_TYPE, "Origin": url}}
            async with http.post(url + UNARY, ssl=trusting, **sent) as answer:
                assert (await answer.read()).startswith(frame(b"a"))


def test_a_folder_without_a_page_says_what_to_do(tmp_path: Path) -> None:
    """For a checkout."""
    with pytest.raises(PageMissing, match="make web"):
        Page.load(tmp_path)
