"""JWTs on a running server that trusts nobody: each known attack on tokens and on the keys that verify them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from grpc import aio

from servicekit.access.caller import Scope
from servicekit.settings import SettingsError
from sonichaos.jobs.v1 import jobs_service_pb2
from tests.support.identity_server import Guarded, bearer, guarded
from tests.support.jobs_server import reason_of
from tests.support.key_servers import KeyServer, key_server
from tests.support.manual_clock import ManualClock
from tests.support.tokens import AUDIENCE, ISSUER, Issuer, as_json, encode, jwks_of, rsa_key

INVALID = (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")
AFTER_2100 = 4_102_444_800
"""A time that is not there yet, and the same in the names of tests whenever they are collected."""
EXPIRED = (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_EXPIRED")
RSA = rsa_key()


def rules(jwks: str, algorithms: str = '"ES256"', more: str = "") -> str:
    """An access file that accepts the tests' issuer."""
    return (
        f'[[jwt]]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\njwks = "{jwks}"\nalgorithms = [{algorithms}]\n'
        f"leeway_s = 30\n{more}"
    )


@dataclass
class Accepting:
    """A server that accepts an issuer, and a file with that issuer's keys."""

    served: Guarded
    issuer: Issuer
    jwks: Path

    async def refusal(self, token: str) -> tuple[grpc.StatusCode, str]:
        """Why a token is refused; no message repeats any of it."""
        message = await self.served.message(bearer(token))
        assert message
        assert not any(part in message for part in token.split(".") if len(part) > 8)
        return await self.served.refusal(bearer(token))

    async def tenants(self, token: str) -> set[str]:
        """Whose jobs a token's caller sees."""
        return await self.served.tenants(bearer(token))


@pytest.fixture
async def accepting(tmp_path: Path) -> AsyncIterator[Accepting]:
    """An issuer with an elliptic curve."""
    issuer, jwks = Issuer(), tmp_path / "jwks.json"
    jwks.write_bytes(issuer.jwks())
    async with guarded(tmp_path, rules=rules("jwks.json"), recheck_s=0.1) as served:
        yield Accepting(served, issuer, jwks)


@pytest.fixture
async def accepting_rsa(tmp_path: Path) -> AsyncIterator[Accepting]:
    """An issuer with an RSA key."""
    issuer, jwks = Issuer(RSA, "RS256"), tmp_path / "jwks.json"
    jwks.write_bytes(issuer.jwks())
    async with guarded(tmp_path, rules=rules("jwks.json", '"RS256", "PS256"')) as served:
        yield Accepting(served, issuer, jwks)


async def test_a_token_is_the_tenant_of_its_claim(accepting: Accepting) -> None:
    """A token for tenant a never shows tenant b."""
    assert await accepting.tenants(accepting.issuer.token()) == {"a"}
    assert await accepting.tenants(accepting.issuer.token(tenant="b")) == {"b"}


async def test_scopes_are_those_of_the_claim(accepting: Accepting) -> None:
    """As text or as a list; without one the caller may do nothing."""
    assert await accepting.tenants(accepting.issuer.token(scope=["openid", "read"])) == {"a"}
    for scope in ("render", "openid READ", "", None, 7, {"read": True}):
        code, reason = await accepting.refusal(accepting.issuer.token(scope=scope))
        assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")


async def test_an_expired_token_is_refused(accepting: Accepting) -> None:
    """After the leeway of the clocks, and by its own reason."""
    now = int(time.time())
    assert await accepting.tenants(accepting.issuer.token(exp=now - 5)) == {"a"}
    assert await accepting.refusal(accepting.issuer.token(exp=now - 40)) == EXPIRED


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": None},
        {"exp": "soon"},
        {"exp": [1]},
        {"aud": "another-service"},
        {"aud": ["another-service", "sonichaos2"]},
        {"aud": AUDIENCE.upper()},
        {"aud": None},
        {"iss": "https://evil.example.com/"},
        {"iss": ISSUER.rstrip("/")},
        {"iss": None},
        {"iss": [ISSUER]},
        {"nbf": AFTER_2100},
        {"iat": AFTER_2100},
        {"tenant": None},
        {"tenant": "local"},
        {"tenant": "A/../b"},
        {"tenant": ["a"]},
        {"sub": 7},
    ],
    ids=str,
)
async def test_wrong_claims_are_refused(accepting: Accepting, claims: dict[str, Any]) -> None:
    """Without expiry, for another audience, by another issuer, not valid yet, for no tenant or for the operator's own."""
    assert await accepting.refusal(accepting.issuer.token(**claims)) == INVALID


