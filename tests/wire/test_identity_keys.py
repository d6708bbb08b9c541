"""API keys on a running server that trusts nobody: attacks, revocation in mid-stream, rotation, scopes."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from grpc import aio

from servicekit.access.api_key import KeyText, new_key_text
from servicekit.access.caller import Scope
from servicekit.rpc.server import RECHECK_S
from sonichaos.jobs.v1 import jobs_service_pb2
from tests.support.identity_server import Guarded, Metadata, bearer, guarded
from tests.support.jobs_server import reason_of, refusal

INVALID = (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")
EXPIRED = (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_EXPIRED")
MISSING = (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING")


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Guarded]:
    """The server; running calls are checked again ten times a second."""
    async with guarded(tmp_path, recheck_s=0.1) as opened:
        yield opened


async def test_a_key_sees_its_own_tenant_only(served: Guarded) -> None:
    """Keys of two tenants, used in turn over one connection."""
    keys = {tenant: served.key(tenant) for tenant in ("a", "b")}
    for _ in range(3):
        for tenant, key in keys.items():
            assert await served.tenants(bearer(key)) == {tenant}


async def test_keys_of_two_tenants_at_once_do_not_mix(served: Guarded) -> None:
    """Forty calls at once; each sees what its own key may see."""
    keys = {tenant: served.key(tenant) for tenant in ("a", "b")}
    order = ["a", "b"] * 20
    seen = await asyncio.gather(*[served.tenants(bearer(keys[tenant])) for tenant in order])
    assert seen == [{tenant} for tenant in order]


def _flip(text: str, place: int) -> str:
    """The text with the lowest bit of one character of its secret changed, if that is a character of base64url too."""
    changed = chr(ord(text[place]) ^ 1)
    return text[:place] + (changed if changed.isalnum() else "A" if text[place] != "A" else "B") + text[place + 1 :]


async def test_damaged_keys_are_refused(served: Guarded) -> None:
    """Truncated anywhere, with a flipped bit, with a spare bit of the encoding set, with the secret of another key."""
    key, other = served.key(), served.key()
    text = key.text
    last = "AEIMQUYcgkosw048".index(text[-1])
    damaged = [
        text[:-1],
        text[:30],
        text[:22],
        "sonichaos_",
        _flip(text, 30),
        _flip(text, 60),
        text[:-1] + "BFJNRVZdhlptx159"[last],  # decodes to the same bytes
        KeyText(key.key_id, other.secret).text,
        KeyText(new_key_text().key_id, key.secret).text,
    ]
    for wrong in damaged:
        assert await served.refusal(bearer(wrong)) == INVALID, wrong
        assert wrong not in await served.message(bearer(wrong))


async def test_an_expired_key_is_refused(served: Guarded) -> None:
    """By its own reason, so that a client can tell."""
    key = served.key(expire_time=datetime.now(UTC) - timedelta(seconds=1))
    assert await served.refusal(bearer(key)) == EXPIRED


async def test_a_revoked_key_is_refused(served: Guarded) -> None:
    """It was never used before, so nothing remembers it."""
    key = served.key()
    served.journal.revoke_api_key(key.key_id)
    assert await served.refusal(bearer(key)) == INVALID


async def test_a_key_that_is_revoked_in_mid_stream_ends_the_stream(served: Guarded) -> None:
    """With UNAUTHENTICATED; another tenant's stream goes on. This server checks more often than one outside of tests."""
    assert RECHECK_S <= 60.0
    keys = {tenant: served.key(tenant) for tenant in ("a", "b")}
    streams = {
        tenant: served.wire.stub.WatchJob(
            jobs_service_pb2.WatchJobRequest(job_id=served.job(tenant)), metadata=bearer(key)
        )
        for tenant, key in keys.items()
    }
    for stream in streams.values():
        assert (await stream.read()).event.sequence == 1
    served.journal.revoke_api_key(keys["a"].key_id)
    with pytest.raises(aio.AioRpcError) as ended:
        await asyncio.wait_for(streams["a"].read(), 30.0)
    assert reason_of(ended.value)[:2] == INVALID
    assert not streams["b"].done()
    streams["b"].cancel()


async def test_a_rotation_needs_no_pause(served: Guarded) -> None:
    """During the overlap both keys work, for the same tenant with the same scopes; after it only the new one."""
    old = served.key(scopes=frozenset({Scope.READ, Scope.RENDER}))
    new = new_key_text()
    assert served.journal.rotate_api_key(
        old.key_id, new_key_id=new.key_id, secret_sha256=new.secret_sha256, overlap=timedelta(hours=24)
    )
    assert await served.tenants(bearer(old)) == await served.tenants(bearer(new)) == {"a"}
    last = new_key_text()
    assert served.journal.rotate_api_key(
        new.key_id, new_key_id=last.key_id, secret_sha256=last.secret_sha256, overlap=timedelta(0)
    )
    assert await served.tenants(bearer(last)) == {"a"}
    unused = served.key()
    assert served.journal.rotate_api_key(unused.key_id, new_key_id="x", secret_sha256="y", overlap=timedelta(0))
    assert await served.refusal(bearer(unused)) == EXPIRED


