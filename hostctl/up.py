"""``sonichaos up``: runs both services on this machine until it is stopped."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hostctl.installation import (
    RENDER_LISTEN,
    SEPARATION_LISTEN,
    URL_LISTEN,
    WEB_LISTEN,
    Installation,
    host_settings,
    plan_installation,
)
from hostctl.service_log import LogFile
from hostctl.supervisor import SERVICES, Supervisor
from hostctl.up_report import JsonReport, Report, TextReport, output_to
from sonichaos_client.cli.session import Session

if TYPE_CHECKING:
    from hostctl.web.plan import WebPlan


def _path_or_name(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    return str(Path(value).absolute()) if value is not None and Path(value).is_dir() else value


@click.command(short_help="Start both services on this machine.")
@click.option(
    "--separator", metavar="NAME", help="starter, or a model that demucs loads, such as htdemucs_ft [default: starter]"
)
@click.option(
    "--separator-repo",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder with the weights of the separator, as saved by 'sonichaos fetch-weights'.",
)
@click.option(
    "--renderer",
    metavar="NAME_OR_DIR",
    callback=_path_or_name,
    help="starter, or the folder of a checkpoint [default: starter]",
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="Device of the models [default: cpu]")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Data folder: journal, files, weights [default: ~/.local/share/sonichaos]",
)
@click.option(
    "--render-listen",
    metavar="HOST:PORT",
    help=f"Addresses of render_service, separated by commas; port 0 is any free port [env: {RENDER_LISTEN}]",
)
@click.option(
    "--separation-listen",
    metavar="HOST:PORT",
    help=f"Addresses of separation_service, separated by commas; port 0 is any free port [env: {SEPARATION_LISTEN}]",
)
@click.option(
    "--url-listen", metavar="HOST:PORT", help=f"Address of signed URLs; port 0 is any free port [env: {URL_LISTEN}]"
)
@click.option("--web", is_flag=True, help="Serve the page for browsers too, and start a service again that crashes.")
@click.option(
    "--web-listen",
    metavar="HOST:PORT",
    help=f"Address of the page; port 0 is any free port [env: {WEB_LISTEN}; default: 127.0.0.1:50070]",
)
@click.option(
    "--insecure",
    is_flag=True,
    help="Allow plain text on addresses that other machines reach. Callers without a credential then act for the tenant local.",
)
@click.option(
    "--logs",
    is_flag=True,
    help="Send the services' logs to stderr [default: to DIR/logs, where DIR is the data folder]",
)
@click.option(
    "--json",
    "json_lines",
    is_flag=True,
    help="Print one JSON object per line to stdout, as without a terminal there: states of the services, and their addresses.",
)
@click.pass_context
def up(
    context: click.Context,
    *,
    separator: str | None,
    separator_repo: Path | None,
    renderer: str | None,
    device: str | None,
    data: Path | None,
    render_listen: str | None,
    separation_listen: str | None,
    url_listen: str | None,
    web: bool,
    web_listen: str | None,
    insecure: bool,
    logs: bool,
    json_lines: bool,
) -> None:
    """Start both services on this machine and print their addresses when they are ready.

    While the models load, a terminal shows how far each service is. The services' logs go to files in the data folder, which
    never exceed 64 MiB per service. With --web, the page is there at once and shows how far the services are.

    Ctrl-C or SIGTERM drains them: they accept no new jobs and finish the running ones. A second Ctrl-C stops them at once;
    unfinished jobs continue at the next start.
    """
    if web_listen is not None and not web:
        raise click.UsageError("--web-listen needs --web.")
    chosen = {
        "SONICHAOS_SEPARATOR": separator,
        "SONICHAOS_SEPARATOR_REPO": str(separator_repo.absolute()) if separator_repo is not None else None,
        "SONICHAOS_RENDERER": renderer,
        "SONICHAOS_DEVICE": device,
        "SONICHAOS_INSECURE": "1" if insecure else None,
    }
    listen = {
        RENDER_LISTEN: render_listen,
        SEPARATION_LISTEN: separation_listen,
        URL_LISTEN: url_listen,
        WEB_LISTEN: web_listen,
    }
    installation = plan_installation(os.environ, data=data, chosen=chosen, listen=listen, web=web)
    report = _report(as_json=json_lines or context.ensure_object(Session).json_lines, with_logs=logs)
    page = _plan_web(installation, report, insecure=insecure) if web else None
    files = {} if logs else _log_files(installation.data)
    context.exit(asyncio.run(Supervisor(installation, report, files, page).run()))


def _plan_web(installation: Installation, report: Report, *, insecure: bool) -> WebPlan:
    from hostctl.web.own_log import log_to
    from hostctl.web.plan import plan_web  # loads an HTTP server

    log_to(report.note)
    settings = host_settings(os.environ)
    return plan_web(installation, settings, insecure=insecure or settings.insecure)


def _report(*, as_json: bool, with_logs: bool) -> Report:
    """JSON where a program reads stdout. Live lines where a terminal shows nothing else at the same time."""
    notes = output_to(sys.stderr.fileno())
    if as_json or not sys.stdout.isatty():
        return JsonReport(notes)
    return TextReport(notes, is_live=sys.stderr.isatty() and not with_logs and os.environ.get("TERM") != "dumb")


def _log_files(data: Path) -> dict[str, LogFile]:
    """The log file of each service. Raises click.ClickException."""
    folder = data / "logs"
    try:
        return {name: LogFile(folder / f"{name}.log") for name in SERVICES}
    except OSError as error:
        raise click.ClickException(
            f"Cannot write logs to {folder}: {error.strerror}. Choose another data folder with --data, or use --logs."
        ) from error
