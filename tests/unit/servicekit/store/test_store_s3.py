"""What is specific to a bucket: refused URLs, servers that are down, killed writers, wrong settings."""

from __future__ import annotations

import dataclasses
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3

from servicekit.errors import Unavailable
from servicekit.store.s3_client import S3Settings
from servicekit.store.s3_store import S3Store
from servicekit.store.s3_writer import PART_BYTES
from tests.support.s3_servers import S3Server, free_port, rclone_server
from tests.unit.servicekit.store.conftest import Clock

ROOT = Path(__file__).resolve().parents[4]
KEY = "jobs/0a1b/v1.zip"


def store_of(server: S3Server, bucket: str, clock: Clock | None = None) -> S3Store:
    """A store of one bucket."""
    return S3Store(server.settings(bucket, "studio"), now=clock or Clock())


def every_call(store: S3Store) -> dict[str, Callable[[], object]]:
    """Each call that sends a request, by the operation that its error names."""
    return {
        "write": lambda: store.put_bytes(KEY, b"1", content_type="application/zip"),
        "open": lambda: store.read(KEY, max_bytes=1),
        "stat": lambda: store.stat(KEY),
        "delete": lambda: store.delete(KEY),
        "list": lambda: list(store.keys()),
        "probe": store.probe,
    }


def assert_all_unavailable(store: S3Store) -> None:
    """Every call is STORE_UNAVAILABLE, names its operation and when to retry."""
    for operation, call in every_call(store).items():
        with pytest.raises(Unavailable) as caught:
            call()
        assert (caught.value.reason, caught.value.metadata) == ("STORE_UNAVAILABLE", {"operation": operation})
        assert caught.value.retry_after_s is not None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("v1.zip?", "v2.zip?"),
        ("X-Amz-Expires=300", "X-Amz-Expires=301"),
        ("filename%3D", "filename%3Dx"),
        ("X-Amz-Signature=", "X-Amz-Signature=0"),
    ],
)
def test_a_changed_url_is_refused(rclone: S3Server, before: str, after: str) -> None:
    """A URL whose key, lifetime, file name or signature was changed fetches nothing, though each object is there."""
    store = store_of(rclone, rclone.make_bucket())
    for key in (KEY, "jobs/0a1b/v2.zip"):
        store.put_bytes(key, b"music", content_type="application/zip")
    url = store.signed_url(KEY, ttl_s=300).url
    assert urllib3.request("GET", url, retries=False).data == b"music"
    changed = urllib3.request("GET", url.replace(before, after), retries=False)
    assert url.replace(before, after) != url
    assert changed.status in (400, 403)
    assert b"music" not in changed.data


def test_an_expired_url_is_refused(rclone: S3Server) -> None:
    """Of two URLs signed a minute ago, the one for half a minute is refused, the one for five minutes works."""
    clock = Clock()
    store = store_of(rclone, rclone.make_bucket(), clock)
    store.put_bytes(KEY, b"music", content_type="application/zip")
    clock.shift = timedelta(seconds=-60)
    expired, valid = store.signed_url(KEY, ttl_s=30), store.signed_url(KEY, ttl_s=300)
    clock.shift = timedelta()
    assert expired.expires_at < clock() < valid.expires_at
    assert urllib3.request("GET", valid.url, retries=False).data == b"music"
    refused = urllib3.request("GET", expired.url, retries=False)
    assert refused.status in (400, 403)
    assert b"music" not in refused.data


def test_urls_are_signed_for_the_public_endpoint_without_a_request(rclone: S3Server) -> None:
    """The URL has the public endpoint, where nothing listens while it is signed."""
    settings = dataclasses.replace(
        rclone.settings(rclone.make_bucket()), public_endpoint="https://files.example.org", region="eu-central-1"
    )
    signed = S3Store(settings, now=Clock()).signed_url(KEY, ttl_s=60)
    assert urlsplit(signed.url).netloc == "files.example.org"
    assert urlsplit(signed.url).scheme == "https"
    assert "eu-central-1" in signed.url
    assert settings.secret_key not in signed.url


def test_a_url_signed_for_another_name_of_the_server_works_there(rclone: S3Server) -> None:
    """The host is part of the signature: a URL for the public name works only with that name."""
    bucket = rclone.make_bucket()
    public = rclone.endpoint.replace("127.0.0.1", "localhost")
    store = S3Store(dataclasses.replace(rclone.settings(bucket), public_endpoint=public), now=Clock())
    store.put_bytes(KEY, b"music", content_type="application/zip")
    url = store.signed_url(KEY, ttl_s=60).url
    assert urllib3.request("GET", url, retries=False).data == b"music"
    assert urllib3.request("GET", url.replace("localhost", "127.0.0.1"), retries=False).status == 403


def write_and_kill(store: S3Store, server: S3Server) -> None:
    """End the server between two parts of an upload."""
    with store.writer("jobs/0a1b/v2.zip", content_type="application/zip") as sink:
        sink.write(bytes(2 * PART_BYTES + 1))
        server.process.kill()
        server.process.wait()


def test_a_server_that_is_killed_makes_the_store_unavailable(tmp_path: Path) -> None:
    """If the server is killed during an upload, that write and every later call is STORE_UNAVAILABLE."""
    with rclone_server(tmp_path) as server:
        store = store_of(server, server.make_bucket())
        store.put_bytes(KEY, b"1", content_type="application/zip")
        with pytest.raises(Unavailable):
            write_and_kill(store, server)
        assert_all_unavailable(store)


