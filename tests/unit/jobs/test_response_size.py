"""Responses stay below the 4 MiB that gRPC's clients accept, whatever a job holds."""

from __future__ import annotations

from jobs_service.response_size import MAX_RESPONSE_BYTES, fitting_job, fitting_page
from sonichaos.jobs.v1 import brief_pb2, job_pb2, jobs_service_pb2


def large_job(versions: int) -> job_pb2.Job:
    """A job whose versions each repeat a brief of 50 KB."""
    brief = brief_pb2.ResolvedBrief(prompt="x" * 50_000)
    numbered = [job_pb2.Version(number=number + 1, brief=brief) for number in range(versions)]
    return job_pb2.Job(job_id="j", brief=brief, versions=numbered)


def test_a_job_of_many_versions_leaves_out_the_briefs_of_its_oldest_re_renders() -> None:
    """And nothing else: every version is there, the first and the newest with their briefs."""
    job = fitting_job(large_job(150))
    assert job.ByteSize() <= MAX_RESPONSE_BYTES
    assert [version.number for version in job.versions] == list(range(1, 151))
    with_brief = [version.number for version in job.versions if version.HasField("brief")]
    assert with_brief[0] == 1
    assert with_brief[1:] == list(range(with_brief[1], 151))
    assert len(with_brief) > 50


def test_a_job_that_fits_stays_as_it_is() -> None:
    """The usual case."""
    assert fitting_job(large_job(3)) == large_job(3)


def test_a_page_has_as_many_of_the_first_rows_as_fit() -> None:
    """With the token of just that many; a single row is sent whatever its size."""
    rows = [large_job(1) for _ in range(100)]
    asked = []

    def page_of(size: int) -> jobs_service_pb2.ListJobsResponse:
        asked.append(size)
        return jobs_service_pb2.ListJobsResponse(jobs=rows[:size], next_page_token=str(size))

    page = fitting_page(page_of, 100, rows_of=lambda found: found.jobs)
    fits = MAX_RESPONSE_BYTES // rows[0].ByteSize()
    assert (len(page.jobs), page.next_page_token, asked) == (fits, str(fits), [100, fits])
    rows[:] = [large_job(71) for _ in range(2)]
    assert len(fitting_page(page_of, 2, rows_of=lambda found: found.jobs).jobs) == 1
