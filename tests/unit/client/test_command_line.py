"""The command line itself: aliases, metavars, and the options that errors name."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner, Result

from sonichaos_client.cli import cli
from sonichaos_client.cli.error_output import format_error, option_of
from sonichaos_client.cli.exit_status import ExitStatus, exit_status
from sonichaos_client.errors import (
    ConnectionFailedError,
    FieldViolation,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnauthenticatedError,
)


def sonichaos(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(cli, arguments, prog_name="sonichaos")


def commands(group: click.Group = cli) -> Iterator[tuple[str, click.Command]]:
    """Every command with its own options, by name."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from ((f"{name} {below}", one) for below, one in commands(command))
        else:
            yield name, command


def command(name: str) -> click.Command:
    """One command by name, such as ``persona add``."""
    return dict(commands())[name]


def test_the_version_is_shown_by_an_option_and_by_a_command() -> None:
    """-V, --version and ``version`` print the same."""
    shown = {sonichaos(*arguments).stdout for arguments in (("-V",), ("--version",), ("version",))}
    assert len(shown) == 1
    assert shown.pop().startswith("sonichaos, version ")


@pytest.mark.parametrize("words", [(), ("render",), ("persona",), ("persona", "add")])
def test_help_is_an_option_and_a_command(words: tuple[str, ...]) -> None:
    """``sonichaos help COMMAND`` prints what ``sonichaos COMMAND --help`` prints."""
    by_command, by_option = sonichaos("help", *words), sonichaos(*words, "--help")
    assert by_command.stdout == by_option.stdout
    assert by_command.stdout.startswith(f"Usage: {' '.join(('sonichaos', *words))} ")


