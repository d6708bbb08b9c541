"""``sonichaos url-secret``: the secrets that sign the folder store's URLs."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import click

from hostctl.installation import host_settings
from servicekit.store.url_secret import MAX_OVERLAP, TooManySecrets, UnusableSecret, rotate_secret
from sonichaos_client.cli.param_types import DurationUpTo
from sonichaos_client.cli.session import Session


@click.group("url-secret")
def url_secret() -> None:
    """Manage the secret that signs URLs of the folder store."""


@url_secret.command("rotate")
@click.option(
    "--overlap",
    type=DurationUpTo(MAX_OVERLAP),
    default="7d",
    show_default=True,
    help="How long URLs signed before are still accepted. 0 refuses them at once.",
)
@click.option("--json", "json_lines", is_flag=True, help="Print one JSON object to stdout.")
@click.pass_context
def rotate(context: click.Context, overlap: timedelta, *, json_lines: bool) -> None:
    """Sign URLs with a new secret from now on.

    Running services use it at once. With the default, every URL that was given out works until its own expiry.
    """
    settings = host_settings(os.environ)
    if settings.store != "folder":
        raise click.ClickException(
            f"SONICHAOS_STORE must be folder, got {settings.store}: the S3 server checks its URLs. Rotate its access key."
        )
    try:
        rotated = rotate_secret(settings.url_secret, overlap=overlap, now=datetime.now(UTC))
    except (UnusableSecret, TooManySecrets) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{settings.url_secret} cannot be replaced: {error.strerror}") from error
    session = context.ensure_object(Session)
    session.json_lines |= json_lines
    earlier = [{"keyId": one.key_id, "acceptedUntil": _time(one.end_s)} for one in rotated.earlier if one.end_s]
    session.print_json({"keyId": rotated.newest.key_id, "earlier": earlier})
    session.print_text(f"new URLs are signed with {rotated.newest.key_id}")
    for one in earlier:
        session.print_text(f"URLs signed with {one['keyId']} are accepted until {one['acceptedUntil']}")
    if not earlier:
        session.print_text("URLs signed before are refused")


def _time(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat().replace("+00:00", "Z")
