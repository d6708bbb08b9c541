"""access.toml: what it may say, what it refuses by name, and how a change counts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from servicekit.access.access_file import AccessFile, AccessRules, JwtRule, parse_rules
from servicekit.access.caller import Scope
from servicekit.settings import SettingsError

CERTIFICATE = """
[[certificate]]
subject = "CN=mixer,O=Example"
tenant = "a"
scopes = ["read"]
"""
ISSUER = """
[[jwt]]
issuer = "https://login.example.com/"
audience = "sonichaos"
jwks = "https://login.example.com/jwks.json"
algorithms = ["RS256"]
"""


class Time:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def problem(text: str) -> str:
    """Why a file is refused."""
    with pytest.raises(ValueError, match=r".") as refused:
        parse_rules(text)
    return str(refused.value)


def test_the_example_of_the_documentation_is_valid() -> None:
    """docs/access.md has a complete file."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "access.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    rules = parse_rules(example)
    assert (len(rules.certificate), len(rules.jwt)) == (3, 1)
    assert set(rules.jwt[0].model_fields_set) >= JwtRule.model_fields.keys() - {"tenant"}


def test_an_empty_file_has_no_rules() -> None:
    """Nobody is identified by it."""
    assert parse_rules("") == AccessRules()


def test_the_defaults_of_an_issuer() -> None:
    """Claims "tenant" and "scope", and 30 s of leeway."""
    (rule,) = parse_rules(ISSUER).jwt
    assert (rule.tenant_claim, rule.scope_claim, rule.leeway_s, rule.max_lifetime_s) == ("tenant", "scope", 30.0, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CERTIFICATE.replace("scopes", "scope"), "[[certificate]] 1: unknown key scope; did you mean scopes?"),
        (ISSUER + 'leeway = "1"', "[[jwt]] 1: unknown key leeway; did you mean leeway_s?"),
        ("[[certificates]]", "unknown key certificates; did you mean certificate?"),
        (CERTIFICATE + 'spiffe = "spiffe://example.org/x"', "exactly one of subject and spiffe"),
        (CERTIFICATE.replace('subject = "CN=mixer,O=Example"', ""), "exactly one of subject and spiffe"),
        (CERTIFICATE.replace("CN=mixer", "mixer"), "must be a subject such as"),
        (CERTIFICATE.replace('"a"', '"A b"'), "must be 1 to 63 characters of a-z"),
        (CERTIFICATE.replace('"read"', '"admin"'), "scopes.0"),
        (CERTIFICATE.replace('"read"', '"peer"'), "peer is no scope of a tenant"),
        (CERTIFICATE.replace('["read"]', "[]"), "at least one scope"),
        (CERTIFICATE + "peer = true", "no tenant and no scopes"),
        (CERTIFICATE + 'peer = "true"', "[[certificate]] 1: peer: Input should be a valid boolean, got 'true'"),
        ('[[certificate]]\nspiffe = "spiffe://example.org/a/../b"\npeer = true', "must be a SPIFFE id"),
        ('[[certificate]]\nspiffe = "spiffe://*"\npeer = true', "must be a SPIFFE id"),
        (ISSUER.replace("RS256", "none"), "algorithms.0"),
        (ISSUER.replace("RS256", "HS256"), "algorithms.0"),
        (ISSUER.replace('["RS256"]', "[]"), "algorithms"),
        (ISSUER.replace('"https://login.example.com/jwks', '"http://login.example.com/jwks'), "must be an https URL"),
        (ISSUER.replace('"https://login.example.com/jwks', '"ftp://login.example.com/jwks'), "must be an https URL"),
        (ISSUER + 'tenant = "a"\ntenant_claim = "org"', "tenant or tenant_claim, not both"),
        (ISSUER + 'scopes = { "music" = "peer" }', "peer is no scope of a tenant"),
        (ISSUER + "leeway_s = 3600", "leeway_s"),
        (ISSUER + ISSUER, "each issuer must have one [[jwt]] rule"),
        (ISSUER.replace('audience = "sonichaos"', ""), "[[jwt]] 1: audience: Field required"),
        ("certificate = nope\n", "line 1"),
    ],
)
def test_a_wrong_file_is_refused_by_its_key(text: str, expected: str) -> None:
    """The message names table, number and key."""
    assert expected in problem(text)


@pytest.mark.parametrize("jwks", ["http://127.0.0.1:8080/jwks", "http://localhost/jwks", "http://[::1]/j", "keys.json"])
def test_keys_may_come_from_loopback_and_files(jwks: str) -> None:
    """Where no one can change them on the way."""
    (rule,) = parse_rules(ISSUER.replace("https://login.example.com/jwks.json", jwks)).jwt
    assert rule.jwks == jwks


def test_an_invalid_file_stops_the_start(tmp_path: Path) -> None:
    """Also one that is named and is not there, and one that every user of the machine can write."""
    path = tmp_path / "access.toml"
    with pytest.raises(SettingsError, match="SONICHAOS_ACCESS_FILE"):
        AccessFile(path, required=True)
    path.write_text(CERTIFICATE.replace("scopes", "scope"))
    with pytest.raises(SettingsError, match="unknown key scope"):
        AccessFile(path)
    path.write_text(CERTIFICATE)
    path.chmod(0o666)
    with pytest.raises(SettingsError, match="chmod o-w"):
        AccessFile(path)


def test_a_changed_file_counts_and_an_invalid_change_does_not(tmp_path: Path) -> None:
    """A mistake while the services run must not lock everyone out; a valid file replaces all rules."""
    path, time = tmp_path / "access.toml", Time()
    file = AccessFile(path, check_interval_s=1.0, monotonic=time)
    assert file.rules.certificate == ()
    path.write_text(CERTIFICATE)
    assert file.rules.certificate == ()
    time.now_s += 1.0
    first = file.rules
    assert first.certificate[0].scopes == (Scope.READ,)
    path.write_text(CERTIFICATE + "[[jwt]]")
    time.now_s += 1.0
    assert file.rules is first
    path.unlink()
    time.now_s += 1.0
    assert file.rules is first
    path.write_text(ISSUER)
    time.now_s += 1.0
    assert (len(file.rules.certificate), len(file.rules.jwt)) == (0, 1)
