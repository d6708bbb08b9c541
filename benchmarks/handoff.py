"""How long a bounce takes from one process to another, by every road: ``python -m benchmarks.handoff``.

90 s of stereo float32 at 44.1 kHz, 31.75 MB. A round sends the same samples by every road, one after the other, so that whatever
else the machine does falls on all. In each the clock starts with the samples in the sender's own array and stops when the sender
knows that the receiver has them in *its* own array: one warm array, the same for all roads, so copying out costs every road the
same. Every road carries the same checksum (xxh3-128), computed by the sender and checked by the receiver, block by block on the
way where the road has blocks. The rivals get their leanest form: raw bytes without protobuf, gRPC over a Unix socket.
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
OURS = "memfd region lent"

Samples = npt.NDArray[np.float32]
Send = Callable[[Samples], None]


@dataclass(frozen=True)
class ProgressUpdate:
    """What goes over the control pipe: the road, what names the tensor on it, its checksum."""

    road: str
    name: str
    digest: str


def flat_bytes(samples: Samples) -> memoryview:
    """The samples' bytes, without a copy."""
    return samples.reshape(-1).view(np.uint8).data


def copy_by_blocks(target: Samples, source: Samples) -> str:
    """Copy and hash while a block is in the cache, as the region does: every road may use it."""
    to, of, digest = flat_bytes(target), flat_bytes(source), xxhash.xxh3_128()
    for start in range(0, of.nbytes, CHUNK_BYTES):
        block = of[start : start + CHUNK_BYTES]
        to[start : start + block.nbytes] = block
        digest.update(block)
    return digest.hexdigest()


def chunks_then_digest(data: memoryview) -> Iterator[bytes]:
    """``data`` in messages of 1 MiB, hashed on the way, then the checksum."""
    digest = xxhash.xxh3_128()
    for start in range(0, data.nbytes, CHUNK_BYTES):
        chunk = bytes(data[start : start + CHUNK_BYTES])
        digest.update(chunk)
        yield chunk
    yield digest.digest()


