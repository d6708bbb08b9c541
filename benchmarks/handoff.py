"""Time to hand a bounce to another process, by five transports: ``python -m benchmarks.handoff``.

90 s of stereo float32 at 44.1 kHz, 31.75 MB. Each round uses every transport once, so that other load affects all of them. The time
starts with the samples in an array of the sender and ends when the sender knows that they are in an array of the receiver. That
array is the same for all transports, so copying the samples into it costs them the same. All use the same checksum (xxh3-128),
computed by the sender and checked by the receiver. The alternatives have the least overhead possible: raw bytes without protobuf,
and gRPC over a Unix socket.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import grpc
import numpy as np
import numpy.typing as npt
import soundfile
import xxhash

from render_service.separation.codec import HandoffCodec
from separation_service.api.handoff_codec import ReceiveCodec
from servicekit.loans import Borrowings, LoanClient, LoanPool, LoanServer
from servicekit.logs import configure_logs

SAMPLE_RATE_HZ = 44_100
CHUNK_BYTES = 1 << 20
GRPC_OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
LENT = "lent memfd region (used)"
SHARED_MEMORY = "multiprocessing.shared_memory"
WAV = "WAV on disk"
GRPC_MESSAGE = "gRPC, one message, Unix socket"
GRPC_CHUNKS = "gRPC, 1 MiB chunks, Unix socket"

Samples = npt.NDArray[np.float32]
Send = Callable[[Samples], None]


@dataclass(frozen=True)
class Delivery:
    """Message on the control pipe: the transport, the name of the data on it (lease, segment or path), and the checksum."""

    transport: str
    name: str
    digest: str


def flat_bytes(samples: Samples) -> memoryview:
    """A view of the samples' bytes."""
    return samples.reshape(-1).view(np.uint8).data


def copy_by_blocks(target: Samples, source: Samples) -> str:
    """Copy block by block and hash each block while it is in the CPU cache, as lent regions do; returns the digest."""
    to, of, digest = flat_bytes(target), flat_bytes(source), xxhash.xxh3_128()
    for start in range(0, of.nbytes, CHUNK_BYTES):
        block = of[start : start + CHUNK_BYTES]
        to[start : start + block.nbytes] = block
        digest.update(block)
    return digest.hexdigest()


def chunks_then_digest(data: memoryview) -> Iterator[bytes]:
    """``data`` in chunks of 1 MiB, then the digest."""
    digest = xxhash.xxh3_128()
    for start in range(0, data.nbytes, CHUNK_BYTES):
        chunk = bytes(data[start : start + CHUNK_BYTES])
        digest.update(chunk)
        yield chunk
    yield digest.digest()


