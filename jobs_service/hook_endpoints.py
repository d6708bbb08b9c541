"""How the admission hook is asked: as a gRPC service, or as a command that is run for each question."""

from __future__ import annotations

import os
import select
import shlex
import shutil
import signal
import subprocess
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import IO, Protocol, cast
from urllib.parse import urlsplit

import grpc
from google.protobuf import json_format

from servicekit.loopback import is_loopback_host
from servicekit.rpc.endpoints import LOCAL_OPTIONS
from servicekit.settings import SettingsError
from sonichaos.admission.v1 import admission_pb2, admission_pb2_grpc

_COMMAND = "command:"
_MAX_RESPONSE_BYTES = 64 * 1024
_MAX_OUTPUT_BYTES = 4096
_REFUSED = 1
# What a command sees instead of the service's own environment, which has secrets.
_ENVIRONMENT = {"PATH": os.defpath, "LANG": "C.UTF-8"}
_EXPECTED = (
    "must be https://HOST:PORT, unix:///PATH, a loopback address such as 127.0.0.1:50080, or command:PROGRAM ARGUMENTS"
)


class HookFailed(Exception):
    """The hook gave no answer. The message says why, without what it was asked."""


class HookEndpoint(Protocol):
    """Where the hook is asked. May be asked by several threads at once."""

    def ask(
        self, request: admission_pb2.CheckAdmissionRequest, timeout_s: float
    ) -> admission_pb2.CheckAdmissionResponse:
        """The hook's answer. Raises HookFailed, after ``timeout_s`` at the latest."""


def open_endpoint(address: str, ca_file: Path | None, resources: AsyncExitStack) -> HookEndpoint:
    """The endpoint that the setting names, until ``resources`` are closed. Raises :class:`SettingsError`."""
    if address.startswith(_COMMAND):
        return CommandHook(_split(address.removeprefix(_COMMAND)))
    channel = resources.enter_context(_channel(address, ca_file))
    return GrpcHook(channel)


class GrpcHook:
    """A hook that is an AdmissionService."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = admission_pb2_grpc.AdmissionServiceStub(channel)

    def ask(
        self, request: admission_pb2.CheckAdmissionRequest, timeout_s: float
    ) -> admission_pb2.CheckAdmissionResponse:
        """See `HookEndpoint`. The request goes without metadata."""
        try:
            return self._stub.CheckAdmission(request, timeout=timeout_s)
        except grpc.RpcError as error:
            call = cast("grpc.Call", error)  # the errors that a stub raises are calls, too
            raise HookFailed(f"the call ended with {call.code().name}") from None


class CommandHook:
    """A hook that is a command: program and arguments, run without a shell in a process group of its own.

    The request is proto-JSON on its standard input. It ends with 0 to accept, or with 1 to refuse and the reason in the first line
    of its standard output.
    """

    def __init__(self, command: list[str]) -> None:
        self._command = command

    def ask(
        self, request: admission_pb2.CheckAdmissionRequest, timeout_s: float
    ) -> admission_pb2.CheckAdmissionResponse:
        """See `HookEndpoint`. What the command started ends with it."""
        deadline_s = time.monotonic() + timeout_s
        with _input(json_format.MessageToJson(request, indent=None).encode()) as text:
            try:
                process = subprocess.Popen(
                    self._command,
                    stdin=text,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=_ENVIRONMENT,
                    cwd="/",
                    start_new_session=True,
                )
            except OSError as error:
                raise HookFailed(f"the command cannot be started: {error.strerror}") from None
        with process:
            try:
                output = _read_until_end(process, deadline_s)
            finally:
                _end_group(process)
        if process.returncode not in {0, _REFUSED}:
            raise HookFailed(f"the command ended with the status {process.returncode}")
        reason = output.decode("utf-8", "replace").partition("\n")[0]
        return admission_pb2.CheckAdmissionResponse(accepted=process.returncode == 0, reason=reason)


def _input(data: bytes) -> IO[bytes]:
    """An unnamed file with ``data``: unlike a pipe it holds any length, whether or not the command reads it."""
    file = os.fdopen(os.memfd_create("admission"), "w+b")
    file.write(data)
    file.seek(0)
    return file


def _read_until_end(process: subprocess.Popen[bytes], deadline_s: float) -> bytes:
    """The output of a process until it ends. Raises HookFailed for more than 4096 bytes, and at the deadline.

    Processes that it started may hold its output open, so the end of the output is not waited for.
    """
    if process.stdout is None:  # never: it was started with a pipe
        raise HookFailed("the command has no output")
    output, pipe = b"", process.stdout.fileno()
    os.set_blocking(pipe, False)
    ended = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        poll.register(pipe, select.POLLIN)
        while True:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise HookFailed("the command did not end in time")
            ready = {descriptor for descriptor, _ in poll.poll(left_s * 1000)}
            if pipe in ready:
                part = os.read(pipe, _MAX_OUTPUT_BYTES)
                output += part
                if not part:
                    poll.unregister(pipe)
                elif len(output) > _MAX_OUTPUT_BYTES:
                    raise HookFailed(f"the command wrote more than {_MAX_OUTPUT_BYTES} bytes")
            elif ended in ready:  # and everything that it wrote was read
                return output
    finally:
        os.close(ended)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the group, before its leader is waited for: until then no other group can have its number."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _split(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise SettingsError(f"SONICHAOS_ADMISSION_HOOK: the command cannot be split into words: {error}") from None
    program = words[0] if words else ""
    if not program.startswith("/") or shutil.which(program) is None:
        raise SettingsError(
            "SONICHAOS_ADMISSION_HOOK: the command must start with the absolute path of a program that may be executed, "
            f"got {program!r}"
        )
    return words


def _channel(address: str, ca_file: Path | None) -> grpc.Channel:
    options = (("grpc.max_receive_message_length", _MAX_RESPONSE_BYTES), ("grpc.enable_retries", 0))
    parsed = urlsplit(address)
    if parsed.scheme == "https" and parsed.netloc and parsed.port and not parsed.path.strip("/"):
        try:
            roots = None if ca_file is None else ca_file.read_bytes()
        except OSError as error:
            raise SettingsError(f"SONICHAOS_ADMISSION_CA: cannot read {ca_file}: {error.strerror}") from None
        return grpc.secure_channel(parsed.netloc, grpc.ssl_channel_credentials(roots), options)
    if address.startswith("unix:") or _is_loopback(address):
        return grpc.insecure_channel(address, (*options, *LOCAL_OPTIONS))
    raise SettingsError(f"SONICHAOS_ADMISSION_HOOK {_EXPECTED}, got {address!r}")


def _is_loopback(address: str) -> bool:
    host, _, port = address.rpartition(":")
    return port.isdecimal() and is_loopback_host(host)
