"""The demo: start both services, render a take with stems (or separate a recording), verify, show, stop.

It works without network access. Run by ``make demo``.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client import Client, FileKind, Stage
from sonichaos_client.cli.formatting import format_loudness

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "out"
SONICHAOS = Path(sys.executable).parent / "sonichaos"
BRIEF = {
    "--prompt": "uplifting synths with electric piano, upbeat",
    "--persona": "neon-drift",
    "--seed": "7",
    "--seconds": "8",
    "--bpm": "120",
    "--key": "A minor",
}


@contextmanager
def services(data: Path) -> Iterator[dict[str, str]]:
    """Run both services on free ports until the block ends; yields the JSON that `sonichaos up` prints."""
    free = ("--render-listen", "127.0.0.1:0", "--separation-listen", "127.0.0.1:0", "--url-listen", "127.0.0.1:0")
    command = [str(SONICHAOS), "up", "--data", str(data), "--json", "--logs", *free]
    with (OUT / "services.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            reports = map(json.loads, process.stdout or ())
            ready = next((report for report in reports if "ready" in report), None)
            if ready is None:
                sys.exit(f"the services did not start; see {log.name}:\n{Path(log.name).read_text()[-3000:]}")
            yield ready
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=120)


def show(client: Client, job: job_pb2.Job, archive: Path) -> None:
    """Print the ZIP, its signed URL, its loudness and the time of each stage."""
    version = job.versions[0]
    url = client.create_signed_url(job.job_id, kind=FileKind.ZIP)
    print(f"\n  ZIP         {archive.relative_to(ROOT)}  ({archive.stat().st_size:,} bytes)")
    print(f"  signed URL  {url.url}")
    print(f"  loudness    {format_loudness(version.loudness)}")
    for timing in version.timings:
        name = Stage(timing.stage).name.lower()
        print(f"  {name:<10}  {timing.duration.ToMilliseconds() / 1000:7.2f} s")


def main() -> int:
    """Run the demo and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wav", type=Path, help="a 44.1 kHz WAV to separate instead of rendering")
    wav = parser.parse_args().wav
    OUT.mkdir(exist_ok=True)
    before = set(OUT.glob("*.zip"))
    print("Starting both services (models are loaded and warmed up) ...", flush=True)
    with services(OUT / "data") as ready:
        addresses = {
            "SONICHAOS_RENDER_ADDRESS": ready["renderAddress"],
            "SONICHAOS_SEPARATION_ADDRESS": ready["separationAddress"],
        }
        print(f"ready: renderer {ready['renderer']}, separator {ready['separator']}\n", flush=True)
        options = [part for pair in BRIEF.items() for part in pair]
        work = ["separate", str(wav)] if wav else ["render", *options, "--stems"]
        command = [str(SONICHAOS), *work, "--out", str(OUT)]
        status = subprocess.run(command, env=os.environ | addresses, check=False).returncode
        if status:
            return status
        (archive,) = set(OUT.glob("*.zip")) - before
        status = subprocess.run([str(SONICHAOS), "verify", str(archive)], check=False).returncode
        with Client(ready["renderAddress"], ready["separationAddress"]) as client:
            show(client, client.get_job(archive.name.removesuffix("-v1.zip")), archive)
    print("\nThe services have stopped.")
    return status


if __name__ == "__main__":
    sys.exit(main())
