"""Files of credentials and rules that cannot be read at the moment they change: they count once they can."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from servicekit.access.access_file import AccessFile
from servicekit.access.jwks import FileKeys
from servicekit.store.url_secret import UrlSecretFile, rotate_secret
from servicekit.tls import CertificateFiles
from tests.support.certificates import Authority
from tests.support.tokens import Issuer

RULE = '[[certificate]]\nsubject = "CN={name}"\ntenant = "a"\nscopes = ["read"]\n'


@contextmanager
def no_descriptors() -> Iterator[None]:
    """In the block this process can open no file, as where callers hold all its connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            os.open("/", os.O_RDONLY)
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Time:
    """Seconds that pass with each look."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        self.now_s += 10.0
        return self.now_s


def watched_rules(folder: Path) -> tuple[Callable[[], object], Callable[[], None]]:
    """The access file: how its rules are read, and how they change."""
    path = folder / "access.toml"
    path.write_text(RULE.format(name="old"))
    file = AccessFile(path, monotonic=Time())
    return lambda: file.rules.certificate[0].subject, lambda: _write(path, RULE.format(name="new"))


def watched_certificate(folder: Path) -> tuple[Callable[[], object], Callable[[], None]]:
    """A server's certificate."""
    authority = Authority.create(folder)
    served, renewed = authority.server("old"), authority.server("new")
    files = CertificateFiles(served.certificate, served.key)

    def read() -> object:
        files.refresh()
        return files.current.subject

    return read, lambda: served.replace_with(renewed)


def watched_secret(folder: Path) -> tuple[Callable[[], object], Callable[[], None]]:
    """The secrets of signed URLs, and a rotation that ends the old one at once."""
    path = folder / "url-secret"
    file = UrlSecretFile(path)
    now = datetime.now(UTC)
    return lambda: file.current().newest.key_id, lambda: _discard(rotate_secret(path, overlap=timedelta(0), now=now))


@pytest.mark.parametrize("watched", [watched_rules, watched_certificate, watched_secret])
def test_a_change_that_cannot_be_read_at_once_counts_later(
    watched: Callable[[Path], tuple[Callable[[], object], Callable[[], None]]], tmp_path: Path
) -> None:
    """A rule that was removed, or a secret that was rotated away, stayed in force until the file changed once more."""
    read, change = watched(tmp_path)
    before = read()
    change()
    with no_descriptors():
        assert read() == before
    assert read() != before


async def test_a_withdrawn_key_of_an_issuer_counts_later_too(tmp_path: Path) -> None:
    """The same for a JWKS in a file."""
    path = tmp_path / "jwks.json"
    path.write_bytes(Issuer(kid="old").jwks())
    source = FileKeys(path, monotonic=Time())
    path.write_bytes(Issuer(kid="new").jwks())
    with no_descriptors():
        assert (await source.keys())[0].kid == "old"
    assert (await source.keys())[0].kid == "new"


def test_a_mode_that_is_corrected_counts(tmp_path: Path) -> None:
    """The log said to run chmod, and nothing happened after it: the time of the content had not changed."""
    path = tmp_path / "access.toml"
    path.write_text(RULE.format(name="old"))
    file = AccessFile(path, monotonic=Time())
    path.chmod(0o666)
    path.write_text(RULE.format(name="new"))
    assert file.rules.certificate[0].subject == "CN=old"
    path.chmod(0o600)
    assert file.rules.certificate[0].subject == "CN=new"


async def test_a_jwks_that_everyone_can_write_is_refused(tmp_path: Path) -> None:
    """Any user of the host could sign tokens of that issuer."""
    path = tmp_path / "jwks.json"
    path.write_bytes(Issuer().jwks())
    path.chmod(0o666)
    with pytest.raises(ValueError, match="chmod o-w"):
        FileKeys(path)


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def _discard(_result: object) -> None:
    """A change returns nothing."""
