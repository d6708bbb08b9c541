"""``sonichaos personas`` and ``sonichaos persona add | delete``."""

from __future__ import annotations

from pathlib import Path

import click

from sonichaos_client.cli.session import Session, connected
from sonichaos_client.cli.summary import printable
from sonichaos_client.upload import clips_in


@click.command()
@connected
def personas(session: Session) -> None:
    """List the personas."""
    with session.client() as client:
        for one in client.list_personas():
            session.emit(one)
            session.tell(f"{one.id:<24}  {'built in' if one.built_in else 'added':<8}  {printable(one.prefix, 80)}")


@click.group()
def persona() -> None:
    """Add or delete a persona."""


@persona.command()
@click.argument("persona_id", metavar="ID")
@click.option(
    "--clips",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder of reference clips (WAV, FLAC, AIFF, OGG), taken in the order of their names.",
)
@click.option(
    "--prefix", required=True, metavar="TEXT", help="The persona's own words, joined to the prompt as an embedding."
)
@connected
def add(session: Session, *, persona_id: str, clips: Path, prefix: str) -> None:
    """Make a persona from reference clips."""
    files = clips_in(clips)
    with session.client() as client:
        made = client.add_persona(persona_id, prefix, files)
    session.emit(made)
    session.tell(f"{made.id}: added from {len(made.clip_sha256)} clips")


@persona.command()
@click.argument("persona_id", metavar="ID")
@connected
def delete(session: Session, *, persona_id: str) -> None:
    """Delete an added persona. Takes made with it keep its embedding in their audit rows."""
    with session.client() as client:
        client.delete_persona(persona_id)
    session.emit({"personaId": persona_id, "deleted": True})
    session.tell(f"{persona_id}: deleted")
