"""``sonichaos models | usage | version | help``."""

from __future__ import annotations

from importlib.metadata import version as distribution_version

import click

from sonichaos_client.cli.session import Session, as_dict, connected

DISTRIBUTION = "sonichaos-client"


@click.command()
@connected
def models(session: Session) -> None:
    """Show the loaded renderer and separator."""
    with session.client() as client:
        renderer, separator = client.get_render_model(), client.get_separation_model()
    session.print_json({"service": "render", **as_dict(renderer)})
    session.print_json({"service": "separation", **as_dict(separator)})
    parameters = sum(model.parameters for model in renderer.models)
    session.print_text(
        f"renderer   {renderer.name}  {parameters / 1e6:.1f} M parameters  {renderer.min_seconds:g} to "
        f"{renderer.max_seconds:g} s  {renderer.licence}"
    )
    count = f"{separator.models} model{'s' if separator.models != 1 else ''}"
    session.print_text(f"separator  {separator.name}  {count}  {', '.join(separator.sources)}  {separator.licence}")


@click.command(short_help="Show your tenant's limits and what it has used.")
@connected
def usage(session: Session) -> None:
    """Show your tenant's limits and how much of each is used, as render_service counts them."""
    with session.client() as client:
        found = client.get_usage()
    session.print_json(found)
    session.print_text(f"tenant {found.tenant}")
    for limit in found.limits:
        allowed = f"of {limit.allowed:,.12g}" if limit.allowed else "(no limit)"
        session.print_text(f"{limit.limit:<22} {round(limit.used, 2):,.12g} {allowed}")
    session.print_text(f"A new day begins at {found.day_end_time.ToDatetime().isoformat(sep=' ')} UTC.")


@click.command("version")
def show_version() -> None:
    """Show the version and exit. Same as --version and -V."""
    click.echo(f"sonichaos, version {distribution_version(DISTRIBUTION)}")


@click.command("help")
@click.argument("words", nargs=-1, metavar="[COMMAND]...")
@click.pass_context
def show_help(context: click.Context, words: tuple[str, ...]) -> None:
    """Show the help of a command. Same as --help and -h."""
    shown = context.find_root()
    for word in words:
        group = shown.command
        command = group.get_command(shown, word) if isinstance(group, click.Group) else None
        if command is None:
            raise click.UsageError(f"No such command '{' '.join(words)}'. 'sonichaos help' lists the commands.")
        shown = click.Context(command, info_name=word, parent=shown)
    click.echo(shown.get_help())
