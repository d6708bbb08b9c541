"""``sonichaos persona list | add | delete``, and ``personas``."""

from __future__ import annotations

from pathlib import Path

import click

from sonichaos_client.cli.completion import PERSONA_ID
from sonichaos_client.cli.formatting import printable
from sonichaos_client.cli.param_types import INPUT_FOLDER
from sonichaos_client.cli.session import Session, connected
from sonichaos_client.upload import clips_in

_MAX_PREFIX = 80


@click.group()
def persona() -> None:
    """List, add or delete personas."""


def _print_personas(session: Session) -> None:
    with session.client() as client:
        for one in client.list_personas():
            session.print_json(one)
            origin = "built in" if one.built_in else "added"
            session.print_text(f"{one.id:<24}  {origin:<8}  {printable(one.prefix, _MAX_PREFIX)}")


persona.command("list", help="List the personas.")(connected(_print_personas))
personas = click.command("personas", help="List the personas; short for 'sonichaos persona list'.")(
    connected(_print_personas)
)


@persona.command()
@click.argument("persona_id", metavar="ID")
@click.option(
    "--clips",
    required=True,
    type=INPUT_FOLDER,
    metavar="DIR",
    help="Folder of reference clips (WAV, FLAC, AIFF, OGG), read in the order of their names.",
)
@click.option(
    "--prefix",
    required=True,
    metavar="TEXT",
    help="Prompt prefix of the persona, joined to the prompt as an embedding.",
)
@connected
def add(session: Session, *, persona_id: str, clips: Path, prefix: str) -> None:
    """Create a persona from reference clips."""
    files = clips_in(clips)
    with session.client() as client:
        created = client.create_persona(persona_id, prefix, files)
    session.print_json(created)
    session.print_text(f"{created.id}: created from {len(created.clip_sha256)} clips")


@persona.command()
@click.argument("persona_id", type=PERSONA_ID, metavar="ID")
@connected
def delete(session: Session, *, persona_id: str) -> None:
    """Delete a persona that is not built in. The audit rows of its takes keep its embedding."""
    with session.client() as client:
        client.delete_persona(persona_id)
    session.print_json({"personaId": persona_id, "deleted": True})
    session.print_text(f"{persona_id}: deleted")
