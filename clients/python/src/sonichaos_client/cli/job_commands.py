"""``sonichaos jobs | get | watch | cancel | delete | url``."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from pathlib import Path

import click

from sonichaos.jobs.v1 import job_pb2
from sonichaos.jobs.v1 import jobs_service_pb2 as jobs_pb
from sonichaos_client.cli.numbers import INT64_MAX, UINT32_MAX, FiniteRange
from sonichaos_client.cli.outcome import Delivery, fetch, see_through
from sonichaos_client.cli.session import Session, connected
from sonichaos_client.cli.summary import describe_job, job_line, stop_in_words
from sonichaos_client.download import kind_of
from sonichaos_client.jobs import JobFilter, version_of
from sonichaos_client.rpcs import Target

_STATES = {
    name.removeprefix("JOB_STATE_").lower(): number
    for name, number in job_pb2.JobState.items()
    if number != job_pb2.JOB_STATE_UNSPECIFIED
}
_OWNERS = {"render": Target.RENDER, "separation": Target.SEPARATION}
_KINDS = {
    "zip": jobs_pb.FILE_KIND_ZIP,
    "bounce": jobs_pb.FILE_KIND_BOUNCE,
    "manifest": jobs_pb.FILE_KIND_MANIFEST,
    "latents": jobs_pb.FILE_KIND_LATENTS,
}
_version_option = click.option(
    "--version", "number", type=click.IntRange(1, UINT32_MAX), help="Which version [default: the newest]"
)
_file_option = click.option(
    "--file", "kind", type=click.Choice(list(_KINDS)), help="Which file [default: the ZIP; without stems, the bounce]"
)
_out_option = click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Fetch the file into DIR."
)
_force_option = click.option("--force", is_flag=True, help="Overwrite an existing file.")


@click.command()
@click.option("--state", "states", multiple=True, type=click.Choice(list(_STATES)), help="Only these; may be repeated.")
@click.option("--owner", type=click.Choice(list(_OWNERS)), help="Only takes, or only separations of uploads.")
@click.option("--persona", "persona_id", default="", metavar="ID", help="Only takes of this persona.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Most jobs to list.")
@connected
def jobs(session: Session, *, states: tuple[str, ...], owner: str | None, persona_id: str, limit: int) -> None:
    """List jobs, newest first."""
    wanted = JobFilter(
        states=[_STATES[state] for state in states],
        owner=_OWNERS[owner] if owner is not None else None,
        persona_id=persona_id,
    )
    with session.client() as client:
        for job in islice(client.list_jobs(wanted), limit):
            session.emit(job)
            session.tell(job_line(job))


@click.command()
@click.argument("job_id")
@_version_option
@_file_option
@_out_option
@_force_option
@connected
def get(session: Session, *, job_id: str, number: int | None, kind: str | None, out: Path | None, force: bool) -> None:
    """Show a job; with --out, fetch one of its files."""
    delivery = Delivery(out, overwrite=force)
    delivery.prepare()
    with session.client() as client:
        job = client.get_job(job_id)
        version = version_of(job, number or 0)
        if out is not None:
            wanted = _KINDS[kind] if kind is not None else jobs_pb.FILE_KIND_UNSPECIFIED
            fetch(session, client, job, version.number, delivery, kind=wanted)
        else:
            session.tell(describe_job(job))
        session.emit(job)


@click.command()
@click.argument("job_id")
@_version_option
@click.option(
    "--after",
    "after_sequence",
    type=click.IntRange(0, INT64_MAX),
    default=0,
    help="Only events with a greater number.",
)
@_out_option
@_force_option
@connected
def watch(
    session: Session, *, job_id: str, number: int | None, after_sequence: int, out: Path | None, force: bool
) -> None:
    """Follow a job until it ends."""
    delivery = Delivery(out, overwrite=force)
    delivery.prepare()
    with session.client() as client:
        job = client.get_job(job_id)
        version = version_of(job, number or 0)
        delivery.refuse_existing(job.job_id, version.number, kind_of(version))
        see_through(session, client, job, version.number, delivery, after_sequence=after_sequence)


@click.command()
@click.argument("job_id")
@_version_option
@connected
def cancel(session: Session, *, job_id: str, number: int | None) -> None:
    """Stop a job, or one version of it."""
    with session.client() as client:
        job = client.cancel(job_id, version=number or 0)
    session.emit(job)
    session.tell(stop_in_words(job, [version_of(job, number)] if number else job.versions))


@click.command()
@click.argument("job_id")
@connected
def delete(session: Session, *, job_id: str) -> None:
    """Delete an ended job and its files. Its audit rows stay."""
    with session.client() as client:
        client.delete(job_id)
    session.emit({"jobId": job_id, "deleted": True})
    session.tell(f"{job_id}: deleted")


@click.command()
@click.argument("job_id")
@_version_option
@_file_option
@click.option("--lifetime", type=FiniteRange(1, 7 * 86400), metavar="S", help="How long it holds, in seconds.")
@connected
def url(session: Session, *, job_id: str, number: int | None, kind: str | None, lifetime: float | None) -> None:
    """Make a signed URL of one stored file."""
    wanted = _KINDS[kind] if kind is not None else jobs_pb.FILE_KIND_UNSPECIFIED
    with session.client() as client:
        version = version_of(client.get_job(job_id), number or 0)
        signed = client.sign_url(
            job_id,
            version=version.number,
            kind=wanted,
            lifetime=timedelta(seconds=lifetime) if lifetime is not None else None,
        )
    session.emit(signed)
    session.tell(signed.url)
