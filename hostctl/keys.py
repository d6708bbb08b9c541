"""``sonichaos keys``: the API keys by which callers are identified, in the journal of the data folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from hostctl.installation import host_settings
from servicekit.access.api_key import PREFIX, ApiKey, KeyText, NewApiKey, is_key_id, new_key_text
from servicekit.access.caller import GRANTABLE_SCOPES, Scope, is_tenant_id
from servicekit.access.limits import LIMIT_NAMES, check_overrides
from servicekit.clock import SystemClock
from servicekit.errors import FailedPrecondition, ServiceError, Unavailable, cause_of
from servicekit.journal import Journal, SchemaError
from sonichaos_client.cli.exit_status import ExitStatus
from sonichaos_client.cli.param_types import DurationUpTo
from sonichaos_client.cli.session import Session, note

T = TypeVar("T")
_MAX_LIFETIME = timedelta(days=3650)
_MAX_OVERLAP = timedelta(days=90)
_MAX_NAME = 100
_SQLITE = "sqlite:///"
_SCOPES = tuple(str(scope) for scope in Scope if scope in GRANTABLE_SCOPES)

_data = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Data folder of the services [env: SONICHAOS_DATA; default: ~/.local/share/sonichaos]",
)
_json = click.option("--json", "json_lines", is_flag=True, help="Print one JSON object per line to stdout.")


class _InvalidInput(click.ClickException):
    """Another key, or another command for it, can succeed."""

    exit_code = ExitStatus.INVALID_INPUT


class _TryAgain(click.ClickException):
    """The journal does not answer."""

    exit_code = ExitStatus.TRY_AGAIN


@click.group()
def keys() -> None:
    """Create, list, revoke and rotate API keys.

    Run it as the user of the services, on their machine: it opens their journal. They need no restart.
    """


def _tenant(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not is_tenant_id(value):
        raise click.BadParameter(
            f"must be 1 to 63 characters of a-z, 0-9 and -, starting with a letter, got {value!r}."
        )
    return value


def _name(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if len(value) > _MAX_NAME or not value.isprintable():
        raise click.BadParameter(f"must be at most {_MAX_NAME} printable characters, got {len(value)}.")
    return value


def _scopes(_context: click.Context, _parameter: click.Parameter, value: str) -> frozenset[Scope]:
    names = [name.strip() for name in value.split(",")]
    unknown = [name for name in names if name not in _SCOPES]
    if unknown:
        raise click.BadParameter(f"must be some of {','.join(_SCOPES)}, got {unknown[0]!r}.")
    return frozenset(Scope(name) for name in names)


def _limits(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> Mapping[str, float]:
    limits: dict[str, float] = {}
    for value in values:
        name, _, number = value.partition("=")
        try:
            limit = float(number)
            check_overrides({name: limit})
        except ValueError as error:
            problem = f"must be NAME=NUMBER, got {value!r}" if not number or name in LIMIT_NAMES else str(error)
            raise click.BadParameter(f"{problem}.") from None
        limits[name] = int(limit) if limit.is_integer() else limit
    return limits


def _key_id(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """The id, also from a whole key."""
    key_id = value.removeprefix(PREFIX).partition("_")[0]
    if not is_key_id(key_id):
        raise click.BadParameter(
            "must be the id of a key as 'sonichaos keys list' shows it, 12 characters of a-z and 2-7."
        )
    return key_id


_key_argument = click.argument("key_id", callback=_key_id)


@keys.command()
@click.option("--tenant", required=True, callback=_tenant, help="Whom calls with the key act for, such as studio-a.")
@click.option(
    "--scopes",
    required=True,
    callback=_scopes,
    metavar="NAMES",
    help=f"What the key may do, separated by commas: {', '.join(_SCOPES)}.",
)
@click.option("--name", default="", callback=_name, help="A name for people, such as 'studio laptop'.")
@click.option(
    "--expires", type=DurationUpTo(_MAX_LIFETIME), help="Lifetime, such as 90d [default: until it is revoked]"
)
@click.option(
    "--limit",
    "limits",
    multiple=True,
    callback=_limits,
    metavar="NAME=NUMBER",
    help=f"Replaces a limit of the tenant for calls with this key, 0 is none; may be repeated: {', '.join(LIMIT_NAMES)}.",
)
@_data
@_json
@click.pass_context
def create(
    context: click.Context,
    *,
    tenant: str,
    scopes: frozenset[Scope],
    name: str,
    expires: timedelta | None,
    limits: Mapping[str, float],
    data: Path | None,
    json_lines: bool,
) -> None:
    """Create a key and print it to stdout.

    It is shown this once: the journal stores only the SHA-256 of its secret.
    """
    if expires is not None and not expires:
        raise click.BadParameter("must be more than 0.", param_hint="'--expires'")
    text = new_key_text()
    with _journal(data) as journal:
        key = journal.create_api_key(
            NewApiKey(
                key_id=text.key_id,
                secret_sha256=text.secret_sha256,
                tenant=tenant,
                name=name,
                scopes=scopes,
                limits=limits,
                expire_time=journal.clock.now() + expires if expires is not None else None,
            )
        )
    _print_once(_session(context, json_lines=json_lines), key, text)


@keys.command("list", short_help="List keys, oldest first.")
@click.option("--tenant", callback=_tenant, help="Only the keys of this tenant.")
@_data
@_json
@click.pass_context
def list_keys(context: click.Context, *, tenant: str | None, data: Path | None, json_lines: bool) -> None:
    """List keys, oldest first, with when each was last used (to the minute); never their secrets."""
    session = _session(context, json_lines=json_lines)
    with _journal(data) as journal:
        found, now = journal.api_keys(tenant), journal.clock.now()
    for key in found:
        session.print_json(_as_dict(key, now))
        session.print_text(_line(key, now))
    if not found:
        note("There are no keys." if tenant is None else f"The tenant {tenant} has no keys.")


@keys.command()
@_key_argument
@_data
@_json
@click.pass_context
def revoke(context: click.Context, *, key_id: str, data: Path | None, json_lines: bool) -> None:
    """Revoke a key for good. Services refuse it within 5 s, and its running calls end within 20 s."""
    session = _session(context, json_lines=json_lines)
    with _journal(data) as journal:
        key, now = _known(journal.revoke_api_key(key_id), key_id), journal.clock.now()
    session.print_json(_as_dict(key, now))
    session.print_text(f"{key.key_id} of {key.tenant} is revoked")


@keys.command(short_help="Replace a key by a new one for the same caller.")
@_key_argument
@click.option(
    "--overlap",
    type=DurationUpTo(_MAX_OVERLAP),
    default="24h",
    show_default=True,
    help="How long the old key still works. 0 ends it at once.",
)
@_data
@_json
@click.pass_context
def rotate(context: click.Context, *, key_id: str, overlap: timedelta, data: Path | None, json_lines: bool) -> None:
    """Replace a key by a new one with the same tenant, scopes, limits and lifetime, and print the new one to stdout.

    It is shown this once. Both work during the overlap.
    """
    text = new_key_text()
    with _journal(data) as journal:
        both = journal.rotate_api_key(key_id, new_key_id=text.key_id, secret_sha256=text.secret_sha256, overlap=overlap)
    key, old = _known(both, key_id)
    session = _session(context, json_lines=json_lines)
    _print_once(session, key, text, {"replaces": old.key_id, "replacedUntil": _time(old.expire_time)})
    if not session.json_lines:
        note(f"{old.key_id} works until {_time(old.expire_time)}.")


@contextmanager
def _journal(data: Path | None) -> Iterator[Journal]:
    """The journal of the services, opened beside them: it is neither created nor upgraded."""
    settings = host_settings({**os.environ, **({"SONICHAOS_DATA": str(data.absolute())} if data is not None else {})})
    if settings.journal.startswith(_SQLITE):
        _check_owner(Path(settings.journal.removeprefix(_SQLITE)))
    try:
        try:
            journal = Journal.open_existing(settings.journal, clock=SystemClock())
        except (SchemaError, ValueError) as error:
            raise click.ClickException(f"{error}.") from None
        with journal:
            yield journal
    except Unavailable as error:
        raise _TryAgain("\n".join(filter(None, (f"{error.message}.", cause_of(error))))) from None
    except FailedPrecondition as error:
        raise _InvalidInput(f"{error.message}.") from None
    except ServiceError as error:
        raise click.ClickException(f"{error.message}.") from None


def _check_owner(path: Path) -> None:
    """Another user's journal is left alone: SQLite would leave files beside it that the services cannot write."""
    try:
        owner = path.stat().st_uid
    except OSError:
        return
    if owner != os.geteuid():
        raise click.ClickException(
            f"{path} belongs to user {owner}; run this command as that user, got {os.geteuid()}."
        )


