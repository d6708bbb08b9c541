"""The tools. Names, parameters and docstrings are what the model reads; ranges are those of the services."""

from __future__ import annotations

from typing import Annotated, Literal

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from sonichaos.jobs.v1 import brief_pb2
from sonichaos_client.enums import FileKind, JobState, StemMode, StemName
from sonichaos_client.jobs import FINAL_STATES
from sonichaos_client.mcp.follow import ToolContext, follow, tool_errors
from sonichaos_client.mcp.results import FileResult, JobResult, PersonasResult, VersionResult
from sonichaos_client.render import chosen_persona

JobId = Annotated[str, Field(description="Id of a job: j- and 26 characters", min_length=1, max_length=64)]
Seed = Annotated[int | None, Field(description="Random seed; default: drawn and returned", ge=0, le=2**32 - 1)]
Bpm = Annotated[float | None, Field(description="Tempo; default: from the prompt, or drawn", ge=30, le=300)]
Key = Annotated[str, Field(description='Key such as "A minor"; default: from the prompt, or drawn')]
Wait = Annotated[
    bool,
    Field(description="True: return at the end, with progress. False: return at once; the tool status shows the rest"),
]
StemModeName = Literal["exact", "raw"]
FileName = Literal["zip", "bounce", "midi", "manifest", "latents"]
_MODES = {"exact": StemMode.EXACT, "raw": StemMode.RAW}


async def render(
    ctx: ToolContext,
    *,
    prompt: Annotated[str, Field(description="Instrumentation, mood and tempo, as free text", min_length=1)],
    persona: Annotated[str, Field(description="Id from the tool personas; default: the one it names")] = "",
    seconds: Annotated[float | None, Field(description="Length, 2 to 180; default 30", ge=2, le=180)] = None,
    seed: Seed = None,
    bpm: Bpm = None,
    key: Key = "",
    chords: Annotated[str, Field(description='Chords to compose over, one a bar, such as "Am F C G"')] = "",
    instrumental: Annotated[bool, Field(description="No vocals")] = False,
    loop: Annotated[bool, Field(description="Whole bars that repeat without a seam")] = False,
    target_lufs: Annotated[float | None, Field(description="Loudness; default -16", ge=-30, le=-9)] = None,
    stems: Annotated[bool, Field(description="Also separate it into drums, bass, vocals and other")] = False,
    stem_mode: Annotated[StemModeName, Field(description="exact: the stems add up to the bounce")] = "exact",
    wait: Wait = True,
) -> VersionResult:
    """Render stereo music, 24-bit WAV at 44.1 kHz, from a prompt and a persona. The tool download fetches it.

    Cancelling the call leaves the job running; the tool cancel ends it.
    """
    client = ctx.request_context.lifespan_context.client
    with tool_errors():
        handle = await client.create_render(
            prompt=prompt,
            persona_id=persona or await _default_persona(ctx),
            seconds=seconds,
            seed=seed,
            bpm=bpm,
            key=key,
            score=brief_pb2.Score(chords=chords) if chords else None,
            instrumental=instrumental,
            loop=loop,
            target_lufs=target_lufs,
            stems=stems,
            stem_mode=_MODES[stem_mode],
        )
        return await follow(ctx, handle, wait=wait)