class Receiver:
    """The other process: receives samples into ``out`` by every transport and checks them."""

    def __init__(self, folder: Path, shape: tuple[int, int]) -> None:
        self.borrowings = Borrowings()
        self.folder = folder
        self.out: Samples = np.zeros(shape, dtype=np.float32)

    def receive(self, delivery: Delivery) -> None:
        """Read what a transport without a server of its own has delivered."""
        if delivery.transport == LENT:
            self.borrowings.copy_out(delivery.name, self.out)
        elif delivery.transport == SHARED_MEMORY:
            segment = SharedMemory(delivery.name)
            view = np.ndarray(self.out.shape, dtype=np.float32, buffer=segment.buf)
            assert copy_by_blocks(self.out, view) == delivery.digest
            del view
            segment.close()
        else:
            frames, _ = soundfile.read(delivery.name, dtype="float32", always_2d=True)
            np.copyto(self.out, frames.T)
            assert xxhash.xxh3_128_hexdigest(self.out.data) == delivery.digest

    def unary(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        """All samples in one message, the digest in the metadata."""
        flat_bytes(self.out)[:] = request
        assert dict(context.invocation_metadata())["xxh3"] == xxhash.xxh3_128_hexdigest(request)
        return b"ok"

    def chunks(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:  # noqa: ARG002  grpc's signature
        """One message per MiB, then the digest."""
        to, start, digest = flat_bytes(self.out), 0, xxhash.xxh3_128()
        for chunk in requests:
            if start == len(to):
                assert digest.digest() == chunk
                return b"ok"
            to[start : start + len(chunk)] = chunk
            digest.update(chunk)
            start += len(chunk)
        raise AssertionError("the stream must end with the digest")

    def serve(self, control: Connection) -> None:
        """Serve every transport until the control pipe delivers ``None``."""
        handlers = {
            "unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "chunks": grpc.stream_unary_rpc_method_handler(self.chunks),
        }
        server = grpc.server(ThreadPoolExecutor(4), options=GRPC_OPTIONS)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench", handlers),))
        server.add_insecure_port(f"unix:{self.folder}/grpc.sock")
        server.start()
        with LoanServer(self.folder / "private" / "loans.sock", ReceiveCodec(), self.borrowings):
            control.send("ready")
            while (delivery := control.recv()) is not None:
                self.receive(delivery)
                control.send("ok")
        server.stop(None)


def run_receiver(folder: Path, shape: tuple[int, int], control: Connection) -> None:
    """Entry point of the receiving process."""
    configure_logs(service="benchmark", level="warning")
    Receiver(folder, shape).serve(control)


@contextmanager
def transports(folder: Path, control: Connection) -> Iterator[dict[str, Send]]:
    """The send function of every transport; it returns when the receiver has the samples in its array."""

    def announce(transport: str, name: str, digest: str) -> None:
        control.send(Delivery(transport, name, digest))
        assert control.recv() == "ok"

    with ExitStack() as stack:
        pool = stack.enter_context(LoanPool())
        client = stack.enter_context(LoanClient(folder / "private" / "loans.sock", HandoffCodec(), pool))
        channel = stack.enter_context(grpc.insecure_channel(f"unix:{folder}/grpc.sock", options=GRPC_OPTIONS))
        call_unary, call_chunks = channel.unary_unary("/bench/unary"), channel.stream_unary("/bench/chunks")

        def lent(samples: Samples) -> None:
            with client.lend(samples, sample_rate_hz=SAMPLE_RATE_HZ, job_id="benchmark") as loan:
                announce(LENT, loan.lease_id, "")

        def unary(samples: Samples) -> None:
            data = flat_bytes(samples)
            call_unary(bytes(data), metadata=(("xxh3", xxhash.xxh3_128_hexdigest(data)),))

        def chunks(samples: Samples) -> None:
            call_chunks(chunks_then_digest(flat_bytes(samples)))

        def shared_memory(samples: Samples) -> None:
            segment = SharedMemory(create=True, size=samples.nbytes)
            view = np.ndarray(samples.shape, dtype=np.float32, buffer=segment.buf)
            digest = copy_by_blocks(view, samples)
            announce(SHARED_MEMORY, segment.name, digest)
            del view
            segment.close()
            segment.unlink()

        def wav(samples: Samples) -> None:
            path = folder / "bounce.wav"
            digest = xxhash.xxh3_128_hexdigest(samples.data)
            soundfile.write(path, samples.T, SAMPLE_RATE_HZ, subtype="FLOAT")
            announce(WAV, str(path), digest)
            path.unlink()

        yield {
            LENT: lent,
            GRPC_CHUNKS: chunks,
            SHARED_MEMORY: shared_memory,
            GRPC_MESSAGE: unary,
            WAV: wav,
        }


def measure(rounds: int, seconds: float) -> dict[str, list[float]]:
    """Milliseconds of every transport in every round."""
    samples = np.random.default_rng(7).standard_normal((2, round(seconds * SAMPLE_RATE_HZ)), dtype=np.float32)
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    with tempfile.TemporaryDirectory(prefix="handoff-") as name:
        folder = Path(name)
        receiver = spawn.Process(target=run_receiver, args=(folder, samples.shape, there))
        receiver.start()
        assert here.recv() == "ready"
        measured_ms: dict[str, list[float]] = {}
        with transports(folder, here) as senders:
            for _ in range(3):
                for send in senders.values():
                    send(samples)
            for _ in range(rounds):
                for transport, send in senders.items():
                    started_s = time.perf_counter()
                    send(samples)
                    measured_ms.setdefault(transport, []).append((time.perf_counter() - started_s) * 1e3)
        here.send(None)
        receiver.join()
    return measured_ms


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--seconds", type=float, default=90.0)
    arguments = parser.parse_args()
    measured_ms = measure(arguments.rounds, arguments.seconds)
    medians_ms = {transport: statistics.median(times_ms) for transport, times_ms in measured_ms.items()}
    best = min(
        (transport for transport in medians_ms if transport != LENT), key=lambda transport: medians_ms[transport]
    )
    megabytes = round(arguments.seconds * SAMPLE_RATE_HZ) * 8 / 1e6
    print(f"{megabytes:.2f} MB, {arguments.rounds} interleaved rounds, checksum and copy included; milliseconds")
    print(f"{'':32}{'median':>8}{'min':>8}{'max':>8}   relative")
    for transport, median_ms in sorted(medians_ms.items(), key=lambda item: item[1]):
        times_ms = measured_ms[transport]
        print(
            f"{transport:32}{median_ms:8.1f}{min(times_ms):8.1f}{max(times_ms):8.1f}   {median_ms / medians_ms[LENT]:.2f}"
        )
    print(f"The lent region is {medians_ms[best] / medians_ms[LENT]:.2f} times as fast as {best}.")


if __name__ == "__main__":
    main()
