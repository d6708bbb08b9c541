"""The deletion of one version in the journal: what it needs, what it leaves, and which calls it closes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from servicekit.clock import SystemClock
from servicekit.delivery.names import StemName
from servicekit.errors import FailedPrecondition, InvalidFields, NotFound
from servicekit.journal import Checkpoint, Job, Journal, OwningService, Version, VersionDeletion
from tests.support.journal_rows import audited, claimed, new_job, new_version, open_journal, request
from tests.support.work_runs import MANY

RENDER, SEPARATION = OwningService.RENDER, OwningService.SEPARATION
EXCEEDED = {"code": 9, "details": [{"reason": "DRIFT_EXCEEDED", "metadata": {"median_ms": "31"}}]}


@pytest.fixture
def journal(any_database: str) -> Iterator[Journal]:
    """On both databases."""
    with closing(Journal.open(any_database, clock=SystemClock())) as opened:
        yield opened


def files_of(job_id: str, number: int) -> dict[str, dict[str, str]]:
    """The files that a version's row names."""
    names = {"bounce": f"jobs/{job_id}/v{number}.wav", "zip": f"jobs/{job_id}/v{number}.zip"}
    return {kind: {"key": key, "sizeBytes": "5", "sha256": "0" * 64} for kind, key in names.items()}


def finish_next(journal: Journal) -> None:
    """Run the next version to its end; it has a bounce, a ZIP and an audit row."""
    claim = claimed(journal)
    audited(journal, claim, "STEMS", {}, prompt="p")
    journal.checkpoint(claim, Checkpoint(files=files_of(claim.version.job_id, claim.version.number)))
    journal.finish(claim)


def take(journal: Journal, *, versions: int = 2, owner: OwningService = RENDER) -> str:
    """The id of a job whose versions are done, each made from the one before."""
    job_id = journal.accept(new_job(owner=owner), limit=MANY).job.job_id
    finish_next(journal)
    for base in range(1, versions):
        accept_version(journal, job_id, base=base)
        finish_next(journal)
    return job_id


def accept_version(journal: Journal, job_id: str, *, base: int, request_id: str | None = None) -> int:
    """The number of a new version that is made from ``base``."""
    new = replace(new_version(job_id, request(request_id, rpc="Rerender")), base_version=base, owner=RENDER)
    return journal.accept_version(new, limit=MANY).version


def delete(journal: Journal, job_id: str, number: int) -> None:
    """The whole deletion of a version."""
    deletion = journal.start_delete_version("local", job_id, number, RENDER)
    assert deletion is not None
    journal.finish_delete_version(deletion)


def version_of(journal: Journal, job_id: str, number: int) -> Version:
    """A version as callers see it."""
    version = journal.job("local", job_id).version(number)
    assert version is not None
    return version


def test_a_deleted_version_stays_listed_without_files(journal: Journal) -> None:
    """From the start on; the row keeps the keys until the files are removed. Audit rows, events and other versions stay."""
    job_id = take(journal)
    before = journal.job("local", job_id)
    deletion = journal.start_delete_version("local", job_id, 2, RENDER)
    assert deletion == VersionDeletion("local", job_id, 2, (f"jobs/{job_id}/v2.wav", f"jobs/{job_id}/v2.zip"))
    started = version_of(journal, job_id, 2)
    assert started.delete_time is not None
    assert "bounce" not in started.files
    assert "zip" not in started.files
    assert journal.start_delete_version("local", job_id, 2, RENDER) == deletion, "it is not finished"
    assert journal.unfinished_version_deletions(RENDER) == [deletion]
    assert journal.unfinished_version_deletions(SEPARATION) == []

    journal.finish_delete_version(deletion)
    assert journal.unfinished_version_deletions(RENDER) == []
    assert journal.start_delete_version("local", job_id, 2, RENDER) is None
    after = journal.job("local", job_id)
    deleted = replace(before.versions[1], files={}, delete_time=started.delete_time)
    assert after == replace(before, versions=(before.versions[0], deleted)), "nothing else has changed"
    assert len(journal.audit_rows("local", job_id).rows) == 2
    assert journal.verify_chain("local").intact


