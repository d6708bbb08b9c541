"""Uploads in parts that a bucket does not take: the writer raises, and the parts are dropped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from servicekit.errors import ResourceExhausted, Unavailable
from servicekit.store.s3_client import S3Settings
from servicekit.store.s3_store import S3Store
from servicekit.store.s3_writer import PART_BYTES
from tests.support.s3_servers import S3Server
from tests.unit.servicekit.store.conftest import Clock

KEY = "jobs/0a1b/v1.zip"
Answer = tuple[int, str]
CREATED = (200, "<InitiateMultipartUploadResult><UploadId>u-1</UploadId></InitiateMultipartUploadResult>")
FAILED = "<Error><Code>InternalError</Code></Error>"


class ScriptedS3:
    """A bucket that answers a method and a path's query by a script, and records its requests."""

    def __init__(self, answer: Callable[[str], Answer]) -> None:
        self.requests: list[str] = []
        bucket = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def reply(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = f"{self.command} {self.path.partition('?')[2]}".strip()
                bucket.requests.append(request)
                status, body = answer(request)
                self.send_response(status)
                self.send_header("Content-Type", "application/xml")
                self.send_header("ETag", '"0"')
                self.send_header("Content-Length", "0" if self.command == "HEAD" else str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body.encode())

            do_POST = do_PUT = do_DELETE = do_HEAD = reply  # noqa: N815 - http.server's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @contextmanager
    def store(self) -> Iterator[S3Store]:
        """A store in the bucket while it answers."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            endpoint = f"http://127.0.0.1:{self._server.server_port}"
            yield S3Store(S3Settings(endpoint=endpoint, bucket="bucket", access_key="a", secret_key="b"), now=Clock())
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


def write(store: S3Store, size_bytes: int) -> None:
    """Write an object in one piece."""
    with store.writer(KEY, content_type="application/zip") as sink:
        sink.write(bytes(size_bytes))


def test_a_part_that_is_refused_fails_the_write_and_aborts_the_upload() -> None:
    """The writer does not wait for a sender that has given up; the parts that went before are dropped."""

    def answer(request: str) -> Answer:
        if request == "POST uploads=":
            return CREATED
        return (507, "<Error><Code>XMinioStorageFull</Code></Error>") if "partNumber=2" in request else (200, "")

    bucket = ScriptedS3(answer)
    with bucket.store() as store, pytest.raises(ResourceExhausted, match="no space left"):
        write(store, 8 * PART_BYTES)
    assert bucket.requests == [
        "POST uploads=",
        "PUT partNumber=1&uploadId=u-1",
        "PUT partNumber=2&uploadId=u-1",
        "DELETE uploadId=u-1",
    ]


def test_a_completion_that_fails_under_status_200_is_found() -> None:
    """S3 may answer the completion with 200 and an error in the body: the object is looked for, and not there."""

    def answer(request: str) -> Answer:
        if request == "POST uploads=":
            return CREATED
        return (404, "") if request == "HEAD" else (200, FAILED)

    with ScriptedS3(answer).store() as store, pytest.raises(Unavailable, match="has none") as caught:
        write(store, PART_BYTES + 1)
    assert caught.value.metadata == {"operation": "write"}


def test_an_upload_that_cannot_be_aborted_is_logged_and_its_cause_raised(capfd: pytest.CaptureFixture[str]) -> None:
    """What failed the block is what is raised; the parts that stay are named in the log."""

    def answer(request: str) -> Answer:
        return CREATED if request == "POST uploads=" else (403 if "DELETE" in request else 200, FAILED)

    bucket = ScriptedS3(answer)
    with (
        bucket.store() as store,
        pytest.raises(RuntimeError, match="the work failed"),
        store.writer(KEY, content_type="application/zip") as sink,
    ):
        sink.write(bytes(2 * PART_BYTES + 1))
        raise RuntimeError("the work failed")
    assert bucket.requests[-1] == "DELETE uploadId=u-1"
    assert "multipart_upload_failed" in "".join(capfd.readouterr())


def test_a_missing_bucket_fails_a_long_write(moto: S3Server) -> None:
    """A write that outlasts the refusal ends with it."""
    with pytest.raises(Unavailable, match="the bucket does not exist"):
        write(S3Store(moto.settings("no-such-bucket"), now=Clock()), 8 * PART_BYTES)
