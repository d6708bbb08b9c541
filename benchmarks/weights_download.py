"""Compares downloading weights by huggingface_hub and by hostctl: ``python -m benchmarks.weights_download``.

A Hub on loopback serves one file at a pinned revision, with one fault at a time. Each download uses a new process and a new folder.
Printed: the result, and how many bytes the server sent.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import random
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from hostctl.download import download_file
from sonichaos_client.retry import Backoff, RetryPolicy

REVISION = "f" * 40
REPOSITORY = "someone/weights"
NAME = "net.safetensors"
PATH = f"/{REPOSITORY}/resolve/{REVISION}/{NAME}"


@dataclass
class Hub:
    """A server of one file, with faults; each entry of ``cut_after_bytes`` cuts one response."""

    data: bytes
    cut_after_bytes: list[int] = field(default_factory=list)
    tamper: bool = False
    redirect_to: str = ""
    plain_folder: bool = False  # like a static web server, without the Hub's headers
    sent_bytes: int = 0
    other_paths: list[str] = field(default_factory=list)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one HEAD or GET."""
        if handler.path != PATH:
            self.other_paths.append(handler.path)
            handler.send_error(404)
            return
        if self.redirect_to and not handler.headers["Host"].startswith("127.0.0.2"):
            handler.send_response(302)
            self._identify(handler)
            handler.send_header("Location", self.redirect_to + PATH)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        byte_range = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(byte_range[1]) if byte_range else 0
        handler.send_response(206 if byte_range else 200)
        self._identify(handler)
        handler.send_header("Content-Length", str(len(self.data) - start))
        if byte_range:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.data) - 1}/{len(self.data)}")
        handler.end_headers()
        if handler.command == "GET":
            end = start + self.cut_after_bytes.pop(0) if self.cut_after_bytes else len(self.data)
            body = self.data[start:end]
            handler.wfile.write(bytes(len(body)) if self.tamper else body)
            self.sent_bytes += len(body)
            handler.close_connection = True

    def _identify(self, handler: BaseHTTPRequestHandler) -> None:
        if not self.plain_folder:
            handler.send_header("X-Repo-Commit", REVISION)
            handler.send_header("X-Linked-Etag", f'"{hashlib.sha256(self.data).hexdigest()}"')
            handler.send_header("X-Linked-Size", str(len(self.data)))

    @contextmanager
    def running(self) -> Iterator[str]:
        """Serve until the block ends; yields the URL."""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def respond(self) -> None:
                hub.answer(self)

            do_GET = do_HEAD = respond  # noqa: N815 - http.server's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        server = ThreadingHTTPServer(("0.0.0.0", 0), Handler)  # noqa: S104 - 127.0.0.2 is the other host
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def own_download(url: str, folder: Path, sha256: str) -> None:
    """Download by hostctl."""
    backoff = Backoff(RetryPolicy(max_elapsed_s=5.0), random.Random())  # noqa: S311 - spreads retries
    download_file(url + PATH, folder / NAME, sha256=sha256, backoff=backoff, on_progress=lambda *_: None)


def hub_client(url: str, folder: Path, sha256: str) -> None:
    """Download by huggingface_hub; the caller checks the digest."""
    os.environ |= {"HF_HOME": str(folder / ".hf"), "HF_ENDPOINT": url, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    from huggingface_hub import hf_hub_download

    path = hf_hub_download(REPOSITORY, NAME, revision=REVISION, local_dir=folder, endpoint=url, token=False)
    with Path(path).open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise ValueError(f"{NAME} was stored although its digest is wrong")


def run_download(method: Callable[[str, Path, str], None], url: str, folder: Path, sha256: str) -> None:
    """Entry point of the downloading process."""
    started_s = time.perf_counter()
    try:
        method(url, folder, sha256)
        result = "downloaded"
    except Exception as error:  # noqa: BLE001 - the error is the result
        result = f"{type(error).__name__}: {str(error).splitlines()[0][:70]}"
    print(f"{time.perf_counter() - started_s:6.1f} s  {result}", flush=True)


def download(method: Callable[[str, Path, str], None], hub: Hub, folder: Path) -> None:
    """Download in a new process and print the result."""
    spawn = multiprocessing.get_context("spawn")
    sha256 = hashlib.sha256(hub.data).hexdigest()
    hub.sent_bytes, hub.other_paths = 0, []
    with hub.running() as url:
        if hub.redirect_to:
            hub.redirect_to = url.replace("127.0.0.1", "127.0.0.2")
        process = spawn.Process(target=run_download, args=(method, url, folder, sha256))
        print(f"    {method.__name__:12}", end="", flush=True)
        process.start()
        process.join()
    print(f"{'':16}{hub.sent_bytes / 1e6:6.1f} of {len(hub.data) / 1e6:.1f} MB sent", *hub.other_paths)


def main() -> None:
    """Run every case and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=84)
    arguments = parser.parse_args()
    data = random.Random(0).randbytes(arguments.mb * 1_000_000)  # noqa: S311
    half = len(data) // 2
    for case, hub in (
        ("all goes well", Hub(data)),
        ("cut at half", Hub(data, cut_after_bytes=[half])),
        ("other bytes of the same size", Hub(data, tamper=True)),
        ("redirected to plain http on another host", Hub(data, redirect_to="x")),
        ("a mirror that is a plain folder", Hub(data, plain_folder=True)),
    ):
        print(case)
        for method in (own_download, hub_client):
            with tempfile.TemporaryDirectory() as folder:
                hub.cut_after_bytes = [half] if "cut" in case else []
                download(method, hub, Path(folder))
    print("fails at half, run again")
    for method in (own_download, hub_client):
        with tempfile.TemporaryDirectory() as folder:
            hub = Hub(data, cut_after_bytes=[half, *([0] * 100)])
            download(method, hub, Path(folder))
            hub.cut_after_bytes = []
            download(method, hub, Path(folder))


if __name__ == "__main__":
    main()
