"""Compares stock demucs with the engine, in one process.

    python -m benchmarks.separation --device cpu|cuda [--threads 1 2] [--seconds 30 90 600] [--jobs 1 2 4] [--rounds 3]
                                    [--models 4] [--ours fp32 openvino reduced] [--one-stem] [--name NAME --repo DIR]
                                    [--cells 90x1x3 30x4x1 ...]

Without ``--repo`` it generates a bag of htdemucs_ft's shape: four HTDemucs of 41.98 M parameters, one-hot weights, and LayerScales
drawn from U(0.2, 0.8), so that errors have the size that they have with trained weights. ``--models 1`` uses one of the four, a
quarter of the work, for all its sources. In each round every candidate separates the same generated audio (noise and tones).

Columns, over all rounds: the median time; the median ratio of stock's time to it in the same round; the same ratio of the CPU time
of the process, which is more accurate on a shared CPU; the agreement with stock's float32 stems in dB, minimum and maximum over the
stems; the rise of the peak memory (resident set on a CPU, allocated memory on a GPU); seconds of audio per second; and the share of
the device's float32 matrix rate, measured first, that 334.9 GFLOP per forward pass amount to (htdemucs_ft's shape only).

``--cells`` lists combinations of seconds x jobs x rounds. Each number of threads is measured separately, stock included.
``--one-stem`` also separates the vocals alone, which takes one model of a one-hot bag, and prints its share of the time.
The engine runs concurrent jobs in threads; stock runs them one after another. On a GPU, stock runs in float32 and, up to 90 s, as
shipped, with TF32 convolutions.

For a machine without network, download the wheels on one with the same platform and Python (3.11 or 3.12):

    pip download -d wheels demucs structlog 'numpy>=2' grpcio

Then run ``pip install --no-index --find-links wheels demucs structlog numpy grpcio`` in an environment with torch 2.11 or later,
and the command above from the root of this repository.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import itertools
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from demucs.api import Separator as Stock
from demucs.demucs import LayerScale
from demucs.htdemucs import HTDemucs
from demucs.transformer import LayerScale as TransformerLayerScale
from numpy.typing import NDArray

from separation_service.engine import EngineOptions, Separator, load_separator
from servicekit.delivery.names import STEMS, StemName

RATE_HZ = 44_100
FORWARD_GFLOP = 334.9
SILENT = 1e-9
ONE_STEM: tuple[StemName, ...] = (StemName.VOCALS,)

Audio = NDArray[np.float32]


@dataclass
class Candidate:
    """A separator under test; ``run(mixes)`` returns the stems of the last mix, ``(N, C, T)``. Skips audio above ``max_s``."""

    name: str
    run: Callable[[list[Audio]], Audio]
    stems: tuple[StemName, ...] = STEMS
    max_s: float = float("inf")
    times_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    agreement_db: list[float] = field(default_factory=list)
    memory_mib: float = 0.0


def make_bag(folder: Path, models: int) -> str:
    """Write a bag of htdemucs_ft's shape in demucs' format; returns its name."""
    sources = ["drums", "bass", "other", "vocals"]
    kwargs = {
        "sources": sources,
        "channels": 48,
        "growth": 2,
        "depth": 4,
        "dconv_mode": 3,
        "dconv_comp": 8,
        "bottom_channels": 512,
        "t_layers": 5,
        "t_heads": 8,
        "samplerate": RATE_HZ,
        "segment": Fraction(39, 5),
    }
    for number in range(models):
        torch.manual_seed(number)
        model = HTDemucs(**kwargs)
        for module in model.modules():
            if isinstance(module, LayerScale | TransformerLayerScale):
                torch.nn.init.uniform_(module.scale, 0.2, 0.8)
        package = {"klass": HTDemucs, "args": (), "kwargs": kwargs, "state": model.state_dict(), "training_args": {}}
        buffer = io.BytesIO()
        torch.save(package, buffer)
        digest = hashlib.sha256(buffer.getvalue()).hexdigest()
        (folder / f"made{number}-{digest[:8]}.th").write_bytes(buffer.getvalue())
    one_hot = [[float(row == column) for column in range(4)] for row in range(4)]
    weights = one_hot if models == 4 else [[1.0] * 4] * models
    bag = {"models": [f"made{number}" for number in range(models)], "weights": weights}
    (folder / "made.yaml").write_text(yaml.safe_dump(bag))
    return "made"


def music(seconds: float, seed: int) -> Audio:
    """Noise and amplitude-modulated tones ``(2, T)``."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    tones = np.stack([0.3 * np.sin(2 * np.pi * hz * t) * np.sin(t) for hz in (110.0 + seed, 523.0)])
    return (tones + 0.1 * rng.standard_normal(tones.shape)).astype(np.float32)


