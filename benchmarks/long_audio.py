"""Memory, disk and time of one long upload: starts separation_service, uploads a WAV, separates it and stores the ZIP.

    python -m benchmarks.long_audio --seconds 600 3600 [--separator NAME --separator-repo DIR] [--device cuda]
                                    [--scratch-memory-bytes N]

Without --separator, a tiny untrained Demucs stands in for the separator; everything else is the production path. Memory is the
service's peak resident set (`VmHWM`), also as the rise above the loaded models. Disk is the peak size of its data folder and of its
deleted but open scratch files, stored bounce and ZIP included. Each length uses a new service.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import soundfile
import torch
from demucs.demucs import Demucs

from servicekit.rpc.probe import serving
from sonichaos.jobs.v1 import job_pb2
from sonichaos_client import Client

RATE_HZ = 44100
MIB = 1 << 20
NAME = "tiny"
READY_TIMEOUT_S = 300.0


def tiny_separator(folder: Path) -> Path:
    """Write an untrained Demucs of four small layers in demucs' format; the folder is a SONICHAOS_SEPARATOR_REPO."""
    torch.manual_seed(0)
    kwargs = {
        "sources": ["drums", "bass", "other", "vocals"],
        "channels": 4,
        "depth": 4,
        "growth": 1,
        "lstm_layers": 0,
        "dconv_mode": 0,
        "resample": False,
        "segment": 10,
    }
    model = Demucs(**kwargs)
    folder.mkdir()
    package = {"klass": Demucs, "args": (), "kwargs": kwargs, "state": model.state_dict(), "training_args": {}}
    path = folder / f"{NAME}.th"
    torch.save(package, path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    (folder / "SHA256SUMS").write_text(f"{digest}  {path.name}\n")
    return folder


def write_music(path: Path, seconds: float) -> None:
    """Write tones and noise as a 24-bit WAV; ten seconds are repeated, each time at a random level."""
    rng = np.random.default_rng(0)
    t = np.arange(10 * RATE_HZ) / RATE_HZ
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * t / 5.0)
    tones = np.stack([0.2 * swell * np.sin(2 * np.pi * hz * t) for hz in (110.0, 440.0)], axis=1)
    music = tones + 0.02 * rng.standard_normal(tones.shape)
    remaining = round(seconds * RATE_HZ)
    with soundfile.SoundFile(path, "w", RATE_HZ, 2, subtype="PCM_24") as file:
        while remaining > 0:
            part = music[:remaining] * rng.uniform(0.3, 1.0)
            file.write(part)
            remaining -= len(part)


@contextmanager
def service(folder: Path, settings: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], Client]]:
    """Start separation_service with the data folder ``folder``; yields it when it is ready."""
    address = f"unix:{folder / 'run' / 'separation.sock'}"
    environment = os.environ | settings | {"SONICHAOS_DATA": str(folder), "SONICHAOS_SEPARATION_LISTEN": "127.0.0.1:0"}
    process = subprocess.Popen([sys.executable, "-m", "separation_service"], env=environment, stderr=subprocess.DEVNULL)
    try:
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while not serving(address):
            if process.poll() is not None or time.monotonic() > deadline_s:
                sys.exit("separation_service did not start; run python -m separation_service to see why")
            time.sleep(0.2)
        with Client(separation_address=address) as client:
            yield process, client
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


@contextmanager
def peak_disk_use(pid: int, folder: Path) -> Iterator[list[int]]:
    """Yields a list whose only item is the peak size in bytes of the folder and of the files that the process has open."""
    peak_bytes = [0]
    stopped = threading.Event()

    def watch() -> None:
        while not stopped.wait(0.5):
            peak_bytes[0] = max(peak_bytes[0], disk_bytes([*folder.rglob("*"), *Path(f"/proc/{pid}/fd").iterdir()]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak_bytes
    finally:
        stopped.set()
        watcher.join()


def disk_bytes(paths: Iterable[Path]) -> int:
    """Disk space of these files in bytes; each file counts once."""
    found = {}
    for path in paths:
        with suppress(OSError):
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                found[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(found.values())


def memory_mib(pid: int, field: str) -> float:
    """``VmRSS`` or ``VmHWM`` of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


def measure(seconds: float, settings: dict[str, str]) -> None:
    """Upload and separate a file of this length, and print the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_music(folder / "long.wav", seconds)
        with (
            service(folder / "data", settings) as (process, client),
            peak_disk_use(process.pid, folder / "data") as disk,
        ):
            loaded = memory_mib(process.pid, "VmRSS")
            started_s = time.perf_counter()
            job = client.separate_file(folder / "long.wav")
            uploaded_s = time.perf_counter() - started_s
            version = client.wait(job).versions[0]
            wall_s = time.perf_counter() - started_s
            peak = memory_mib(process.pid, "VmHWM")
        print(
            f"\n{seconds:g} s, {job_pb2.JobState.Name(version.state)}: {wall_s:.1f} s, upload {uploaded_s:.1f} s of it"
        )
        for timing in version.timings:
            stage = job_pb2.Stage.Name(timing.stage).removeprefix("STAGE_").lower()
            print(f"  {stage:<10} {timing.duration.ToMilliseconds() / 1000:8.2f} s")
        print(f"  ZIP {version.files.zip.size_bytes / MIB:.0f} MiB; peak disk use {disk[0] / MIB:.0f} MiB")
        print(
            f"  resident set: {loaded:.0f} MiB with models loaded and warm; peak {peak:.0f} MiB, {peak - loaded:.0f} MiB above"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, nargs="+", default=[600.0, 3600.0])
    parser.add_argument("--separator", default="")
    parser.add_argument("--separator-repo", default="")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--scratch-memory-bytes", type=int, help="SONICHAOS_SCRATCH_MEMORY_BYTES of the service")
    options = parser.parse_args()
    settings = {"SONICHAOS_DEVICE": options.device, "OMP_WAIT_POLICY": "PASSIVE"}
    if options.scratch_memory_bytes is not None:
        settings["SONICHAOS_SCRATCH_MEMORY_BYTES"] = str(options.scratch_memory_bytes)
    with tempfile.TemporaryDirectory() as name:
        if not options.separator:
            options.separator, options.separator_repo = NAME, tiny_separator(Path(name) / "tiny")
        settings |= {
            "SONICHAOS_SEPARATOR": options.separator,
            "SONICHAOS_SEPARATOR_REPO": str(options.separator_repo),
            "SONICHAOS_UPLOAD_MAX_SECONDS": str(max(options.seconds)),
        }
        print(f"separator {options.separator} on {options.device}")
        for seconds in options.seconds:
            measure(seconds, settings)


if __name__ == "__main__":
    main()
