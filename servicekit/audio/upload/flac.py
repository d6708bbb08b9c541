"""FLAC (RFC 9639) through libsndfile. The header is read here, because libsndfile takes a truncated file for a shorter one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from servicekit.audio.pcm24 import BLOCK_FRAMES
from servicekit.audio.upload.layout import Container, Encoding, UploadFormat, invalid_audio, unsupported_encoding
from servicekit.errors import InvalidAudio

_STREAMINFO_TYPE = 0
_STREAMINFO_BYTES = 34
_MAX_BITS = 24
_INT32_BITS = 32


def read_flac(file: BinaryIO, file_bytes: int) -> UploadFormat:
    """The format of a native FLAC file from its STREAMINFO (RFC 9639, section 8.2). Raises InvalidAudio."""
    head = file.read(8 + _STREAMINFO_BYTES)
    if len(head) < 8 + _STREAMINFO_BYTES or file_bytes <= len(head):
        raise invalid_audio("it is truncated: the FLAC ends before its samples")
    if head[4] & 0x7F != _STREAMINFO_TYPE or int.from_bytes(head[5:8], "big") != _STREAMINFO_BYTES:
        raise invalid_audio("its first metadata block is not STREAMINFO; write it again with an audio editor")
    # 20 bits of sample rate, 3 of channels - 1, 5 of bits - 1, 36 of frames.
    packed = int.from_bytes(head[18:26], "big")
    bits, frames = (packed >> 36 & 0x1F) + 1, packed & (1 << 36) - 1
    if frames == 0:
        raise invalid_audio("its header has no length, as in a FLAC written to a pipe; write it to a file")
    if bits > _MAX_BITS:
        raise unsupported_encoding(f"FLAC, {bits} bits")
    return UploadFormat(
        container=Container.FLAC,
        encoding=Encoding.PCM16 if bits <= 16 else Encoding.PCM24,
        channels=(packed >> 41 & 0x7) + 1,
        rate_hz=packed >> 44,
        source_frames=frames,
    )


def flac_blocks(file: BinaryIO, upload: UploadFormat) -> Iterator[NDArray[np.int32]]:
    """The samples as 24-bit integers ``(channels, N)``. Raises InvalidAudio where frames are damaged or missing.

    The MD5 that most encoders store is compared with the decoded samples.
    """
    file.seek(18)
    packed = int.from_bytes(file.read(8), "big")
    stored_md5 = file.read(16)
    bits = (packed >> 36 & 0x1F) + 1
    digest = hashlib.md5(usedforsecurity=False)
    file.seek(0)
    received = 0
    try:
        with soundfile.SoundFile(file) as sound:
            while received < upload.source_frames:
                block = sound.read(min(BLOCK_FRAMES, upload.source_frames - received), dtype="int32", always_2d=True)
                if not len(block):
                    break
                received += len(block)
                digest.update(_at_width(block, bits))
                yield np.ascontiguousarray((block >> (_INT32_BITS - _MAX_BITS)).T)
    except soundfile.LibsndfileError as error:
        raise invalid_audio(f"it cannot be decoded as FLAC ({error.error_string}); write it again") from error
    if received < upload.source_frames:
        raise invalid_audio(
            f"it is truncated: its header announces {upload.source_frames} frames, {received} could be decoded"
        )
    if any(stored_md5) and digest.digest() != stored_md5:
        raise _damaged()


def _at_width(block: NDArray[np.int32], bits: int) -> bytes:
    """Samples as the MD5 of a FLAC covers them: interleaved, little-endian, in whole bytes (RFC 9639, section 8.2)."""
    width = -(-bits // 8)
    shifted = (block >> (_INT32_BITS - bits)).astype("<i4")
    return shifted.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()


def _damaged() -> InvalidAudio:
    return invalid_audio("it is damaged: the MD5 in its header is not that of its samples; write it again")
