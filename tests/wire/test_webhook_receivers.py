"""The receivers of docs/webhooks.md: they accept what the service sends, once each, and refuse what anyone else sends."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from servicekit.webhooks.post import Poster, tls_context
from servicekit.webhooks.signature import HEADER, sign
from tests.conftest import ROOT, require_debian
from tests.support.doc_blocks import blocks
from tests.support.webhooks import LOOPBACK_TOO, SECRET

PAGE = ROOT / "docs" / "webhooks.md"
LANGUAGES = ("python", "javascript")
BODY = b'{"id": "wd-1", "type": "VERSION_ENDED", "job": {"jobId": "j-1", "state": "JOB_STATE_DONE"}}'
OTHER = BODY.replace(b"wd-1", b"wd-2").replace(b"DONE", b"FAILED")


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def example(language: str, folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The receiver of the page, running; its URL and process."""
    (block,) = blocks(PAGE, language)
    if language == "javascript":
        require_debian("nodejs", "node")
    program = [sys.executable] if language == "python" else [str(shutil.which("node"))]
    script = folder / ("receiver.py" if language == "python" else "receiver.mjs")
    script.write_text(block.code)
    port = free_port()
    paths = os.pathsep.join(path for path in sys.path if path)
    env = os.environ | {"WEBHOOK_SECRET": SECRET, "PORT": str(port), "PYTHONPATH": paths}
    process = subprocess.Popen(
        [*program, str(script)], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/sonichaos", process
    finally:
        process.kill()
        process.wait()


def post(url: str, body: bytes, signature: str | None) -> int:
    """The status of the answer to a request of the service, or of someone who sends no signature."""
    if signature is None:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=20) as answer:  # noqa: S310
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
    poster = Poster(policy=LOOPBACK_TOO, tls=tls_context(None), timeout_s=20)
    return poster.post(LOOPBACK_TOO.read(url), {HEADER: signature, "Content-Type": "application/json"}, body)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_receiver_of_the_page_does_not_read_a_body_of_any_size(language: str, tmp_path: Path) -> None:
    """Anyone can post to it: one that is far larger than a request of the service is refused, whatever signs it."""
    large = b'{"id": "wd-3", "type": "' + b"x" * (1 << 20) + b'", "job": {"jobId": "j-1", "state": "JOB_STATE_DONE"}}'
    signed = {HEADER: sign(large, SECRET, int(time.time()))}
    with example(language, tmp_path) as (url, _):
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
        try:
            connection.request("POST", "/sonichaos", large, signed)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):  # it closed the connection
            status = 413
        assert status == 413
        assert post(url, BODY, sign(BODY, SECRET, int(time.time()))) == 204


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_receiver_of_the_page_handles_each_delivery_once(language: str, tmp_path: Path) -> None:
    """It prints what happened; forged, changed and old requests are answered with 401."""
    now = int(time.time())
    with example(language, tmp_path) as (url, process):
        assert post(url, BODY, sign(BODY, SECRET, now)) == 204
        assert post(url, BODY, sign(BODY, SECRET, now + 1)) == 204, "the same delivery again"
        refused = [
            None,
            "",
            "t=1",
            sign(OTHER, SECRET, now),
            sign(BODY, SECRET + "x", now),
            sign(BODY, SECRET, now - 400),
        ]
        assert [post(url, BODY, signature) for signature in refused] == [401] * len(refused)
        assert post(url, OTHER, sign(OTHER, SECRET, now)) == 204
        process.kill()
        assert process.stdout is not None
        assert process.stdout.read().splitlines() == [
            "VERSION_ENDED j-1 JOB_STATE_DONE",
            "VERSION_ENDED j-1 JOB_STATE_FAILED",
        ]