async def test_scopes_are_those_of_the_key(served: Guarded) -> None:
    """A key that may read cannot delete; nothing is deleted, and the answer names the scope."""
    key, job_id = served.key(), served.job()
    asked = jobs_service_pb2.CancelJobRequest(job_id=job_id)
    code, reason, metadata = await refusal(served.wire.stub.CancelJob(asked, metadata=bearer(key)))
    assert (code, reason, metadata) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING", {"scope": "render"})


async def test_two_authorization_entries_are_refused(served: Guarded) -> None:
    """Also if both are valid, or the same: a proxy may have checked either."""
    one, two = served.key("a"), served.key("b")
    for both in ((one, two), (two, one), (one, one)):
        assert await served.refusal((*bearer(both[0]), *bearer(both[1]))) == INVALID
    assert await served.refusal((*bearer(one), ("authorization", "Basic YTpi"))) == INVALID


def _smuggled(key: KeyText) -> list[Metadata]:
    """Entries that other systems believe; with each of them a careless server would be fooled."""
    basic = base64.b64encode(b"b:").decode()
    return [
        (("x-tenant", "b"), ("tenant", "b"), ("x-tenant-id", "b")),
        (("x-forwarded-client-cert", 'By=spiffe://x;Subject="CN=b";URI=spiffe://example.org/b'),),
        (("x-ssl-client-s-dn", "CN=b"), ("ssl-client-subject-dn", "CN=b"), ("x-client-cert", "CN=b")),
        (
            ("x-forwarded-user", "b"),
            ("x-remote-user", "b"),
            ("x-forwarded-for", "127.0.0.1"),
            ("forwarded", "for=unix:"),
        ),
        (
            ("x-api-key", key.text),
            ("proxy-authorization", f"Bearer {key.text}"),
            ("cookie", f"authorization={key.text}"),
        ),
        (("authorization-bin", f"Bearer {key.text}".encode()),),
        (("x-original-authority", "localhost"), ("host", "localhost"), ("x-forwarded-host", "unix:/run/render.sock")),
        (("authorization-", f"Bearer {key.text}"), ("x-authorization", f"Basic {basic}")),
    ]


async def test_smuggled_metadata_identifies_nobody(served: Guarded) -> None:
    """Without a key it is CREDENTIALS_MISSING, and beside the key of tenant a it changes nothing."""
    mine, theirs = served.key("a"), served.key("b")
    for metadata in _smuggled(theirs):
        assert await served.refusal(metadata) == MISSING, metadata
        assert await served.tenants((*metadata, *bearer(mine))) == {"a"}, metadata


async def test_an_authority_of_this_host_identifies_nobody(served: Guarded) -> None:
    """Callers choose the authority of their calls; only the connection's own address says where they are."""
    (address,) = served.wire.rpc.addresses
    for authority in ("localhost", "unix:/run/render.sock", "127.0.0.1", "render.sock"):
        async with aio.insecure_channel(address, options=(("grpc.default_authority", authority),)) as channel:
            call = channel.unary_unary(
                "/sonichaos.jobs.v1.JobsService/ListJobs",
                request_serializer=jobs_service_pb2.ListJobsRequest.SerializeToString,
                response_deserializer=jobs_service_pb2.ListJobsResponse.FromString,
            )
            assert (await refusal(call(jobs_service_pb2.ListJobsRequest())))[:2] == MISSING


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Bearer  {}", "Basic {}", "{}", "Bearer {} ", "Bearer {},{}", "Bearer {} {}"],
)
async def test_other_forms_of_the_entry_are_refused(served: Guarded, authorization: str) -> None:
    """A key that stands anywhere else than after "Bearer" and one space does not count."""
    key = served.key()
    code, reason = await served.refusal((("authorization", authorization.format(key.text, key.text)),))
    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert reason in {"CREDENTIALS_INVALID", "CREDENTIALS_MISSING"}


async def test_the_case_of_the_scheme_does_not_count(served: Guarded) -> None:
    """As RFC 9110, section 11.1, has it."""
    assert await served.tenants((("authorization", f"bEaReR {served.key().text}"),)) == {"a"}


async def test_the_last_use_of_a_key_is_recorded(served: Guarded) -> None:
    """Soon after a call; a refused call records nothing."""
    used, refused = served.key(), served.key()
    await served.tenants(bearer(used))
    await served.refusal(bearer(KeyText(refused.key_id, used.secret)))
    deadline = asyncio.get_running_loop().time() + 30.0
    while (found := served.journal.find_api_key(used.key_id)) is not None and found.last_used_time is None:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)
    untouched = served.journal.find_api_key(refused.key_id)
    assert untouched is not None
    assert untouched.last_used_time is None