def test_the_number_of_a_deleted_version_is_not_used_again(journal: Journal) -> None:
    """Also where it was the newest. The call that made it still returns it."""
    job_id = take(journal, versions=1)
    assert accept_version(journal, job_id, base=1, request_id="r-2") == 2
    finish_next(journal)
    delete(journal, job_id, 2)
    assert accept_version(journal, job_id, base=1, request_id="r-2") == 2
    assert accept_version(journal, job_id, base=1) == 3


def test_a_version_is_deleted_once_it_and_what_is_made_from_it_have_ended(journal: Journal) -> None:
    """Queued and running; the error says which version is in the way."""
    job_id = take(journal)
    for number, base, in_the_way in ((3, 1, 3), (4, 2, 4)):
        accept_version(journal, job_id, base=base)
        for state in ("QUEUED", "RUNNING"):
            if state == "RUNNING":
                claim = claimed(journal)
            with pytest.raises(FailedPrecondition) as refused:
                journal.start_delete_version("local", job_id, number if base == 1 else 2, RENDER)
            assert refused.value.reason == "WRONG_STATE"
            assert refused.value.metadata == {"job_id": job_id, "version": str(in_the_way), "state": state}
        journal.fail(claim, {"code": 13})
    accept_version(journal, job_id, base=1)
    delete(journal, job_id, 2)
    assert version_of(journal, job_id, 5).state.value == "QUEUED", "a version of another base is not in the way"


@pytest.mark.parametrize("number", [0, 1])
def test_the_original_is_deleted_with_its_job_only(journal: Journal, number: int) -> None:
    """The error names the field and says what to do."""
    job_id = take(journal)
    with pytest.raises(InvalidFields, match=f"version: must be 2 or more, got {number}.*DeleteJob"):
        journal.start_delete_version("local", job_id, number, RENDER)


def test_only_the_owner_finds_what_is_to_be_deleted(journal: Journal) -> None:
    """Neither another tenant, nor the other service, nor after the deletion of the job was started."""
    job_id = take(journal)
    calls: list[tuple[str, str, int, OwningService, str]] = [
        ("acme", job_id, 2, RENDER, "JOB_NOT_FOUND"),
        ("local", job_id, 2, SEPARATION, "JOB_NOT_FOUND"),
        ("local", "a zero byte\0", 2, RENDER, "JOB_NOT_FOUND"),
        ("local", job_id, 3, RENDER, "VERSION_NOT_FOUND"),
    ]
    for tenant, of_job, number, owner, reason in calls:
        with pytest.raises(NotFound) as refused:
            journal.start_delete_version(tenant, of_job, number, owner)
        assert refused.value.reason == reason
    journal.start_delete("local", job_id, RENDER)
    with pytest.raises(NotFound):
        journal.start_delete_version("local", job_id, 2, RENDER)


def test_the_first_rerender_of_an_upload_can_be_deleted(journal: Journal) -> None:
    """render_service owns the upload from then on."""
    job_id = journal.accept(new_job(owner=SEPARATION), limit=MANY).job.job_id
    journal.finish(claimed(journal, SEPARATION))
    accept_version(journal, job_id, base=1)
    finish_next(journal)
    with pytest.raises(NotFound):
        journal.start_delete_version("local", job_id, 2, SEPARATION)
    delete(journal, job_id, 2)
    assert version_of(journal, job_id, 2).files == {}


def test_a_job_can_be_deleted_during_the_deletion_of_a_version(journal: Journal) -> None:
    """Then there is nothing to finish."""
    job_id = take(journal)
    deletion = journal.start_delete_version("local", job_id, 2, RENDER)
    assert deletion is not None
    journal.start_delete("local", job_id, RENDER)
    journal.finish_delete("local", job_id)
    journal.finish_delete_version(deletion)
    assert journal.unfinished_version_deletions(RENDER) == []


