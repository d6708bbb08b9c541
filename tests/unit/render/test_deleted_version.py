"""What a deleted version closes in render_service: re-renders and replays that need its files, and no others."""

from __future__ import annotations

import zipfile

import pytest

from jobs_service import JobDeletions
from render_service.separation.client import SeparationClient
from render_service.usecases.replay import Replayer, ReplayOutcome
from servicekit.errors import FailedPrecondition
from servicekit.journal import Job, OwningService
from tests.support.render_parts import FINGERPRINT, TENANT, RenderParts, run_to_end


@pytest.fixture(scope="module")
def deletions(shared_parts: RenderParts) -> JobDeletions:
    """Deletions over the shared parts."""
    return JobDeletions(shared_parts.journal, OwningService.RENDER, shared_parts.store)


@pytest.fixture(scope="module")
def job(shared_parts: RenderParts, separation: SeparationClient, take: Job, deletions: JobDeletions) -> Job:
    """A take with a version made from the first, which was deleted, and one made from that."""
    for base in (1, 2):
        shared_parts.rerender_stem(take.job_id, base_version=base, seed=base, allow_drift=True, from_noise=True)
        run_to_end(shared_parts, separation, take.job_id)
    deletions.delete_version(TENANT, take.job_id, 2)
    return shared_parts.journal.job(TENANT, take.job_id)


@pytest.fixture
def replayer(shared_parts: RenderParts, separation: SeparationClient) -> Replayer:
    """A replayer over the same parts."""
    return Replayer(
        journal=shared_parts.journal,
        store=shared_parts.store,
        renderer=shared_parts.renderer,
        gpu_lock=shared_parts.gpu_lock,
        fingerprint=FINGERPRINT,
        separation=separation,
    )


def test_a_version_that_was_made_from_a_deleted_one_is_whole(shared_parts: RenderParts, job: Job) -> None:
    """Its ZIP has all six files; the deleted version has none in the store."""
    path = shared_parts.folder / "store" / job.versions[2].files["zip"]["key"]
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 6
    assert not [key for key in shared_parts.store.keys(f"jobs/{job.job_id}") if "v2" in key]


@pytest.mark.parametrize(("version", "expected"), [(2, "the files of version 2"), (3, "the ZIP of version 2")])
def test_a_replay_names_the_deleted_version_that_it_needs(
    replayer: Replayer, job: Job, version: int, expected: str
) -> None:
    """Its own, and that of a version made from it."""
    with pytest.raises(FailedPrecondition) as refused:
        replayer.replay(TENANT, job.job_id, version)
    assert refused.value.reason == "INPUT_MISSING"
    assert refused.value.metadata["missing"] == f"{expected}, which was deleted"


@pytest.fixture
def chain(shared_parts: RenderParts, separation: SeparationClient) -> str:
    """A take whose third version is made from its second."""
    job_id = shared_parts.create_render(bpm=101.5, stems=True).job_id
    run_to_end(shared_parts, separation, job_id)
    for base in (1, 2):
        shared_parts.rerender_stem(job_id, base_version=base, seed=base, allow_drift=True, from_noise=True)
        run_to_end(shared_parts, separation, job_id)
    return job_id


@pytest.mark.parametrize(("deleted", "expected"), [(2, "the ZIP of version 2"), (3, "the files of version 3")])
def test_a_replay_whose_input_is_deleted_meanwhile_names_it(
    replayer: Replayer, deletions: JobDeletions, chain: str, deleted: int, expected: str
) -> None:
    """The stored files are no damaged ones: the caller has deleted them."""

    def stopped() -> bool:
        deletions.delete_version(TENANT, chain, deleted)
        return False

    with pytest.raises(FailedPrecondition) as refused:
        replayer.replay(TENANT, chain, 3, stopped=stopped)
    assert refused.value.reason == "INPUT_MISSING"
    assert refused.value.metadata["missing"] == f"{expected}, which was deleted"


def test_a_deleted_version_is_no_base(shared_parts: RenderParts, job: Job) -> None:
    """Without a number the newest that still has stems is."""
    with pytest.raises(FailedPrecondition, match="its files were deleted") as refused:
        shared_parts.rerender_stem(job.job_id, base_version=2)
    assert refused.value.reason == "WRONG_STATE"
    made = shared_parts.rerender_stem(job.job_id)
    assert (made.version, made.job.versions[-1].base_version) == (4, 3)
    shared_parts.journal.cancel(TENANT, job.job_id)


def test_version_0_of_a_replay_is_the_newest_that_has_its_files(
    shared_parts: RenderParts, separation: SeparationClient, deletions: JobDeletions, replayer: Replayer
) -> None:
    """Here the original."""
    job = shared_parts.create_render(bpm=112.5, stems=True)
    run_to_end(shared_parts, separation, job.job_id)
    shared_parts.rerender_stem(job.job_id, allow_drift=True, from_noise=True)
    ended = run_to_end(shared_parts, separation, job.job_id)
    deletions.delete_version(TENANT, job.job_id, 2)
    replay = replayer.replay(TENANT, job.job_id, 0)
    assert (replay.outcome, replay.stored_sha256) == (ReplayOutcome.EXACT, ended.versions[0].files["bounce"]["sha256"])
