"""The settings that all commands share, and their output: text for people or JSON lines for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import click
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from sonichaos_client.client import Client
from sonichaos_client.options import RENDER_ADDRESS, SEPARATION_ADDRESS

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class Session:
    """The settings of one invocation."""

    render_address: str = RENDER_ADDRESS
    separation_address: str = SEPARATION_ADDRESS
    json_lines: bool = False
    command: click.Command | None = None
    """The command that runs; its options are named in error messages."""

    def client(self) -> Client:
        """A client of the two services."""
        return Client(self.render_address, self.separation_address)

    def print_json(self, value: Message | Mapping[str, Any]) -> None:
        """With ``--json``, print one object on one line of stdout."""
        if self.json_lines:
            body = as_dict(value) if isinstance(value, Message) else value
            click.echo(_encodable(json.dumps(body, ensure_ascii=False, separators=(",", ":"))))

    def print_text(self, text: str) -> None:
        """Without ``--json``, print text to stdout."""
        if not self.json_lines:
            click.echo(_encodable(text))


def _encodable(text: str) -> str:
    """Escape bytes that are not UTF-8, which Python represents as surrogates. JSON readers decode the same escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def as_dict(message: Message) -> dict[str, Any]:
    """Proto-JSON with lowerCamelCase names. Fields without presence are included even if empty, so programs can rely on them."""
    body: dict[str, Any] = MessageToDict(message, always_print_fields_with_no_presence=True)
    return body


def note(text: str) -> None:
    """Print a message for people to stderr."""
    click.echo(text, err=True)


def _remember(context: click.Context, parameter: click.Parameter, value: str | bool | None) -> None:  # noqa: FBT001
    if value and parameter.name is not None:
        setattr(context.ensure_object(Session), parameter.name, value)


def _options(*, with_environment: bool) -> tuple[Callable[..., Any], ...]:
    """The group's options also read the environment. A command's own options do not, so that they override the group's."""

    def address(service: str, default: str) -> Callable[..., Any]:
        variable = f"SONICHAOS_{service.upper()}_ADDRESS"
        return click.option(
            f"--{service}-address",
            metavar="HOST:PORT",
            envvar=variable if with_environment else None,
            expose_value=False,
            callback=_remember,
            help=f"Address of {service}_service [env: {variable}; default: {default}]",
        )

    return (
        click.option(
            "--json",
            "json_lines",
            is_flag=True,
            expose_value=False,
            callback=_remember,
            help="Print one JSON object per line to stdout, with proto field names in lowerCamelCase.",
        ),
        address("separation", SEPARATION_ADDRESS),
        address("render", RENDER_ADDRESS),
    )


def connected(command: Callable[Concatenate[Session, P], R], *, with_environment: bool = False) -> Callable[P, R]:
    """Add the shared options to a command and pass it the session as the first argument."""

    @wraps(command)
    def with_session(*args: P.args, **kwargs: P.kwargs) -> R:
        context = click.get_current_context()
        session = context.ensure_object(Session)
        session.command = context.command
        return command(session, *args, **kwargs)

    decorated: Callable[P, R] = with_session
    for option in _options(with_environment=with_environment):
        decorated = option(decorated)
    return decorated