def _stems_of(journal: Journal, job_id: str) -> Job:
    return journal.add_stems("local", job_id, 2, None, limit=MANY)


def _version_of(journal: Journal, job_id: str) -> int:
    return accept_version(journal, job_id, base=2)


def _retry_of(journal: Journal, job_id: str) -> Job:
    return journal.retry_version("local", job_id, 2, limit=MANY)


@pytest.mark.parametrize(
    ("call", "state"),
    [(_stems_of, "DONE"), (_version_of, "DONE"), (_retry_of, "FAILED")],
    ids=["stems", "base", "retry"],
)
def test_what_needs_the_files_of_a_deleted_version_is_refused(
    journal: Journal, call: Callable[[Journal, str], object], state: str
) -> None:
    """Stems, a re-render and a retry, in the transaction that would queue them."""
    job_id = take(journal, versions=1)
    accept_version(journal, job_id, base=1)
    if state == "DONE":
        finish_next(journal)
    else:
        journal.fail(claimed(journal), {"code": 13})
    delete(journal, job_id, 2)
    with pytest.raises(FailedPrecondition, match="its files were deleted") as refused:
        call(journal, job_id)
    assert refused.value.reason == "WRONG_STATE"
    assert refused.value.metadata == {"job_id": job_id, "version": "2", "state": state}


def test_a_failed_version_whose_base_was_deleted_is_not_retried(journal: Journal) -> None:
    """Nor is it chosen as the newest that failed; an earlier one is."""
    job_id = take(journal)
    for base in (1, 2):
        accept_version(journal, job_id, base=base)
        journal.fail(claimed(journal), {"code": 13})
    delete(journal, job_id, 2)
    with pytest.raises(FailedPrecondition, match="the files of version 2, which it is made from, were deleted"):
        journal.retry_version("local", job_id, 4, limit=MANY)
    job = journal.retry_version("local", job_id, 0, limit=MANY)
    assert [str(version.state) for version in job.versions] == ["DONE", "DONE", "QUEUED", "FAILED"]


def test_drift_reports_count_a_deleted_failure(journal: Journal) -> None:
    """Otherwise a report would improve with each deletion."""
    job_id = take(journal, versions=1)
    accept_version(journal, job_id, base=1)
    journal.fail(claimed(journal), EXCEEDED)
    delete(journal, job_id, 2)
    assert [outcome.error for outcome in journal.rerender_outcomes("local", StemName.VOCALS)] == [EXCEEDED]
    journal.start_delete("local", job_id, RENDER)
    journal.finish_delete("local", job_id)
    (kept,) = journal.rerender_outcomes("local", StemName.VOCALS)
    assert kept.error == {"details": EXCEEDED["details"]}


def test_an_erasure_takes_deleted_versions_along(journal: Journal) -> None:
    """Of a prompt, and of the whole job while a version's files are being removed."""
    job_id = take(journal)
    journal.start_delete_version("local", job_id, 2, RENDER)
    journal.erase_prompt("local", job_id)
    assert version_of(journal, job_id, 2).brief["prompt"] == ""
    journal.start_erase("local", job_id, RENDER)
    journal.finish_delete("local", job_id)
    assert journal.unfinished_version_deletions(RENDER) == []


def test_a_sweep_leaves_files_to_the_deletion(tmp_path: Path) -> None:
    """They count as named until the deletion has removed them."""
    with open_journal(tmp_path) as journal:
        job_id = take(journal)
        deletion = journal.start_delete_version("local", job_id, 2, RENDER)
        assert deletion is not None
        assert set(deletion.keys) <= journal.swept_jobs([job_id])[job_id].named
        journal.finish_delete_version(deletion)
        assert not set(deletion.keys) & journal.swept_jobs([job_id])[job_id].named
