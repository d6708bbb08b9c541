"""``sonichaos models``: what the running services have loaded."""

from __future__ import annotations

import click

from sonichaos_client.cli.session import Session, as_dict, connected


@click.command()
@connected
def models(session: Session) -> None:
    """Show the loaded renderer and separator."""
    with session.client() as client:
        renderer, separator = client.render_model(), client.separation_model()
    session.emit({"service": "render", **as_dict(renderer)})
    session.emit({"service": "separation", **as_dict(separator)})
    parameters = sum(model.parameters for model in renderer.models)
    session.tell(
        f"renderer   {renderer.name}  {parameters / 1e6:.1f} M parameters  {renderer.min_seconds:g}-{renderer.max_seconds:g} s"
        f"  {renderer.licence}"
    )
    session.tell(
        f"separator  {separator.name}  {separator.models} models  {', '.join(separator.sources)}  {separator.licence}"
    )
