"""The HTTP endpoint of a folder store's signed URLs over a real socket, with valid and invalid requests."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession
from structlog.testing import capture_logs
from yarl import URL

from servicekit.store.folder_store import FolderStore
from servicekit.store.folder_url_server import FolderUrlServer
from servicekit.store.url_signer import UrlSigner
from tests.support.pair import eventually
from tests.support.s3_servers import free_port
from tests.unit.servicekit.store.conftest import SECRET, Clock, folder_store, served

KEY = "jobs/0a1b/bounce.wav"
DATA = bytes(range(256)) * 400


@pytest.fixture
def clock() -> Clock:
    """The signer's and the endpoint's time."""
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[FolderStore]:
    """A store with one object and its endpoint."""
    port = free_port()
    made = folder_store(tmp_path / "objects", prefix="studio", port=port, clock=clock)
    made.put_bytes(KEY, DATA, content_type="audio/x-test")
    with served(made, port):
        yield made


def ask(
    store: FolderStore, target: str, *, method: str = "GET", **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    """The answer to a request target sent unchanged, which other clients would normalise."""
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(store.signer.base_url).port or 0)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def signed_target(store: FolderStore, key: str = KEY) -> str:
    """Path and query of a signed URL."""
    parts = urlsplit(store.signed_url(key, ttl_s=60).url)
    return f"{parts.path}?{parts.query}"


def test_an_object_is_sent_with_its_headers(store: FolderStore) -> None:
    """The answer has type, size, digest as ETag and file name; browsers must not sniff it and proxies must not cache it."""
    response, body = ask(store, signed_target(store))
    assert (response.status, body) == (200, DATA)
    headers = {
        name: response.headers[name] for name in ("Content-Type", "ETag", "Content-Disposition", "Accept-Ranges")
    }
    assert headers == {
        "Content-Type": "audio/x-test",
        "ETag": f'"{hashlib.sha256(DATA).hexdigest()}"',
        "Content-Disposition": 'attachment; filename="0a1b-bounce.wav"',
        "Accept-Ranges": "bytes",
    }
    assert response.headers["Content-Length"] == str(len(DATA))
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "private"


def test_the_log_has_each_download_without_its_signature(store: FolderStore) -> None:
    """Whoever reads the log learns what was read from where, and cannot read it."""
    target = signed_target(store)
    with capture_logs() as lines:
        ask(store, target)
        ask(store, target.replace("signature=", "signature=0"))
        eventually(lambda: len(lines) == 2, lambda: str(lines))
    path = target.partition("?")[0]
    assert {(line["event"], line["method"], line["path"], line["peer"], line["status"]) for line in lines} == {
        ("download ended", "GET", path, "127.0.0.1", status) for status in (200, 403)
    }
    assert "signature" not in str(lines)


def test_head_has_the_headers_of_get_and_no_body(store: FolderStore) -> None:
    """HEAD with a URL signed for GET gives the same headers, of the whole or of a range, and no body."""
    for extra in ({}, {"Range": "bytes=0-9"}):
        got, _ = ask(store, signed_target(store), **extra)
        head, body = ask(store, signed_target(store), method="HEAD", **extra)
        assert body == b""
        assert head.status == got.status
        names = ("Content-Length", "ETag", "Content-Type", "Content-Range", "Accept-Ranges", "Content-Disposition")
        assert [head.headers[name] for name in names] == [got.headers[name] for name in names]


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-", 100, len(DATA)),
        ("bytes=-7", len(DATA) - 7, len(DATA)),
        ("bytes=5-999999", 5, len(DATA)),
    ],
)
def test_one_range_is_partial_content(store: FolderStore, asked: str, first: int, end: int) -> None:
    """A single range is answered with 206, its Content-Range and exactly its bytes."""
    response, body = ask(store, signed_target(store), Range=asked)
    assert (response.status, body) == (206, DATA[first:end])
    assert response.headers["Content-Range"] == f"bytes {first}-{end - 1}/{len(DATA)}"
    assert response.headers["Content-Length"] == str(end - first)


def test_a_range_beyond_the_end_is_416(store: FolderStore) -> None:
    """A range without any byte is refused with the size of the object."""
    response, _ = ask(store, signed_target(store), Range=f"bytes={len(DATA)}-")
    assert response.status == 416
    assert response.headers["Content-Range"] == f"bytes */{len(DATA)}"


def test_several_ranges_get_the_whole_object(store: FolderStore) -> None:
    """Only single ranges are supported; a request for several gets the whole object."""
    response, body = ask(store, signed_target(store), Range="bytes=0-1,5-6")
    assert (response.status, body) == (200, DATA)


def test_a_download_resumes_only_on_the_same_bytes(store: FolderStore) -> None:
    """If-Range with the ETag gives the rest of the object; once the object is replaced, all of the new one."""
    target = signed_target(store)
    tag = ask(store, target, method="HEAD")[0].headers["ETag"]
    assert ask(store, target, Range="bytes=50-", If_Range=tag)[1] == DATA[50:]
    store.put_bytes(KEY, b"new", content_type="audio/x-test")
    response, body = ask(store, target, Range="bytes=50-", If_Range=tag)
    assert (response.status, body) == (200, b"new")


def test_an_unchanged_object_is_not_sent_again(store: FolderStore) -> None:
    """If-None-Match with the ETag is answered with 304 and no body."""
    tag = ask(store, signed_target(store))[0].headers["ETag"]
    response, body = ask(store, signed_target(store), If_None_Match=f'"other", W/{tag}')
    assert (response.status, body) == (304, b"")


def test_an_expired_url_is_refused_with_its_expiry(store: FolderStore, clock: Clock) -> None:
    """A URL is refused with 403 from its expiry on, and the answer states the time."""
    signed = store.signed_url(KEY, ttl_s=60)
    target = signed.url.removeprefix(store.signer.base_url)
    clock.shift = timedelta(seconds=58)
    assert ask(store, target)[0].status == 200
    clock.shift = timedelta(seconds=62)
    response, body = ask(store, target)
    assert response.status == 403
    assert f"expired at {signed.expires_at.isoformat()}" in body.decode()


def test_a_changed_url_is_refused(store: FolderStore, clock: Clock) -> None:
    """If any part of a signed URL is changed, added, left out or repeated, the answer is 403 without any of the bytes."""
    store.put_bytes("jobs/0a1b/v1.zip", DATA, content_type="application/zip")
    path, query = signed_target(store).split("?")
    expires, key_id, signature = (part.split("=")[1] for part in query.split("&"))
    foreign = UrlSigner(base_url=store.signer.base_url, secret=bytes(32), now=clock).sign(f"studio/{KEY}", ttl_s=60)
    changed = [
        f"/studio/jobs/0a1b/v1.zip?{query}",
        path,
        f"{path}?",
        f"{path}?expires={int(expires) + 1}&key_id={key_id}&signature={signature}",
        f"{path}?expires=0{expires}&key_id={key_id}&signature={'0' * 64}",
        f"{path}?expires={expires}&key_id={key_id}&signature={signature[:-1]}{'0' if signature[-1] != '0' else '1'}",
        f"{path}?expires={expires}&key_id={key_id}&signature={signature.upper()}",
        f"{path}?expires={expires}&key_id={key_id}&signature={signature}&x=1",
        f"{path}?expires={expires}&expires={expires}&key_id={key_id}&signature={signature}",
        f"{path}?signature={signature}&expires={expires}&key_id={key_id}",
        f"{path}?expires=99999999999999999999&key_id={key_id}&signature={signature}",
        f"{path}?expires={expires}&signature={signature}",
        f"{path}?expires={expires}&key_id=00000000&signature={signature}",
        f"{path}?expires={expires}&key_id=&signature={signature}",
        foreign.url.removeprefix(store.signer.base_url),
    ]
    for target in changed:
        response, body = ask(store, target)
        assert response.status == 403, target
        assert "from the service" in body.decode()
    assert ask(store, f"{path}?{query}")[0].status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/studio",
        "/studio/",
        "/studio/jobs/",
        "/studio/jobs//0a1b/bounce.wav",
        "/studio/../studio/jobs/0a1b/bounce.wav",
        "/studio/./jobs/0a1b/bounce.wav",
        "/studio/%2e%2e/%2e%2e/url-secret",
        "/studio/jobs%2f0a1b%2fbounce.wav",
        "/studio/jobs/0a1b/bounce%2ewav",
        "/studio/jobs/0a1b/bounce.wav%00",
        "/studio//etc/passwd",
        "/.partial/0",
        "/studio/.partial/0",
        "//studio/jobs/0a1b/bounce.wav",
        "/jobs/0a1b/bounce.wav",
        "http://127.0.0.1/studio/jobs/0a1b/bounce.wav",
    ],
)
def test_no_other_spelling_reaches_a_file(store: FolderStore, path: str) -> None:
    """Only a path that is exactly a key below the prefix is found, whatever is signed: no escape, listing or alias works."""
    query = signed_target(store).split("?")[1]
    signed_for_it = store.signer.sign(path.lstrip("/"), ttl_s=60).url.split("?")[1]
    for tried in (query, signed_for_it):
        response, body = ask(store, f"{path}?{tried}")
        assert response.status == 404
        assert body == b"No object has such a path.\n"


def test_a_link_in_the_folder_is_not_served(store: FolderStore, tmp_path: Path) -> None:
    """A symbolic link in the folder is not found, even with a signed URL."""
    (tmp_path / "secret.wav").write_text("secret")
    (tmp_path / "objects" / "studio" / "jobs" / "leak.wav").symlink_to(tmp_path / "secret.wav")
    response, body = ask(store, signed_target(store, "jobs/leak.wav"))
    assert response.status == 404
    assert b"secret" not in body


def test_a_deleted_object_is_404_and_a_missing_store_503(store: FolderStore, tmp_path: Path) -> None:
    """A valid URL of a deleted object answers 404; if the disk is missing, 503 with Retry-After."""
    target = signed_target(store)
    store.delete(KEY)
    assert ask(store, target)[0].status == 404
    (tmp_path / "objects").rename(tmp_path / "elsewhere")
    response, _ = ask(store, target)
    assert response.status == 503
    assert int(response.headers["Retry-After"]) > 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(store: FolderStore, method: str) -> None:
    """Any method but GET and HEAD is answered with 405 and those two in Allow, and changes nothing."""
    response, _ = ask(store, signed_target(store), method=method)
    assert response.status == 405
    assert response.headers["Allow"] == "GET, HEAD"
    assert store.read(KEY, max_bytes=len(DATA)) == DATA


def test_a_client_that_disconnects_does_not_affect_others(store: FolderStore, caplog: pytest.LogCaptureFixture) -> None:
    """After a client disconnects during a download the next one is served, and no error is logged."""
    store.put_bytes(KEY, bytes(32 << 20), content_type="audio/x-test")
    for _ in range(3):
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(store.signer.base_url).port or 0)
        connection.request("GET", signed_target(store))
        connection.getresponse().read(1000)
        connection.close()
    assert len(ask(store, signed_target(store))[1]) == 32 << 20
    assert [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


def test_a_file_truncated_during_a_download_breaks_the_connection(store: FolderStore, tmp_path: Path) -> None:
    """If the file is truncated meanwhile, the client sees a broken download, not a short object."""
    store.put_bytes(KEY, bytes(64 << 20), content_type="audio/x-test")
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(store.signer.base_url).port or 0)
    connection.request("GET", signed_target(store))
    response = connection.getresponse()
    response.read(1000)
    with (tmp_path / "objects" / "studio" / KEY).open("r+b") as file:
        file.truncate(1 << 20)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        response.read()
    connection.close()


async def start_download(server: FolderUrlServer, target: str) -> tuple[str, asyncio.StreamWriter]:
    """Request a download and read only the status line."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return (await reader.readuntil(b"\r\n")).decode().strip(), writer


