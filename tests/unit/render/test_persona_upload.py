"""CreatePersona's stream: bounded in bytes over all streams, in streams, and in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from render_service.api.persona_upload import PersonaUploads
from servicekit.access.caller import Caller, IdentityMethod, acting_as
from servicekit.errors import InvalidFields, ResourceExhausted, StreamTooSlow
from servicekit.rpc.receive import ReceiveLimits
from sonichaos.render.v1.render_pb2 import ClipChunk, CreatePersonaRequest, PersonaHeader

HEADER = CreatePersonaRequest(header=PersonaHeader(persona_id="one"))


async def stream(*requests: CreatePersonaRequest) -> AsyncIterator[CreatePersonaRequest]:
    """A caller's messages."""
    for request in requests:
        yield request


def chunk(index: int, size: int) -> CreatePersonaRequest:
    """A part of a clip."""
    return CreatePersonaRequest(chunk=ClipChunk(clip_index=index, data=b"x" * size))


async def test_all_streams_together_hold_a_bounded_number_of_bytes() -> None:
    """A stream beyond that is refused with a delay, and what ended streams held is free."""
    uploads = PersonaUploads(max_bytes=1000)
    with uploads.receive(stream(HEADER, chunk(0, 600), chunk(1, 100))) as first:
        header, clips = await first.read()
        assert (header.persona_id, [len(clip.data) for clip in clips]) == ("one", [600, 100])
        late = uploads.receive(stream(HEADER, chunk(0, 200), chunk(1, 200)))
        with late as second, pytest.raises(ResourceExhausted) as refused:
            await second.read()
        assert (refused.value.reason, refused.value.retry_after_s) == ("QUEUE_FULL", 10.0)
    with uploads.receive(stream(HEADER, chunk(0, 1000))) as third:
        assert len((await third.read())[1][0].data) == 1000


async def test_the_number_of_streams_is_bounded() -> None:
    """Whatever they send."""
    uploads = PersonaUploads(max_at_once=1)
    with uploads.receive(stream(HEADER)), pytest.raises(ResourceExhausted), uploads.receive(stream(HEADER)):
        pass


async def test_one_tenant_cannot_take_all_streams() -> None:
    """Half of them are for others."""
    uploads = PersonaUploads(max_at_once=2)
    one, two = (
        Caller(tenant=name, subject="", method=IdentityMethod.API_KEY, scopes=frozenset()) for name in ("a", "b")
    )
    with acting_as(one), uploads.receive(stream(HEADER)):
        with pytest.raises(ResourceExhausted), uploads.receive(stream(HEADER)):
            pass
        with acting_as(two), uploads.receive(stream(HEADER)):
            pass


async def test_a_dripping_stream_is_refused() -> None:
    """Empty chunks keep no place."""

    async def drip() -> AsyncIterator[CreatePersonaRequest]:
        yield HEADER
        while True:
            await asyncio.sleep(0.01)
            yield chunk(0, 0)

    with PersonaUploads(ReceiveLimits(window_s=0.2)).receive(drip()) as upload, pytest.raises(StreamTooSlow):
        await upload.read()


@pytest.mark.parametrize(
    "requests", [(), (chunk(0, 1), HEADER), (HEADER, HEADER), (HEADER, chunk(1, 1)), (HEADER, chunk(0, 1), chunk(2, 1))]
)
async def test_a_stream_in_another_order_is_refused(requests: tuple[CreatePersonaRequest, ...]) -> None:
    """One header, then the clips by their numbers."""
    with PersonaUploads().receive(stream(*requests)) as upload, pytest.raises(InvalidFields):
        await upload.read()
