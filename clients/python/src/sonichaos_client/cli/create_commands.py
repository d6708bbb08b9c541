"""``sonichaos render | separate | stems``: create work and, unless detached, follow it to its end."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos_client.cli.completion import JOB_ID, PERSONA_ID
from sonichaos_client.cli.follow import OutputOptions, follow_unless_detached
from sonichaos_client.cli.formatting import printable
from sonichaos_client.cli.job_options import (
    JobOptions,
    with_job_options,
    with_output_options,
    with_priority,
    with_resample,
    with_stem_mode,
)
from sonichaos_client.cli.param_types import INPUT_FILE, MAX_TIMEOUT_S, SEED, NumberBetween, version_option
from sonichaos_client.cli.session import Session, connected, note
from sonichaos_client.cli.tempo_map_file import read_tempo_map
from sonichaos_client.client import Client
from sonichaos_client.enums import FileKind, JobState, StemMode
from sonichaos_client.render import PERSONA_VARIABLE, chosen_persona

_MAX_MIDI_BYTES = 1 << 20
_MAX_ID = 100
_KINDS_OF_UPLOAD = frozenset({FileKind.ZIP, FileKind.BOUNCE, FileKind.MANIFEST})
_KINDS_OF_TAKE = _KINDS_OF_UPLOAD | {FileKind.MIDI, FileKind.LATENTS}


@click.command()
@click.option("--prompt", required=True, help="Free text: instrumentation, mood, tempo.")
@click.option(
    "--persona",
    "persona_id",
    type=PERSONA_ID,
    default="",
    envvar=PERSONA_VARIABLE,
    metavar="ID",
    help="The persona; 'sonichaos persona list' lists all "
    f"[env: {PERSONA_VARIABLE}; default: the first built-in persona of that list]",
)
@click.option("--seed", type=SEED, help="Random seed, 0 to 4294967295 [default: drawn and returned]")
@click.option(
    "--seconds",
    type=NumberBetween(0, math.inf, above=True),
    metavar="SECONDS",
    help="Length of the take, 2 to 180 [default: 30]",
)
@click.option(
    "--bpm", type=float, metavar="BPM", help="A constant tempo, 30 to 300 [default: from the prompt, or drawn]"
)
@click.option(
    "--tempo-map", type=INPUT_FILE, metavar="FILE", help="A tempo map as JSON, or a manifest that contains one."
)
@click.option("--key", default="", metavar='"A minor"', help="The key [default: from the prompt, or drawn]")
@click.option("--instrumental", is_flag=True, help="No vocals.")
@click.option("--lyrics", default="", help="Text to sing, if the renderer supports lyrics.")
@click.option("--loop", is_flag=True, help="Whole bars, at most --seconds, that repeat without a seam.")
@click.option("--target-lufs", type=float, metavar="LUFS", help="Loudness of the bounce, -30 to -9 [default: -16]")
@click.option(
    "--score", "midi", type=INPUT_FILE, metavar="FILE.mid", help="A MIDI file whose notes are played, at most 1 MiB."
)
@click.option(
    "--chords",
    metavar='"Am F C G"',
    help='Chords to compose over, one a bar; "Am,F" or bar lines "| Am F |" share a bar.',
)
@click.option(
    "--timeout",
    type=NumberBetween(0, MAX_TIMEOUT_S, above=True),
    metavar="SECONDS",
    help="The job fails if it is not done within this time.",
)
@click.option("--stems", is_flag=True, help="Separate the take into stems as well.")
@with_stem_mode(default=StemMode.EXACT)
@with_job_options
@with_output_options
@connected
def render(
    session: Session,
    *,
    prompt: str,
    persona_id: str,
    seed: int | None,
    seconds: float | None,
    bpm: float | None,
    tempo_map: Path | None,
    key: str,
    instrumental: bool,
    lyrics: str,
    loop: bool,
    target_lufs: float | None,
    midi: Path | None,
    chords: str | None,
    timeout: float | None,
    stems: bool,
    stem_mode: StemMode,
    job_options: JobOptions,
    output: OutputOptions,
) -> None:
    """Render a take from a prompt and a persona."""
    if bpm is not None and tempo_map is not None:
        raise click.UsageError("--bpm and --tempo-map cannot be combined.")
    output.check_kind(
        _KINDS_OF_TAKE if stems else _KINDS_OF_TAKE - {FileKind.ZIP}, "a take" + ("" if stems else " without --stems")
    )
    tempo = read_tempo_map(tempo_map) if tempo_map is not None else None
    score = _read_score(midi, chords)
    with session.client() as client:
        output.prepare()
        persona_id = persona_id or _default_persona(client)
        made = client.create_render(
            request_id=job_options.request_id,
            priority=job_options.priority,
            prompt=prompt,
            persona_id=persona_id,
            seed=seed,
            seconds=seconds,
            bpm=bpm,
            tempo_map=tempo,
            key=key,
            instrumental=instrumental,
            lyrics=lyrics,
            loop=loop,
            target_lufs=target_lufs,
            score=score,
            stems=stems,
            stem_mode=stem_mode,
            labels=job_options.labels,
            licence=job_options.licence,
            expire_time=datetime.now(UTC) + timedelta(seconds=timeout) if timeout is not None else None,
        )
        follow_unless_detached(session, client, made.message, 1, output)


def _read_score(midi: Path | None, chords: str | None) -> brief_pb2.Score | None:
    """A file that is too large is rejected here, because the service could not receive it."""
    if midi is not None and chords is not None:
        raise click.UsageError("--score and --chords cannot be combined.")
    if midi is None:
        return None if chords is None else brief_pb2.Score(chords=chords)
    size_bytes = midi.stat().st_size
    if size_bytes > _MAX_MIDI_BYTES:
        raise click.BadParameter(f"must be at most {_MAX_MIDI_BYTES} bytes, got {size_bytes}.", param_hint="'--score'")
    return brief_pb2.Score(midi=midi.read_bytes())


def _default_persona(client: Client) -> str:
    """The first built-in persona by id, or the first of all if none is built in; says which one it is."""
    chosen = chosen_persona(list(client.list_personas()))
    if not chosen:
        raise click.UsageError("--persona ID is required: there are no personas. 'sonichaos persona add' creates one.")
    note(f"persona: {printable(chosen, _MAX_ID)} (default; choose another with --persona or {PERSONA_VARIABLE})")
    return chosen


@click.command()
@click.argument("file", type=INPUT_FILE)
@with_resample
@with_stem_mode(default=StemMode.EXACT)
@with_job_options
@with_output_options
@connected
def separate(
    session: Session,
    *,
    file: Path,
    resample: bool,
    stem_mode: StemMode,
    job_options: JobOptions,
    output: OutputOptions,
) -> None:
    """Separate a recording into drums, bass, vocals and other.

    Takes WAV, RF64, W64, AIFF and FLAC, mono or stereo, at 44.1 kHz or, with --resample, at another rate.
    """
    output.check_kind(_KINDS_OF_UPLOAD, "a separation of an upload")
    output.prepare()
    with session.client() as client:
        made = client.separate_file(
            file,
            request_id=job_options.request_id,
            priority=job_options.priority,
            stem_mode=stem_mode,
            labels=job_options.labels,
            licence=job_options.licence,
            resample=resample,
        )
        follow_unless_detached(session, client, made.message, 1, output)


@click.command(short_help="Request stems for a take that has none.")
@click.argument("job_id", type=JOB_ID)
@version_option("the newest without stems")
@with_stem_mode(default=None)
@with_priority
@with_output_options
@connected
def stems(
    session: Session,
    *,
    job_id: str,
    version: int | None,
    stem_mode: StemMode | None,
    priority: int,
    output: OutputOptions,
) -> None:
    """Request stems for a take that has none, or whose stems failed."""
    output.prepare()
    with session.client() as client:
        number = version or _newest_without_stems(client.get_job(job_id))
        output.check_not_existing(job_id, number, FileKind.ZIP)
        job = client.add_stems(job_id, version=number, stem_mode=stem_mode, priority=priority)
        follow_unless_detached(session, client, job, number, output, after_sequence=job.last_sequence)


@click.command()
@click.argument("job_id", type=JOB_ID)
@version_option("the newest that failed")
@with_priority
@with_output_options
@connected
def retry(session: Session, *, job_id: str, version: int | None, priority: int, output: OutputOptions) -> None:
    """Run a failed version again, as after TOO_MANY_ATTEMPTS. It resumes after what was stored, and no longer expires."""
    output.prepare()
    with session.client() as client:
        number = version or _newest_failed(client.get_job(job_id))
        output.check_not_existing(job_id, number, FileKind.ZIP)
        job = client.retry_version(job_id, version=number, priority=priority)
        follow_unless_detached(session, client, job, number, output, after_sequence=job.last_sequence)


def _newest_failed(job: job_pb2.Job) -> int:
    """The newest failed version that can run again; if there is none, the newest, which the service rejects.

    One whose files, or those of its base version, were deleted cannot.
    """
    deleted = {one.number for one in job.versions if one.HasField("delete_time")}
    failed = [one for one in job.versions if JobState(one.state) is JobState.FAILED]
    numbers = [one.number for one in failed if not deleted & {one.number, one.base_version}]
    return max(numbers, default=job.latest.number)


def _newest_without_stems(job: job_pb2.Job) -> int:
    """The newest version that has a bounce and no stems; if all have stems, the newest, which the service rejects."""
    numbers = [one.number for one in job.versions if one.files.HasField("bounce") and not one.files.HasField("zip")]
    return max(numbers, default=job.latest.number)
