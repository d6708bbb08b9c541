"""``sonichaos webhooks create | list | delete | deliveries | retry``."""

from __future__ import annotations

from itertools import islice

import click

from sonichaos.webhooks.v1 import webhooks_pb2
from sonichaos_client.cli.completion import JOB_ID
from sonichaos_client.cli.formatting import lower, printable
from sonichaos_client.cli.param_types import UINT32_MAX, IntegerBetween
from sonichaos_client.cli.session import Session, as_dict, connected, note
from sonichaos_client.enums import WebhookDeliveryState, WebhookEventKind, WebhookProblem

_KINDS = {"version-ended": WebhookEventKind.VERSION_ENDED, "bounce-ready": WebhookEventKind.BOUNCE_READY}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_MAX_URL = 80


@click.group(short_help="Have a URL called when a version ends.")
def webhooks() -> None:
    """Have a URL called when a version ends or a bounce is ready (docs/webhooks.md)."""


@webhooks.command(short_help="Register a webhook, and show its secret.")
@click.argument("url")
@click.option(
    "--job", "job_id", type=JOB_ID, default="", metavar="JOB_ID", help="Only for this job [default: all jobs]"
)
@click.option(
    "--on",
    "kinds",
    multiple=True,
    type=click.Choice(list(_KINDS)),
    help="Only when this happens; may be repeated [default: everything]",
)
@click.option(
    "--request-id", default="", metavar="ID", help="Own id of this request: a retry with it registers nothing more."
)
@connected
def create(session: Session, *, url: str, job_id: str, kinds: tuple[str, ...], request_id: str) -> None:
    """Register a webhook, and show the secret that signs its requests. No other command shows the secret."""
    chosen = [_KINDS[kind] for kind in kinds]
    with session.client() as client:
        created = client.create_webhook(url, job=job_id or None, kinds=chosen, request_id=request_id)
    session.print_json({**as_dict(created.webhook), "secret": created.secret})
    session.print_text(f"{created.webhook.webhook_id}\nsecret {created.secret}")


@webhooks.command("list")
@connected
def list_(session: Session) -> None:
    """List the webhooks, newest first."""
    found = False
    with session.client() as client:
        for webhook in client.list_webhooks():
            found = True
            session.print_json(webhook)
            session.print_text(_format_webhook(webhook))
    if not found:
        note("There are no webhooks. 'sonichaos webhooks create URL' registers one.")


@webhooks.command()
@click.argument("webhook_id")
@connected
def delete(session: Session, *, webhook_id: str) -> None:
    """Remove a webhook and its deliveries."""
    with session.client() as client:
        client.delete_webhook(webhook_id)
    session.print_json({"webhookId": webhook_id, "deleted": True})
    session.print_text(f"{webhook_id}: deleted")


@webhooks.command(short_help="List the deliveries of a webhook, newest first.")
@click.argument("webhook_id")
@click.option(
    "--limit", type=IntegerBetween(1, UINT32_MAX), default=50, show_default=True, help="Maximum number of deliveries."
)
@connected
def deliveries(session: Session, *, webhook_id: str, limit: int) -> None:
    """List the deliveries of a webhook, newest first, with their states and the last answer."""
    found = False
    with session.client() as client:
        for delivery in islice(client.list_webhook_deliveries(webhook_id), limit):
            found = True
            session.print_json(delivery)
            session.print_text(_format_delivery(delivery))
    if not found:
        note(f"{webhook_id} has no deliveries: nothing that it is notified of has happened yet.")


@webhooks.command()
@click.argument("delivery_id")
@connected
def retry(session: Session, *, delivery_id: str) -> None:
    """Attempt a delivery now."""
    with session.client() as client:
        delivery = client.retry_webhook_delivery(delivery_id)
    session.print_json(delivery)
    session.print_text(_format_delivery(delivery))


def _format_webhook(webhook: webhooks_pb2.Webhook) -> str:
    kinds = ",".join(_name_of(kind) for kind in webhook.kinds)
    disabled = "  disabled: its receiver answered 410 Gone" if webhook.HasField("disable_time") else ""
    return (
        f"{webhook.webhook_id}  {webhook.job_id or 'all jobs'}  {kinds}  {printable(webhook.url, _MAX_URL)}{disabled}"
    )


def _format_delivery(delivery: webhooks_pb2.WebhookDelivery) -> str:
    state = WebhookDeliveryState(delivery.state)
    created = delivery.create_time.ToDatetime().isoformat(sep=" ", timespec="seconds")
    text = (
        f"{delivery.delivery_id}  {created}  {lower(state):<9}  {_name_of(delivery.kind)}  {delivery.job_id} "
        f"v{delivery.version}  attempts {delivery.attempts}"
    )
    if delivery.status_code:
        text += f"  status {delivery.status_code}"
    if delivery.problem:
        text += f"  {lower(WebhookProblem(delivery.problem)).replace('_', ' ')}"
    if state is WebhookDeliveryState.WAITING:
        text += f"  next {delivery.next_attempt_time.ToDatetime().isoformat(sep=' ', timespec='seconds')}"
    return text


def _name_of(kind: int) -> str:
    known = WebhookEventKind(kind)
    return _NAMES.get(known, lower(known))