async def can_download(server: FolderUrlServer, target: str) -> bool:
    """Whether a download starts, now or after some attempts."""
    for _ in range(600):
        status, writer = await start_download(server, target)
        writer.transport.abort()
        if status == "HTTP/1.1 200 OK":
            return True
        await asyncio.sleep(0.05)
    return False


async def test_concurrent_downloads_are_limited(tmp_path: Path) -> None:
    """At the limit a request is answered with 503; when a client disconnects, another one can download."""
    store = folder_store(tmp_path / "objects")
    store.put_bytes(KEY, bytes(32 << 20), content_type="audio/x-test")
    target = signed_target(store)
    async with FolderUrlServer(store, host="127.0.0.1", port=0, max_downloads=2) as server:
        lazy = [await start_download(server, target) for _ in range(2)]
        assert [status for status, _ in lazy] == ["HTTP/1.1 200 OK"] * 2
        refused, writer = await start_download(server, target)
        writer.transport.abort()
        assert refused == "HTTP/1.1 503 Service Unavailable"
        for _, writer in lazy:
            writer.transport.abort()
        assert await can_download(server, target)


async def test_a_client_that_does_not_read_is_disconnected(tmp_path: Path) -> None:
    """A client that reads nothing is disconnected, so another one can download."""
    store = folder_store(tmp_path / "objects")
    store.put_bytes(KEY, bytes(32 << 20), content_type="audio/x-test")
    target = signed_target(store)
    async with FolderUrlServer(store, host="127.0.0.1", port=0, max_downloads=1, stall_limit_s=0.1) as server:
        status, lazy = await start_download(server, target)
        assert status == "HTTP/1.1 200 OK"
        assert await can_download(server, target)
        lazy.transport.abort()


