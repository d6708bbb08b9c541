"""Calls of any method with protobuf's JSON, and what came back, without retries: the suite judges each answer."""

from __future__ import annotations

import importlib
import pkgutil
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

import grpc
from google.protobuf import empty_pb2, json_format
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2

import sonichaos
from sonichaos_client.connection import SERVICES, Connections
from sonichaos_client.enums import OwningService
from sonichaos_client.testing.conformance.values import ValueFault, as_json

_DETAILS_KEY = "grpc-status-details-bin"
_SEPARATION_SERVES = frozenset({"SeparationService", "HandoffService"})
_PROBES = {
    OwningService.RENDER: "RenderService/GetModelInfo",
    OwningService.SEPARATION: "SeparationService/GetModelInfo",
}
_PROBE_LIMIT_S = 10.0
Metadata = tuple[tuple[str, str], ...]


@cache
def services() -> Mapping[str, ServiceDescriptor]:
    """Every service of the protos by its short name, such as ``JobsService``."""
    names = [module.name for module in pkgutil.walk_packages(sonichaos.__path__, "sonichaos.")]
    files = [importlib.import_module(name).DESCRIPTOR for name in names if name.endswith("_pb2")]
    return {name: service for file in files for name, service in file.services_by_name.items()}


@dataclass(frozen=True)
class Rpc:
    """A method with the types of its messages. One that the protos do not have takes and returns an empty message."""

    service: str
    path: str
    request_type: type[Message]
    response_type: type[Message]
    client_streaming: bool
    server_streaming: bool

    @classmethod
    def named(cls, name: str) -> Rpc:
        """The method ``JobsService/GetJob``. Raises ValueFault for an unknown service."""
        service_name, _, method_name = name.partition("/")
        service = services().get(service_name)
        if service is None:
            raise ValueFault(f"rpc must name a service of the protos, got {name}.")
        path = f"/{service.full_name}/{method_name}"
        method = service.methods_by_name.get(method_name)
        if method is None:
            return cls(service_name, path, empty_pb2.Empty, empty_pb2.Empty, False, False)  # noqa: FBT003
        request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        return cls(service_name, path, request, response, method.client_streaming, method.server_streaming)

    def served_by(self, to: str | None) -> OwningService:
        """The service to call: ``render`` or ``separation`` as the step says, else the one that serves the method."""
        chosen = to or ("separation" if self.service in _SEPARATION_SERVES else "render")
        return OwningService.SEPARATION if chosen == "separation" else OwningService.RENDER

    def request(self, body: Any) -> Message:  # noqa: ANN401 - any JSON value
        """A request from JSON; bytes may be given as bytes. Raises ValueFault."""
        try:
            return json_format.ParseDict(as_json(body), self.request_type())
        except json_format.ParseError as error:
            raise ValueFault(f"the request does not fit {self.request_type.DESCRIPTOR.full_name}: {error}.") from None


def response_json(message: Message) -> Any:  # noqa: ANN401
    """The message as JSON, with the fields that have no presence even where they are empty."""
    return json_format.MessageToDict(message, always_print_fields_with_no_presence=True)


@dataclass(frozen=True)
class Answer:
    """How a call ended: its status with the details, and the response of a call that returned OK."""

    code: str
    message: str = ""
    response: Any = None
    response_bytes: int = 0
    has_details: bool = False
    status_code: int = 0
    reason: str = ""
    domain: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: Sequence[Mapping[str, str]] = ()
    retry_after_s: float | None = None
    details_bytes: int = 0
    seconds: float = 0.0

    @property
    def is_transport_error(self) -> bool:
        """Whether no server answered: an error that has no details."""
        return self.code == grpc.StatusCode.UNAVAILABLE.name and not self.has_details

    def as_json(self) -> Any:  # noqa: ANN401
        """What a case can expect, and save as a reference."""
        return {
            "code": self.code,
            "reason": self.reason,
            "message": self.message,
            "metadata": dict(self.metadata),
            "violations": list(self.violations),
            "response": self.response,
        }


def _failed(error: grpc.RpcError, seconds: float) -> Answer:
    call = cast("grpc.Call", error)
    for key, value in call.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                return _with_details(call, status_pb2.Status.FromString(value), len(value), seconds)
            except DecodeError:
                break
    return Answer(call.code().name, call.details() or "", seconds=seconds)


