"""Load for `SOAK_MINUTES` (60 by default): memory, descriptors, threads and disk of both services stay flat."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client import Client, Job, JobHandle, Stem
from sonichaos_client.errors import FailedPreconditionError, JobCancelledError, JobFailedError
from tests.flow.conftest import FreshPair
from tests.support.pair import RENDER, SEPARATION, Pair, turn_held
from tests.support.service_processes import ROOT
from tests.support.takes import at, brief, until
from tests.support.tiny_separator import tiny_separator

KEPT_JOBS = 4
WARM_UP = 0.25
_EXPIRES_S = 6.0
"""More than the expected duration of a take, so that it is accepted."""
RESULTS = ROOT / "build" / "soak"
_MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What a pair uses after a round. Memory and disk in MiB."""

    minutes: float
    service: str
    memory: float
    descriptors: int
    threads: int
    disk: float


LIMITS = {"memory": 32.0, "descriptors": 8.0, "threads": 4.0, "disk": 8.0}
"""How much the median of the last third may be above that of the first third after the warm-up."""


def size_mib(folder: Path) -> float:
    """The files of a folder, those that vanish meanwhile not counted."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size if path.is_file() else 0
    return total / _MIB


def samples(pair: Pair, minutes: float) -> Iterator[Sample]:
    """Both services now. Disk is the store's and the spool's: the journal keeps audit rows of deleted jobs."""
    disk = sum(size_mib(pair.data / name) for name in ("store", "spool", "run"))
    for service in (RENDER, SEPARATION):
        process = psutil.Process(pair.pids[service])
        yield Sample(
            minutes=round(minutes, 3),
            service=service,
            memory=process.memory_info().rss / _MIB,
            descriptors=process.num_fds(),
            threads=process.num_threads(),
            disk=disk,
        )


def outcome(client: Client, job: Job | JobHandle) -> str:
    """The final state of a job's newest version."""
    with suppress(JobCancelledError, JobFailedError):
        client.wait(job)
    return job_pb2.JobState.Name(client.get_job(job.job_id).latest.state)


def one_round(pair: Pair, clip: Path, number: int) -> tuple[list[JobHandle], Counter[str]]:
    """A take and its re-render, an upload, a take that is cancelled, and two versions that fail; with their outcomes."""
    client, found = pair.client, Counter[str]()
    take, upload = client.create_render(brief(stems=True, seed=number)), client.separate_file(clip)
    for name, job in (("take", take), ("upload", upload)):
        found[f"{name} {outcome(client, job)}"] += 1

    def rerender(name: str) -> None:
        again = client.rerender_stem(
            take.job_id, Stem.VOCALS, persona_id="hiss", base_version=1, seed=number + 1, allow_drift=True
        )
        found[f"{name} {outcome(client, again.message)}"] += 1

    rerender("re-render")
    damage(pair.data / "store" / "jobs" / take.job_id / "v1.zip")
    rerender("re-render of a damaged base")
    cancelled = client.create_render(brief(stems=True, seed=number, seconds=8.0))
    until(client, cancelled, at(job_pb2.STAGE_DENOISE))
    client.cancel(cancelled.job_id)
    found[f"cancelled take {outcome(client, cancelled)}"] += 1
    late, result = expired(pair, number)
    found[f"late take {result}"] += 1
    return [take, upload, cancelled, *late], found


def damage(path: Path) -> None:
    """Change a byte in the middle of a file."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 0xFF]))


def expired(pair: Pair, number: int) -> tuple[list[JobHandle], str]:
    """A take that is accepted in time and expires while it waits for the device, and its outcome; no job if it is refused."""
    wanted = brief(stems=True, seed=number)
    with turn_held(pair.data):
        wanted.expire_time.FromDatetime(datetime.now(tz=UTC) + timedelta(seconds=_EXPIRES_S))
        try:
            job = pair.client.create_render(wanted)
        except FailedPreconditionError as refused:
            return [], refused.reason
        return [job], outcome(pair.client, job)


@pytest.mark.soak
def test_load_leaves_nothing_behind(fresh_pair: FreshPair, clips: dict[str, Path], tmp_path: Path) -> None:
    """Rounds of takes, re-renders, uploads, cancels and failures; older jobs are deleted. Writes samples and a plot."""
    minutes = float(os.environ.get("SOAK_MINUTES", "60"))
    audible = tiny_separator(tmp_path / "audible", gain=12.0)  # else every re-render ends as STEM_SILENT
    pair = fresh_pair(SONICHAOS_SEPARATOR_REPO=str(audible), SONICHAOS_RENDER_STEPS="12")
    found: list[Sample] = []
    outcomes: Counter[str] = Counter()
    kept: deque[JobHandle] = deque()
    begun_s = time.monotonic()
    for number in range(1, 1_000_000):
        jobs, ended = one_round(pair, clips["hiss"], number)
        outcomes += ended
        kept.extend(jobs)
        while len(kept) > KEPT_JOBS:
            pair.client.delete(kept.popleft().job_id)
        passed = (time.monotonic() - begun_s) / 60
        found.extend(samples(pair, passed))
        write_results(found, outcomes)
        if passed >= minutes:
            break
    rises = {f"{service} {name}": rise(found, service, name) for service in (RENDER, SEPARATION) for name in LIMITS}
    rounds = len(found) // 2
    for name in ("take", "upload", "re-render"):
        assert outcomes[f"{name} JOB_STATE_DONE"] == rounds, outcomes
    assert outcomes["re-render of a damaged base JOB_STATE_FAILED"] == rounds, outcomes
    assert outcomes["late take JOB_STATE_FAILED"] + outcomes["late take EXPIRY_TOO_SOON"] == rounds, outcomes
    assert outcomes["late take JOB_STATE_FAILED"] > 0, outcomes
    assert {name: value for name, value in rises.items() if value > LIMITS[name.split()[1]]} == {}, outcomes


def rise(found: list[Sample], service: str, name: str) -> float:
    """The median of the last third above that of the first third, the warm-up left out."""
    values = [float(getattr(sample, name)) for sample in found if sample.service == service]
    values = values[int(len(values) * WARM_UP) :]
    third = max(len(values) // 3, 1)
    return statistics.median(values[-third:]) - statistics.median(values[:third])


def write_results(found: list[Sample], outcomes: Counter[str]) -> None:
    """``build/soak/samples.json`` and ``build/soak/soak.png``."""
    from matplotlib.figure import Figure

    RESULTS.mkdir(parents=True, exist_ok=True)
    rows = [asdict(sample) for sample in found]
    (RESULTS / "samples.json").write_text(json.dumps({"outcomes": outcomes, "samples": rows}, indent=1))
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True).flat
    for axis, name in zip(axes, LIMITS, strict=True):
        for service in (RENDER, SEPARATION):
            chosen = [sample for sample in found if sample.service == service]
            axis.plot([one.minutes for one in chosen], [getattr(one, name) for one in chosen], label=service)
        axis.set_title(f"{name} in MiB" if name in {"memory", "disk"} else name, fontsize=9)
        axis.set_ylim(0.0, 1.1 * max(getattr(one, name) for one in found))
        axis.set_xlabel("minutes")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    figure.savefig(RESULTS / "soak.png", dpi=80)
