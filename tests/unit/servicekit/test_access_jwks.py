"""The keys of an issuer: which are usable, how they are fetched, and what made-up key ids and bad issuers cost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from servicekit.access.jwks import FetchLimits, FileKeys, UrlKeys, parse_jwks
from servicekit.errors import Unavailable
from tests.support.key_servers import key_server
from tests.support.tokens import Issuer, as_json, jwks_of, rsa_key

LIMITS = FetchLimits(timeout_s=0.5, max_bytes=4096, fresh_s=600.0, stale_s=86400.0, cooldown_s=60.0, retry_s=5.0)


class Time:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_each_type_of_key_has_its_algorithms() -> None:
    """An RSA key that states no algorithm serves all of RSA; one that states it, or an elliptic curve, only that."""
    rsa, curve = Issuer(rsa_key(), "RS256", "r"), Issuer(kid="e")
    keys = parse_jwks(jwks_of(rsa.jwk(alg=None), rsa.jwk(), curve.jwk()))
    assert [sorted(key.algorithms) for key in keys] == [
        ["PS256", "PS384", "PS512", "RS256", "RS384", "RS512"],
        ["RS256"],
        ["ES256"],
    ]


def test_unusable_keys_are_left_out() -> None:
    """Secrets, keys for encryption, short keys, unknown curves, nonsense."""
    good = Issuer()
    secret = {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "s"}
    bad = [
        secret,
        good.jwk(use="enc"),
        good.jwk(key_ops=["sign"]),
        good.jwk(alg="HS256"),
        good.jwk(crv="P-999"),
        good.jwk(x="AA"),
        Issuer(rsa_key(1024), "RS256").jwk(),
        {"kty": ["RSA"]},
    ]
    assert [key.kid for key in parse_jwks(jwks_of(*bad, good.jwk(kid="good"))) if key.algorithms] == ["good"]
    with pytest.raises(ValueError, match="got none"):
        parse_jwks(jwks_of(*bad))


@pytest.mark.parametrize("content", [b"", b"[]", b'{"keys": {}}', b"\xff", b'{"keys": []}', b"[" * 100_000])
def test_what_is_no_jwks_is_refused(content: bytes) -> None:
    """By name, whatever it is."""
    with pytest.raises(ValueError, match=r"."):
        parse_jwks(content)


def test_a_jwks_of_too_many_keys_is_refused() -> None:
    """At most a hundred are read."""
    with pytest.raises(ValueError, match="at most 100 keys, got 101"):
        parse_jwks(jwks_of(*[Issuer().jwk()] * 101))


async def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """At once for a token with an unknown key; an unusable change leaves the old keys."""
    path, time = tmp_path / "jwks.json", Time()
    path.write_bytes(Issuer(kid="one").jwks())
    source = FileKeys(path, monotonic=time)
    path.write_bytes(Issuer(kid="two").jwks())
    assert [key.kid for key in await source.keys()] == ["one"]
    assert [key.kid for key in await source.keys(unknown_kid=True)] == ["two"]
    path.write_bytes(b"{}")
    time.now_s += 60.0
    assert [key.kid for key in await source.keys()] == ["two"]


async def test_keys_are_fetched_once_while_they_are_fresh() -> None:
    """Also for many calls at once; after ten minutes they are fetched again."""
    time = Time()
    async with key_server(Issuer(kid="one").jwks()) as server:
        source = UrlKeys(server.url, limits=LIMITS, monotonic=time)
        found = await asyncio.gather(*[source.keys() for _ in range(20)])
        assert {keys[0].kid for keys in found} == {"one"}
        assert server.requests == 1
        server.body = Issuer(kid="two").jwks()
        time.now_s += 599.0
        assert (await source.keys())[0].kid == "one"
        time.now_s += 1.0
        assert (await source.keys())[0].kid == "two"
        assert server.requests == 2


async def test_made_up_key_ids_fetch_once_a_minute() -> None:
    """They cannot make the service hammer the issuer; a new key counts with the next fetch."""
    time = Time()
    async with key_server(Issuer(kid="one").jwks()) as server:
        source = UrlKeys(server.url, limits=LIMITS, monotonic=time)
        for _ in range(100):
            await source.keys(unknown_kid=True)
        assert server.requests == 1
        server.body = Issuer(kid="two").jwks()
        time.now_s += 60.0
        found = [await source.keys(unknown_kid=True) for _ in range(100)]
        assert {keys[0].kid for keys in found} == {"two"}
        assert server.requests == 2


async def test_old_keys_are_used_for_a_day_while_the_issuer_is_down() -> None:
    """And the issuer is asked once a minute meanwhile; after a day nobody can say whether a key was withdrawn."""
    time = Time()
    async with key_server(Issuer(kid="one").jwks()) as server:
        source = UrlKeys(server.url, limits=LIMITS, monotonic=time)
        await source.keys()
        server.body = b"<html>out of order</html>"
        time.now_s += 3600.0
        for _ in range(10):
            assert (await source.keys())[0].kid == "one"
        assert server.requests == 2
        time.now_s += 86400.0
        with pytest.raises(Unavailable) as refused:
            await source.keys()
        assert refused.value.reason == "ISSUER_UNAVAILABLE"
        assert refused.value.retry_after_s is not None


async def _redirect(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "/elsewhere"})


async def _oversized(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(body=as_json({"keys": [Issuer().jwk()], "x": "y" * 5000}))


async def _endless(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" " * 1000)


async def _slow(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("answer", [_redirect, _oversized, _endless, _slow])
async def test_an_issuer_that_misbehaves_has_no_keys(
    answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
) -> None:
    """A redirect, a body above the limit, one without an end, one that comes too slowly. The next try is 5 s later."""
    time, issuer = Time(), Issuer()
    async with key_server(issuer.jwks()) as server:
        server.answer = answer
        source = UrlKeys(server.url, limits=LIMITS, monotonic=time)
        for _ in range(3):
            with pytest.raises(Unavailable):
                await source.keys()
        assert (server.requests, server.other_paths) == (1, [])
        server.answer = None
        time.now_s += 5.0
        assert (await source.keys())[0].kid == issuer.kid


async def test_a_cancelled_call_does_not_cancel_the_fetch_of_others() -> None:
    """Otherwise a caller who hangs up could keep an issuer's keys away."""
    async with key_server(Issuer(kid="one").jwks()) as server:
        source = UrlKeys(server.url, limits=LIMITS)
        first = asyncio.create_task(source.keys())
        await asyncio.sleep(0)
        second = asyncio.create_task(source.keys())
        await asyncio.sleep(0)
        first.cancel()
        assert (await second)[0].kid == "one"
        assert server.requests == 1


async def test_an_issuer_that_refuses_connections_has_no_keys() -> None:
    """Nothing listens on its port."""
    source = UrlKeys("http://127.0.0.1:1/jwks.json", limits=LIMITS)
    with pytest.raises(Unavailable):
        await source.keys()


async def test_calls_do_not_wait_for_an_issuer_that_hangs_while_there_are_keys() -> None:
    """Every call waited 5 s, once a minute, for as long as the issuer was slow. What it answers counts when it comes."""
    time, answering = Time(), asyncio.Event()

    async def slowly(_request: web.BaseRequest) -> web.StreamResponse:
        await answering.wait()
        return web.Response(body=Issuer(kid="two").jwks())

    limits = FetchLimits(timeout_s=60.0, fresh_s=600.0, patience_s=0.0)
    async with key_server(Issuer(kid="one").jwks()) as server:
        source = UrlKeys(server.url, limits=limits, monotonic=time)
        await source.keys()
        server.answer = slowly
        time.now_s += 600.0
        assert [(await source.keys())[0].kid for _ in range(3)] == ["one"] * 3
        answering.set()
        assert (await source.keys(unknown_kid=True))[0].kid == "two"
