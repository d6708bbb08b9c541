"""CreatePersona's stream of header and clips, within limits of time, bytes and streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from render_service.personas.clips import MAX_CLIP_BYTES, MAX_CLIPS, MAX_TOTAL_BYTES, Clip
from servicekit.access.tenant_shares import TenantShares
from servicekit.errors import FieldViolation, InvalidFields, ResourceExhausted
from servicekit.rpc.receive import ReceiveLimits, ReceiveStream
from sonichaos.render.v1 import render_pb2

MAX_AT_ONCE = 4
_RETRY_AFTER_S = 10.0

Header = render_pb2.PersonaHeader


class PersonaUploads:
    """Receives clips into memory: at most ``max_at_once`` streams, which hold at most ``max_bytes`` together.

    One tenant has at most half of the streams, see `TenantShares`.
    """

    def __init__(
        self,
        limits: ReceiveLimits | None = None,
        *,
        max_at_once: int = MAX_AT_ONCE,
        max_bytes: int = MAX_TOTAL_BYTES,
    ) -> None:
        self._limits = limits or ReceiveLimits()
        self._places = TenantShares(max_at_once)
        self._max_bytes = max_bytes
        self._held_bytes = 0

    @contextmanager
    def receive(self, requests: AsyncIterator[render_pb2.CreatePersonaRequest]) -> Iterator[PersonaUpload]:
        """A place for one stream, and for its clips until the end of the block. Raises ResourceExhausted QUEUE_FULL."""
        places = self._places
        if not places.has_room():
            text = f"at most {places.limit} personas can be sent at once, and {places.of_one_tenant} by one tenant"
            raise self._full(text, places.limit)
        stream = ReceiveStream(requests, self._limits, size_of=lambda request: len(request.chunk.data))
        upload = PersonaUpload(stream, self)
        with places.place():
            try:
                yield upload
            finally:
                self._held_bytes -= upload.held_bytes

    def hold(self, size: int) -> None:
        """Count bytes that a stream holds from now on. Raises ResourceExhausted QUEUE_FULL."""
        if self._held_bytes + size > self._max_bytes:
            raise self._full(f"the clips sent at once can have {self._max_bytes} bytes together", self._max_bytes)
        self._held_bytes += size

    def _full(self, limit: str, value: int) -> ResourceExhausted:
        return ResourceExhausted(
            f"{limit}; try again later",
            reason="QUEUE_FULL",
            metadata={"queued": str(self._places.held), "limit": str(value)},
            retry_after_s=_RETRY_AFTER_S,
        )


class PersonaUpload:
    """One stream."""

    def __init__(self, stream: ReceiveStream[render_pb2.CreatePersonaRequest], uploads: PersonaUploads) -> None:
        self._stream = stream
        self._uploads = uploads
        self.held_bytes = 0

    async def read(self) -> tuple[Header, list[Clip]]:
        """The header and the clips, in order.

        Raises InvalidFields, StreamTooSlow, and ResourceExhausted TOO_LARGE and QUEUE_FULL.
        """
        header: Header | None = None
        clips: list[bytearray] = []
        while (request := await self._stream.next()) is not None:
            if request.HasField("header"):
                if header is not None:
                    raise _header_violation("must be sent once, got a second one")
                header = request.header
            elif header is None:
                raise _header_violation("must come before the first chunk")
            else:
                self._append(clips, request.chunk)
        if header is None:
            raise _header_violation("must be sent first, got an empty stream")
        return header, [Clip(data=bytes(clip)) for clip in clips]

    def _append(self, clips: list[bytearray], chunk: render_pb2.ClipChunk) -> None:
        index = chunk.clip_index
        if index not in {len(clips) - 1, len(clips)} or index >= MAX_CLIPS:
            text = f"must count the clips in order, at most {MAX_CLIPS} of them, got {index} after {len(clips)} clips"
            raise InvalidFields([FieldViolation("chunk.clip_index", text)])
        if index == len(clips):
            clips.append(bytearray())
        if len(clips[index]) + len(chunk.data) > MAX_CLIP_BYTES:
            raise _too_large(f"clip {index} must have at most {MAX_CLIP_BYTES} bytes", MAX_CLIP_BYTES)
        if self.held_bytes + len(chunk.data) > MAX_TOTAL_BYTES:
            raise _too_large(f"all clips together must have at most {MAX_TOTAL_BYTES} bytes", MAX_TOTAL_BYTES)
        self._uploads.hold(len(chunk.data))
        self.held_bytes += len(chunk.data)
        clips[index] += chunk.data


def _header_violation(text: str) -> InvalidFields:
    return InvalidFields([FieldViolation("header", text)])


def _too_large(limit: str, limit_bytes: int) -> ResourceExhausted:
    return ResourceExhausted(f"{limit}, got more", reason="TOO_LARGE", metadata={"limit_bytes": str(limit_bytes)})
