"""Jobs, versions and files as text for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos_client.enums import ApiEnum, JobState, OwningService, Stage
from sonichaos_client.errors import from_status
from sonichaos_client.jobs import FINAL_STATES

_MAX_PROMPT = 48
_MAX_TEMPOS = 4
_MAX_MESSAGE = 400


def printable(text: str, max_characters: int) -> str:
    """Untrusted text without control characters, truncated to ``max_characters``."""
    clean = "".join(character if character.isprintable() else " " for character in text)
    return clean if len(clean) <= max_characters else clean[: max_characters - 1] + "…"


def lower(member: ApiEnum) -> str:
    """The name of an enum member as people read it, such as ``running``."""
    return member.name.lower()


def format_job_line(job: job_pb2.Job) -> str:
    """One job on one line."""
    created = job.create_time.ToDatetime().isoformat(sep=" ", timespec="seconds")
    owner = lower(OwningService(job.owner))
    latest = f"v{job.latest.number} {_newest_state(job)}" if job.latest.number > 1 else "v1"
    without = "(upload)" if owner == "separation" else "(no prompt)"
    prompt = printable(job.brief.prompt or job.brief.file_name, _MAX_PROMPT) or without
    state = lower(JobState(job.state))
    return f"{job.job_id}  {created}  {state:<10}  {owner:<10}  {latest:<13}  {job.brief.persona_id:<16}  {prompt}"


def _newest_state(job: job_pb2.Job) -> str:
    """The state of the newest version; "deleted" once its files were deleted, whatever its state is."""
    is_deleted = any(one.number == job.latest.number and one.HasField("delete_time") for one in job.versions)
    return "deleted" if is_deleted else lower(JobState(job.latest.state))


def format_job(job: job_pb2.Job) -> str:
    """A job with all of its versions."""
    lines = [format_job_line(job)]
    brief = job.brief
    if brief.prompt:
        lines.append(f"  {format_resolved(brief)}, {brief.seconds:g} s")
    if brief.file_name:
        lines.append(f"  file {printable(brief.file_name, _MAX_PROMPT)}, {brief.seconds:g} s")
    if brief.HasField("score"):
        given = f"chords {printable(brief.score.chords, _MAX_PROMPT)}" if brief.score.chords else "a MIDI file"
        lines.append(f"  score: {given}")
    if job.HasField("purge_time"):
        purged = job.purge_time.ToDatetime().isoformat(sep=" ", timespec="seconds")
        lines.append(f"  kept until {purged} UTC, then deleted with its files")
    lines += [format_version(job, version) for version in job.versions]
    return "\n".join(lines)


def format_resolved(brief: brief_pb2.ResolvedBrief) -> str:
    """Tempo, key and seed as the service resolved them, each with where it comes from."""
    points = brief.tempo_map.points
    tempo = ", ".join(f"{point.bpm:g}" for point in points[:_MAX_TEMPOS]) + (", …" if len(points) > _MAX_TEMPOS else "")
    return (
        f"{tempo} bpm ({brief.tempo_source}), {printable(brief.key, _MAX_PROMPT)} ({brief.key_source}), "
        f"seed {brief.seed} ({brief.seed_source})"
    )


def format_version(job: job_pb2.Job, version: job_pb2.Version) -> str:
    """A version: state, error, loudness, stored files, and the duration of each stage."""
    state = lower(JobState(version.state))
    if version.HasField("delete_time"):
        state += f", deleted {version.delete_time.ToDatetime():%Y-%m-%d %H:%M:%S} UTC"
    return "\n".join([f"{job.job_id} v{version.number}: {state}", *_details(version)])


def format_cancel_result(job: job_pb2.Job, versions: Iterable[job_pb2.Version]) -> str:
    """The result of a cancel, from the versions that it named."""
    states = {version.number: JobState(version.state) for version in versions}
    if not FINAL_STATES.issuperset(states.values()):
        return f"{job.job_id}: cancel accepted"
    text = ", ".join(f"v{number} {lower(state)}" for number, state in states.items())
    if JobState.CANCELLED in states.values():
        return f"{job.job_id}: {text}"
    return f"{job.job_id}: already ended, nothing to cancel: {text}"


def format_missing_stems(job: job_pb2.Job, version: job_pb2.Version) -> str:
    """Why the bounce is downloaded instead of a ZIP, and how to request the stems again."""
    why = (
        printable(from_status(version.error).message, _MAX_MESSAGE).rstrip(".")
        if version.HasField("error")
        else "it was cancelled"
    )
    return (
        f"{job.job_id} v{version.number} has no stems ({why}), so its bounce is downloaded instead of a ZIP. "
        f"Request the stems again: sonichaos stems {job.job_id} --version {version.number}"
    )


def format_loudness(loudness: job_pb2.Loudness) -> str:
    """Such as ``-14.2 LUFS, true peak -1.00 dBTP``; silence has neither."""
    lufs = f"{loudness.lufs:.1f} LUFS" if loudness.HasField("lufs") else "silent"
    peak = f", true peak {loudness.true_peak_dbtp:.2f} dBTP" if loudness.HasField("true_peak_dbtp") else ""
    return lufs + peak


def _details(version: job_pb2.Version) -> Iterator[str]:
    if version.HasField("queue_position"):
        yield f"  {version.queue_position} versions ahead in the queue"
    if version.HasField("error"):
        error = from_status(version.error)
        yield f"  {error.reason or error.code.name}: {printable(error.message, _MAX_MESSAGE)}"
    if version.HasField("loudness"):
        yield f"  {format_loudness(version.loudness)}"
    files = version.files
    for name, stored in (
        ("zip", files.zip),
        ("bounce", files.bounce),
        ("midi", files.midi),
        ("manifest", files.manifest),
    ):
        if stored.key:
            yield f"  {name:<8}  {stored.size_bytes:>12,} bytes  sha256 {stored.sha256}"
    if version.timings:
        stages = (f"{lower(Stage(t.stage))} {t.duration.ToTimedelta().total_seconds():.2f} s" for t in version.timings)
        yield "  " + ", ".join(stages)
