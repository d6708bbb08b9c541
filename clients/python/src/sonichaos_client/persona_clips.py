"""Download a reference clip of a persona, verified against the persona's digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import grpc

from sonichaos.render.v1 import render_pb2 as pb
from sonichaos_client import render, rpcs
from sonichaos_client.atomic_file import AtomicFile, check_not_existing
from sonichaos_client.enums import OwningService
from sonichaos_client.errors import DigestMismatchError, InternalError, SonichaosError
from sonichaos_client.fields import StrPath
from sonichaos_client.options import CallOptions
from sonichaos_client.retry import Backoff, is_retryable
from sonichaos_client.sansio import Operation, Sleep, open_stream, read_message, reporting, run_blocking

_MAX_CLIP_BYTES = 32 * 1024 * 1024
"""The services accept no larger clip."""
_RENDER = OwningService.RENDER


@dataclass(frozen=True)
class PersonaClip:
    """A clip that was downloaded and verified. ``media_type`` is that of the file, such as "audio/flac"."""

    persona_id: str
    index: int
    media_type: str
    sha256: str
    data: bytes
    path: Path | None


def download_persona_clip(
    persona: str | pb.Persona, index: int, path: StrPath | None, options: CallOptions, *, overwrite: bool
) -> Operation[PersonaClip]:
    """Download a clip, and store it as the file ``path`` if there is one.

    Raises NotFoundError, DigestMismatchError if the bytes are not those of the persona, and the errors of AtomicFile, that of an
    existing file before anything is downloaded.
    """
    if path is not None:
        check_not_existing(Path(path), overwrite=overwrite)
    if isinstance(persona, str):
        persona = yield from render.get_persona(persona, options)
    request = pb.DownloadPersonaClipRequest(persona_id=persona.id, clip_index=index)
    media_type, data = yield from _repeated(request, options)
    found = hashlib.sha256(data).hexdigest()
    expected = persona.clip_sha256[index] if index < len(persona.clip_sha256) else "none"
    if found != expected:
        raise _mismatch(f"clip {index} of {persona.id}", expected, found)
    if path is not None:
        with AtomicFile(Path(path), overwrite=overwrite) as file:
            yield from run_blocking(lambda: file.write(data))
            yield from run_blocking(file.commit)
    return PersonaClip(persona.id, index, media_type, found, data, None if path is None else Path(path))


def _repeated(request: pb.DownloadPersonaClipRequest, options: CallOptions) -> Operation[tuple[str, bytes]]:
    """Media type and bytes; from the start again after a connection loss."""
    backoff, attempt = Backoff(options.retry, options.rng), 1
    while True:
        try:
            return (yield from _received(request, attempt, options))
        except SonichaosError as error:
            if not is_retryable(error) or attempt >= options.retry.max_attempts:
                raise
            attempt += 1
            yield Sleep(backoff.next_wait_s(error))


def _received(
    request: pb.DownloadPersonaClipRequest, attempt: int, options: CallOptions
) -> Operation[tuple[str, bytes]]:
    media_type, data = "", bytearray()
    timeout_s = options.timeout_s + _MAX_CLIP_BYTES / options.min_bytes_per_s
    with reporting(options, _RENDER, rpcs.DOWNLOAD_PERSONA_CLIP, attempt=attempt):
        handle = yield from open_stream(_RENDER, rpcs.DOWNLOAD_PERSONA_CLIP, request, timeout_s)
        while (response := (yield from read_message(handle))) is not None:
            media_type = media_type or response.media_type
            data += response.data
            if len(data) > _MAX_CLIP_BYTES:
                raise InternalError(
                    f"Expected a clip of at most {_MAX_CLIP_BYTES} bytes from the service, got more.",
                    code=grpc.StatusCode.INTERNAL,
                )
    return media_type, bytes(data)


def _mismatch(name: str, expected: str, found: str) -> DigestMismatchError:
    return DigestMismatchError(
        f"{name}: expected bytes with SHA-256 {expected}, got {found}. No file was written.",
        reason="DIGEST_MISMATCH",
        metadata={"key": name, "expected_sha256": expected, "found_sha256": found},
    )