@pytest.mark.parametrize("words", [(), ("persona",), ("keys",), ("webhooks",), ("url-secret",)])
def test_lists_of_commands_fit_a_terminal(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """On 80 columns every command is described in whole words; click would cut a longer text."""
    monkeypatch.setenv("COLUMNS", "80")
    _, listed = sonichaos(*words, "--help").stdout.split("\nCommands:\n")
    assert [line for line in listed.splitlines() if line.endswith("...")] == []


def test_help_of_an_unknown_command_is_a_usage_error() -> None:
    """The message says how to list the commands."""
    result = sonichaos("help", "persona", "rename")
    assert result.exit_code == 2
    assert "'persona rename'" in result.stderr
    assert "sonichaos help" in result.stderr


def test_numbers_have_a_plain_metavar() -> None:
    """No help text shows click's INTEGER RANGE or a range in its notation."""
    for name, one in commands():
        shown = one.get_help(click.Context(one, info_name=name))
        assert "RANGE" not in shown, name
        assert "<=" not in shown, name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--seed", "-1"), "'--seed': must be an integer from 0 to 4294967295, got -1."),
        (("--seed", "1.5"), "'--seed': must be an integer from 0 to 4294967295, got 1.5."),
        (("--seconds", "0"), "'--seconds': must be a number above 0, got 0."),
        (("--timeout", "soon"), "'--timeout': must be a number above 0 and at most 3.1536e+09, got soon."),
        (("--label", "x"), "'--label': expected KEY=VALUE, got 'x'."),
    ],
)
def test_a_rejected_option_says_what_was_expected(arguments: tuple[str, ...], message: str) -> None:
    """The option, the expected range and the value."""
    result = sonichaos("render", "--prompt", "p", "--persona", "ember", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_british_and_american_spelling_are_the_same_option() -> None:
    """Both spellings of licence, on every command that has one."""
    spelled = [name for name, one in commands() for option in one.params if "--licence-tier" in option.opts]
    assert spelled == ["render", "separate"]
    for name in spelled:
        options = {parameter.name: parameter.opts for parameter in command(name).params}
        assert options["licence_tier"] == ["--licence-tier", "--license-tier"]
        assert options["licence_covers"] == ["--licence-covers", "--license-covers"]


@pytest.mark.parametrize(
    ("name", "field", "shown"),
    [
        ("render", "brief.seconds", "--seconds"),
        ("render", "brief.persona_id", "--persona"),
        ("render", "brief.tempo_map.points[1].bpm", "--tempo-map points[1].bpm"),
        ("render", "brief.labels[reel]", "--label [reel]"),
        ("render", "brief.licence.tier", "--licence-tier"),
        ("render", "brief.licence.licensee", "--licensee"),
        ("render", "brief.expire_time", "--timeout"),
        ("render", "brief.score.midi", "--score"),
        ("render", "brief.score.chords", "--chords"),
        ("render", "brief.score", "--score"),
        ("render", "request_id", "--request-id"),
        ("separate", "header.stem_mode", "--stem-mode"),
        ("separate", "header.licence.terms", "--terms"),
        ("analyze", "header.min_bpm", "--min-bpm"),
        ("rerender", "base_version", "--base"),
        ("rerender", "from_noise", "--from-noise"),
        ("rerender", "job_id", "JOB_ID"),
        ("persona add", "header.prefix", "--prefix"),
        ("persona add", "header.persona_id", "ID"),
        ("persona add", "chunk.clip_index", "--clips"),
        ("audit", "head_sequence", "--head"),
        ("sign-url", "ttl", "--expires-in"),
        ("jobs", "page_size", "page_size"),
        ("render", "brief.unheard_of", "brief.unheard_of"),
    ],
)
def test_a_rejected_field_is_shown_as_an_option(name: str, field: str, shown: str) -> None:
    """The option or argument of the command that ran; without one, the field's path."""
    assert option_of(field, command(name)) == shown


def test_each_rejected_field_has_its_line() -> None:
    """The service's message, which joins the fields, is replaced; a message of its own stays."""
    violations = [FieldViolation("brief.seconds", "must be 2 to 180"), FieldViolation("brief.bpm", "must be 30 to 300")]
    joined = "; ".join(f"{one.field}: {one.description}" for one in violations)
    error = InvalidRequestError(joined, violations=violations, reason="INVALID_FIELD")
    assert format_error(error, command("render")).splitlines() == [
        "Error: --seconds: must be 2 to 180",
        "Error: --bpm: must be 30 to 300",
        "  reason: INVALID_FIELD",
    ]
    other = InvalidRequestError("too many", violations=violations[:1])
    assert format_error(other, None).splitlines() == ["Error: too many", "Error: brief.seconds: must be 2 to 180"]


def test_an_error_says_what_to_do() -> None:
    """The alternatives, the time to wait and the options for addresses."""
    missing = NotFoundError("no persona 'nobdy'", metadata={"known": "ember, moss"})
    assert "  available: ember, moss" in format_error(missing, None)
    assert "  retry after 12 s" in format_error(NotFoundError("later", retry_after_s=12), None)
    assert "--render-address" in format_error(ConnectionFailedError("render_service", "a:1", "refused"), None)
    hostile = NotFoundError("a\x1b[2Jb", metadata={"known": "c\x07"})
    assert "\x1b" not in format_error(hostile, None)
    assert "\x07" not in format_error(hostile, None)


@pytest.mark.parametrize("reason", ["CREDENTIALS_MISSING", "CREDENTIALS_INVALID"])
def test_a_caller_without_identity_is_told_how_to_give_one(reason: str) -> None:
    """Every option and variable, and the command that creates a key. Trying again does not help."""
    error = UnauthenticatedError("no caller", reason=reason)
    shown = format_error(error, None)
    for name in ("SONICHAOS_API_KEY", "--api-key-file", "--token-file", "--certificate-key", "sonichaos keys create"):
        assert name in shown
    assert exit_status(error) is ExitStatus.FAILED


def test_a_caller_that_is_refused_or_limited_is_told_why() -> None:
    """An expired token, a scope, the operator's rules; a limit is named, with status 75 to try again later."""
    expired = UnauthenticatedError("expired", reason="CREDENTIALS_EXPIRED")
    assert "request a new token" in format_error(expired, None)
    scope = PermissionDeniedError("needs render", reason="SCOPE_MISSING", metadata={"scope": "render"})
    assert "ask the operator for a key, token or certificate with the scope 'render'" in format_error(scope, None)
    assert exit_status(scope) is ExitStatus.FAILED
    refused = PermissionDeniedError("no samples of others", reason="ADMISSION_REFUSED")
    assert "Error: no samples of others" in format_error(refused, None)
    assert "the operator's rules refused this job" in format_error(refused, None)
    metadata = {"limit": "waiting_jobs", "used": "101", "allowed": "100"}
    limited = ResourceExhaustedError("too many", reason="TENANT_LIMIT", metadata=metadata, retry_after_s=30)
    assert "  limit: waiting_jobs of your tenant; the operator can raise it" in format_error(limited, None)
    assert "  retry after 30 s" in format_error(limited, None)
    assert exit_status(limited) is ExitStatus.TRY_AGAIN
