"""The settings that all commands share, and their output: text for people or JSON lines for programs."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import click
from click.core import ParameterSource
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from sonichaos_client.addresses import (
    RENDER_ADDRESS,
    RENDER_ADDRESS_VARIABLE,
    SEPARATION_ADDRESS,
    SEPARATION_ADDRESS_VARIABLE,
    Addresses,
)
from sonichaos_client.aio import AsyncClient
from sonichaos_client.client import Client
from sonichaos_client.connection import Connections
from sonichaos_client.credentials import API_KEY, API_KEY_FILE, CA, CERTIFICATE, KEY, TOKEN_FILE, Credentials
from sonichaos_client.options import CallOptions
from sonichaos_client.retry import RetryPolicy

_COMPLETION_S = 0.5  # for each of the two services
_OPTIONS = CallOptions(retry=RetryPolicy(max_attempts=3))  # somebody waits for the answer

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class Session:
    """The settings of one invocation."""

    render_address: str | None = None
    separation_address: str | None = None
    ca: str | None = None
    certificate: str | None = None
    certificate_key: str | None = None
    api_key_file: str | None = None
    token_file: str | None = None
    allow_plaintext_credentials: bool = False
    json_lines: bool = False
    command: click.Command | None = None
    """The command that runs; its options are named in error messages."""
    typed: list[str] = field(default_factory=list)
    """The options of the connection as they were typed, for commands that are printed to be run next."""

    def client(self) -> Client:
        """A client of the two services."""
        return Client(self.render_address, self.separation_address, credentials=self._credentials(), options=_OPTIONS)

    def async_client(self) -> AsyncClient:
        """A client of the two services for asyncio."""
        return AsyncClient(self.render_address, self.separation_address, credentials=self._credentials())

    def client_for_completion(self) -> Client:
        """A client that gives up quickly."""
        options = CallOptions(timeout_s=_COMPLETION_S, retry=RetryPolicy(max_attempts=1, max_elapsed_s=0.0))
        return Client(self.render_address, self.separation_address, credentials=self._credentials(), options=options)

    def next_command(self, *words: str) -> str:
        """A command that reaches the same services: ``sonichaos WORDS``, with the options of the connection that were typed."""
        return shlex.join(["sonichaos", *words, *self.typed])

    def connections(self) -> Connections:
        """What a command needs that makes calls of its own."""
        return Connections(Addresses.resolve(self.render_address, self.separation_address), self._credentials())

    def _credentials(self) -> Credentials:
        """Options come before the environment: an option that names a key or token replaces whichever the environment names."""
        given = {CA: self.ca, CERTIFICATE: self.certificate, KEY: self.certificate_key}
        given |= {API_KEY_FILE: self.api_key_file, TOKEN_FILE: self.token_file}
        environ = dict(os.environ)
        if self.api_key_file or self.token_file:
            for name in (API_KEY, API_KEY_FILE, TOKEN_FILE):
                environ.pop(name, None)
        environ.update({name: value for name, value in given.items() if value})
        found = Credentials.from_environment(environ)
        return replace(found, allow_plaintext_credentials=self.allow_plaintext_credentials)

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
    if not value or parameter.name is None:
        return
    session = context.ensure_object(Session)
    setattr(session, parameter.name, value)
    is_typed = context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    if is_typed and parameter.name != "json_lines":
        session.typed += [parameter.opts[0]] if value is True else [parameter.opts[0], str(value)]


def _options(*, with_environment: bool) -> tuple[Callable[..., Any], ...]:
    """The group's options also read the environment. A command's own options do not, so that they override the group's."""

    def address(service: str, variable: str, default: str) -> Callable[..., Any]:
        return click.option(
            f"--{service}-address",
            metavar="ADDRESS",
            envvar=variable if with_environment else None,
            expose_value=False,
            callback=_remember,
            help=f"Address of {service}_service: host:port, https://host:port or unix:///path "
            f"[env: {variable}; default: {default}]",
        )

    def file(name: str, variable: str, text: str) -> Callable[..., Any]:
        return click.option(
            f"--{name}",
            metavar="FILE",
            expose_value=False,
            callback=_remember,
            help=f"{text} [env: {variable}]",
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
        click.option(
            "--allow-plaintext-credentials",
            is_flag=True,
            expose_value=False,
            callback=_remember,
            help="Send the key or token even where the connection is not encrypted and leaves this machine.",
        ),
        file("token-file", TOKEN_FILE, "A JSON Web Token, read again before each call."),
        file("api-key-file", API_KEY_FILE, f"An API key. {API_KEY} can hold the key itself."),
        file("certificate-key", KEY, "Private key of --certificate (PEM)."),
        file("certificate", CERTIFICATE, "Client certificate with its chain (PEM)."),
        file("ca", CA, "Authority that signed the services' certificates (PEM). Default: the public ones."),
        address(
            "separation",
            SEPARATION_ADDRESS_VARIABLE,
            f"{SEPARATION_ADDRESS}; with --render-address that of the same pair, or the same proxy",
        ),
        address("render", RENDER_ADDRESS_VARIABLE, RENDER_ADDRESS),
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