def _with_details(call: grpc.Call, status: status_pb2.Status, size: int, seconds: float) -> Answer:
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    has_retry = False
    for detail in status.details:
        if not (detail.Unpack(info) or detail.Unpack(bad)):
            has_retry = detail.Unpack(retry) or has_retry
    return Answer(
        call.code().name,
        call.details() or "",
        has_details=True,
        status_code=status.code,
        reason=info.reason,
        domain=info.domain,
        metadata=dict(info.metadata),
        violations=[{"field": one.field, "description": one.description} for one in bad.field_violations],
        retry_after_s=retry.retry_delay.ToTimedelta().total_seconds() if has_retry else None,
        details_bytes=size + len((call.details() or "").encode()),
        seconds=seconds,
    )


class OpenStream:
    """A stream of the server. A thread reads it, so that a read can have a time limit."""

    def __init__(self, call: Any) -> None:  # noqa: ANN401 - grpc's call is not typed
        self._call = call
        self._received: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._ended: Answer | None = None
        threading.Thread(target=self._read, name="conformance stream", daemon=True).start()

    def _read(self) -> None:
        try:
            for message in self._call:
                self._received.put(response_json(message))
            self._received.put(Answer("OK"))
        except grpc.RpcError as error:
            self._received.put(_failed(error, 0.0))

    def next(self, deadline_s: float) -> Any:  # noqa: ANN401
        """The next message, or an Answer once the stream has ended. Raises TimeoutError at ``deadline_s`` (monotonic clock)."""
        if self._ended is not None:
            return self._ended
        try:
            item = self._received.get(timeout=max(0.0, deadline_s - time.monotonic()))
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(item, Answer):
            self._ended = item
        return item

    def cut(self) -> None:
        """End the stream from the client's side."""
        self._call.cancel()


class Wire:
    """Calls over the channels to both services."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._channels = {service: connections.open(service) for service in SERVICES}
        self.https = connections.credentials.https_context()

    def check_serving(self) -> None:
        """Raises what the client raises if a service does not answer, is starting or stops."""
        for service, name in _PROBES.items():
            rpc = Rpc.named(name)
            method = self._channels[service].unary_unary(
                rpc.path, rpc.request_type.SerializeToString, rpc.response_type.FromString
            )
            try:
                method(rpc.request_type(), timeout=_PROBE_LIMIT_S, metadata=self._connections.call_metadata(service))
            except grpc.RpcError as error:
                if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                    raise self._connections.error_of(error, service) from None

    def close(self) -> None:
        """Close the channels."""
        for channel in self._channels.values():
            channel.close()

    def call(
        self, rpc: Rpc, to: str | None, requests: Sequence[Message], limit_s: float, metadata: Metadata = ()
    ) -> Answer:
        """Make one call that returns one response."""
        started_s = time.monotonic()
        service, parse = rpc.served_by(to), rpc.response_type.FromString
        channel = self._channels[service]
        options: dict[str, Any] = {"timeout": limit_s, "metadata": self._metadata(service, metadata)}
        encode = rpc.request_type.SerializeToString
        try:
            if rpc.client_streaming:
                answer = channel.stream_unary(rpc.path, encode, parse)(iter(requests), **options)
            else:
                answer = channel.unary_unary(rpc.path, encode, parse)(requests[0], **options)
        except grpc.RpcError as error:
            return _failed(error, time.monotonic() - started_s)
        seconds = time.monotonic() - started_s
        return Answer("OK", response=response_json(answer), response_bytes=answer.ByteSize(), seconds=seconds)

    def open(self, rpc: Rpc, to: str | None, request: Message, metadata: Metadata = ()) -> OpenStream:
        """Open a stream of the server."""
        service = rpc.served_by(to)
        method = self._channels[service].unary_stream(
            rpc.path, rpc.request_type.SerializeToString, rpc.response_type.FromString
        )
        return OpenStream(method(request, metadata=self._metadata(service, metadata)))

    def _metadata(self, service: OwningService, given: Metadata) -> Metadata:
        """That of a case in place of the client's own."""
        return (*self._connections.routing(service), *given) if given else self._connections.call_metadata(service)
