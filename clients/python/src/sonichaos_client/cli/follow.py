"""After a job was accepted: watch it, download its file, and print the result."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import click

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client.atomic_file import check_not_existing
from sonichaos_client.cli.destination import Destination
from sonichaos_client.cli.exit_status import ExitStatus
from sonichaos_client.cli.formatting import format_missing_stems, format_resolved, format_version
from sonichaos_client.cli.progress import progress_display, tracks_of
from sonichaos_client.cli.session import Session, note
from sonichaos_client.client import Client
from sonichaos_client.download import default_kind
from sonichaos_client.enums import FileKind
from sonichaos_client.errors import JobFailedError, SonichaosError
from sonichaos_client.job_reference import version_of
from sonichaos_client.watch import LastFailure


@dataclass(frozen=True)
class OutputOptions:
    """Whether the job is watched, where its file is stored if it is downloaded, and whether a file may be overwritten."""

    out: Destination | None
    overwrite: bool
    detach: bool = False

    def prepare(self) -> None:
        """Create the folder, and reject one that is not writable and a file that exists, before a job is created."""
        if self.out is not None:
            self.out.prepare(overwrite=self.overwrite)

    def check_kind(self, available: Collection[FileKind], of_what: str) -> None:
        """Reject a file name that is not that of an available kind; ``of_what`` is in the message."""
        if self.out is not None:
            self.out.check_kind(available, of_what)

    def check_not_existing(self, job_id: str, version: int, kind: FileKind) -> None:
        """Raise LocalFileExistsError if the file to be downloaded exists already."""
        if self.out is not None:
            check_not_existing(self.out.path(job_id, version, kind), overwrite=self.overwrite)


def follow_unless_detached(
    session: Session,
    client: Client,
    job: job_pb2.Job,
    version: int,
    output: OutputOptions,
    *,
    after_sequence: int = 0,
) -> None:
    """Print the accepted job and what its brief was resolved to; unless detached, follow the version to its end."""
    session.print_json(job)
    note(f"accepted {job.job_id}" + (f" v{version}" if version > 1 else ""))
    if job.brief.seed_source and version == 1:
        note(format_resolved(job.brief))
    if output.detach:
        session.print_text(job.job_id)
        return
    follow(session, client, job, version, output, after_sequence=after_sequence)


def follow(
    session: Session, client: Client, job: job_pb2.Job, version: int, output: OutputOptions, *, after_sequence: int
) -> None:
    """Watch a version to its end, download its file if requested, and print the result.

    Raises JobFailedError, or the error of the download.
    """
    watched = version_of(job, version)
    failure = LastFailure(job, watched.number)
    with _job_continues_after_interrupt(session, job.job_id):
        try:
            with (
                progress_display(tracks_of(job, watched), json_lines=session.json_lines) as display,
                closing(client.watch(job, version=watched.number, after_sequence=after_sequence)) as events,
            ):
                for event in events:
                    session.print_json(event.message)
                    display.show(event)
                    failure.on_event(event)
            ended = client.wait(job, version=watched.number)
        except JobFailedError as error:
            session.print_json(error.job)
            raise
        except SonichaosError as error:
            if failure.error is None:
                raise
            note(f"Lost the connection after the job had failed: {error.message}")
            session.print_json(failure.error.job)
            raise failure.error from error
    if output.out is not None:
        save_file(session, client, ended, watched.number, output.out, overwrite=output.overwrite)
        if output.out.kind is FileKind.BOUNCE and version_of(ended, watched.number).files.HasField("zip"):
            stems = session.next_command(
                "get", job.job_id, "--version", str(watched.number), "--file", "zip", "--out", "."
            )
            note(f"{output.out.file_name} is the bounce; the stems: {stems}")
    session.print_json(ended)
    session.print_text(format_version(ended, version_of(ended, watched.number)))
    if output.out is None:
        download = session.next_command("get", job.job_id, "--version", str(watched.number), "--out", ".")
        note(f"The files are stored by the service. To download: {download}")


def save_file(
    session: Session,
    client: Client,
    job: job_pb2.Job,
    version: int,
    out: Destination,
    *,
    overwrite: bool,
    kind: FileKind | None = None,
) -> None:
    """Download a version's file and print its path. ``kind`` None: what the name of ``out`` says, else `default_kind`."""
    found = version_of(job, version)
    kind = kind or out.kind
    if kind is None:
        kind = default_kind(found)
        if found.stems_wanted and kind is FileKind.BOUNCE:
            note(format_missing_stems(job, found))
    saved = client.download(
        job.job_id, out.folder, version=found.number, kind=kind, file_name=out.file_name, overwrite=overwrite
    )
    session.print_json(
        {
            "jobId": saved.job_id,
            "version": saved.version,
            "path": str(saved.path),
            "sizeBytes": str(saved.size_bytes),
            "sha256": saved.sha256,
        }
    )
    session.print_text(str(saved.path))


@contextmanager
def _job_continues_after_interrupt(session: Session, job_id: str) -> Iterator[None]:
    """On Ctrl-C, print the commands that watch and cancel the job, which continues, and nothing else: one a line."""
    try:
        yield
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            note("")  # ends the line on which the terminal shows ^C
        note(session.next_command("watch", job_id))
        note(session.next_command("cancel", job_id))
        click.get_current_context().exit(ExitStatus.INTERRUPTED)