class Receiver:
    """The other process: takes a tensor from every road into ``out`` and checks it."""

    def __init__(self, folder: Path, shape: tuple[int, int]) -> None:
        self.borrowings = Borrowings()
        self.folder = folder
        self.out: Samples = np.zeros(shape, dtype=np.float32)

    def receive(self, told: ProgressUpdate) -> None:
        """Take what a road without a server of its own has brought."""
        if told.road == OURS:
            self.borrowings.copy_out(told.name, self.out)
        elif told.road == "shared_memory":
            segment = SharedMemory(told.name)
            view = np.ndarray(self.out.shape, dtype=np.float32, buffer=segment.buf)
            assert copy_by_blocks(self.out, view) == told.digest
            del view
            segment.close()
        else:
            frames, _ = soundfile.read(told.name, dtype="float32", always_2d=True)
            np.copyto(self.out, frames.T)
            assert xxhash.xxh3_128_hexdigest(self.out.data) == told.digest

    def unary(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        """One message with everything, the checksum in the metadata."""
        flat_bytes(self.out)[:] = request
        assert dict(context.invocation_metadata())["xxh3"] == xxhash.xxh3_128_hexdigest(request)
        return b"ok"

    def chunks(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:  # noqa: ARG002  grpc's signature
        """A message for each MiB, the checksum after them."""
        to, start, digest = flat_bytes(self.out), 0, xxhash.xxh3_128()
        for chunk in requests:
            if start == len(to):
                assert digest.digest() == chunk
                return b"ok"
            to[start : start + len(chunk)] = chunk
            digest.update(chunk)
            start += len(chunk)
        raise AssertionError("the checksum did not come")

    def serve(self, control: Connection) -> None:
        """Listen on every road until told to stop."""
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
            while (told := control.recv()) is not None:
                self.receive(told)
                control.send("ok")
        server.stop(None)


def run_receiver(folder: Path, shape: tuple[int, int], control: Connection) -> None:
    """The other process's entry."""
    configure_logs(service="benchmark", level="warning")
    Receiver(folder, shape).serve(control)


@contextmanager
def roads(folder: Path, control: Connection) -> Iterator[dict[str, Send]]:
    """Every road's sender; each returns when the receiver has the samples in its own array."""

    def tell(road: str, name: str, digest: str) -> None:
        control.send(ProgressUpdate(road, name, digest))
        assert control.recv() == "ok"

    with ExitStack() as stack:
        pool = stack.enter_context(LoanPool())
        client = stack.enter_context(LoanClient(folder / "private" / "loans.sock", HandoffCodec(), pool))
        channel = stack.enter_context(grpc.insecure_channel(f"unix:{folder}/grpc.sock", options=GRPC_OPTIONS))
        call_unary, call_chunks = channel.unary_unary("/bench/unary"), channel.stream_unary("/bench/chunks")

        def lent(samples: Samples) -> None:
            with client.lend(samples, sample_rate_hz=SAMPLE_RATE_HZ, job_id="benchmark") as loan:
                tell(OURS, loan.lease_id, "")

        def unary(samples: Samples) -> None:
            data = flat_bytes(samples)
            call_unary(bytes(data), metadata=(("xxh3", xxhash.xxh3_128_hexdigest(data)),))

        def chunks(samples: Samples) -> None:
            call_chunks(chunks_then_digest(flat_bytes(samples)))

        def shared_memory(samples: Samples) -> None:
            segment = SharedMemory(create=True, size=samples.nbytes)
            view = np.ndarray(samples.shape, dtype=np.float32, buffer=segment.buf)
            digest = copy_by_blocks(view, samples)
            tell("shared_memory", segment.name, digest)
            del view
            segment.close()
            segment.unlink()

        def wav(samples: Samples) -> None:
            path = folder / "bounce.wav"
            digest = xxhash.xxh3_128_hexdigest(samples.data)
            soundfile.write(path, samples.T, SAMPLE_RATE_HZ, subtype="FLOAT")
            tell("wav", str(path), digest)
            path.unlink()

        yield {
            OURS: lent,
            "gRPC unary": unary,
            "gRPC 1 MiB chunks": chunks,
            "multiprocessing.shared_memory": shared_memory,
            "WAV on disk": wav,
        }


def measure(rounds: int, seconds: float) -> dict[str, list[float]]:
    """Milliseconds of every road in every round."""
    samples = np.random.default_rng(7).standard_normal((2, round(seconds * SAMPLE_RATE_HZ)), dtype=np.float32)
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    with tempfile.TemporaryDirectory(prefix="handoff-") as name:
        folder = Path(name)
        receiver = spawn.Process(target=run_receiver, args=(folder, samples.shape, there))
        receiver.start()
        assert here.recv() == "ready"
        taken_ms: dict[str, list[float]] = {}
        with roads(folder, here) as senders:
            for _ in range(3):
                for send in senders.values():
                    send(samples)
            for _ in range(rounds):
                for road, send in senders.items():
                    started_s = time.perf_counter()
                    send(samples)
                    taken_ms.setdefault(road, []).append((time.perf_counter() - started_s) * 1e3)
        here.send(None)
        receiver.join()
    return taken_ms


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--seconds", type=float, default=90.0)
    arguments = parser.parse_args()
    taken_ms = measure(arguments.rounds, arguments.seconds)
    best = min((road for road in taken_ms if road != OURS), key=lambda road: statistics.median(taken_ms[road]))
    megabytes = round(arguments.seconds * SAMPLE_RATE_HZ) * 8 / 1e6
    print(f"{megabytes:.2f} MB, {arguments.rounds} interleaved rounds, xxh3-128 and copy out in all; milliseconds")
    print(f"{'':32}{'median':>8}{'min':>8}{'max':>8}   times ours")
    ours_ms = statistics.median(taken_ms[OURS])
    for road, times_ms in sorted(taken_ms.items(), key=lambda item: statistics.median(item[1])):
        median_ms = statistics.median(times_ms)
        print(f"{road:32}{median_ms:8.1f}{min(times_ms):8.1f}{max(times_ms):8.1f}   {median_ms / ours_ms:.2f}")
    print(
        f"The lent region against the best other ({best}): {statistics.median(taken_ms[best]) / ours_ms:.2f} times faster"
    )


if __name__ == "__main__":
    main()