async def rerender(
    ctx: ToolContext,
    *,
    job_id: JobId,
    stem: Annotated[StemName, Field(description="The stem to replace")],
    persona: Annotated[str, Field(description="New persona; default: unchanged")] = "",
    prompt: Annotated[str, Field(description="New prompt; default: unchanged")] = "",
    seed: Seed = None,
    base_version: Annotated[int | None, Field(description="Default: the newest that is done", ge=1)] = None,
    strength: Annotated[float | None, Field(description="How far from the original, above 0 to 1", gt=0, le=1)] = None,
    from_bar: Annotated[int | None, Field(description="First bar to replace, with to_bar", ge=1)] = None,
    to_bar: Annotated[int | None, Field(description="Last bar to replace", ge=1)] = None,
    new_part: Annotated[bool, Field(description="Compose the stem's notes anew")] = False,
    bpm: Annotated[float | None, Field(description="Tempo of an upload", ge=30, le=300)] = None,
    key: Annotated[str, Field(description="Key of an upload")] = "",
    wait: Wait = True,
) -> VersionResult:
    """Render one stem of a finished job again, on the original's beat, as its next version. Earlier versions never change.

    Give at least one of persona, prompt and seed. Cancelling the call leaves the job running; the tool cancel ends it.
    """
    client = ctx.request_context.lifespan_context.client
    with tool_errors():
        handle = await client.rerender_stem(
            job_id,
            stem,
            persona_id=persona,
            prompt=prompt,
            seed=seed,
            base_version=base_version,
            strength=strength,
            from_bar=from_bar,
            to_bar=to_bar,
            new_part=new_part,
            bpm=bpm,
            key=key,
        )
        return await follow(ctx, handle, wait=wait)


async def separate(
    ctx: ToolContext,
    *,
    file: Annotated[str, Field(description="Path of the recording, relative to the server's folder", min_length=1)],
    stem_mode: Annotated[StemModeName, Field(description="exact: the stems add up to the bounce")] = "exact",
    resample: Annotated[bool, Field(description="Convert a recording that does not have 44.1 kHz")] = False,
    wait: Wait = True,
) -> VersionResult:
    """Separate a lossless recording (WAV, FLAC, AIFF, W64, RF64) into drums, bass, vocals and other. download fetches the ZIP.

    Cancelling the call leaves the job running; the tool cancel ends it.
    """
    studio = ctx.request_context.lifespan_context
    with tool_errors():
        path = studio.folder.file(file)
        handle = await studio.client.separate_file(path, stem_mode=_MODES[stem_mode], resample=resample)
        return await follow(ctx, handle, wait=wait)


async def status(ctx: ToolContext, job_id: JobId) -> JobResult:
    """A job and its versions: states, progress, resolved tempo, key and seed, files, errors."""
    with tool_errors():
        return JobResult.of(await ctx.request_context.lifespan_context.client.get_job(job_id))


async def cancel(ctx: ToolContext, job_id: JobId) -> JobResult:
    """Cancel every version of a job that has not ended. What it stored stays."""
    client = ctx.request_context.lifespan_context.client
    with tool_errors():
        job = await client.get_job(job_id)
        running = [version.number for version in job.versions if JobState(version.state) not in FINAL_STATES]
        if not running:
            states = ", ".join(f"v{one.number} {JobState(one.state).name.lower()}" for one in job.versions)
            raise ToolError(f"{job_id} has ended already, there is nothing to cancel: {states}.")
        for number in running:
            job = await client.cancel(job_id, version=number)
        return JobResult.of(job)


async def personas(ctx: ToolContext) -> PersonasResult:
    """The personas: stable acoustic identities that a take can have."""
    with tool_errors():
        found = [one async for one in ctx.request_context.lifespan_context.client.list_personas()]
        return PersonasResult.of(found, chosen_persona(found))


async def download(
    ctx: ToolContext,
    *,
    job_id: JobId,
    version: Annotated[int | None, Field(description="Default: the newest that has the file", ge=1)] = None,
    file: Annotated[FileName | None, Field(description="Default: the ZIP; without stems, the bounce")] = None,
    overwrite: Annotated[bool, Field(description="Replace a file of that name")] = False,
) -> FileResult:
    """Download a file of a job into the server's folder, complete or not at all, and verify its SHA-256."""
    studio = ctx.request_context.lifespan_context
    with tool_errors():
        kind = FileKind[file.upper()] if file is not None else None
        root = studio.folder.root
        saved = await studio.client.download(job_id, root, version=version or 0, kind=kind, overwrite=overwrite)
        return FileResult.of(saved)


async def _default_persona(ctx: ToolContext) -> str:
    found = [one async for one in ctx.request_context.lifespan_context.client.list_personas()]
    return chosen_persona(found)
