"""Staged files: an attempt that fails removes what it stored itself and no row names, and touches nothing else."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from servicekit.clock import SystemClock
from servicekit.delivery.keys import attempt_of, public_key
from servicekit.errors import Cancelled, Unavailable
from servicekit.journal import ClaimLost, OrphanedVersion
from servicekit.store.folder_store import FolderStore
from servicekit.store.url_signer import UrlSigner
from servicekit.work import StagedFiles, remove_orphaned_files

ZIP, MANIFEST, BOUNCE = "jobs/x/v1.zip", "jobs/x/v1.json", "jobs/x/bounce.wav"


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """A store with a bounce."""
    clock = SystemClock()
    opened = FolderStore(tmp_path, UrlSigner(base_url="http://127.0.0.1:1", secret=b"s" * 32, now=clock.now))
    opened.put_bytes(BOUNCE, b"sound", content_type="audio/wav")
    return opened


def attempt(store: FolderStore, error: BaseException | None, *, number: int = 1, named: Collection[str] = ()) -> None:
    """Stems and manifest are stored; then something may happen."""
    with StagedFiles(store, "x", 1, number, named=lambda: named) as staged:
        with staged.writer("zip", content_type="application/zip") as writer:
            writer.write(f"stems {number}".encode())
        staged.put_bytes("manifest", b"{}", content_type="application/json")
        if error is not None:
            raise error


@pytest.mark.parametrize("error", [Cancelled("stop"), Unavailable("journal"), ClaimLost("job"), KeyboardInterrupt()])
@pytest.mark.parametrize("number", [1, 2])
def test_a_failure_leaves_what_was_there_before(store: FolderStore, error: BaseException, number: int) -> None:
    """The first attempt uses the names that callers see, a later one a folder of its own."""
    with pytest.raises(type(error)):
        attempt(store, error, number=number)
    assert list(store.keys()) == [BOUNCE]


def test_each_attempt_has_its_own_keys(store: FolderStore) -> None:
    """The first attempt's files have the names that callers see. A later one neither replaces nor removes them."""
    attempt(store, None)
    assert sorted(store.keys()) == sorted([BOUNCE, MANIFEST, ZIP])
    attempt(store, None, number=2)
    with pytest.raises(Cancelled):
        attempt(store, Cancelled("stop"), number=2)
    with pytest.raises(Cancelled):
        attempt(store, Cancelled("stop"))  # a call that says it is the first attempt, though that has ended
    assert store.read(ZIP, max_bytes=100) == b"stems 1"
    others = sorted(set(store.keys()) - {BOUNCE, MANIFEST, ZIP})
    assert [(public_key(key), attempt_of(key)) for key in others] == [(MANIFEST, (1, 2)), (ZIP, (1, 2))]


def test_files_that_the_row_names_stay(store: FolderStore) -> None:
    """The commit took effect though its answer was lost."""
    with pytest.raises(Unavailable):
        attempt(store, Unavailable("the answer to the commit was lost"), named={ZIP})
    assert sorted(store.keys()) == sorted([BOUNCE, ZIP])


def test_files_stay_while_the_outcome_is_unknown(store: FolderStore) -> None:
    """Where the row cannot be read back, nothing is removed; the next attempt removes what the row does not name."""

    def named() -> Collection[str]:
        raise Unavailable("the journal does not answer")

    with pytest.raises(Cancelled), StagedFiles(store, "x", 1, 1, named=named) as staged:
        staged.put_bytes("zip", b"stems", content_type="application/zip")
        raise Cancelled("stop")
    assert sorted(store.keys()) == sorted([BOUNCE, ZIP])
    earlier = OrphanedVersion(tenant="local", job_id="x", version=1, attempt=1, files={"bounce": {"key": BOUNCE}})
    remove_orphaned_files(earlier, store)
    assert list(store.keys()) == [BOUNCE]


def test_what_the_block_did_not_store_stays(store: FolderStore) -> None:
    """A block that fails before it stores anything, or while it stores, leaves the files of others."""
    store.put_bytes(ZIP, b"of a finished version", content_type="application/zip")
    before = {key: store.read(key, max_bytes=100) for key in store.keys("jobs")}
    with pytest.raises(Cancelled), StagedFiles(store, "x", 1, 1):
        raise Cancelled("stop")
    with (
        pytest.raises(Cancelled),
        StagedFiles(store, "x", 1, 1) as staged,
        staged.writer("zip", content_type="application/zip") as writer,
    ):
        writer.write(b"half")
        raise Cancelled("stop")
    assert {key: store.read(key, max_bytes=100) for key in store.keys("jobs")} == before


def test_a_replaced_file_goes_when_the_block_succeeds(store: FolderStore) -> None:
    """Only then, and only where the row names it no longer."""
    for error, named, left in ((Cancelled("stop"), (), 2), (None, {MANIFEST}, 2), (None, (), 1)):
        staged = StagedFiles(store, "x", 1, 1, named=lambda named=named: named)
        old = store.put_bytes(MANIFEST, b"{}", content_type="application/json")
        staged.replaces(old)
        staged.__exit__(None if error is None else type(error), error, None)
        assert len(list(store.keys())) == left


def test_a_commit_that_fails_later_can_still_be_rolled_back(store: FolderStore) -> None:
    """What another service stored for the attempt is removed too; a key that was never stored is no error."""
    staged = StagedFiles(store, "x", 1, 1)
    with staged:
        staged.put_bytes("zip", b"stems", content_type="application/zip")
        staged.add("jobs/x/never.zip")
    assert store.stat(ZIP) is not None
    staged.rollback()
    assert list(store.keys()) == [BOUNCE]


def test_what_could_not_be_removed_goes_with_the_next_block(store: FolderStore) -> None:
    """The journal did not answer when the first try failed; the next try of the same attempt removes what the first left."""
    leftovers: list[str] = []

    def silent() -> Collection[str]:
        raise Unavailable("the journal does not answer")

    with pytest.raises(Cancelled), StagedFiles(store, "x", 1, 1, named=silent, leftovers=leftovers) as staged:
        staged.put_bytes("zip", b"first", content_type="application/zip")
        raise Cancelled("stop")
    with StagedFiles(store, "x", 1, 1, leftovers=leftovers) as staged:
        second = staged.put_bytes("zip", b"second", content_type="application/zip")
    assert not leftovers
    assert sorted(store.keys()) == sorted([BOUNCE, second.key])
    assert store.read(second.key, max_bytes=100) == b"second"
