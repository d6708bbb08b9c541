"""Client certificates: how their names match the rules of the access file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.x509 import Name, NameAttribute, ObjectIdentifier, RelativeDistinguishedName
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from servicekit.access.access_file import AccessFile
from servicekit.access.caller import Caller, CallFacts, ClientCertificate, IdentityMethod, Scope
from servicekit.access.certificates import CertificateIdentifier
from servicekit.access.subject_names import parse_subject
from servicekit.errors import Unauthenticated
from tests.support.manual_clock import ManualClock

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
RULES = r"""
[[certificate]]
subject = "cn=mixer, O=Example\\, Ltd"
tenant = "a"
scopes = ["read", "render"]
[[certificate]]
spiffe = "spiffe://example.org/tenants/b/*"
tenant = "b"
scopes = ["read"]
[[certificate]]
spiffe = "spiffe://example.org/tenants/b/admin"
tenant = "b"
scopes = ["read", "operate"]
[[certificate]]
spiffe = "spiffe://example.org/sonichaos/render"
peer = true
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The access file."""
    path = tmp_path / "access.toml"
    path.write_text(RULES)
    return path


@pytest.fixture
def clock() -> ManualClock:
    """The test's clock."""
    return ManualClock(START)


@pytest.fixture
def identifier(path: Path, clock: ManualClock) -> CertificateIdentifier:
    """Reads the file at each call."""
    return CertificateIdentifier(AccessFile(path, check_interval_s=0.0), clock)


def call(subject: str, *uris: str, authorization: tuple[str, ...] = ()) -> CallFacts:
    """A call with a client certificate."""
    certificate = ClientCertificate(subject=subject, uris=uris, sha256="0" * 64, expires_at=START + timedelta(days=1))
    return CallFacts(method="/x/Y", peer="ipv4:10.0.0.7:1", authorization=authorization, certificate=certificate)


def write(path: Path, rules: str) -> None:
    """Replace the access file."""
    path.write_text(rules)


async def identified(identifier: CertificateIdentifier, subject: str, *uris: str) -> Caller:
    """The caller, who must be identified."""
    caller = await identifier.identify(call(subject, *uris))
    assert caller is not None
    return caller


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CN=a,O=b", "cn=a, o=b"),
        ("CN=a,O=b", "CN = a , O = b"),
        ("CN=a,O=b", "2.5.4.3=a,O=b"),
        (r"CN=a\,b", r"CN=a\2cb"),
        ("CN=a+OU=b,O=c", "OU=b+CN=a,O=c"),
        (r"CN=a\\,O=b", r"CN=a\\, O=b"),
        ("emailAddress=x@y,CN=a", "1.2.840.113549.1.9.1=x@y,CN=a"),
    ],
)
def test_spellings_of_one_subject_are_equal(one: str, other: str) -> None:
    """Case of types, spaces, escapes and the order within one part do not count."""
    assert parse_subject(one) == parse_subject(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("CN=a,O=b", "O=b,CN=a"), ("CN=a", "CN=A"), ("CN=a,O=b", "CN=a"), (r"CN=a\,O\=b", "CN=a,O=b"), ("CN=a", "OU=a")],
)
def test_other_subjects_are_not(one: str, other: str) -> None:
    """Values, order and number of the parts count."""
    assert parse_subject(one) != parse_subject(other)


_VALUES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12) | st.sampled_from(
    ["a,CN=b", "a+OU=b", " a ", "a\\", "\\,", "#0c0161", "a=b", "\x00", '"a"', "a\\ "]
)
_NAMES = st.lists(
    st.lists(
        st.tuples(st.sampled_from([NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME]), _VALUES), min_size=1, max_size=2
    ),
    min_size=1,
    max_size=3,
)


def _name(parts: list[list[tuple[ObjectIdentifier, str]]]) -> Name:
    """A name whose parts have one or several attributes each."""
    unique = [dict(part) for part in parts]
    return Name([RelativeDistinguishedName(NameAttribute(*one) for one in part.items()) for part in unique])


