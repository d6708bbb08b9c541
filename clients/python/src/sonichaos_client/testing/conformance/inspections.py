"""Facts of stored files as JSON, for `inspect` steps. docs/conformance.md, "Inspections", defines them."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
from array import array
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any

import jsonschema

_STEMS = ("drums.wav", "bass.wav", "vocals.wav", "other.wav")
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")


class InspectionError(Exception):
    """The bytes are not a file of the kind."""


def inspect(kind: str, data: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """The facts of a file. Raises InspectionError."""
    try:
        return _KINDS[kind](data)
    except (zipfile.BadZipFile, struct.error, KeyError, ValueError, IndexError) as error:
        raise InspectionError(f"not a readable {kind} ({error}); {len(data)} bytes") from None


def _zip(data: bytes) -> Any:  # noqa: ANN401
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [info.filename for info in archive.infolist()]
        entries = [
            {
                "name": info.filename.rpartition("/")[2],
                "offsetBytes": _data_offset(data, info.header_offset),
                "sizeBytes": info.file_size,
                "sha256": hashlib.sha256(archive.read(info)).hexdigest(),
                "stored": info.compress_type == zipfile.ZIP_STORED,
                "modified": "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}".format(*info.date_time),
            }
            for info in archive.infolist()
        ]
    return {"folders": sorted({name.rpartition("/")[0] for name in names}), "entries": entries}


def _data_offset(data: bytes, header_offset: int) -> int:
    fields = _LOCAL_HEADER.unpack_from(data, header_offset)
    return header_offset + _LOCAL_HEADER.size + int(fields[-2]) + int(fields[-1])


def _chunks(data: bytes) -> dict[str, bytes]:
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError("no RIFF WAVE header")
    found: dict[str, bytes] = {}
    position = 12
    while position + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, position)
        found[name.decode("latin-1")] = data[position + 8 : position + 8 + size]
        position += 8 + size + size % 2
    return found


def _wav(data: bytes) -> Any:  # noqa: ANN401
    chunks = _chunks(data)
    tag, channels, rate_hz, _, block, bits = struct.unpack_from("<HHIIHH", chunks["fmt "])
    return {
        "formatTag": tag,
        "channels": channels,
        "sampleRateHz": rate_hz,
        "bitsPerSample": bits,
        "frames": len(chunks["data"]) // block,
        "chunks": list(chunks),
        "bextVersion": struct.unpack_from("<H", chunks["bext"], 346)[0] if "bext" in chunks else None,
        "info": _info(chunks.get("LIST", b"")),
    }


def _info(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    position = 4
    while data[:4] == b"INFO" and position + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, position)
        text = data[position + 8 : position + 8 + size].split(b"\0", 1)[0]
        found[name.decode("latin-1")] = text.decode("utf-8", "replace")
        position += 8 + size + size % 2
    return found


def _samples(data: bytes) -> array[int]:
    """The samples of a 24-bit WAV, each times 256."""
    pcm = _chunks(data)["data"]
    wide = bytearray(len(pcm) // 3 * 4)
    for byte in range(3):
        wide[byte + 1 :: 4] = pcm[byte::3]
    samples = array("i")
    samples.frombytes(bytes(wide))
    return samples


def _stem_sum(data: bytes) -> Any:  # noqa: ANN401
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        paths = {name.rpartition("/")[2]: name for name in archive.namelist()}
        bounce, *stems = (_samples(archive.read(paths[name])) for name in ("bounce.wav", *_STEMS))
    same = all(len(stem) == len(bounce) for stem in stems)
    sums = map(sum, zip(*stems, strict=False))
    differing = sum(1 for total, mixed in zip(sums, bounce, strict=False) if total != mixed)
    return {"frames": len(bounce) // 2, "sameLength": same, "differingSamples": differing}


@cache
def _schema() -> Any:  # noqa: ANN401
    text = resources.files("sonichaos.manifest.v1").joinpath("manifest.schema.json").read_text(encoding="utf-8")
    return json.loads(text)


def _manifest(data: bytes) -> Any:  # noqa: ANN401
    body = json.loads(data)
    validator = jsonschema.Draft202012Validator(_schema())
    problems = [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(body)]
    return {"problems": problems[:20], "manifest": body}


def _json(data: bytes) -> Any:  # noqa: ANN401
    return json.loads(data)


_KINDS: dict[str, Callable[[bytes], Any]] = {
    "zip": _zip,
    "wav": _wav,
    "stem_sum": _stem_sum,
    "manifest": _manifest,
    "json": _json,
}
KINDS = frozenset(_KINDS)
"""Names of the inspections."""
