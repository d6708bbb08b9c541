"""What clients in C++, Ruby, Go and Java do with files that are not what they should be, and with handlers that fail."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sonichaos_client.testing.fake import FakeSonichaos
from tests.support.native_clients import LANGUAGES, native_client
from tests.support.pair import eventually
from tests.support.scripted_services import scripted_pair

CONTENT = b"0123456789" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MORE_BYTES = 256 << 20
"""Far more than the buffers of two sockets: a client that goes on reading receives all of it."""


@dataclass
class Files:
    """A server of `CONTENT`, of `CONTENT` that does not end, and of a redirect to the first."""

    url: str = ""
    sent_bytes: int = 0


@pytest.fixture(scope="module")
def files() -> Iterator[Files]:
    """On loopback."""
    found = Files()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/moved":
                self.send_response(307)
                self.send_header("Location", "/file")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            endless = self.path == "/endless"
            self.send_response(206)
            self.send_header("Content-Range", f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}")
            self.send_header("Content-Length", str(len(CONTENT) + (MORE_BYTES if endless else 0)))
            self.end_headers()
            self.wfile.write(CONTENT)
            try:
                for _ in range(MORE_BYTES // (1 << 20) if endless else 0):
                    self.wfile.write(bytes(1 << 20))
                    found.sent_bytes += 1 << 20
            except OSError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_error_of_a_handler_ends_the_watch(language: str, sonichaos_fake: FakeSonichaos) -> None:
    """Even one that a broken stream could have ended with: the handler is not called for the next event."""
    with sonichaos_fake.client() as client:
        job = client.create_render(prompt="slow", persona_id="neon-drift", seconds=2.0).wait()
    result = native_client(language).handler_error(sonichaos_fake.render_address, job.job_id)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == {"calls": 1, "error": "of the handler"}


def test_a_watch_of_a_quiet_job_survives_any_number_of_disconnects() -> None:
    """A heartbeat shows that the service was reached, as an event does: more disconnects than are tolerated without either."""

    def first_event(language: str) -> object:
        with scripted_pair() as pair:
            job = pair.render.accept("j-quiet", stems=False)
            pair.render.disconnects, pair.render.heartbeats = [0] * 21, 1
            return json.loads(native_client(language).handler_error(pair.render_address, job.job_id).stdout)

    with ThreadPoolExecutor(len(LANGUAGES)) as pool:  # each waits for 4 s in all
        assert list(pool.map(first_event, LANGUAGES)) == [{"calls": 1, "error": "of the handler"}] * len(LANGUAGES)


def test_a_watch_of_a_silent_stream_is_reopened() -> None:
    """Three heartbeats did not come: the connection is dead, although nothing says so.

    gRPC for Ruby can be cancelled only by the thread that reads.
    """
    languages = [language for language in LANGUAGES if language != "ruby"]

    def first_event(language: str) -> object:
        with scripted_pair() as pair, ThreadPoolExecutor(1) as waiting:
            job = pair.render.accept("j-quiet", stems=False)
            pair.render.pause_after = 1
            client = waiting.submit(native_client(language).handler_error, pair.render_address, job.job_id)
            eventually(lambda: len(pair.render.requests("WatchJob")) >= 2, "the stream is reopened")
            pair.render.resumed.set()
            return json.loads(client.result().stdout)

    for language in languages:
        native_client(language)
    with ThreadPoolExecutor(len(languages)) as pool:  # each waits for 3 s
        assert list(pool.map(first_event, languages)) == [{"calls": 1, "error": "of the handler"}] * len(languages)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_file_that_does_not_end_is_not_read_to_its_end(language: str, files: Files, tmp_path: Path) -> None:
    """The entry has a size, so a server cannot fill the disk."""
    files.sent_bytes = 0
    result = native_client(language).download(f"{files.url}/endless", len(CONTENT), SHA256, tmp_path / "stem.wav")
    assert result.stdout.startswith("refused: "), result.stderr
    assert files.sent_bytes < MORE_BYTES
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_part_of_another_download_stays_as_it_is(language: str, files: Files, tmp_path: Path) -> None:
    """Two downloads to one path do not write one file; a link in a shared folder is not followed; an old file is replaced."""
    stem, other = tmp_path / "stem.wav", tmp_path / "other"
    stem.write_bytes(b"old")
    other.write_bytes(b"mine")
    (tmp_path / "stem.wav.part").symlink_to(other)
    result = native_client(language).download(f"{files.url}/file", len(CONTENT), SHA256, stem)
    assert result.stdout == "saved\n", result.stderr
    assert stem.read_bytes() == CONTENT
    assert other.read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "stem.wav", "stem.wav.part"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("url", ["redirect", "file"])
def test_a_url_that_leads_elsewhere_is_refused(language: str, url: str, files: Files, tmp_path: Path) -> None:
    """A redirect could leave HTTPS, and a service could name a file of this machine."""
    stored = tmp_path / "stored"
    stored.write_bytes(CONTENT)
    stored_url = f"{files.url}/moved" if url == "redirect" else stored.as_uri()
    result = native_client(language).download(stored_url, len(CONTENT), SHA256, tmp_path / "stem.wav")
    assert result.stdout.startswith("refused: "), result.stdout + result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["stored"]