@given(_NAMES)
@settings(max_examples=100, deadline=None)
def test_every_subject_of_a_certificate_is_read_as_it_is(parts: list[list[tuple[ObjectIdentifier, str]]]) -> None:
    """However it is written: no value of one can be taken for another attribute."""
    name = _name(parts)
    assert parse_subject(name.rfc4514_string()) == name


async def test_a_subject_is_a_tenant(identifier: CertificateIdentifier) -> None:
    """However the rule spells it."""
    caller = await identified(identifier, r"CN=mixer,O=Example\, Ltd")
    assert (caller.tenant, caller.scopes) == ("a", {Scope.READ, Scope.RENDER})
    assert caller.method is IdentityMethod.CERTIFICATE


async def test_a_spiffe_id_below_a_prefix_is_a_tenant(identifier: CertificateIdentifier) -> None:
    """The first rule that matches counts, not the most exact one."""
    caller = await identified(identifier, "", "spiffe://example.org/tenants/b/admin")
    assert (caller.tenant, caller.scopes) == ("b", {Scope.READ})


async def test_the_other_service_is_a_peer(identifier: CertificateIdentifier) -> None:
    """It may call what the pair calls, and read which model is loaded."""
    caller = await identified(identifier, "", "spiffe://example.org/sonichaos/render")
    assert (caller.tenant, caller.scopes) == ("local", {Scope.PEER, Scope.READ})


@pytest.mark.parametrize(
    "uris",
    [
        ("spiffe://example.org/tenants/b",),
        ("spiffe://example.org/tenants/b/",),
        ("spiffe://example.org/tenants/bc",),
        ("spiffe://example.org/tenants/b/../a",),
        ("spiffe://example.org/tenants/b/%2e%2e/a",),
        ("spiffe://example.org.evil/tenants/b/x",),
        ("https://example.org/tenants/b/x",),
        ("spiffe://example.org/tenants/b/x", "spiffe://example.org/other"),
    ],
)
async def test_names_that_only_resemble_a_rule_identify_nobody(
    identifier: CertificateIdentifier, uris: tuple[str, ...]
) -> None:
    """A prefix ends at a segment, no segment leads out of it, and a SPIFFE certificate has one URI."""
    with pytest.raises(Unauthenticated) as refused:
        await identifier.identify(call("CN=other", *uris))
    assert refused.value.reason == "CREDENTIALS_INVALID"


async def test_a_certificate_without_a_rule_leaves_the_caller_to_its_key(identifier: CertificateIdentifier) -> None:
    """A mesh gives every client a certificate; tenants may still be distinguished by their keys."""
    assert await identifier.identify(call("CN=other", authorization=("Bearer x",))) is None


async def test_a_caller_ends_with_its_rule(identifier: CertificateIdentifier, path: Path) -> None:
    """So does one whose tenant or scopes the file takes away; a caller of another kind is not asked about here."""
    callers = [
        await identified(identifier, r"CN=mixer,O=Example\, Ltd"),
        await identified(identifier, "", "spiffe://example.org/tenants/b/x"),
    ]
    assert [await identifier.is_valid(caller) for caller in callers] == [True, True]
    write(path, RULES.replace('"read", "render"', '"read"'))
    assert [await identifier.is_valid(caller) for caller in callers] == [False, True]
    write(path, RULES.replace('tenant = "b"', 'tenant = "c"'))
    assert [await identifier.is_valid(caller) for caller in callers] == [True, False]
    write(path, "")
    assert [await identifier.is_valid(caller) for caller in callers] == [False, False]
    key = Caller(tenant="a", subject="k", method=IdentityMethod.API_KEY, scopes=frozenset())
    assert await identifier.is_valid(key)


async def test_a_certificate_expires_while_its_connection_lasts(
    identifier: CertificateIdentifier, clock: ManualClock
) -> None:
    """TLS looked at it once; calls over the old connection are refused, and running ones end."""
    caller = await identified(identifier, r"CN=mixer,O=Example\, Ltd")
    assert await identifier.is_valid(caller)
    clock.advance(24 * 3600.0)
    assert not await identifier.is_valid(caller)
    with pytest.raises(Unauthenticated) as refused:
        await identifier.identify(call(r"CN=mixer,O=Example\, Ltd"))
    assert refused.value.reason == "CREDENTIALS_EXPIRED"
