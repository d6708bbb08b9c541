"""Every RPC of the protos, the text fields of its request, and a call of it with any message and any credential."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_status import rpc_status

import sonichaos
from servicekit.journal import OwningService

Metadata = tuple[tuple[str, str], ...]
LIMIT_S = 60.0
_BOTH = tuple(OwningService)
_SERVED_BY = {
    "sonichaos.jobs.v1.JobsService": _BOTH,
    "sonichaos.render.v1.RenderService": (OwningService.RENDER,),
    "sonichaos.separation.v1.SeparationService": (OwningService.SEPARATION,),
    "sonichaos.handoff.v1.HandoffService": (OwningService.SEPARATION,),
    "sonichaos.operations.v1.OperationsService": _BOTH,
    "sonichaos.webhooks.v1.WebhooksService": _BOTH,
    "sonichaos.admission.v1.AdmissionService": (),  # the operator serves it, and both services call it
    "sonichaos.testing.v1.FakeControlService": (),  # the fake services serve it
}
"""Which of the two services serve each service of the protos. A new one must be added."""


@dataclass(frozen=True)
class Rpc:
    """A method as one of the two services serves it."""

    method: MethodDescriptor
    owner: OwningService

    @property
    def path(self) -> str:
        """``/package.Service/Method``."""
        return f"/{self.method.containing_service.full_name}/{self.method.name}"

    def __str__(self) -> str:
        return f"{self.method.name} of {self.owner.lower()}"


def every_rpc() -> list[Rpc]:
    """Each method of each service in the protos, for every service that serves it."""
    names = [module.name for module in pkgutil.walk_packages(sonichaos.__path__, "sonichaos.")]
    files = [importlib.import_module(name).DESCRIPTOR for name in names if name.endswith("_pb2")]
    services = [service for file in files for service in file.services_by_name.values()]
    return [
        Rpc(method, owner)
        for service in services
        for method in service.methods
        for owner in _SERVED_BY[service.full_name]
    ]


@dataclass(frozen=True)
class TextField:
    """A text field, or a map of texts, somewhere in a request. ``path`` has the names of the fields that lead to it."""

    path: tuple[str, ...]
    field: FieldDescriptor

    @property
    def name(self) -> str:
        """``Message.field``, which tells what it means."""
        return f"{self.field.containing_type.name}.{self.field.name}"

    def set(self, request: Message, value: str | tuple[str, str]) -> None:
        """Set the field; a pair is an entry of a map."""
        target: Any = request
        for name in self.path[:-1]:
            target = getattr(target, name)
        if isinstance(value, tuple):
            getattr(target, self.path[-1])[value[0]] = value[1]
        else:
            setattr(target, self.path[-1], value)


def text_fields(message: Descriptor, path: tuple[str, ...] = ()) -> Iterator[TextField]:
    """Every text field of a message and of the messages in it."""
    for field in message.fields:
        inner, here = field.message_type, (*path, field.name)
        if inner is None:
            if field.type == FieldDescriptor.TYPE_STRING:
                yield TextField(here, field)
        elif inner.GetOptions().map_entry:
            yield TextField(here, field)
        elif inner.full_name.startswith("sonichaos."):
            yield from text_fields(inner, here)


@dataclass(frozen=True)
class Outcome:
    """How a call ended. ``answer`` is what it returned as JSON values; None for a refusal and for a stream, which is cancelled."""

    code: str
    reason: str
    message: str
    metadata: Mapping[str, str]
    answer: Any

    def without(self, name: str) -> Outcome:
        """The same with a name that the caller gave replaced, so that outcomes for two names can be compared."""
        shown = {key: value.replace(name, "NAME") for key, value in self.metadata.items()}
        return Outcome(self.code, self.reason, self.message.replace(name, "NAME"), shown, _shape(self.answer))


def call(channel: grpc.Channel, rpc: Rpc, requests: Sequence[Message], metadata: Metadata) -> Outcome:
    """Make one call. A stream that is not refused is cancelled after its initial metadata."""
    data = [request.SerializeToString() for request in requests]
    parse = GetMessageClass(rpc.method.output_type).FromString
    options: dict[str, Any] = {"timeout": LIMIT_S, "metadata": metadata}
    try:
        if rpc.method.server_streaming:
            stream = channel.unary_stream(rpc.path)(data[0], **options)
            stream.initial_metadata()
            if stream.done():
                list(stream)
            stream.cancel()
            return Outcome("OK", "", "", {}, None)
        if rpc.method.client_streaming:
            answer = channel.stream_unary(rpc.path)(iter(data), **options)
        else:
            answer = channel.unary_unary(rpc.path)(data[0], **options)
        return Outcome("OK", "", "", {}, json_format.MessageToDict(parse(answer)))
    except grpc.RpcError as error:
        return _refusal(error)


def _refusal(error: Any) -> Outcome:
    status, info = rpc_status.from_call(error), error_details_pb2.ErrorInfo()
    assert status is not None, error
    assert any(detail.Unpack(info) for detail in status.details), status
    return Outcome(error.code().name, info.reason, status.message, dict(info.metadata), None)


def _shape(value: Any) -> Any:
    """Which fields an answer has, and the different items that its lists have: texts and numbers differ from call to call."""
    if isinstance(value, dict):
        return {key: _shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(_shape(inner)) for inner in value})
    return value if isinstance(value, bool) else type(value).__name__
