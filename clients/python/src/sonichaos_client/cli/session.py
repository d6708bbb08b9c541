"""What every command shares: where the services are, and whether people or a program read the output."""

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
    """The settings of one run of the command."""

    render_address: str = RENDER_ADDRESS
    separation_address: str = SEPARATION_ADDRESS
    json_lines: bool = False

    def client(self) -> Client:
        """A client of the two services."""
        return Client(self.render_address, self.separation_address)

    def emit(self, value: Message | Mapping[str, Any]) -> None:
        """Under ``--json``, one object on one line of stdout."""
        if self.json_lines:
            body = as_dict(value) if isinstance(value, Message) else value
            click.echo(_encodable(json.dumps(body, ensure_ascii=False, separators=(",", ":"))))

    def tell(self, text: str) -> None:
        """Without ``--json``, text on stdout: the answer."""
        if not self.json_lines:
            click.echo(_encodable(text))


def _encodable(text: str) -> str:
    """Bytes of a path that are no UTF-8, which Python holds as surrogates, as escapes; JSON reads the same ones."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def as_dict(message: Message) -> dict[str, Any]:
    """Proto-JSON with lowerCamelCase names; plain fields are there even when empty, so that programs can rely on them."""
    body: dict[str, Any] = MessageToDict(message, always_print_fields_with_no_presence=True)
    return body


def note(text: str) -> None:
    """A remark for people, on stderr."""
    click.echo(text, err=True)


def _remember(context: click.Context, parameter: click.Parameter, value: str | bool | None) -> None:  # noqa: FBT001
    if value and parameter.name is not None:
        setattr(context.ensure_object(Session), parameter.name, value)


def _options(*, with_environment: bool) -> tuple[Callable[..., Any], ...]:
    """The group's options read the environment; a command's own are only what was typed, and win."""

    def address(service: str, default: str) -> Callable[..., Any]:
        variable = f"SONICHAOS_{service.upper()}_ADDRESS"
        return click.option(
            f"--{service}-address",
            metavar="HOST:PORT",
            envvar=variable if with_environment else None,
            expose_value=False,
            callback=_remember,
            help=f"Where {service}_service answers [env: {variable}; default: {default}]",
        )

    return (
        click.option(
            "--json",
            "json_lines",
            is_flag=True,
            expose_value=False,
            callback=_remember,
            help="One JSON object a line on stdout, proto field names in lowerCamelCase.",
        ),
        address("separation", SEPARATION_ADDRESS),
        address("render", RENDER_ADDRESS),
    )


def connected(command: Callable[Concatenate[Session, P], R], *, with_environment: bool = False) -> Callable[P, R]:
    """Give a command the options of a session, and the session as its first argument."""

    @wraps(command)
    def with_session(*args: P.args, **kwargs: P.kwargs) -> R:
        return command(click.get_current_context().ensure_object(Session), *args, **kwargs)

    decorated: Callable[P, R] = with_session
    for option in _options(with_environment=with_environment):
        decorated = option(decorated)
    return decorated
