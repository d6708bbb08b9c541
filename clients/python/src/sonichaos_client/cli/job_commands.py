"""``sonichaos jobs | get | watch | cancel | delete | sign-url``."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice

import click

from sonichaos_client.cli.completion import JOB_ID, PERSONA_ID
from sonichaos_client.cli.destination import Destination, DestinationType
from sonichaos_client.cli.follow import OutputOptions, follow, save_file
from sonichaos_client.cli.formatting import format_cancel_result, format_job, format_job_line, lower
from sonichaos_client.cli.param_types import (
    INT64_MAX,
    UINT32_MAX,
    IntegerBetween,
    NumberBetween,
    version_option,
)
from sonichaos_client.cli.session import Session, connected, note
from sonichaos_client.download import default_kind, version_with_file
from sonichaos_client.enums import FileKind, JobState, OwningService
from sonichaos_client.job_reference import version_of
from sonichaos_client.jobs import JobFilter

_STATES = {lower(state): state for state in JobState if state}
_OWNERS = {lower(owner): owner for owner in OwningService if owner}
_KINDS = {
    lower(kind): kind for kind in (FileKind.ZIP, FileKind.BOUNCE, FileKind.MANIFEST, FileKind.LATENTS, FileKind.MIDI)
}
_MAX_TTL_S = 7 * 86400
_kind_option = click.option(
    "--file", "kind", type=click.Choice(list(_KINDS)), help="Which file [default: the ZIP; without stems, the bounce]"
)
_out_option = click.option(
    "--out",
    type=DestinationType(),
    metavar="FILE|DIR",
    help="Download the file, complete or not at all: under this name, or to this folder under the job's id. "
    "A name in .zip, .wav, .json, .mid or .safetensors says which file.",
)
_force_option = click.option("--force", is_flag=True, help="Overwrite an existing file.")


@click.command()
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(list(_STATES)),
    help="Only jobs in this state; may be repeated.",
)
@click.option("--owner", type=click.Choice(list(_OWNERS)), help="Only takes, or only separations of uploads.")
@click.option(
    "--persona", "persona_id", type=PERSONA_ID, default="", metavar="ID", help="Only takes with this persona."
)
@click.option(
    "--search",
    "prompt_contains",
    default="",
    metavar="TEXT",
    help="Only takes whose prompt contains this text, in any case.",
)
@click.option(
    "--limit", type=IntegerBetween(1, UINT32_MAX), default=50, show_default=True, help="Maximum number of jobs."
)
@connected
def jobs(
    session: Session,
    *,
    states: tuple[str, ...],
    owner: str | None,
    persona_id: str,
    prompt_contains: str,
    limit: int,
) -> None:
    """List jobs, newest first."""
    job_filter = JobFilter(
        states=[_STATES[state] for state in states],
        owner=_OWNERS[owner] if owner is not None else None,
        persona_id=persona_id,
        prompt_contains=prompt_contains,
    )
    count = 0
    with session.client() as client:
        for job in islice(client.list_jobs(job_filter), limit):
            session.print_json(job)
            session.print_text(format_job_line(job))
            count += 1
    if not count:
        note(
            "No job matches these options."
            if states or owner or persona_id or prompt_contains
            else "There are no jobs yet. 'sonichaos render' and 'sonichaos separate' create them."
        )


@click.command()
@click.argument("job_id", type=JOB_ID)
@version_option("the newest; with --out, the newest that has the file")
@_kind_option
@_out_option
@_force_option
@connected
def get(
    session: Session, *, job_id: str, version: int | None, kind: str | None, out: Destination | None, force: bool
) -> None:
    """Show a job. With --out, download one of its files."""
    output, file_kind = OutputOptions(out, overwrite=force), _KINDS[kind] if kind else None
    if file_kind is not None:
        output.check_kind([file_kind], f"--file {kind}")
    output.prepare()
    with session.client() as client:
        job = client.get_job(job_id)
        if out is not None:
            file_kind = file_kind or out.kind
            found = version_with_file(job, version or 0, file_kind)
            save_file(session, client, job, found.number, out, overwrite=force, kind=file_kind)
        else:
            version_of(job, version or 0)  # raises NotFoundError
            session.print_text(format_job(job))
        session.print_json(job)


@click.command()
@click.argument("job_id", type=JOB_ID)
@version_option("the newest")
@click.option(
    "--after",
    "after_sequence",
    type=IntegerBetween(0, INT64_MAX),
    default=0,
    help="Only events with a sequence number above N.",
)
@_out_option
@_force_option
@connected
def watch(
    session: Session, *, job_id: str, version: int | None, after_sequence: int, out: Destination | None, force: bool
) -> None:
    """Show the progress of a job until it ends. With --out, download its file."""
    output = OutputOptions(out, overwrite=force)
    output.prepare()
    with session.client() as client:
        job = client.get_job(job_id)
        found = version_of(job, version or 0)
        output.check_not_existing(job.job_id, found.number, (out and out.kind) or default_kind(found))
        follow(session, client, job, found.number, output, after_sequence=after_sequence)


@click.command()
@click.argument("job_id", type=JOB_ID)
@click.option("--version", type=IntegerBetween(1, UINT32_MAX), help="Cancel only this version [default: all]")
@connected
def cancel(session: Session, *, job_id: str, version: int | None) -> None:
    """Cancel a job, or one version of it."""
    with session.client() as client:
        job = client.cancel(job_id, version=version or 0)
        for other in job.versions if version is None else ():
            if JobState(other.state) in {JobState.QUEUED, JobState.RUNNING}:
                job = client.cancel(job_id, version=other.number)
    session.print_json(job)
    session.print_text(format_cancel_result(job, [version_of(job, version)] if version else job.versions))


@click.command()
@click.argument("job_id", type=JOB_ID)
@click.option(
    "--version",
    type=IntegerBetween(2, UINT32_MAX),
    help="Delete only the files of this re-rendered version, 2 or more. It stays listed [default: the job]",
)
@connected
def delete(session: Session, *, job_id: str, version: int | None) -> None:
    """Delete a finished job, or a version of it, with its files. Audit rows stay."""
    with session.client() as client:
        if version is None:
            client.delete(job_id)
        else:
            client.delete_version(job_id, version)
    session.print_json({"jobId": job_id, **({} if version is None else {"version": version}), "deleted": True})
    session.print_text(f"{job_id}{'' if version is None else f' v{version}'}: deleted")


@click.command("sign-url")
@click.argument("job_id", type=JOB_ID)
@version_option("the newest that has the file")
@_kind_option
@click.option(
    "--expires-in",
    type=NumberBetween(1, _MAX_TTL_S),
    metavar="SECONDS",
    help="Lifetime of the URL, 1 second to 7 days [default: set by the service]",
)
@connected
def sign_url(session: Session, *, job_id: str, version: int | None, kind: str | None, expires_in: float | None) -> None:
    """Create a signed URL that downloads one stored file."""
    with session.client() as client:
        signed = client.create_signed_url(
            job_id,
            version=version or 0,
            kind=_KINDS[kind] if kind else None,
            ttl=timedelta(seconds=expires_in) if expires_in is not None else None,
        )
    session.print_json(signed)
    session.print_text(signed.url)