def _known(found: T | None, key_id: str) -> T:
    if found is None:
        raise _InvalidInput(f"There is no key {key_id}; see 'sonichaos keys list'.")
    return found


def _session(context: click.Context, *, json_lines: bool) -> Session:
    session = context.ensure_object(Session)
    session.json_lines |= json_lines
    return session


def _print_once(session: Session, key: ApiKey, text: KeyText, more: Mapping[str, Any] | None = None) -> None:
    """Print a key with its secret, which nothing can show again."""
    session.print_json({"key": text.text, **_as_dict(key, key.create_time), **(more or {})})
    session.print_text(text.text)
    if not session.json_lines:
        note(f"Key {key.key_id} of {key.tenant}. Store it now: it cannot be shown again.")


def _as_dict(key: ApiKey, now: datetime) -> dict[str, Any]:
    return {
        "keyId": key.key_id,
        "tenant": key.tenant,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "limits": dict(key.limits),
        "state": key.state(now),
        "createTime": _time(key.create_time),
        "expireTime": _time(key.expire_time),
        "revokeTime": _time(key.revoke_time),
        "lastUsedTime": _time(key.last_used_time),
        "replacedBy": key.replaced_by,
    }


def _line(key: ApiKey, now: datetime) -> str:
    expires = f"expires {_minute(key.expire_time)}" if key.expire_time is not None else "does not expire"
    used = f"used {_minute(key.last_used_time)}" if key.last_used_time is not None else "not used yet"
    limits = " ".join(f"{name}={value:g}" for name, value in sorted(key.limits.items()))
    parts = (
        f"{key.key_id}  {key.state(now):<8}  {key.tenant:<16}  {','.join(sorted(key.scopes))}",
        f"created {_minute(key.create_time)}",
        expires,
        used,
        limits,
        key.name,
    )
    return "  ".join(filter(None, parts))


def _time(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if moment is not None else None


def _minute(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
