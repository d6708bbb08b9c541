"""The installation's secret for signed URLs."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from servicekit.store.url_secret import SECRET_BYTES, UnusableSecret, load_or_create_secret


def test_the_secret_is_created_once(tmp_path: Path) -> None:
    """The first call creates a file that only its user can read; later calls return the same bytes."""
    path = tmp_path / "data" / "url-secret"
    secret = load_or_create_secret(path)
    assert len(secret) == SECRET_BYTES
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_create_secret(path) == secret
    assert [file.name for file in path.parent.iterdir()] == ["url-secret"]
    assert load_or_create_secret(tmp_path / "other") != secret


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    """Processes that create the secret at the same moment all get the same one."""
    path = tmp_path / "url-secret"
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(load_or_create_secret, [path] * 64))
    assert found == {load_or_create_secret(path)}
    assert [file.name for file in tmp_path.iterdir()] == ["url-secret"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_secret_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """A file that others can read is refused; the message names it and what to do."""
    path = tmp_path / "url-secret"
    load_or_create_secret(path)
    path.chmod(mode)
    with pytest.raises(UnusableSecret, match=f"url-secret must be .*{mode:04o}.*remove it"):
        load_or_create_secret(path)


@pytest.mark.parametrize(
    "text", ["", "abc", "zz" * SECRET_BYTES, "ab" * (SECRET_BYTES - 1), "ab" * (SECRET_BYTES + 1), "ä" * 64]
)
def test_a_file_without_a_secret_is_refused(tmp_path: Path, text: str) -> None:
    """Anything but 32 bytes in hex is refused."""
    path = tmp_path / "url-secret"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(UnusableSecret, match="32 bytes in hex"):
        load_or_create_secret(path)


def test_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    """A symbolic link or a pipe instead of the secret is neither followed nor read, even a dangling link."""
    load_or_create_secret(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("link", "dangling", "pipe"):
        with pytest.raises(UnusableSecret, match="regular file"):
            load_or_create_secret(tmp_path / name)
    assert not (tmp_path / "nowhere").exists()
