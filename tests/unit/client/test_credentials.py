"""Credentials and addresses of the Python client: what fits together, what is sent where, and that secrets are not shown."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from sonichaos_client import Client, ConnectionSettingsError, Credentials, errors
from sonichaos_client.endpoint import Endpoint
from sonichaos_client.options import channel_options

API_KEY = "sonichaos_abcdefghij23_" + "s" * 43
TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("address", "target", "is_tls", "is_local"),
    [
        ("127.0.0.1:50071", "127.0.0.1:50071", False, True),
        ("localhost:50071", "localhost:50071", False, True),
        ("[::1]:50071", "[::1]:50071", False, True),
        ("unix:///run/render.sock", "unix:///run/render.sock", False, True),
        ("http://127.0.0.1:50071", "127.0.0.1:50071", False, True),
        ("https://127.0.0.1:50071/", "127.0.0.1:50071", True, True),
        ("https://studio.example.com", "studio.example.com:443", True, False),
        ("HTTPS://studio.example.com", "studio.example.com:443", True, False),
        ("studio.example.com:50071", "studio.example.com:50071", False, False),
        ("10.0.0.7:50071", "10.0.0.7:50071", False, False),
        ("127.0.0.1.example.com:50071", "127.0.0.1.example.com:50071", False, False),
        ("localhost.example.com:50071", "localhost.example.com:50071", False, False),
        ("ipv4:127.0.0.1:1,10.0.0.7:2", "ipv4:127.0.0.1:1,10.0.0.7:2", False, False),
    ],
)
def test_an_address_says_whether_it_is_encrypted_and_local(
    address: str, target: str, *, is_tls: bool, is_local: bool
) -> None:
    """Names that only begin like loopback are not local, and no proxy of the environment is used for those that are."""
    assert Endpoint.parse(address) == Endpoint(target, is_tls=is_tls, is_local=is_local)
    assert (("grpc.enable_http_proxy", 0) in channel_options(address)) is is_local


@pytest.mark.parametrize("address", ["https://studio.example.com:50071/render", "https://", "https://a b:1"])
def test_a_malformed_https_address_is_refused(address: str) -> None:
    """The message says which form was expected."""
    with pytest.raises(ConnectionSettingsError, match="must be https://host:port without a path, got https://"):
        Client(address)


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials(api_key=API_KEY),
        Credentials(token=TOKEN),
        Credentials(token=lambda: TOKEN, ca="ca.pem"),
        Credentials(certificate=b"c", private_key=b"very secret"),
    ],
    ids=["api key", "token", "function", "certificate"],
)
def test_secrets_are_not_shown(credentials: Credentials) -> None:
    """Neither ``repr`` nor ``str`` has a key or token."""
    for shown in (repr(credentials), str(credentials), f"{credentials}"):
        assert "Credentials(" in shown
        assert not any(secret in shown for secret in (API_KEY, TOKEN, "very secret"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"certificate": "a.pem"}, "got a certificate without a private key"),
        ({"private_key": "a.key"}, "got a private key without a certificate"),
        ({"api_key": API_KEY, "token": TOKEN}, "Expected an API key or a token, got both"),
        ({"api_key": TOKEN}, "which starts with sonichaos_, got 49 other characters"),
        ({"api_key": f"{API_KEY}\n"}, "Expected an API key"),
        ({"token": API_KEY}, "Expected a JSON Web Token, got an API key"),
        ({"token": "two words"}, "printable ASCII characters without spaces, got 9 characters"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments: dict[str, str], message: str) -> None:
    """The message says what was expected, without the secret."""
    with pytest.raises(ConnectionSettingsError, match=message) as caught:
        Credentials(**arguments)  # type: ignore[arg-type]
    assert not any(secret in str(caught.value) for secret in (API_KEY, TOKEN))


def test_a_key_or_token_is_not_sent_in_plain_text_over_a_network() -> None:
    """Refused before anything is sent, for either service, unless it is allowed explicitly."""
    for credentials in (Credentials(api_key=API_KEY), Credentials(token=lambda: TOKEN)):
        for addresses in (("studio.example.com:1", "unix:///s"), ("https://studio.example.com", "10.0.0.7:1")):
            with pytest.raises(ConnectionSettingsError, match=r"is plain text.*--allow-plaintext-credentials"):
                Client(*addresses, credentials=credentials)
        Client("unix:///r", "127.0.0.1:1", credentials=credentials).close()
        Client("https://studio.example.com", "https://10.0.0.7:1", credentials=credentials).close()
    allowed = Credentials(api_key=API_KEY, allow_plaintext_credentials=True)
    Client("studio.example.com:1", credentials=allowed).close()


def test_a_client_certificate_needs_an_encrypted_address() -> None:
    """It would not be sent, and the caller would be someone else."""
    with pytest.raises(
        ConnectionSettingsError, match=r"needs an address https://host:port, got 127\.0\.0\.1:50071 and"
    ):
        Client(credentials=Credentials(certificate=b"c", private_key=b"k"))


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    """Missing files and files that are not PEM, when the client is created; missing keys and tokens at the call."""
    with pytest.raises(ConnectionSettingsError, match=r"Cannot read the certificate authority.* file .*no\.pem"):
        Client("https://localhost:1", credentials=Credentials(ca=tmp_path / "no.pem"))
    (tmp_path / "bad.pem").write_text("not a certificate")
    with pytest.raises(
        ConnectionSettingsError, match=r"bad\.pem: expected certificates in PEM form, got 17 other bytes"
    ):
        Client("https://localhost:1", credentials=Credentials(ca=str(tmp_path / "bad.pem")))
    with (
        Client(credentials=Credentials(token=tmp_path / "no.jwt")) as client,
        pytest.raises(ConnectionSettingsError, match=r"Cannot read the token file .*no\.jwt: No such file"),
    ):
        client.get_render_model()


def test_the_environment_names_credentials(tmp_path: Path) -> None:
    """Each variable alone; empty ones count as unset; two keys or tokens are refused."""
    key_file, token_file = tmp_path / "key", tmp_path / "token"
    key_file.write_text(f"{API_KEY}\n")
    token_file.write_text(f"{TOKEN}\n")
    bearer = {"authorization": f"Bearer {API_KEY}"}
    assert Credentials.from_environment({}) == Credentials()
    assert dict(Credentials.from_environment({"SONICHAOS_API_KEY": API_KEY}).call_metadata()) == bearer
    assert dict(Credentials.from_environment({"SONICHAOS_API_KEY_FILE": str(key_file)}).call_metadata()) == bearer
    from_token = Credentials.from_environment({"SONICHAOS_TOKEN_FILE": str(token_file), "SONICHAOS_API_KEY": ""})
    assert dict(from_token.call_metadata()) == {"authorization": f"Bearer {TOKEN}"}
    tls = {"SONICHAOS_CA": "ca.pem", "SONICHAOS_CERTIFICATE": "c.pem", "SONICHAOS_KEY": "c.key"}
    assert Credentials.from_environment(tls) == Credentials(ca="ca.pem", certificate="c.pem", private_key="c.key")
    with pytest.raises(errors.SonichaosError, match=r"got SONICHAOS_API_KEY and SONICHAOS_TOKEN_FILE\. Unset all"):
        Credentials.from_environment({"SONICHAOS_API_KEY": API_KEY, "SONICHAOS_TOKEN_FILE": "t"})


def test_a_file_that_holds_something_else_is_refused_without_showing_it(tmp_path: Path) -> None:
    """For example a token where an API key is expected, or bytes that are no text."""
    path = tmp_path / "key"
    path.write_text(TOKEN)
    with pytest.raises(ConnectionSettingsError, match=r"Expected an API key .* in .*key, which starts") as caught:
        Credentials(api_key=path).call_metadata()
    assert TOKEN not in str(caught.value)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConnectionSettingsError, match="expected an API key, got other bytes than ASCII text"):
        Credentials(api_key=path).call_metadata()


@pytest.mark.parametrize("secret", [API_KEY, "eyJhbGciOiJFUzI1NiJ9.e30.AAAA"])
def test_a_secret_in_place_of_the_name_of_its_file_is_not_shown(secret: str) -> None:
    """Neither in the message nor in the error's cause."""
    with pytest.raises(ConnectionSettingsError, match="looks like a secret") as caught:
        Credentials.from_environment({"SONICHAOS_API_KEY_FILE": secret}).call_metadata()
    assert secret not in "".join(traceback.format_exception(caught.value))
