"""Jobs, versions and files in a few words for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client.cli.progress import stage_name, state_name
from sonichaos_client.errors import from_status
from sonichaos_client.jobs import ENDED


def printable(text: str, most: int) -> str:
    """Text that others wrote, without control characters, cut to ``most`` characters."""
    clean = "".join(character if character.isprintable() else " " for character in text)
    return clean if len(clean) <= most else clean[: most - 1] + "…"


def job_line(job: job_pb2.Job) -> str:
    """One job on one line."""
    when = job.create_time.ToDatetime().strftime("%Y-%m-%d %H:%M:%S")
    owner = job_pb2.OwningService.Name(job.owner).removeprefix("OWNING_SERVICE_").lower()
    versions = f"v1-v{len(job.versions)}" if len(job.versions) > 1 else "v1"
    about = printable(job.brief.prompt, 48) or "(an upload)"
    return f"{job.job_id}  {when}  {state_name(job.state):<10}  {owner:<10}  {versions:<6}  {job.brief.persona_id:<16}  {about}"


def describe_job(job: job_pb2.Job) -> str:
    """A job with all of its versions."""
    lines = [job_line(job)]
    brief = job.brief
    if brief.prompt:
        tempo = ", ".join(f"{point.bpm:g}" for point in brief.tempo_map.points[:4])
        lines.append(
            f"  seed {brief.seed} ({brief.seed_source}), {brief.seconds:g} s, {tempo} bpm ({brief.tempo_source}), "
            f"{brief.key} ({brief.key_source})"
        )
    lines += [describe_version(job, version) for version in job.versions]
    return "\n".join(lines)


def describe_version(job: job_pb2.Job, version: job_pb2.Version) -> str:
    """A version: how it stands, how loud it is, what it has stored, how long each stage took."""
    return "\n".join([f"{job.job_id} v{version.number}: {state_name(version.state)}", *_details(version)])


def stop_in_words(job: job_pb2.Job, versions: Iterable[job_pb2.Version]) -> str:
    """What became of an order to stop, from the versions that it named as they stand after it."""
    versions = list(versions)
    if any(version.state not in ENDED for version in versions):
        return f"{job.job_id}: cancel accepted"
    states = ", ".join(f"v{version.number} {state_name(version.state)}" for version in versions)
    if any(version.state == job_pb2.JOB_STATE_CANCELLED for version in versions):
        return f"{job.job_id}: {states}"
    return f"{job.job_id}: nothing to cancel, it has ended already: {states}"


def without_stems_in_words(job: job_pb2.Job, version: job_pb2.Version) -> str:
    """Why a version that was to have stems is delivered as its bounce, and how to get them."""
    why = (
        printable(from_status(version.error).message, 400).rstrip(".")
        if version.HasField("error")
        else "it was cancelled"
    )
    return (
        f"{job.job_id} v{version.number} has no stems, so its bounce is fetched instead of a ZIP: {why}. "
        f"To ask for them again: sonichaos stems {job.job_id} --version {version.number}"
    )


def loudness_in_words(loudness: job_pb2.Loudness) -> str:
    """Such as ``-14.2 LUFS, true peak -1.00 dBTP``; silence has neither."""
    lufs = f"{loudness.lufs:.1f} LUFS" if loudness.HasField("lufs") else "silent"
    peak = f", true peak {loudness.true_peak_dbtp:.2f} dBTP" if loudness.HasField("true_peak_dbtp") else ""
    return lufs + peak


def _details(version: job_pb2.Version) -> Iterator[str]:
    if version.HasField("queue_position"):
        yield f"  {version.queue_position} before it in the queue"
    if version.HasField("error"):
        error = from_status(version.error)
        yield f"  {error.reason or error.code.name}: {printable(error.message, 400)}"
    if version.HasField("loudness"):
        yield f"  {loudness_in_words(version.loudness)}"
    files = version.files
    for name, stored in (("zip", files.zip), ("bounce", files.bounce), ("manifest", files.manifest)):
        if stored.key:
            yield f"  {name:<8}  {stored.size_bytes:>12,} bytes  sha256 {stored.sha256}"
    if version.timings:
        stages = (f"{stage_name(t.stage)} {t.duration.ToTimedelta().total_seconds():.2f} s" for t in version.timings)
        yield "  " + ", ".join(stages)
