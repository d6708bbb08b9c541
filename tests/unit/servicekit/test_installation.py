"""Unusable settings are reported by name before a service starts."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import SecretStr

from servicekit.clock import SystemClock
from servicekit.errors import Internal
from servicekit.fingerprint import check_device
from servicekit.host_settings import HostSettings
from servicekit.installation import make_folders, open_journal, open_store
from servicekit.metrics import Metrics
from servicekit.settings import SettingsError


def settings(folder: Path, **changes: Any) -> HostSettings:
    """Settings of an installation in ``folder``."""
    return HostSettings(data=folder, **changes)


@pytest.mark.parametrize("url", ["mysql://host/name", "foo", "sqlite://"])
def test_an_invalid_journal_url_is_refused(tmp_path: Path, url: str) -> None:
    """The error names the setting and the expected form."""
    with pytest.raises(SettingsError, match=r"SONICHAOS_JOURNAL_URL: .*sqlite:////"):
        open_journal(settings(tmp_path, journal_url=url), SystemClock())


def test_a_journal_of_another_release_is_refused(tmp_path: Path) -> None:
    """The journal is not changed."""
    chosen = settings(tmp_path)
    open_journal(chosen, SystemClock()).close()
    with sqlite3.connect(tmp_path / "journal.sqlite3") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '0099'")
    with pytest.raises(SettingsError, match=r"SONICHAOS_JOURNAL_URL: .*the journal has 99, which is newer"):
        open_journal(chosen, SystemClock())


def test_a_damaged_journal_is_not_retried(tmp_path: Path) -> None:
    """The error has no retry delay."""
    (tmp_path / "journal.sqlite3").write_bytes(b"no database at all, but long enough to have a header" * 20)
    with pytest.raises(Internal, match=r"damaged or is not a journal.*restore it from a backup") as refused:
        open_journal(settings(tmp_path), SystemClock())
    assert refused.value.retry_after_s is None


def test_a_socket_whose_path_is_too_long_is_refused(tmp_path: Path) -> None:
    """Before any folder is created."""
    with pytest.raises(SettingsError, match=r"SONICHAOS_HANDOFF_SOCKET: .* 107"):
        make_folders(settings(tmp_path / "data", handoff_socket=f"/tmp/{'x' * 120}.sock"))  # noqa: S108  never created
    assert not (tmp_path / "data").exists()


def test_an_invalid_bucket_name_is_refused(tmp_path: Path) -> None:
    """Without a request to the server."""
    chosen = settings(
        tmp_path,
        store="s3",
        s3_endpoint="http://127.0.0.1:1",
        s3_bucket="b",
        s3_access_key="key",
        s3_secret_key=SecretStr("secret"),
    )
    with pytest.raises(SettingsError, match="SONICHAOS_S3_BUCKET"):
        open_store(chosen, SystemClock())


async def test_a_used_metrics_port_is_refused() -> None:
    """The error names the address."""
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        with pytest.raises(SettingsError, match=f"cannot listen on 127.0.0.1:{port}"):
            async with Metrics("test").serving("127.0.0.1", port):
                pass


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a CUDA device")
def test_a_missing_device_is_refused() -> None:
    """Before a model is loaded; there is no silent fallback to another device."""
    with pytest.raises(SettingsError, match=r"SONICHAOS_DEVICE=cuda: .*finds no CUDA device"):
        check_device("cuda")


def test_the_descriptor_limit_is_raised_to_what_the_system_allows() -> None:
    """1024, a shell's limit, is soon taken by connections."""
    code = (
        "import resource; from servicekit.installation import raise_descriptor_limit as go;"
        "hard = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 4096);"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard)); go();"
        "assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("address", ["0.0.0.0:50073", "[::]:50073"])
def test_signed_urls_need_a_base_where_their_server_listens_on_all_addresses(tmp_path: Path, address: str) -> None:
    """A URL that begins with 0.0.0.0 leads nowhere, and callers on other machines would be the first to notice."""
    with pytest.raises(SettingsError, match="SONICHAOS_URL_BASE"):
        open_store(settings(tmp_path, url_listen=address), SystemClock())
    store = open_store(settings(tmp_path, url_listen=address, url_base="https://files.example.com"), SystemClock())
    stored = store.put_bytes("jobs/a/b.wav", b"x", content_type="audio/wav")
    assert store.signed_url(stored.key, ttl_s=60).url.startswith("https://files.example.com/")
