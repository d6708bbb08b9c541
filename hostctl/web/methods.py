"""The calls that pages can make: the public protocol, without the calls between the two services."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from google.protobuf.descriptor import FileDescriptor

from sonichaos.jobs.v1 import jobs_service_pb2
from sonichaos.operations.v1 import operations_pb2
from sonichaos.render.v1 import render_pb2
from sonichaos.separation.v1 import separation_pb2
from sonichaos.webhooks.v1 import webhooks_pb2

_FILES = (jobs_service_pb2, operations_pb2, render_pb2, separation_pb2, webhooks_pb2)
_OPERATORS = frozenset({"sonichaos.operations.v1.OperationsService"})
_BETWEEN_SERVICES = frozenset(
    {
        "/sonichaos.separation.v1.SeparationService/SeparateTensor",
        "/sonichaos.separation.v1.SeparationService/ReplaceStem",
    }
)


@dataclass(frozen=True, kw_only=True)
class PageMethod:
    """A method that a page can call. ``needs_credential``: only with one, wherever the caller is."""

    path: str
    streams_request: bool
    streams_answer: bool
    needs_credential: bool


def _methods(file: FileDescriptor) -> Iterator[PageMethod]:
    for service in file.services_by_name.values():
        for method in service.methods:
            path = f"/{service.full_name}/{method.name}"
            if path not in _BETWEEN_SERVICES:
                yield PageMethod(
                    path=path,
                    streams_request=method.client_streaming,
                    streams_answer=method.server_streaming,
                    needs_credential=service.full_name in _OPERATORS,
                )


PAGE_METHODS: Mapping[str, PageMethod] = {
    method.path: method for module in _FILES for method in _methods(module.DESCRIPTOR)
}
"""By path. Any other path is no method here, whatever the services have."""
