"""Errors as text for people and as JSON for programs."""

from __future__ import annotations

import re
from typing import Any

import click

from sonichaos_client.cli.formatting import printable
from sonichaos_client.credentials import API_KEY
from sonichaos_client.errors import ConnectionFailedError, SonichaosError

_MAX_CHARACTERS = 2000
# Parameters of commands are named after the request fields, except these.
_PARAMETERS = {
    "chunk_clip_index": "clips",
    "expire_time": "timeout",
    "head_digest": "head",
    "head_sequence": "head",
    "licence_licensee": "licensee",
    "licence_terms": "terms",
    "score": "midi",
    "score_chords": "chords",
    "score_midi": "midi",
    "ttl": "expires_in",
}


def option_of(field: str, command: click.Command | None) -> str:
    """The command's option or argument for a request field: ``--seconds`` for ``brief.seconds``. Without one, the field.

    What follows the option's field is appended: ``--tempo-map points[1].bpm``.
    """
    if command is None:
        return field
    names = {parameter.name: _shown_name(parameter) for parameter in command.params}
    parts = re.sub(r"^(brief|header)\.", "", field)
    for end in [len(parts), *(match.start() for match in reversed(list(re.finditer(r"[.\[]", parts))))]:
        name = parts[:end].replace(".", "_")
        shown = names.get(_PARAMETERS.get(name, name))
        if shown is not None:
            rest = parts[end:].strip(".")
            return f"{shown} {rest}" if rest else shown
    return field


def _shown_name(parameter: click.Parameter) -> str:
    return parameter.opts[0] if isinstance(parameter, click.Option) else parameter.human_readable_name


def format_error(error: SonichaosError, command: click.Command | None) -> str:
    """The error for people: the message, the rejected fields as options of the command, and what to do."""
    lines = [f"Error: {printable(line, _MAX_CHARACTERS)}" for line in _message_lines(error, command)]
    available = printable(error.metadata.get("known", ""), _MAX_CHARACTERS)
    if available and available not in error.message:
        lines.append(f"  available: {available}")
    if error.reason:
        lines.append(f"  reason: {error.reason}")
    lines += [f"  {line}" for line in _advice(error)]
    if error.retry_after_s is not None:
        lines.append(f"  retry after {error.retry_after_s:.0f} s")
    elif isinstance(error, ConnectionFailedError):
        lines.append("  address: --render-address and --separation-address, or SONICHAOS_RENDER_ADDRESS and")
        lines.append("           SONICHAOS_SEPARATION_ADDRESS")
    return "\n".join(lines)


_WITH_CREDENTIALS = (
    f"credentials: {API_KEY}, --api-key-file or --token-file; or --certificate and --certificate-key",
    "             'sonichaos keys create' on the services' machine creates an API key",
)
_ADVICE = {
    "CREDENTIALS_MISSING": _WITH_CREDENTIALS,
    "CREDENTIALS_INVALID": _WITH_CREDENTIALS,
    "CREDENTIALS_EXPIRED": ("credentials: request a new token, or have the key rotated ('sonichaos keys rotate')",),
    "ADMISSION_REFUSED": ("admission: the operator's rules refused this job; change it or ask the operator",),
}


def _advice(error: SonichaosError) -> tuple[str, ...]:
    """What the caller can do about a refused identity, or which of the tenant's limits is reached."""
    if error.reason == "TENANT_LIMIT":
        return (f"limit: {printable(error.metadata.get('limit', '?'), 100)} of your tenant; the operator can raise it",)
    if error.reason == "SCOPE_MISSING":
        scope = printable(error.metadata.get("scope", "?"), 100)
        return (f"credentials: ask the operator for a key, token or certificate with the scope '{scope}'",)
    return _ADVICE.get(error.reason, ())


def _message_lines(error: SonichaosError, command: click.Command | None) -> list[str]:
    """One line per rejected field. If there are none, or the message says something else, the message comes first."""
    rejected = [f"{option_of(one.field, command)}: {one.description}" for one in error.violations]
    joined = "; ".join(f"{one.field}: {one.description}" for one in error.violations)
    return rejected if rejected and error.message == joined else [error.message, *rejected]


def error_as_dict(error: SonichaosError) -> dict[str, Any]:
    """The error for programs, as one JSON object."""
    body: dict[str, Any] = {
        "code": error.code.name,
        "reason": error.reason,
        "message": error.message,
        "metadata": error.metadata,
        "violations": [{"field": v.field, "description": v.description} for v in error.violations],
    }
    if error.retry_after_s is not None:
        body["retryAfterSeconds"] = error.retry_after_s
    return {"error": body}
