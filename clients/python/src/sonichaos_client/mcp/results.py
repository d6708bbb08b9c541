"""What the tools return, typed, so that a host can validate it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Self

from pydantic import BaseModel, Field

from sonichaos.jobs.v1 import job_pb2
from sonichaos.render.v1 import render_pb2
from sonichaos_client.download import SavedFile
from sonichaos_client.enums import JobState, ProgressTrack
from sonichaos_client.errors import from_status


class VersionResult(BaseModel):
    """One version of a job, with the values its brief was resolved to."""

    job_id: str
    version: int
    state: str = Field(description="queued, running, cancelling, done, failed or cancelled")
    persona: str
    bpm: list[float] = Field(description="One tempo, or those of a tempo map in order")
    key: str
    seed: int | None
    seconds: float
    files: list[str] = Field(description="What the tool download can fetch now: zip, bounce, midi, manifest, latents")
    loudness_lufs: float | None
    progress: dict[str, float] = Field(description="Share done of each track (render, stems), 0 to 1")
    queue_position: int | None = Field(description="Versions ahead of it while it is queued")
    seconds_left: float | None = Field(description="Expected time until it is done, once speeds are known")
    waiting_for: str = Field(description="The temporary refusal that its work waits for; empty if none")
    error: str = Field(description="Why it failed; empty if it did not")

    @classmethod
    def of(cls, job: job_pb2.Job, version: job_pb2.Version) -> Self:
        """The version as a service last sent it."""
        brief = version.brief
        names = ("zip", "bounce", "midi", "manifest", "latents")
        left_s = None
        if version.HasField("estimated_end_time"):
            end = version.estimated_end_time.ToDatetime(tzinfo=UTC)
            left_s = max((end - datetime.now(UTC)).total_seconds(), 0.0)
        return cls(
            job_id=job.job_id,
            version=version.number,
            state=JobState(version.state).name.lower(),
            persona=brief.persona_id,
            bpm=[point.bpm for point in brief.tempo_map.points],
            key=brief.key,
            seed=brief.seed if brief.seed_source else None,
            seconds=brief.seconds,
            files=[name for name in names if version.files.HasField(name)],  # type: ignore[arg-type]  # names of fields
            loudness_lufs=version.loudness.lufs if version.loudness.HasField("lufs") else None,
            progress={
                ProgressTrack(event.track).name.lower(): event.fraction for event in version.progress if event.track
            },
            queue_position=version.queue_position if version.HasField("queue_position") else None,
            seconds_left=left_s,
            waiting_for=from_status(version.waiting).message if version.HasField("waiting") else "",
            error=from_status(version.error).message if version.HasField("error") else "",
        )


class JobResult(BaseModel):
    """A job with all of its versions, v1 first."""

    job_id: str
    prompt: str
    versions: list[VersionResult]

    @classmethod
    def of(cls, job: job_pb2.Job) -> Self:
        """The job as a service last sent it."""
        versions = [VersionResult.of(job, version) for version in job.versions]
        return cls(job_id=job.job_id, prompt=job.brief.prompt, versions=versions)


class FileResult(BaseModel):
    """A file that was downloaded and whose digest was verified."""

    job_id: str
    version: int
    path: str
    size_bytes: int
    sha256: str

    @classmethod
    def of(cls, saved: SavedFile) -> Self:
        """The file in the folder."""
        return cls(
            job_id=saved.job_id,
            version=saved.version,
            path=str(saved.path),
            size_bytes=saved.size_bytes,
            sha256=saved.sha256,
        )


class PersonaResult(BaseModel):
    """A voice and sound that a take can have."""

    id: str
    prefix: str = Field(description="What it sounds like")
    built_in: bool


class PersonasResult(BaseModel):
    """All personas, by id."""

    personas: list[PersonaResult]
    default: str = Field(description="The one that render uses if none is given; empty if there are no personas")

    @classmethod
    def of(cls, personas: list[render_pb2.Persona], default: str) -> Self:
        """The personas as the service lists them."""
        found = [PersonaResult(id=one.id, prefix=one.prefix, built_in=one.built_in) for one in personas]
        return cls(personas=found, default=default)