async def test_an_audience_among_several_counts(accepting: Accepting) -> None:
    """As RFC 7519, section 4.1.3, has it."""
    assert await accepting.tenants(accepting.issuer.token(aud=["another-service", AUDIENCE])) == {"a"}


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None, ["ES256"], {"a": 1}])
async def test_a_token_without_a_signature_is_refused(accepting: Accepting, algorithm: object) -> None:
    """However it spells that it has none, with and without bytes in the place of a signature."""
    for signature in (b"", b"x" * 64):
        forged = accepting.issuer.forged({"alg": algorithm, "kid": accepting.issuer.kid}, signature)
        assert await accepting.refusal(forged) == INVALID


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512", "RS256"])
async def test_a_public_key_is_no_secret(accepting_rsa: Accepting, algorithm: str) -> None:
    """The attacker signs with HMAC and the public RSA key as the secret, in each form that a library may take it in."""
    issuer = accepting_rsa.issuer
    digest = {"HS384": hashlib.sha384, "HS512": hashlib.sha512}.get(algorithm, hashlib.sha256)
    pem = issuer.public_pem()
    for secret in (pem, pem.strip(), pem.decode().replace("\n", "").encode(), as_json(issuer.jwk()), b""):
        signed = ".".join(
            encode(part) for part in (as_json({"alg": algorithm, "kid": issuer.kid}), as_json(issuer.payload()))
        )
        forged = f"{signed}.{encode(hmac.new(secret, signed.encode(), digest).digest())}"
        assert await accepting_rsa.refusal(forged) == INVALID
    assert await accepting_rsa.tenants(issuer.token()) == {"a"}


async def test_an_algorithm_that_the_rule_does_not_name_is_refused(accepting_rsa: Accepting) -> None:
    """RS512 with the issuer's own key; PS256 is in the rule, but the key is published for RS256."""
    for algorithm in ("RS512", "PS256"):
        other = Issuer(RSA, algorithm, accepting_rsa.issuer.kid)
        assert await accepting_rsa.refusal(other.token()) == INVALID


async def test_an_algorithm_of_another_type_of_key_is_refused(accepting_rsa: Accepting) -> None:
    """A curve's signature under the id of an RSA key."""
    curve = Issuer(kid=accepting_rsa.issuer.kid)
    assert await accepting_rsa.refusal(curve.token()) == INVALID


async def test_another_key_under_the_same_id_is_refused(accepting: Accepting) -> None:
    """The id chooses the key, it does not vouch for it."""
    assert await accepting.refusal(Issuer(kid=accepting.issuer.kid).token()) == INVALID
    assert await accepting.refusal(Issuer(kid="unknown").token()) == INVALID


@pytest.mark.parametrize("kid", ["../../dev/null", "' OR 1=1 --", "\x00", "x" * 1000, 7, None])
async def test_ids_of_keys_are_only_compared(accepting: Accepting, kid: object) -> None:
    """No path, no query, no number; and a token without one needs an issuer with one key."""
    attacker = Issuer()
    forged = jwt.encode(attacker.payload(), attacker.key, "ES256", headers={} if kid is None else None)
    header = {"alg": "ES256", **({} if kid is None else {"kid": kid})}
    _, payload, signature = forged.split(".")
    assert await accepting.refusal(".".join((encode(as_json(header)), payload, signature))) == INVALID
    nameless = jwt.encode(accepting.issuer.payload(), accepting.issuer.key, "ES256")
    assert await accepting.tenants(nameless) == {"a"}


@pytest.mark.parametrize("header", ["jku", "x5u", "jwk", "crit"])
async def test_a_token_cannot_bring_its_own_key(accepting: Accepting, header: str) -> None:
    """Neither an embedded key nor the address of one is used, and unknown extensions are refused, also in a signed token."""
    async with key_server() as server:
        attacker = Issuer(kid=accepting.issuer.kid)
        server.body = attacker.jwks()
        values = {"jku": server.url, "x5u": server.url, "jwk": attacker.jwk(), "crit": ["exp"]}
        for issuer in (attacker, accepting.issuer):
            assert await accepting.refusal(issuer.token(headers={header: values[header], "exp": 1})) == INVALID
        assert server.requests == 0