async def test_half_open_connections_are_bounded_in_number_and_time(tmp_path: Path) -> None:
    """Those beyond the limit are closed at once, the others when their header takes too long; then there is room again."""
    store = folder_store(tmp_path / "objects")
    store.put_bytes(KEY, DATA, content_type="audio/x-test")
    target = signed_target(store)
    async with FolderUrlServer(store, host="127.0.0.1", port=0, max_connections=8, header_limit_s=0.5) as server:
        silent = []
        for _ in range(30):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /half-a-line")
            silent.append((reader, writer))
        async with asyncio.timeout(20):
            for reader, writer in silent:  # each ends, by the number or by its time
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
                writer.transport.abort()
        assert await can_download(server, target)


async def test_an_idle_connection_is_closed_and_a_slow_download_is_not(tmp_path: Path) -> None:
    """The time limit is that of a request's header, not of its answer."""
    store = folder_store(tmp_path / "objects")
    store.put_bytes(KEY, bytes(8 << 20), content_type="audio/x-test")
    target = signed_target(store)
    async with FolderUrlServer(store, host="127.0.0.1", port=0, header_limit_s=0.3) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        await asyncio.sleep(0.6)
        assert len(await reader.readexactly(8 << 20)) == 8 << 20
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        writer.close()


ORIGIN = "https://app.example.com"


