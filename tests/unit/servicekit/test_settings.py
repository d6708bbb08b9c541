"""Reading settings: unknown and invalid ones are rejected."""

from __future__ import annotations

import pytest

from render_service.settings import RenderSettings
from servicekit.host_settings import CLIENT_VARIABLES, HostSettings
from servicekit.rpc.endpoints import check_listen_address
from servicekit.settings import SettingsError, read_settings, variable_names


def test_defaults_need_no_environment() -> None:
    """Every setting has a default."""
    settings = read_settings(RenderSettings, {"HOME": "/root", "PATH": "/bin"})
    assert settings.render_listen == "127.0.0.1:50071"
    assert settings.journal.startswith("sqlite:///")


def test_values_are_parsed() -> None:
    """Text becomes the field's type."""
    settings = read_settings(RenderSettings, {"SONICHAOS_QUEUE_LIMIT": "7", "SONICHAOS_INSECURE": "1"})
    assert settings.queue_limit == 7
    assert settings.insecure is True


def test_an_unknown_name_is_refused_with_a_hint() -> None:
    """A misspelt variable never leaves a setting silently at its default."""
    with pytest.raises(
        SettingsError, match="SONICHAOS_QUEU_LIMIT: no such setting; did you mean SONICHAOS_QUEUE_LIMIT"
    ):
        read_settings(RenderSettings, {"SONICHAOS_QUEU_LIMIT": "7"})


def test_all_problems_are_reported_at_once() -> None:
    """So the operator can fix them in one go."""
    with pytest.raises(SettingsError) as error:
        read_settings(RenderSettings, {"SONICHAOS_DEVICE": "tpu", "SONICHAOS_QUEUE_LIMIT": "no", "SONICHAOS_X": "1"})
    for name in ("SONICHAOS_DEVICE", "SONICHAOS_QUEUE_LIMIT", "SONICHAOS_X"):
        assert name in str(error.value)


def test_variables_of_other_programs_are_ignored() -> None:
    """The environment may also hold the client's addresses and the other service's settings."""
    environ = dict.fromkeys(CLIENT_VARIABLES, "127.0.0.1:1") | {"SONICHAOS_SEPARATION_LISTEN": "127.0.0.1:2"}
    read_settings(RenderSettings, environ, also_known=CLIENT_VARIABLES, other_prefixes=("SONICHAOS_SEPARATION_",))


def test_secrets_are_not_printed() -> None:
    """The repr of the settings hides the S3 key."""
    settings = read_settings(HostSettings, {"SONICHAOS_S3_SECRET_KEY": "hush-hush"})
    assert "hush-hush" not in repr(settings)
    assert settings.s3_secret_key.get_secret_value() == "hush-hush"


def test_every_setting_has_a_description() -> None:
    """And a variable named after its field."""
    assert all(field.description for field in RenderSettings.model_fields.values())
    assert variable_names(RenderSettings)["queue_limit"] == "SONICHAOS_QUEUE_LIMIT"


@pytest.mark.parametrize("address", ["127.0.0.1:1", "[::1]:1", "localhost:1", "unix:/tmp/s", "127.9.9.9:5"])
def test_loopback_and_unix_sockets_need_no_flag(address: str) -> None:
    """Other machines cannot reach them."""
    check_listen_address(address, insecure=False)


@pytest.mark.parametrize("address", ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.com:1", "*:1", ":1"])
def test_listening_beyond_this_machine_needs_insecure(address: str) -> None:
    """Callers are not authenticated, so the operator has to allow it."""
    with pytest.raises(SettingsError, match="--insecure"):
        check_listen_address(address, insecure=False)
    check_listen_address(address, insecure=True)