async def test_damaged_tokens_are_refused(accepting: Accepting) -> None:
    """Truncated, with a changed payload or signature, with parts that are missing or too many, or that are no JSON."""
    token = accepting.issuer.token()
    header, payload, signature = token.split(".")
    other = encode(as_json(accepting.issuer.payload(tenant="b")))
    flipped = signature[:10] + ("A" if signature[10] != "A" else "B") + signature[11:]
    damaged = [
        token[:-1],
        token[: len(token) // 2],
        f"{header}.{other}.{signature}",
        f"{header}.{payload}.{flipped}",
        f"{header}.{payload}.",
        f"{header}.{payload}",
        f"{header}.{payload}.{signature}.{signature}",
        f"{header}.{payload}.{signature}{'A' * 4}",
        f"{encode(b'[]')}.{payload}.{signature}",
        f"{header}.{encode(b'[]')}.{signature}",
        f"{header}.{encode(b'{')}.{signature}",
        "..",
    ]
    for wrong in damaged:
        assert (await accepting.served.refusal(bearer(wrong))) == INVALID, wrong
    assert await accepting.tenants(token) == {"a"}


async def test_a_token_that_is_too_long_is_refused(accepting: Accepting) -> None:
    """Before anything of it is read: 8 KiB are the limit. Each call is answered with the reason, or served."""
    long, longest = accepting.issuer.token(padding="x" * 6300), accepting.issuer.token(padding="x" * 5800)
    assert 8192 < len(long) < 9000
    assert 7800 < len(longest) <= 8192
    for _ in range(50):
        assert await accepting.tenants(longest) == {"a"}
    for _ in range(8):  # of two calls; more from one host would be refused as guesses
        assert await accepting.refusal(long) == INVALID


async def test_a_token_that_expires_in_mid_stream_ends_the_stream(tmp_path: Path) -> None:
    """After the leeway; another token of the same subject is not affected."""
    issuer, now, clock = Issuer(), int(time.time()), ManualClock(datetime.now(UTC))
    (tmp_path / "jwks.json").write_bytes(issuer.jwks())
    async with guarded(tmp_path, rules=rules("jwks.json"), recheck_s=0.1, clock=clock) as served:
        tokens = [issuer.token(exp=now + 600), issuer.token(exp=now + 3600)]
        watched = jobs_service_pb2.WatchJobRequest(job_id=served.job())
        short, long = [served.wire.stub.WatchJob(watched, metadata=bearer(token)) for token in tokens]
        for stream in (long, short):
            assert (await stream.read()).event.sequence == 1
        clock.set_by(600.0 + 31.0)
        with pytest.raises(aio.AioRpcError) as ended:
            await asyncio.wait_for(short.read(), 30.0)
        assert reason_of(ended.value)[0] is grpc.StatusCode.UNAUTHENTICATED
        assert not long.done()
        long.cancel()


async def test_keys_of_a_file_change_while_the_service_runs(accepting: Accepting) -> None:
    """The new key counts with its first token, and the old one no longer."""
    new = Issuer(kid="second")
    await asyncio.to_thread(accepting.jwks.write_bytes, new.jwks())
    assert await accepting.tenants(new.token()) == {"a"}
    assert await accepting.refusal(accepting.issuer.token()) == INVALID


async def test_the_lifetime_of_tokens_can_be_limited(tmp_path: Path) -> None:
    """An issuer that gives tokens for a year is refused by the operator's rule."""
    issuer, now = Issuer(), int(time.time())
    (tmp_path / "jwks.json").write_bytes(issuer.jwks())
    async with guarded(tmp_path, rules=rules("jwks.json", more="max_lifetime_s = 600")) as served:
        assert await served.tenants(bearer(issuer.token(exp=now + 600, iat=now))) == {"a"}
        for claims in ({"exp": now + 602, "iat": now}, {"exp": now + 60, "iat": None}):
            assert await served.refusal(bearer(issuer.token(**claims))) == INVALID


async def test_a_rule_may_name_the_tenant_and_the_scopes(tmp_path: Path) -> None:
    """Then the claim of the tenant counts for nothing, and scopes have the issuer's names."""
    issuer = Issuer()
    (tmp_path / "jwks.json").write_bytes(issuer.jwks())
    more = 'tenant = "b"\nscope_claim = "roles"\nscopes = { "music:list" = "read" }\n'
    async with guarded(tmp_path, rules=rules("jwks.json", more=more)) as served:
        assert await served.tenants(bearer(issuer.token(tenant="a", roles=["music:list"]))) == {"b"}
        code, reason = await served.refusal(bearer(issuer.token(roles=["read"])))
        assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")


async def test_one_issuer_cannot_speak_for_another(tmp_path: Path) -> None:
    """The issuer that a token claims chooses the keys."""
    mine, theirs = Issuer(kid="same"), Issuer(kid="same")
    (tmp_path / "mine.json").write_bytes(mine.jwks())
    (tmp_path / "theirs.json").write_bytes(theirs.jwks())
    both = rules("mine.json") + rules("theirs.json").replace(ISSUER, "https://other.example.com/")
    async with guarded(tmp_path, rules=both) as served:
        assert await served.tenants(bearer(mine.token())) == {"a"}
        assert await served.refusal(bearer(theirs.token())) == INVALID
        assert await served.tenants(bearer(theirs.token(iss="https://other.example.com/"))) == {"a"}


async def test_an_unusable_jwks_file_stops_the_start(tmp_path: Path) -> None:
    """The message names the access file, the JWKS and the problem."""
    with pytest.raises(SettingsError, match=r"access.toml: jwks missing.json: .*No such file"):
        async with guarded(tmp_path, rules=rules("missing.json")):
            pass
    (tmp_path / "jwks.json").write_bytes(as_json({"keys": [{"kty": "oct", "k": "AAAA"}]}))
    with pytest.raises(SettingsError, match=r"jwks jwks.json: must have an RSA key"):
        async with guarded(tmp_path, rules=rules("jwks.json")):
            pass


@pytest.fixture
async def issuing(tmp_path: Path) -> AsyncIterator[tuple[Guarded, Issuer, KeyServer]]:
    """A server that fetches an issuer's keys over HTTP from loopback."""
    issuer = Issuer()
    async with key_server(issuer.jwks()) as server, guarded(tmp_path, rules=rules(server.url)) as served:
        yield served, issuer, server


async def test_made_up_key_ids_cost_the_issuer_one_request(issuing: tuple[Guarded, Issuer, KeyServer]) -> None:
    """The next fetch is a minute later; the issuer's own tokens are verified all the while."""
    served, issuer, server = issuing
    for number in range(10):
        assert await served.refusal(bearer(Issuer(kid=f"made-up-{number}").token())) == INVALID
    assert await served.tenants(bearer(issuer.token())) == {"a"}
    assert server.requests == 1


async def test_an_issuer_that_is_down_is_unavailable(issuing: tuple[Guarded, Issuer, KeyServer]) -> None:
    """Not UNAUTHENTICATED: the client's token may be good. API keys need no issuer."""
    served, issuer, server = issuing
    server.body = b"out of order"
    assert await served.refusal(bearer(issuer.token())) == (grpc.StatusCode.UNAVAILABLE, "ISSUER_UNAVAILABLE")
    assert await served.tenants(bearer(served.key())) == {"a"}


async def test_an_rsa_key_and_a_curve_under_one_id_are_told_apart(tmp_path: Path) -> None:
    """By the algorithm of the token; each is verified with its own key."""
    rsa, curve = Issuer(RSA, "RS256", "same"), Issuer(ec.generate_private_key(ec.SECP256R1()), "ES256", "same")
    (tmp_path / "jwks.json").write_bytes(jwks_of(rsa.jwk(), curve.jwk()))
    async with guarded(tmp_path, rules=rules("jwks.json", '"RS256", "ES256"')) as served:
        for issuer in (rsa, curve):
            assert await served.tenants(bearer(issuer.token())) == {"a"}


async def test_an_issuer_that_the_file_no_longer_names_is_refused(accepting: Accepting, tmp_path: Path) -> None:
    """Within a second of the change, and its running streams end; a new rule counts as soon."""
    served, issuer = accepting.served, accepting.issuer
    stream = served.wire.stub.WatchJob(
        jobs_service_pb2.WatchJobRequest(job_id=served.job()), metadata=bearer(issuer.token())
    )
    await stream.read()
    await asyncio.to_thread((tmp_path / "access.toml").write_text, "")
    with pytest.raises(aio.AioRpcError) as ended:
        await asyncio.wait_for(stream.read(), 30.0)
    assert reason_of(ended.value)[:2] == INVALID
    assert await accepting.refusal(issuer.token()) == INVALID
    assert await served.tenants(bearer(served.key(scopes=frozenset({Scope.READ})))) == {"a"}