@pytest.mark.parametrize(("origin", "allowed"), [(ORIGIN, True), ("https://evil.example.com", False), ("null", False)])
async def test_pages_of_configured_origins_may_read_the_answers(tmp_path: Path, origin: str, *, allowed: bool) -> None:
    """GET, Range and a refusal carry the headers of CORS for a configured origin, a preflight is answered, others get nothing."""
    store = folder_store(tmp_path / "objects")
    store.put_bytes(KEY, DATA, content_type="audio/x-test")
    target = signed_target(store)
    async with FolderUrlServer(store, host="127.0.0.1", port=0, origins=[ORIGIN]) as server, ClientSession() as browser:
        base = f"http://127.0.0.1:{server.port}"
        page = {"Origin": origin}
        asked = page | {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range"}
        async with browser.options(URL(base + target, encoded=True), headers=asked) as preflight:
            assert preflight.status == (204 if allowed else 405)
            assert ("Range" in preflight.headers.get("Access-Control-Allow-Headers", "")) == allowed
        for path, status in ((target, 206), ("/studio/none", 403)):
            async with browser.get(URL(base + path, encoded=True), headers=page | {"Range": "bytes=0-9"}) as answer:
                assert answer.status == status or path != target
                assert answer.headers.get("Access-Control-Allow-Origin") == (ORIGIN if allowed else None)
                assert ("Content-Range" in answer.headers.get("Access-Control-Expose-Headers", "")) == allowed
                assert answer.headers["Vary"] == "Origin"


def test_without_configured_origins_nothing_is_added(store: FolderStore) -> None:
    """A page that asks is refused by its browser, as before."""
    response, _ = ask(store, signed_target(store), Origin=ORIGIN)
    assert (response.status, response.headers["Access-Control-Allow-Origin"], response.headers["Vary"]) == (
        200,
        None,
        None,
    )


async def test_the_endpoint_stands_alone_and_stops(tmp_path: Path) -> None:
    """It needs only folder and secret, chooses a free port for 0, fails on a port in use, and releases it when it stops."""
    store = folder_store(tmp_path / "objects")
    async with FolderUrlServer(store, host="127.0.0.1", port=0) as server:
        port = server.port
        assert port > 0
        second = FolderUrlServer(store, host="127.0.0.1", port=port)
        with pytest.raises(OSError, match="in use"):
            await second.start()
        await asyncio.open_connection("127.0.0.1", port)
    await server.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


def test_signing_needs_secret_and_public_address_only(store: FolderStore, clock: Clock) -> None:
    """A signer in another process, with the same secret and a public address, creates URLs that the endpoint accepts."""
    elsewhere = UrlSigner(base_url="https://files.example.org/audio/", secret=SECRET, now=clock)
    url = elsewhere.sign(f"studio/{KEY}", ttl_s=60).url
    assert url.startswith("https://files.example.org/audio/studio/jobs/")
    assert ask(store, url.removeprefix("https://files.example.org/audio"))[1] == DATA


@pytest.mark.parametrize(
    "base_url", ["", "files.example.org", "ftp://files.example.org", "http://", "http://host?x=1", "http://host#x"]
)
def test_an_invalid_base_url_is_refused(base_url: str) -> None:
    """The base URL is http or https, with a host, without query or fragment."""
    with pytest.raises(ValueError, match="base URL"):
        UrlSigner(base_url=base_url, secret=SECRET, now=Clock())


def test_a_short_secret_is_refused() -> None:
    """A secret of fewer than 32 bytes signs nothing."""
    with pytest.raises(ValueError, match="32 bytes"):
        UrlSigner(base_url="http://127.0.0.1:1", secret=bytes(31), now=Clock())
