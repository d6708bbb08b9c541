"""``sonichaos erase | drain``."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import click

from sonichaos.jobs.v1 import erasure_pb2
from sonichaos_client.cli.completion import JOB_ID
from sonichaos_client.cli.confirmation import confirm
from sonichaos_client.cli.param_types import NumberBetween
from sonichaos_client.cli.session import Session, as_dict, connected, note
from sonichaos_client.client import Client
from sonichaos_client.enums import OwningService
from sonichaos_client.errors import ConnectionFailedError, UnavailableError

T = TypeVar("T")

_MAX_DRAIN_S = 3600
_CLOSING_S = 20.0  # for closing connections and files after the work has finished
_MAX_PAUSE_S = 2.0
_SERVICES = {"render": OwningService.RENDER, "separation": OwningService.SEPARATION}


@click.command(short_help="Erase a job, or all of a tenant, for good.")
@click.argument("job_id", type=JOB_ID, required=False, default="")
@click.option("--tenant", default="", metavar="ID", help="Erase everything that this tenant has, in both services.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@connected
def erase(session: Session, *, job_id: str, tenant: str, yes: bool) -> None:
    """Erase a job, or all of a tenant, for good, and show what remains and why.

    A job must have ended or be deleted: its files, rows, prompt, labels, licensee and request ids are erased. A tenant's
    running jobs are cancelled, its API keys revoked, its personas and uploads removed; this needs the scope 'operate', for
    another tenant also the tenant 'local', and can be repeated. The audit chain stays intact.
    """
    if bool(job_id) == bool(tenant):
        raise click.UsageError("erase takes either a JOB_ID or --tenant.")
    what = f"everything of the tenant {tenant}" if tenant else job_id
    confirm(f"Erase {what}? It cannot be restored.", yes=yes)
    with session.client() as client:
        if job_id:
            report = client.erase(job_id)
            session.print_json({"jobId": job_id, **as_dict(report)})
            session.print_text(f"{job_id}: erased\n{_format_report(report)}")
            return
        for name, response in _on_both(lambda service: client.erase_tenant(tenant, service)):
            session.print_json({"service": name, **as_dict(response)})
            session.print_text(f"{tenant}: erased by {name}_service\n{_format_report(response.report)}")


@click.command(short_help="Stop both services when their running work has ended.")
@click.option(
    "--timeout",
    type=NumberBetween(0, _MAX_DRAIN_S),
    metavar="SECONDS",
    help="How long running work may take to finish, 0 to 3600 seconds [default: set by the service]",
)
@connected
def drain(session: Session, *, timeout: float | None) -> None:
    """Stop both services as SIGTERM does: they take no more work, finish what runs, and end.

    Needs the tenant 'local' and the scope 'operate'. separation_service is stopped after render_service has ended, because
    running takes need it.
    """
    limit = None if timeout is None else timedelta(seconds=timeout)
    with session.client() as client:
        try:
            allowed_s = _drain(session, client, "render", limit)
        except UnavailableError:
            _drain(session, client, "separation", limit)
            raise
        _wait_for_end(client, allowed_s + _CLOSING_S)
        try:
            _drain(session, client, "separation", limit)
        except ConnectionFailedError:  # 'sonichaos up' has stopped it by now
            note("separation_service: does not answer; it has ended, or is not at this address")


def _drain(session: Session, client: Client, name: str, limit: timedelta | None) -> float:
    """Drain a service; returns the seconds that its running work has."""
    response = client.drain(_SERVICES[name], limit=limit)
    allowed_s = response.timeout.ToTimedelta().total_seconds()
    session.print_json({"service": name, **as_dict(response)})
    session.print_text(f"{name}_service: stops; running work has {allowed_s:g} s to finish")
    return allowed_s


def _wait_for_end(client: Client, seconds: float) -> None:
    """Until render_service has ended, at most ``seconds``. Only Drain needs no other scope; repeating it changes nothing."""
    until_s, pause_s = time.monotonic() + seconds, 0.2
    while time.monotonic() < until_s:
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _MAX_PAUSE_S)
        try:
            client.drain(OwningService.RENDER)
        except UnavailableError:
            return


def _on_both(call: Callable[[OwningService], T]) -> list[tuple[str, T]]:
    """The answers of both services, by name. One that is down does not keep the other from being called; then raises its error."""
    answers: list[tuple[str, T]] = []
    down: UnavailableError | None = None
    for name, service in _SERVICES.items():
        try:
            answers.append((name, call(service)))
        except UnavailableError as error:
            down = down or error
    if down is not None:
        raise down
    return answers


def _format_report(report: erasure_pb2.ErasureReport) -> str:
    erased = ", ".join(f"{item.count} {_words(item.kind)}" for item in report.erased) or "nothing was left"
    lines = [f"  erased: {erased}"]
    for item in report.remaining:
        count = f"{item.count} " if item.HasField("count") else ""
        lines.append(f"  remains: {count}{_words(item.kind)}: {item.reason}")
    return "\n".join(lines)


def _words(kind: erasure_pb2.DataKind.ValueType) -> str:
    return erasure_pb2.DataKind.Name(kind).removeprefix("DATA_KIND_").lower().replace("_", " ")
