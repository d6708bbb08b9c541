"""Server reflection as ``grpc.reflection.v1`` and, for older tools, ``v1alpha``.

grpcio-reflection has v1alpha only. v1 is the same protocol under another package name, message for message and field for
field, so the v1alpha servicer answers for both.
"""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format
from grpc import aio
from grpc_reflection.v1alpha import _async as aio_reflection
from grpc_reflection.v1alpha import reflection, reflection_pb2

V1_SERVICE = "grpc.reflection.v1.ServerReflection"


def enable_reflection(service_names: Sequence[str], server: aio.Server) -> None:
    """Serve reflection for the services named and for reflection itself."""
    _describe_v1()
    servicer = aio_reflection.ReflectionServicer((*service_names, reflection.SERVICE_NAME, V1_SERVICE))
    info = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for name in (V1_SERVICE, reflection.SERVICE_NAME):
        handler = grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": info})
        server.add_generic_rpc_handlers((handler,))


def _describe_v1() -> None:
    """Add the descriptor of v1 to the pool: tools that list the services ask for the descriptor of each."""
    alpha = descriptor_pb2.FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(alpha)
    text = json_format.MessageToJson(alpha).replace("v1alpha", "v1")
    v1 = json_format.Parse(text, descriptor_pb2.FileDescriptorProto())
    v1.name = "grpc/reflection/v1/reflection.proto"
    descriptor_pool.Default().AddSerializedFile(v1.SerializeToString())
