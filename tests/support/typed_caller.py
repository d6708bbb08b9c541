"""A program that uses the client as callers do. mypy reads it with ``--strict`` (tests/unit/client/test_caller_types.py).

The lines with ``type: ignore`` are mistakes that mypy must find: it reports an ignore that is not needed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path

from sonichaos_client import (
    AsyncClient,
    AsyncJobHandle,
    CallOptions,
    CallReport,
    Client,
    Credentials,
    FileKind,
    Job,
    JobFailedError,
    JobFilter,
    JobHandle,
    JobState,
    RetryPolicy,
    SavedFile,
    Stage,
    Stem,
    StemMode,
    TempoMap,
    TempoPoint,
)


def options(log: Callable[[str], None]) -> CallOptions:
    """One policy for all retries, and a hook."""

    def on_call(report: CallReport) -> None:
        log(f"{report.service} {report.method} {report.code.name} {report.seconds:.3f} {report.request_id}")

    return CallOptions(timeout_s=10, retry=RetryPolicy(max_attempts=3, max_backoff_s=2), on_call=on_call)


def render(folder: Path, log: Callable[[str], None]) -> SavedFile:
    """A take and a re-render of its vocals."""
    credentials = Credentials(ca="ca.pem", api_key=Path("studio.key"))
    with Client(
        "https://studio:50071", credentials=credentials, metadata=[("x-team", "a")], options=options(log)
    ) as client:
        tempo = TempoMap(points=[TempoPoint(bpm=92.5, beats_per_bar=4, beat_unit=4)])
        job: JobHandle = client.create_render(
            prompt="slow boom bap",
            persona_id="neon-drift",
            seconds=8,
            stems=True,
            stem_mode=StemMode.EXACT,
            tempo_map=tempo,
        )
        for event in job.events():
            stage: Stage = event.stage
            log(f"{event.sequence} {stage} {event.fraction:.0%} {event.estimated_time_left or timedelta()}")
        try:
            job.wait(timeout_s=60)
        except JobFailedError as error:
            log(f"{error.reason} {error.job.job_id} {error.violations}")
        state: JobState = job.state
        message: Job = job.message
        log(f"{state} {message.versions[0].files.zip.sha256}")
        again: JobHandle = job.rerender("vocals", persona_id="harbour-brass", seed=3).wait()
        client.rerender_stem(job, Stem.BASS, seed=4)
        log(job.signed_url(kind=FileKind.ZIP, ttl=timedelta(hours=1)).url)
        log(str([one.job_id for one in client.list_jobs(JobFilter(states=[JobState.DONE]))]))
        log(client.with_timeout(2).get_job(job.job_id).job_id)
        return again.download(folder, overwrite=True)


async def separate(folder: Path) -> Path:
    """An upload, with asyncio."""
    async with AsyncClient() as client:
        job: AsyncJobHandle = await client.separate_file("take.wav", labels={"reel": "3"})
        async with aclosing(job.events()) as events:
            async for event in events:
                assert event.message.job_id == job.job_id
        await (await job.refresh()).wait()
        return (await job.download(folder)).path


def mistakes(client: Client, job: JobHandle) -> None:
    """What a type checker must find."""
    client.create_render(prompt=3)  # type: ignore[arg-type]
    client.create_render(promt="a")  # type: ignore[call-arg]
    job.rerender("vocal")  # type: ignore[arg-type]
    job.wait(timeout_s="60")  # type: ignore[arg-type]
    job.message.versions[0].numbr = 2  # type: ignore[attr-defined]
    client.get_job("j-1").download(".")  # type: ignore[attr-defined]
    CallOptions(on_call=lambda: None)  # type: ignore[arg-type, misc]
    RetryPolicy(3)  # type: ignore[call-arg]
