"""Two real S3 servers on loopback, each a process of its own: moto, and rclone, which checks signatures and expiry."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from servicekit.store.s3_client import S3Settings, s3_client

ROOT = Path(__file__).resolve().parents[2]
RCLONE = ROOT / "build" / "rclone" / "rclone"
_START_LIMIT_S = 60.0


@dataclass(frozen=True)
class S3Server:
    """A server that answers, and the keys that it was started with."""

    endpoint: str
    process: subprocess.Popen[bytes]
    access_key: str = field(default_factory=lambda: secrets.token_hex(10))
    secret_key: str = field(default_factory=lambda: secrets.token_hex(20), repr=False)

    def settings(self, bucket: str, prefix: str = "") -> S3Settings:
        """How a store reaches a bucket of this server."""
        return S3Settings(
            endpoint=self.endpoint,
            bucket=bucket,
            prefix=prefix,
            access_key=self.access_key,
            secret_key=self.secret_key,
        )

    def make_bucket(self) -> str:
        """A new bucket's name."""
        bucket = f"bucket-{secrets.token_hex(6)}"
        s3_client(self.settings(bucket), self.endpoint, read_timeout_s=10).make_bucket(bucket)
        return bucket


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def moto_server() -> Iterator[S3Server]:
    """Moto in server mode. It accepts any key, and changed and expired URLs."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, port, {}) as process:
        yield S3Server(f"http://127.0.0.1:{port}", process)


@contextmanager
def rclone_server(folder: Path) -> Iterator[S3Server]:
    """``rclone serve s3`` of a folder, with random keys."""
    if not RCLONE.exists():
        pytest.skip("needs rclone: scripts/fetch_rclone.sh puts it at build/rclone/rclone")
    port = free_port()
    access_key, secret_key = secrets.token_hex(10), secrets.token_hex(20)
    command = [str(RCLONE), "serve", "s3", "--config", "/dev/null", "--addr", f"127.0.0.1:{port}"]
    command += ["--auth-key", f"{access_key},{secret_key}", str(folder)]
    with _running(command, port, {}) as process:
        yield S3Server(f"http://127.0.0.1:{port}", process, access_key, secret_key)


@contextmanager
def _running(command: Sequence[str], port: int, extra: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, **extra}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as process:
        try:
            _await_port(process, port)
            yield process
        finally:
            process.kill()


def _await_port(process: subprocess.Popen[bytes], port: int) -> None:
    give_up = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < give_up:
        if process.poll() is not None:
            pytest.fail(f"{process.args!r} ended with {process.returncode} before it listened")
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    pytest.fail(f"{process.args!r} does not listen on {port} after {_START_LIMIT_S:.0f} s")