def stock(name: str, repo: Path, device: str, *, threads: int, tf32: bool) -> Callable[[list[Audio]], Audio]:
    """Stock demucs with its models on the device."""
    separator = Stock(model=name, repo=repo, device=device, shifts=0, overlap=0.25, progress=False)
    separator.model.to(device)

    def run(mixes: list[Audio]) -> Audio:
        torch.set_num_threads(threads)  # the engine changes it
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=False, allow_tf32=tf32):
            for mix in mixes:
                stems = separator.separate_tensor(torch.from_numpy(mix.copy()))[1]
        return np.stack([stems[stem].cpu().numpy() for stem in STEMS])

    return run


def warmed(name: str, repo: Path, options: EngineOptions) -> Separator:
    """The engine, warmed up."""
    separator = load_separator(name, repo=repo, device=options.device, threads=options.threads, options=options)
    started_s = time.perf_counter()
    separator.warm()
    print(
        f"  {separator.info.fingerprint['separator.runtime']}: warm in {time.perf_counter() - started_s:.1f} s",
        flush=True,
    )
    return separator


def ours(separator: Separator, stems: tuple[StemName, ...] = STEMS) -> Callable[[list[Audio]], Audio]:
    """The engine, one thread per mix."""

    def run(mixes: list[Audio]) -> Audio:
        found: list[Audio] = list(mixes)

        def work(index: int) -> None:
            found[index] = separator.separate(mixes[index], lambda _done, _total: None, stems)

        threads = [threading.Thread(target=work, args=(index,)) for index in range(len(mixes))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found[-1]

    return run


def candidates(name: str, repo: Path, arguments: argparse.Namespace, cache: Path, threads: int) -> list[Candidate]:
    """All candidates; the first one, stock, is the reference."""
    device = arguments.device
    found = [Candidate("stock, float32", stock(name, repo, device, threads=threads, tf32=False))]
    if device == "cuda":
        found.append(
            Candidate(
                "stock as shipped, TF32 convolutions", stock(name, repo, device, threads=threads, tf32=True), max_s=90.0
            )
        )
    choices: dict[str, dict[str, Any]] = {
        "fp32": {},
        "eager": {"compiled": False},
        "reduced": {"precision": "reduced"},
        "openvino": {"runtime": "openvino"},
    }
    labels = {"fp32": "float32", "eager": "float32, not compiled", "reduced": "reduced", "openvino": "OpenVINO"}
    if device == "cpu":
        labels["fp32"] = "torch"
    for choice in arguments.ours or (["fp32", "reduced"] if device == "cuda" else ["fp32", "openvino"]):
        options = EngineOptions(device=device, threads=threads, cache=cache, batch=arguments.batch, **choices[choice])
        separator = warmed(name, repo, options)
        found.append(Candidate(f"ours, {labels[choice]}", ours(separator)))
        if arguments.one_stem:
            found.append(Candidate(f"ours, {labels[choice]}, one stem only", ours(separator, ONE_STEM), ONE_STEM))
    return found


@contextmanager
def record_memory(candidate: Candidate, device: str) -> Iterator[None]:
    """Record the rise of the peak memory during the block."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        yield
        rise = torch.cuda.max_memory_allocated() - before
    else:
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        before = resident("VmRSS")
        yield
        rise = resident("VmHWM") - before
    candidate.memory_mib = max(candidate.memory_mib, rise / 2**20)


def resident(line: str) -> int:
    """A field of /proc/self/status in bytes."""
    return int(Path("/proc/self/status").read_text().split(f"{line}:")[1].split()[0]) * 1024


def agreement_db(truth: Audio, found: Audio) -> float:
    """Ratio of signal to difference in dB; infinite for a difference below -180 dBFS."""
    difference = float(np.square(found.astype(np.float64) - truth).mean())
    return (
        float("inf")
        if difference < SILENT**2
        else 10 * float(np.log10(np.square(truth.astype(np.float64)).mean() / difference))
    )


def matrix_gflops(device: str) -> float:
    """Best rate of ten float32 matrix products in GFLOP/s, 2048 wide on a CPU and 8192 on a GPU, without TF32."""
    wide = 8192 if device == "cuda" else 2048
    a = torch.randn(wide, wide, device=device)
    best_s = float("inf")
    for _ in range(10):
        started_s = time.perf_counter()
        a @ a
        if device == "cuda":
            torch.cuda.synchronize()
        best_s = min(best_s, time.perf_counter() - started_s)
    return 2 * wide**3 / best_s / 1e9


def measure(running: list[Candidate], mixes: list[Audio], rounds: int, device: str) -> None:
    """Run all rounds of one length and number of jobs."""
    for _ in range(rounds):
        truth: Audio | None = None
        for candidate in running:
            with record_memory(candidate, device):
                started_s, started_cpu_s = time.perf_counter(), time.process_time()
                stems = candidate.run(mixes)
                candidate.times_s.append(time.perf_counter() - started_s)
                candidate.cpu_s.append(time.process_time() - started_cpu_s)
            truth = stems if truth is None else truth
            expected = truth[[STEMS.index(stem) for stem in candidate.stems]]
            candidate.agreement_db += [agreement_db(a, b) for a, b in zip(expected, stems, strict=True)]


def table(
    running: list[Candidate], *, audio_s: float, forwards: dict[tuple[StemName, ...], int], peak_gflops: float
) -> None:
    """Print one line per candidate."""
    print(
        "| | time, s | times stock | by CPU time | agreement, dB | rise of memory, MiB | times real time | of the matrix rate |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    base = running[0]
    for candidate in running:
        faster = statistics.median(a / b for a, b in zip(base.times_s, candidate.times_s, strict=True))
        less_cpu = statistics.median(a / b for a, b in zip(base.cpu_s, candidate.cpu_s, strict=True))
        median_s = statistics.median(candidate.times_s)
        share = forwards[candidate.stems] * FORWARD_GFLOP / median_s / peak_gflops
        agreement = (
            "-" if candidate is base else f"{min(candidate.agreement_db):.0f} to {max(candidate.agreement_db):.0f}"
        )
        print(
            f"| {candidate.name} | {median_s:.2f} | {faster:.2f} | {less_cpu:.2f} | {agreement} | {candidate.memory_mib:.0f} "
            f"| {audio_s / median_s:.2f} | {share:.0%} |",
            flush=True,
        )
    for all_stems, one_stem in itertools.pairwise(running):
        if one_stem.name.startswith(all_stems.name):
            ratio = statistics.median(a / b for a, b in zip(one_stem.times_s, all_stems.times_s, strict=True))
            print(f"\n{one_stem.name}: {ratio:.2f} of the time of {all_stems.name}", flush=True)


def measure_threads(name: str, repo: Path, arguments: argparse.Namespace, cache: Path, threads: int) -> None:
    """Measure all lengths and numbers of jobs on ``threads`` threads."""
    torch.set_num_threads(threads)
    device_name = torch.cuda.get_device_name() if arguments.device == "cuda" else "CPU"
    peak_gflops = matrix_gflops(arguments.device)
    print(f"\n{device_name}, torch {torch.__version__}, {threads} threads, matrices at {peak_gflops:.0f} GFLOP/s")
    all_candidates = candidates(name, repo, arguments, cache, threads)
    counter = load_separator(name, repo=repo, device="cpu", threads=1)
    for seconds, jobs, rounds in cells(arguments):
        mixes = [music(seconds, seed) for seed in range(jobs)]
        running = [candidate for candidate in all_candidates if seconds <= candidate.max_s]
        for candidate in running:
            candidate.times_s, candidate.cpu_s, candidate.agreement_db, candidate.memory_mib = [], [], [], 0.0
        measure(running, mixes, rounds, arguments.device)
        print(f"\n{seconds:g} s, {jobs} jobs, {rounds} rounds\n")
        frames = round(seconds * RATE_HZ)
        forwards = {candidate.stems: counter.steps(frames, candidate.stems) * jobs for candidate in running}
        table(running, audio_s=seconds * jobs, forwards=forwards, peak_gflops=peak_gflops)


def cells(arguments: argparse.Namespace) -> list[tuple[float, int, int]]:
    """Seconds, concurrent jobs and rounds of each table."""
    if arguments.cells:
        parts = [cell.split("x") for cell in arguments.cells]
        return [(float(seconds), int(jobs), int(rounds)) for seconds, jobs, rounds in parts]
    return [(seconds, jobs, arguments.rounds) for seconds in arguments.seconds for jobs in arguments.jobs]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--seconds", type=float, nargs="+", default=[30.0, 90.0, 600.0])
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cells", nargs="+", metavar="SECONDSxJOBSxROUNDS")
    parser.add_argument("--models", type=int, default=4, choices=[1, 2, 4])
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--ours", nargs="+", choices=["fp32", "eager", "reduced", "openvino"])
    parser.add_argument("--one-stem", action="store_true")
    parser.add_argument("--name")
    parser.add_argument("--repo", type=Path)
    parser.add_argument(
        "--cache", type=Path, help="folder for converted OpenVINO models; by default they are converted every time"
    )
    arguments = parser.parse_args()
    if (arguments.name is None) != (arguments.repo is None):
        parser.error("--name and --repo must be given together")
    with tempfile.TemporaryDirectory() as scratch:
        repo = arguments.repo or Path(scratch)
        name = arguments.name or make_bag(repo, arguments.models)
        for threads in arguments.threads:
            measure_threads(name, repo, arguments, arguments.cache or Path(scratch) / "cache", threads)


if __name__ == "__main__":
    main()
