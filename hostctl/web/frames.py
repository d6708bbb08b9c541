"""The messages of gRPC-Web: how they are framed in HTTP bodies, and how a call's end is written.

Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import grpc

CONTENT_TYPES = frozenset({"application/grpc-web", "application/grpc-web+proto"})
PREFIX_BYTES = 5
_TRAILERS = 0x80
_MAX_TIMEOUT_S = 1e8
"""About three years. gRPC takes a deadline that is too far for its clock for one that has passed."""
_TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])")
_UNITS_S = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_UNQUOTED = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


class RefusedCall(Exception):
    """A call that is not passed on; its caller gets the message and the status ``code``."""

    def __init__(self, message: str, code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT) -> None:
        super().__init__(message)
        self.code = code


def read_messages(body: bytes) -> list[bytes]:
    """The messages of a request's body. Raises `RefusedCall` for a body that is cut short, compressed, or has other frames."""
    messages: list[bytes] = []
    offset = 0
    while offset < len(body):
        flags, size = body[offset], int.from_bytes(body[offset + 1 : offset + PREFIX_BYTES], "big")
        begin = offset + PREFIX_BYTES
        offset = begin + size
        if flags:
            raise RefusedCall(
                f"messages must not be compressed and a request has no trailers, got the flags {flags:#04x}"
            )
        if begin > len(body) or offset > len(body):
            raise RefusedCall("the request ends within a message")
        messages.append(body[begin:offset])
    return messages


def read_timeout_s(header: str | None) -> float | None:
    """Seconds of a ``grpc-timeout`` header, at most 1e8; None without one. Raises `RefusedCall`."""
    if header is None:
        return None
    found = _TIMEOUT.fullmatch(header)
    if found is None:
        raise RefusedCall(f"grpc-timeout must be at most 8 digits and one of H, M, S, m, u or n, got {header[:40]!r}")
    return min(int(found[1]) * _UNITS_S[found[2]], _MAX_TIMEOUT_S)


def message_frame(message: bytes) -> bytes:
    """A message of an answer."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def trailers_frame(code: grpc.StatusCode, message: str, trailers: Iterable[Any] = ()) -> bytes:
    """The end of an answer: status, message, and the service's ``trailers`` (name and value), such as the details of an error."""
    lines = [f"grpc-status: {code.value[0]}"]
    if message:
        lines.append(f"grpc-message: {quote(message, safe=_UNQUOTED)}")
    lines += [
        f"{name}: {_text(name, value)}" for name, value in trailers if name not in {"grpc-status", "grpc-message"}
    ]
    block = "".join(f"{line}\r\n" for line in lines).encode("latin-1")
    return bytes([_TRAILERS]) + len(block).to_bytes(4, "big") + block


def _text(name: str, value: str | bytes) -> str:
    """A value as text without line breaks; binary ones (names that end in ``-bin``) as base64."""
    if name.endswith("-bin"):
        data = value if isinstance(value, bytes) else value.encode("latin-1")
        return base64.b64encode(data).decode("ascii")
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return re.sub(r"[^\x20-\x7e]", "", text)
