"""Time and memory of a whole take: starts both services, renders takes with stems, prints the stages.

    python -m benchmarks.take --seconds 8 90 [--device cuda] [--separator NAME --separator-repo DIR]

Each length is rendered twice, and the second take, with everything warm, is printed. Memory is the peak resident set (`VmHWM`) of
each service, models included.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos_client import Client

SONICHAOS = [sys.executable, "-m", "sonichaos_client"]
SERVICES = ("render_service", "separation_service")


@contextmanager
def running_services(extra: list[str]) -> Iterator[dict[str, str]]:
    """Start both services on free ports; yields the JSON that `sonichaos up` prints."""
    free = ["--render-listen", "127.0.0.1:0", "--separation-listen", "127.0.0.1:0", "--url-listen", "127.0.0.1:0"]
    with tempfile.TemporaryDirectory() as data:
        process = subprocess.Popen(
            [*SONICHAOS, "up", "--data", data, "--json", *free, *extra],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            reports = map(json.loads, process.stdout or ())
            ready = next((report for report in reports if "ready" in report), None)
            if ready is None:
                sys.exit("the services did not start; run `sonichaos up` to see the error")
            yield ready
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=120)


def peak_mib(pid: int) -> dict[str, float]:
    """Peak resident set of each service under ``pid``."""
    peaks = {}
    for child in psutil.Process(pid).children():
        name = next((part for part in child.cmdline() if part in SERVICES), "")
        status = Path(f"/proc/{child.pid}/status").read_text()
        peaks[name] = int(status.split("VmHWM:")[1].split()[0]) / 1024
    return peaks


def render(client: Client, persona: str, seconds: float) -> tuple[job_pb2.Job, float]:
    """Render one take with stems; returns its job and the seconds from the call to the end."""
    brief = brief_pb2.Brief(
        prompt="upbeat synths with electric piano",
        persona_id=persona,
        seed=7,
        seconds=seconds,
        bpm=120,
        key="A minor",
        stems=True,
    )
    started = time.perf_counter()
    job = client.wait(client.create_render(brief).job_id)
    return job, time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, nargs="+", default=[8.0, 90.0])
    options, extra = parser.parse_known_args()
    with running_services(extra) as ready, Client(ready["renderAddress"], ready["separationAddress"]) as client:
        persona = next(iter(client.list_personas())).id
        print(f"renderer {ready['renderer']}, separator {ready['separator']}")
        for seconds in options.seconds:
            render(client, persona, seconds)
            job, wall_s = render(client, persona, seconds)
            version = job.versions[0]
            stages = {
                job_pb2.Stage.Name(t.stage).removeprefix("STAGE_").lower(): t.duration.ToMilliseconds() / 1000
                for t in version.timings
            }
            print(
                f"\n{seconds:g} s take, {job_pb2.JobState.Name(version.state)}: {wall_s:.2f} s from the call to the stored ZIP"
            )
            for stage, spent_s in stages.items():
                print(f"  {stage:<10} {spent_s:8.2f} s")
        for name, mib in peak_mib(int(ready["pid"])).items():
            print(f"{name}: peak resident set {mib:.0f} MiB")


if __name__ == "__main__":
    main()
