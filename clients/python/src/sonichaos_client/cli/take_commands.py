"""``sonichaos render | separate | stems``: each makes work and, unless detached, follows it to its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos.jobs.v1 import jobs_service_pb2 as jobs_pb
from sonichaos.separation.v1 import separation_pb2
from sonichaos_client.cli.job_options import Acceptance, accepting, following, with_stem_mode
from sonichaos_client.cli.outcome import Delivery, see_through
from sonichaos_client.cli.session import Session, connected, note
from sonichaos_client.cli.tempo_map_file import read_tempo_map
from sonichaos_client.client import Client
from sonichaos_client.errors import SonichaosError

SEED = click.IntRange(0, 2**32 - 1)


def carry_on(
    session: Session,
    client: Client,
    job: job_pb2.Job,
    number: int,
    delivery: Delivery,
    *,
    after_sequence: int = 0,
) -> None:
    """After acceptance: print the id and leave, or follow the version to its end from an event on."""
    session.emit(job)
    if delivery.detach:
        session.tell(job.job_id)
        return
    note(f"accepted {job.job_id}")
    see_through(session, client, job, number, delivery, after_sequence=after_sequence)


@click.command()
@click.option("--prompt", required=True, help="Free text: instrumentation, mood, tempo.")
@click.option("--persona", "persona_id", default="", metavar="ID", help="Acoustic identity; see: sonichaos personas.")
@click.option("--seed", type=SEED, help="Seed of every random draw [default: drawn, and returned]")
@click.option("--seconds", type=float, default=0.0, metavar="S", help="Length, 2 to 180 [default: 30]")
@click.option("--bpm", type=float, metavar="B", help="One tempo throughout, 30 to 300.")
@click.option(
    "--tempo-map",
    "tempo_map_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A tempo map as JSON, or a manifest that has one.",
)
@click.option("--key", default="", metavar='"A minor"', help="Tonic and mode.")
@click.option("--instrumental", is_flag=True, help="No voice.")
@click.option("--lyrics", default="", help="Words to be sung, where the renderer can.")
@click.option(
    "--expires-in",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="Fail unless done in so many seconds.",
)
@click.option("--stems", is_flag=True, help="Stems as well.")
@with_stem_mode
@accepting
@following
@connected
def render(
    session: Session,
    *,
    prompt: str,
    persona_id: str,
    seed: int | None,
    seconds: float,
    bpm: float | None,
    tempo_map_file: Path | None,
    key: str,
    instrumental: bool,
    lyrics: str,
    expires_in: float | None,
    stems: bool,
    stem_mode: brief_pb2.StemMode.ValueType,
    acceptance: Acceptance,
    delivery: Delivery,
) -> None:
    """Render a take from words."""
    if bpm is not None and tempo_map_file is not None:
        raise click.UsageError("--bpm and --tempo-map exclude each other")
    brief = brief_pb2.Brief(
        prompt=prompt,
        persona_id=persona_id,
        seed=seed,
        seconds=seconds,
        key=key,
        instrumental=instrumental,
        lyrics=lyrics,
        stems=stems,
        stem_mode=stem_mode,
        labels=acceptance.labels,
        licence=acceptance.licence,
    )
    if bpm is not None:
        brief.bpm = bpm
    if tempo_map_file is not None:
        brief.tempo_map.CopyFrom(read_tempo_map(tempo_map_file))
    if expires_in is not None:
        brief.expire_time.FromDatetime(datetime.now(UTC) + timedelta(seconds=expires_in))
    with session.client() as client:
        if not persona_id:
            raise click.UsageError(f"--persona ID says whose sound it is{_known_personas(client)}")
        delivery.prepare()
        job = client.create_render(brief, request_id=acceptance.request_id)
        carry_on(session, client, job, 1, delivery)


def _known_personas(client: Client) -> str:
    try:
        return "; known: " + ", ".join(persona.id for persona in client.list_personas())
    except SonichaosError:
        return "; sonichaos personas lists them"


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@with_stem_mode
@accepting
@following
@connected
def separate(
    session: Session,
    *,
    file: Path,
    stem_mode: brief_pb2.StemMode.ValueType,
    acceptance: Acceptance,
    delivery: Delivery,
) -> None:
    """Split a 44.1 kHz WAV into drums, bass, vocals and other."""
    header = separation_pb2.SeparationHeader(
        request_id=acceptance.request_id,
        stem_mode=stem_mode,
        file_name=file.name,
        labels=acceptance.labels,
        licence=acceptance.licence,
    )
    delivery.prepare()
    with session.client() as client:
        job = client.separate_file(file, header)
        carry_on(session, client, job, 1, delivery)


@click.command()
@click.argument("job_id")
@click.option("--version", "number", type=click.IntRange(min=1), default=1, show_default=True)
@with_stem_mode
@following
@connected
def stems(
    session: Session,
    *,
    job_id: str,
    number: int,
    stem_mode: brief_pb2.StemMode.ValueType,
    delivery: Delivery,
) -> None:
    """Ask for the stems of a take that has none, or whose stems failed."""
    delivery.prepare()
    delivery.refuse_existing(job_id, number, jobs_pb.FILE_KIND_ZIP)
    with session.client() as client:
        job = client.add_stems(job_id, version=number, stem_mode=stem_mode)
        last = job.last_sequence
        carry_on(session, client, job, number, delivery, after_sequence=last)
