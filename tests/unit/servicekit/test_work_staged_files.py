"""Staged files: an attempt that fails leaves the store as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from servicekit.clock import SystemClock
from servicekit.errors import Cancelled, Unavailable
from servicekit.journal import ClaimLost
from servicekit.store.folder_store import FolderStore
from servicekit.store.url_signer import UrlSigner
from servicekit.work import StagedFiles, remove_files

ZIP, MANIFEST, BOUNCE = "jobs/x/v1.zip", "jobs/x/v1.json", "jobs/x/bounce.wav"


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """A store with a bounce and its manifest."""
    clock = SystemClock()
    opened = FolderStore(tmp_path, UrlSigner(base_url="http://127.0.0.1:1", secret=b"s" * 32, now=clock.now))
    opened.put_bytes(BOUNCE, b"sound", content_type="audio/wav")
    opened.put_bytes(MANIFEST, b"{}", content_type="application/json")
    return opened


def attempt(store: FolderStore, error: BaseException | None) -> None:
    """Stems are stored and the manifest completed; then something may happen."""
    with StagedFiles(store, overwritten={MANIFEST: "{}"}) as staged:
        with staged.writer(ZIP, content_type="application/zip") as writer:
            writer.write(b"stems")
        staged.put_bytes(MANIFEST, b'{"stems": 4}', content_type="application/json")
        if error is not None:
            raise error


@pytest.mark.parametrize("error", [Cancelled("stop"), Unavailable("journal"), KeyboardInterrupt()])
def test_a_failure_leaves_what_was_there_before(store: FolderStore, error: BaseException) -> None:
    """No ZIP, and the manifest whose digest the row has."""
    with pytest.raises(type(error)):
        attempt(store, error)
    assert sorted(store.keys()) == [BOUNCE, MANIFEST]
    assert store.read(MANIFEST, max_bytes=100) == b"{}"


def test_a_block_that_succeeds_keeps_its_files(store: FolderStore) -> None:
    """Nothing is removed or restored."""
    attempt(store, None)
    assert store.read(MANIFEST, max_bytes=100) == b'{"stems": 4}'
    assert sorted(store.keys()) == [BOUNCE, MANIFEST, ZIP]


def test_a_lost_claim_leaves_the_files(store: FolderStore) -> None:
    """They belong to the worker that holds the claim now."""
    with pytest.raises(ClaimLost):
        attempt(store, ClaimLost("job"))
    assert sorted(store.keys()) == [BOUNCE, MANIFEST, ZIP]


def test_what_the_block_did_not_store_stays(store: FolderStore) -> None:
    """A block that fails before it stores anything, or while it stores, leaves the files of others."""
    store.put_bytes(ZIP, b"of a finished version", content_type="application/zip")
    before = {key: store.read(key, max_bytes=100) for key in store.keys("jobs")}
    with pytest.raises(Cancelled), StagedFiles(store, overwritten={MANIFEST: "another"}):
        raise Cancelled("stop")
    with (
        pytest.raises(Cancelled),
        StagedFiles(store) as staged,
        staged.writer(ZIP, content_type="application/zip") as writer,
    ):
        writer.write(b"half")
        raise Cancelled("stop")
    assert {key: store.read(key, max_bytes=100) for key in store.keys("jobs")} == before


def test_a_commit_that_fails_later_can_still_be_rolled_back(store: FolderStore) -> None:
    """What another service stored for the attempt is removed too; a key that was never stored is no error."""
    staged = StagedFiles(store)
    with staged:
        staged.put_bytes(ZIP, b"stems", content_type="application/zip")
        staged.add("jobs/x/never.zip")
    assert store.stat(ZIP) is not None
    staged.rollback()
    assert sorted(store.keys()) == [BOUNCE, MANIFEST]


def test_remove_files_tells_which_files_there_were(store: FolderStore) -> None:
    """Only existing keys are returned."""
    assert remove_files(store, [ZIP, BOUNCE]) == [BOUNCE]
    assert list(store.keys()) == [MANIFEST]
