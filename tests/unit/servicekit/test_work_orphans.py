"""Orphaned versions: files that their row does not name are removed before the version ends."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from servicekit.clock import SystemClock
from servicekit.errors import Unavailable
from servicekit.journal import (
    Checkpoint,
    Claim,
    ClaimLost,
    JobState,
    Journal,
    OrphanedVersion,
    OwningService,
    ProgressTrack,
    Stage,
)
from servicekit.store.folder_store import FolderStore
from servicekit.store.url_signer import UrlSigner
from servicekit.work import Assignment, StagedFiles, remove_orphaned_files
from tests.support.journal_rows import new_job, new_version, open_journal
from tests.support.work_runs import MANY, running, until

ENDINGS = ("latents.safetensors", "zip", "json")


def store_in(folder: Path) -> FolderStore:
    """A folder store."""
    return FolderStore(
        folder / "store", UrlSigner(base_url="http://127.0.0.1:1", secret=b"s" * 32, now=SystemClock().now)
    )


def half_done(journal: Journal, store: FolderStore, job_id: str, version: int, *, named: bool = False) -> None:
    """Claim the next version and store its files, as a worker that then dies; ``named``: checkpoint the first file."""
    claim = journal.claim(OwningService.RENDER, lease_s=30.0)
    assert claim is not None
    assert (claim.version.job_id, claim.version.number) == (job_id, version)
    for ending in ENDINGS:
        store.put_bytes(f"jobs/{job_id}/v{version}.{ending}", b"half", content_type="application/octet-stream")
    if named:
        journal.checkpoint(claim, Checkpoint(files={"latents": {"key": f"jobs/{job_id}/v{version}.{ENDINGS[0]}"}}))


def refused(assignment: Assignment) -> None:
    """Fails the test: no work is expected."""
    raise AssertionError(assignment.version)


def test_files_of_a_dead_worker_are_removed_before_its_cancelled_version_ends(tmp_path: Path) -> None:
    """Files that the version names stay. While the store does not answer, the version does not end."""
    store = store_in(tmp_path)
    with open_journal(tmp_path) as dying:
        job_id = dying.accept(new_job(), limit=MANY).job.job_id
        half_done(dying, store, job_id, 1, named=True)
        dying.cancel("local", job_id)
    seen: list[JobState] = []
    away = shutil.move(tmp_path / "store", tmp_path / "away")
    with open_journal(tmp_path) as journal:

        def remove_orphans(orphan: OrphanedVersion) -> None:
            seen.append(journal.job("local", job_id).state)
            if len(seen) == 4:
                shutil.move(away, tmp_path / "store")
            remove_orphaned_files(orphan, store)

        with running(journal, refused, remove_orphans=remove_orphans):
            until(journal, job_id, lambda job: job.state is JobState.CANCELLED)
    assert seen[:4] == [JobState.CANCELLING] * 4
    assert list(store.keys()) == [f"jobs/{job_id}/v1.{ENDINGS[0]}"]


def test_a_version_that_crashed_too_often_has_no_orphaned_files(tmp_path: Path) -> None:
    """A version that can be retried keeps its files; the third death ends it."""
    store = store_in(tmp_path)
    with open_journal(tmp_path) as journal:
        job_id = journal.accept(new_job(), limit=MANY).job.job_id
        first = journal.claim(OwningService.RENDER, lease_s=30.0)
        assert first is not None
        journal.finish(first)
        journal.accept_version(new_version(job_id), limit=MANY)
    for _ in range(3):
        with open_journal(tmp_path) as dying:
            assert not dying.orphaned_versions(OwningService.RENDER)
            half_done(dying, store, job_id, 2)

    def remove_orphans(orphan: OrphanedVersion) -> None:
        remove_orphaned_files(orphan, store)

    with open_journal(tmp_path) as journal, running(journal, refused, remove_orphans=remove_orphans):
        until(journal, job_id, lambda job: job.versions[1].state is JobState.FAILED)
        assert list(store.keys()) == []
        assert journal.orphaned_versions(OwningService.RENDER) == []


def test_a_version_runs_again_without_the_files_of_its_dead_worker(tmp_path: Path) -> None:
    """The next attempt removes what the row does not name before it works; files of a later attempt and of others stay."""
    store = store_in(tmp_path)
    with open_journal(tmp_path) as dying:
        job_id = dying.accept(new_job(), limit=MANY).job.job_id
        half_done(dying, store, job_id, 1, named=True)
    own = f"jobs/{job_id}/v1-a{{}}-0123456789abcdef/v1.zip"
    others = [own.format(9), f"jobs/{job_id}/v2.zip"]
    for key in (own.format(1), *others):
        store.put_bytes(key, b"stems", content_type="application/zip")
    seen: list[str] = []

    def work(assignment: Assignment) -> None:
        assert assignment.attempt == 2
        seen.extend(store.keys())

    with (
        open_journal(tmp_path) as journal,
        running(journal, work, remove_orphans=lambda orphan: remove_orphaned_files(orphan, store)),
    ):
        until(journal, job_id, lambda job: job.state is JobState.DONE)
    assert seen == sorted([f"jobs/{job_id}/v1.{ENDINGS[0]}", *others])


def test_a_paused_worker_cannot_commit_files_that_are_being_removed(tmp_path: Path) -> None:
    """Its lease ended while it was paused, and its version was cancelled: its claim is revoked before its files are removed."""
    store = store_in(tmp_path)
    with open_journal(tmp_path) as paused, open_journal(tmp_path) as journal:
        job_id = paused.accept(new_job(), limit=MANY).job.job_id
        claim = paused.claim(OwningService.RENDER, lease_s=1.0)
        assert claim is not None
        paused.cancel("local", job_id)
        while not (orphans := journal.orphaned_versions(OwningService.RENDER)):
            time.sleep(0.05)  # until the lease has been observed to end
        (orphan,) = orphans
        assert orphan.attempt == 1
        with pytest.raises(ClaimLost):
            paused.checkpoint(claim, Checkpoint(files={"zip": {"key": f"jobs/{job_id}/v1.zip"}}))
        remove_orphaned_files(orphan, store)
        journal.reap(OwningService.RENDER)
        assert journal.job("local", job_id).state is JobState.CANCELLED


def test_a_worker_that_wakes_up_late_leaves_the_winners_files_alone(tmp_path: Path) -> None:
    """It was paused between its ZIP and its commit; another attempt has ended the version since: it removes its own ZIP only."""
    store = store_in(tmp_path)
    with open_journal(tmp_path) as paused, open_journal(tmp_path) as journal:
        job_id = paused.accept(new_job(), limit=MANY).job.job_id

        def attempt(host: Journal, claim: Claim) -> StagedFiles:
            return StagedFiles(store, job_id, 1, claim.attempt, named=lambda: host.named_keys(job_id, 1))

        late = paused.claim(OwningService.RENDER, lease_s=1.0)
        assert late is not None
        with pytest.raises(ClaimLost), attempt(paused, late) as staged:
            stored = staged.put_bytes("zip", b"late", content_type="application/zip")
            while (winner := journal.claim(OwningService.RENDER, lease_s=30.0)) is None:
                time.sleep(0.05)  # until the lease has been observed to end
            with attempt(journal, winner) as own:
                won = own.put_bytes("zip", b"won", content_type="application/zip")
                journal.checkpoint(winner, Checkpoint(files={"zip": {"key": won.key}}, done=True))
            paused.checkpoint(late, Checkpoint(files={"zip": {"key": stored.key}}, done=True))
        (version,) = journal.job("local", job_id).versions
        assert (version.state, version.files["zip"]["key"]) == (JobState.DONE, won.key)
        assert list(store.keys()) == [won.key]
        assert store.read(won.key, max_bytes=100) == b"won"


def test_what_another_service_stored_for_a_lost_claim_is_removed(tmp_path: Path) -> None:
    """Its answer was not read any more, because the worker waited for its lease; another attempt has ended the version since."""
    store = store_in(tmp_path)
    with open_journal(tmp_path) as journal:
        job_id = journal.accept(new_job(), limit=MANY).job.job_id
        won = f"jobs/{job_id}/v1-a2-{'0' * 16}/v1.zip"

        def work(assignment: Assignment) -> None:
            assignment.progress.stage(Stage.PLAN)
            journal.release(assignment.claim)
            winner = journal.claim(OwningService.RENDER, lease_s=30.0)
            assert winner is not None
            store.put_bytes(won, b"won", content_type="application/zip")
            journal.checkpoint(winner, Checkpoint(files={"zip": {"key": won}}, done=True))
            store.put_bytes(f"jobs/{job_id}/v1.zip", b"late", content_type="application/zip")
            assignment.progress.stems_ready(files={"zip": {"key": f"jobs/{job_id}/v1.zip"}})

        with running(journal, work, remove_orphans=lambda orphan: remove_orphaned_files(orphan, store)):
            until(journal, job_id, lambda job: job.state is JobState.DONE)
        assert list(store.keys()) == [won]


def test_what_another_service_stored_before_it_died_is_removed_before_the_work_is_repeated(tmp_path: Path) -> None:
    """Also where the same attempt asks it again, because what it has in memory is worth keeping."""
    store = store_in(tmp_path)
    seen: list[list[str]] = []

    def work(assignment: Assignment) -> None:
        def hand_off() -> None:
            assignment.progress.repeat(ProgressTrack.STEMS)
            assignment.progress.stage(Stage.HANDOFF)
            seen.append(list(store.keys()))
            if len(seen) == 1:
                store.put_bytes(f"jobs/{assignment.version.job_id}/v1.zip", b"half", content_type="application/zip")
                raise Unavailable("it died", reason="SEPARATION_UNAVAILABLE", retry_after_s=0.01)

        assignment.progress.retrying(hand_off)

    with open_journal(tmp_path) as journal:
        job_id = journal.accept(new_job(), limit=MANY).job.job_id
        with running(journal, work, remove_orphans=lambda orphan: remove_orphaned_files(orphan, store)):
            until(journal, job_id, lambda job: job.state is JobState.DONE)
    assert seen == [[], []]
