"""ErasePrompt: prompts leave the journal, and what still holds them is named."""

from __future__ import annotations

import pytest

from render_service.separation.client import SeparationClient
from render_service.usecases.erase_prompt import ErasedPrompts, erase_prompt
from servicekit.errors import FailedPrecondition, NotFound
from servicekit.journal import Job, OwningService
from tests.support.render_parts import TENANT, RenderParts, run_to_end


def test_prompts_are_erased_and_files_with_them_are_named(shared_parts: RenderParts, take: Job) -> None:
    """Both audit rows of a take with stems; its manifest and ZIP still hold the prompt. A second call finds none."""
    erased = erase_prompt(shared_parts.journal, TENANT, take.job_id)
    keys = (f"jobs/{take.job_id}/v1.json", f"jobs/{take.job_id}/v1.zip")
    assert erased == ErasedPrompts(audit_rows=2, purge_pending=False, keys_with_prompt=keys)
    job = shared_parts.journal.job(TENANT, take.job_id)
    assert not job.versions[0].brief.get("prompt")
    assert [row.prompt for row in shared_parts.journal.audit_rows(TENANT, take.job_id).rows] == [None, None]
    assert shared_parts.journal.verify_chain(TENANT).intact
    assert erase_prompt(shared_parts.journal, TENANT, take.job_id).audit_rows == 0


def test_a_re_render_of_an_erased_prompt_needs_a_new_one(shared_parts: RenderParts, take: Job) -> None:
    """It says so before anything is accepted."""
    erase_prompt(shared_parts.journal, TENANT, take.job_id)
    with pytest.raises(FailedPrecondition) as refused:
        shared_parts.rerender_stem(take.job_id)
    assert (refused.value.reason, refused.value.metadata["missing"]) == ("INPUT_MISSING", "prompt")
    shared_parts.rerender_stem(take.job_id, prompt="calm horns")


def test_a_deleted_jobs_audit_rows_are_erased_too(shared_parts: RenderParts, separation: SeparationClient) -> None:
    """It has no files left to name."""
    job = shared_parts.create_render()
    run_to_end(shared_parts, separation, job.job_id)
    shared_parts.journal.start_delete(TENANT, job.job_id, OwningService.RENDER)
    shared_parts.journal.finish_delete(TENANT, job.job_id)
    assert erase_prompt(shared_parts.journal, TENANT, job.job_id) == ErasedPrompts(
        audit_rows=1, purge_pending=False, keys_with_prompt=()
    )


def test_a_job_that_still_needs_its_prompt_keeps_it(parts: RenderParts) -> None:
    """A queued job is refused, an unknown one not found."""
    with pytest.raises(FailedPrecondition) as refused:
        erase_prompt(parts.journal, TENANT, parts.create_render().job_id)
    assert refused.value.reason == "WRONG_STATE"
    with pytest.raises(NotFound):
        erase_prompt(parts.journal, TENANT, "j-00000000000000000000000000")
