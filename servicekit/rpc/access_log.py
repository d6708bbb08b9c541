"""The log of access: who called what, from where, and with what result. It never has secrets, and prompts only if switched on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from google.protobuf.message import Message

from servicekit.logs import logger

_PROBES = ("/grpc.health.", "/grpc.reflection.")
_NAMED = ("job_id", "persona_id", "request_id")
_MAX_CHARACTERS = 128
_PROMPT = "prompt"
_log = logger(__name__)


class AccessLog:
    """Writes one line for each call that ended. ``prompts``: with the prompts of its request.

    Tenant, subject and identity of the caller are in the context of the log (structlog's contextvars) once it is identified.
    """

    def __init__(self, *, prompts: bool = False) -> None:
        self._prompts = prompts

    def write(
        self,
        *,
        method: str,
        peer: str,
        request: object,
        code: str,
        reason: str,
        seconds: float,
        answer: object = None,
    ) -> None:
        """One line for a call. A request stream is not looked into. Of the answer, the line has the id of the job that was made."""
        facts: dict[str, object] = {"method": method, "peer": peer, "code": code, "seconds": round(seconds, 4)}
        if reason:
            facts["reason"] = reason
        if isinstance(request, Message):
            facts |= {name: text[:_MAX_CHARACTERS] for name, text in _texts(request) if name in _NAMED}
            if self._prompts and (prompts := [text for name, text in _texts(request) if name == _PROMPT]):
                facts["prompts"] = prompts
        if "job_id" not in facts and isinstance(answer, Message):
            facts |= dict(islice(((name, text) for name, text in _texts(answer) if name == "job_id"), 1))
        # Probes call several times per second; log them for debugging only.
        log = _log.debug if method.startswith(_PROBES) else _log.info
        log("rpc ended", **facts)


def _texts(message: Message) -> Iterator[tuple[str, str]]:
    """Name and value of the text fields of a message and of the messages in it."""
    for field, value in message.ListFields():
        if field.is_repeated:
            continue
        if isinstance(value, str):
            yield field.name, value
        elif isinstance(value, Message):
            yield from _texts(value)
