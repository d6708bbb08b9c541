"""CreatePersona's stream of header and clips."""

from __future__ import annotations

from collections.abc import AsyncIterator

from render_service.personas.clips import MAX_CLIP_BYTES, MAX_CLIPS, MAX_TOTAL_BYTES, Clip
from servicekit.errors import FieldViolation, InvalidFields, ResourceExhausted
from sonichaos.render.v1 import render_pb2


async def read_persona_upload(
    requests: AsyncIterator[render_pb2.CreatePersonaRequest],
) -> tuple[render_pb2.PersonaHeader, list[Clip]]:
    """The header and the clips, read in order. Raises InvalidFields, and ResourceExhausted TOO_LARGE."""
    header: render_pb2.PersonaHeader | None = None
    clips: list[bytearray] = []
    async for request in requests:
        if request.HasField("header"):
            if header is not None:
                raise _header_violation("must be sent once, got a second one")
            header = request.header
        elif header is None:
            raise _header_violation("must come before the first chunk")
        else:
            _append(clips, request.chunk)
    if header is None:
        raise _header_violation("must be sent first, got an empty stream")
    return header, [Clip(data=bytes(clip)) for clip in clips]


def _append(clips: list[bytearray], chunk: render_pb2.ClipChunk) -> None:
    index = chunk.clip_index
    if index not in {len(clips) - 1, len(clips)} or index >= MAX_CLIPS:
        text = f"must count the clips in order, at most {MAX_CLIPS} of them, got {index} after {len(clips)} clips"
        raise InvalidFields([FieldViolation("chunk.clip_index", text)])
    if index == len(clips):
        clips.append(bytearray())
    clips[index] += chunk.data
    if len(clips[index]) > MAX_CLIP_BYTES:
        raise _too_large(f"clip {index} must have at most {MAX_CLIP_BYTES} bytes", MAX_CLIP_BYTES)
    if sum(map(len, clips)) > MAX_TOTAL_BYTES:
        raise _too_large(f"all clips together must have at most {MAX_TOTAL_BYTES} bytes", MAX_TOTAL_BYTES)


def _header_violation(text: str) -> InvalidFields:
    return InvalidFields([FieldViolation("header", text)])


def _too_large(limit: str, limit_bytes: int) -> ResourceExhausted:
    return ResourceExhausted(f"{limit}, got more", reason="TOO_LARGE", metadata={"limit_bytes": str(limit_bytes)})