def test_a_server_that_never_answers_makes_the_store_unavailable() -> None:
    """A server that accepts connections and never answers fails the call after the read timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = S3Settings(
            endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}",
            bucket="bucket",
            access_key="anyone",
            secret_key="anything",
            read_timeout_s=0.1,
        )
        with pytest.raises(Unavailable, match="does not answer"):
            S3Store(settings, now=Clock()).stat(KEY)


def test_a_server_other_than_s3_makes_the_store_unavailable(tmp_path: Path) -> None:
    """A web server without S3 gives STORE_UNAVAILABLE, not a parser's error."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
        try:
            settings = S3Settings(endpoint=f"http://127.0.0.1:{port}", bucket="bucket", access_key="a", secret_key="b")
            store = S3Store(settings, now=Clock())
            for operation in ("write", "open", "delete", "list", "probe"):
                with pytest.raises(Unavailable):
                    every_call(store)[operation]()
        finally:
            server.kill()


def test_a_killed_writer_leaves_no_object_and_its_parts_can_be_aborted(moto: S3Server) -> None:
    """After kill -9 during an upload there is no object; the parts are aborted once they are old enough, below the prefix only."""
    bucket = moto.make_bucket()
    store = store_of(moto, bucket)
    body = f"""
        import sys
        from servicekit.store.s3_client import S3Settings
        from servicekit.store.s3_store import S3Store
        settings = S3Settings(endpoint=sys.argv[1], bucket=sys.argv[2], prefix="studio", access_key="a", secret_key="b")
        with S3Store(settings, now=lambda: None).writer("{KEY}", content_type="application/zip") as sink:
            sink.write(bytes({2 * PART_BYTES + 1}))
            print("written", flush=True)
            sys.stdin.read()
    """
    command = [sys.executable, "-c", textwrap.dedent(body), moto.endpoint, bucket]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "written\n"
        writer.kill()
    assert list(store.keys()) == []
    assert store.stat(KEY) is None
    neighbour = S3Store(moto.settings(bucket, "other"), now=Clock())
    assert neighbour.abort_stale_uploads(older_than_s=0) == 0
    # moto dates every upload to the year 2010.
    assert store.abort_stale_uploads(older_than_s=100 * 365 * 24 * 3600) == 0
    assert store.abort_stale_uploads(older_than_s=24 * 3600) == 1
    assert store.abort_stale_uploads(older_than_s=0) == 0


def test_nothing_to_abort_is_no_error(rclone: S3Server) -> None:
    """A server without unfinished uploads is no error, whatever it answers to the listing."""
    assert store_of(rclone, rclone.make_bucket()).abort_stale_uploads(older_than_s=0) == 0


@pytest.mark.parametrize("kind", ["moto", "rclone"])
def test_a_missing_bucket_is_named_by_the_probe(kind: str, request: pytest.FixtureRequest) -> None:
    """The probe names the missing bucket, its server and what to do."""
    server: S3Server = request.getfixturevalue(kind)
    store = store_of(server, "no-such-bucket")
    with pytest.raises(
        Unavailable, match="no bucket no-such-bucket; create it or correct SONICHAOS_S3_BUCKET"
    ) as caught:
        store.probe()
    assert caught.value.metadata == {"operation": "probe"}
    with pytest.raises(Unavailable, match="the bucket does not exist"):
        store.put_bytes(KEY, b"1", content_type="application/zip")


def test_a_wrong_key_is_named(rclone: S3Server) -> None:
    """With a wrong access or secret key each call is STORE_UNAVAILABLE and names the settings to correct."""
    settings = rclone.settings(rclone.make_bucket())
    for wrong in (
        dataclasses.replace(settings, access_key="x" * 20),
        dataclasses.replace(settings, secret_key="x" * 40),
    ):
        store = S3Store(wrong, now=Clock())
        with pytest.raises(Unavailable, match="correct the setting"):
            store.put_bytes(KEY, b"1", content_type="application/zip")
        with pytest.raises(Unavailable, match="correct the setting"):
            store.probe()


def test_no_secret_is_shown(rclone: S3Server) -> None:
    """The settings, printed, do not show the secret key."""
    settings = dataclasses.replace(rclone.settings("bucket"), public_endpoint="https://files.example.org")
    assert settings.secret_key not in repr(settings)
    assert "https://files.example.org" in repr(settings)


@pytest.mark.parametrize(
    "endpoint", ["", "minio:9000", "ftp://minio", "http://", "http://minio:9000/path", "http://minio?x=1"]
)
def test_an_invalid_endpoint_is_refused(endpoint: str) -> None:
    """Anything but the URL of a host is refused, with an example of one."""
    with pytest.raises(ValueError, match="http://host:9000"):
        S3Store(S3Settings(endpoint=endpoint, bucket="b", access_key="a", secret_key="b"), now=Clock())


def test_a_store_that_asks_for_hours_holds_nobody() -> None:
    """Its Retry-After is not slept through in the calling thread: the call fails at once, and its caller decides when to retry."""

    class Busy(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.send_response(503)
            self.send_header("Retry-After", "21600")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = answer  # noqa: N815  names of http.server

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = S3Settings(
            endpoint=f"http://127.0.0.1:{server.server_port}", bucket="takes", access_key="a", secret_key="b" * 8
        )
        with pytest.raises(Unavailable) as refused:
            S3Store(settings, now=Clock()).delete(KEY)
        assert refused.value.retry_after_s is not None
        assert refused.value.retry_after_s < 60.0
        server.shutdown()
