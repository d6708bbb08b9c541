"""What happens after a job was accepted: follow it, fetch its file, say how it ended."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from sonichaos.jobs.v1 import job_pb2
from sonichaos.jobs.v1 import jobs_service_pb2 as jobs_pb
from sonichaos_client.cli.exit_status import ExitStatus
from sonichaos_client.cli.progress import display, tracks_of
from sonichaos_client.cli.session import Session, note
from sonichaos_client.cli.summary import describe_version, without_stems_in_words
from sonichaos_client.client import Client
from sonichaos_client.download import SavedFile, kind_of, local_name
from sonichaos_client.errors import JobEndedBadly, SonichaosError
from sonichaos_client.jobs import version_of
from sonichaos_client.landing import refuse_existing
from sonichaos_client.watch import FailureTold


@dataclass(frozen=True)
class Delivery:
    """Whether the job is followed, and where its file is to land, if anywhere, and whether it may cover another."""

    folder: Path | None
    overwrite: bool
    detach: bool = False

    def prepare(self) -> None:
        """Make the folder, and refuse one that cannot be written, before any work is asked for."""
        if self.folder is None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.UsageError(f"--out {self.folder} cannot be made: {error.strerror}") from error
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise click.UsageError(f"--out {self.folder} cannot be written to")

    def refuse_existing(self, job_id: str, version: int, kind: jobs_pb.FileKind.ValueType) -> None:
        """Raise LocalFileExists where the file that would land exists already."""
        if self.folder is not None:
            refuse_existing(self.folder / local_name(job_id, version, kind), overwrite=self.overwrite)


def see_through(
    session: Session, client: Client, job: job_pb2.Job, number: int, delivery: Delivery, *, after_sequence: int
) -> None:
    """Follow a version to its end, fetch its file where one was asked for, and say how it ended.

    Raises JobFailed, JobCancelled, or what went wrong with the file.
    """
    version = version_of(job, number)
    failure = FailureTold(job, version.number)
    with left_running(job.job_id):
        try:
            with (
                display(tracks_of(job, version), json_lines=session.json_lines) as shown,
                closing(client.watch(job, version=version.number, after_sequence=after_sequence)) as events,
            ):
                for event in events:
                    session.emit(event)
                    shown.show(event)
                    failure.hear(event)
            ended = client.wait(job, version=version.number)
        except JobEndedBadly as error:
            session.emit(error.job)
            raise
        except SonichaosError as error:
            if failure.known is None:
                raise
            note(f"The watch broke after the job's end: {error.message}")
            session.emit(failure.known.job)
            raise failure.known from error
    if delivery.folder is not None:
        fetch(session, client, ended, version.number, delivery)
    session.emit(ended)
    session.tell(describe_version(ended, version_of(ended, version.number)))


def fetch(
    session: Session,
    client: Client,
    job: job_pb2.Job,
    number: int,
    delivery: Delivery,
    *,
    kind: jobs_pb.FileKind.ValueType = jobs_pb.FILE_KIND_UNSPECIFIED,
) -> SavedFile:
    """Fetch a version's file and say where it landed."""
    if delivery.folder is None:
        raise click.UsageError("--out DIR says where the file is to land")
    version = version_of(job, number)
    wanted = kind or kind_of(version)
    if not kind and version.stems_wanted and wanted == jobs_pb.FILE_KIND_BOUNCE:
        note(without_stems_in_words(job, version))
    saved = client.download(job.job_id, delivery.folder, version=number, kind=wanted, overwrite=delivery.overwrite)
    session.emit(
        {
            "jobId": saved.job_id,
            "version": saved.version,
            "path": str(saved.path),
            "sizeBytes": str(saved.size_bytes),
            "sha256": saved.sha256,
        }
    )
    session.tell(str(saved.path))
    return saved


@contextmanager
def left_running(job_id: str) -> Iterator[None]:
    """Ctrl-C leaves the job running: say how to follow or cancel it."""
    try:
        yield
    except KeyboardInterrupt:
        note(
            f"\nLeft {job_id}, which goes on. Follow it: sonichaos watch {job_id}    Stop it: sonichaos cancel {job_id}"
        )
        click.get_current_context().exit(ExitStatus.INTERRUPTED)
