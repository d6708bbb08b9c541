"""Takes for tests: briefs, collected events, and checks that hold for every job."""

from __future__ import annotations

import io
import urllib.request
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client import Brief, Client, Job, JobEvent, JobHandle

SECONDS = 2.0
Pcm = npt.NDArray[np.int32]
STEMS = ("drums", "bass", "vocals", "other")


def brief(persona: str = "tone", **changes: Any) -> Brief:
    """Two seconds with a fixed seed."""
    fields: dict[str, Any] = {"prompt": "upbeat synths, energetic", "seed": 7, "seconds": SECONDS, "bpm": 120.0}
    return Brief(persona_id=persona, **{**fields, **changes})


@dataclass(frozen=True)
class Story:
    """A job that has ended and all its events."""

    job: Job
    events: list[JobEvent]

    @property
    def version(self) -> job_pb2.Version:
        """The first version."""
        return self.job.versions[0]


def collect_events(client: Client, job: Job | JobHandle, react: Callable[[JobEvent], object] | None = None) -> Story:
    """Watch from the first event to the end; ``react`` is called with each event."""
    events = []
    for event in client.watch(job):
        events.append(event)
        if react is not None:
            react(event)
    return Story(client.get_job(job.job_id), events)


def take(client: Client, wanted: Brief, react: Callable[[JobEvent], object] | None = None) -> Story:
    """Render and watch."""
    return collect_events(client, client.create_render(wanted), react)


def check_numbers(events: Iterable[JobEvent]) -> None:
    """Numbered 1..n without a gap; within an attempt of a track the fraction never falls."""
    rising: dict[tuple[int, int, int], float] = defaultdict(float)
    for number, event in enumerate(events, start=1):
        assert event.sequence == number
        if event.track:
            key = (event.version, event.track, event.attempt)
            assert event.fraction >= rising[key]
            rising[key] = event.fraction


def until(
    client: Client, job: Job | JobHandle, test: Callable[[JobEvent], bool], *, after_sequence: int = 0
) -> JobEvent:
    """The first event for which ``test`` is true; the watch ends there."""
    for event in client.watch(job, after_sequence=after_sequence):
        if test(event):
            return event
    raise AssertionError(f"the watch ended before it came: {client.get_job(job.job_id)}")


def at(stage: int, *, done: int = 0) -> Callable[[JobEvent], bool]:
    """True if an event reports a stage with at least this many steps done."""
    return lambda event: event.stage == stage and event.steps_done >= done


def fetch(url: str, first: int | None = None, last: int | None = None) -> bytes:
    """GET, of a range of bytes where one is given."""
    headers = {} if first is None else {"Range": f"bytes={first}-{last}"}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, headers=headers), timeout=30) as response:  # noqa: S310  loopback
        assert response.status == (200 if first is None else 206)
        data: bytes = response.read()
    return data


def pcm_of(wav: bytes) -> Pcm:
    """``(2, T)`` in 24-bit integers."""
    samples, rate_hz = soundfile.read(io.BytesIO(wav), dtype="int32", always_2d=True)
    assert rate_hz == 44100
    shifted: Pcm = samples.T >> 8
    return shifted


def unpacked(path: Path) -> dict[str, bytes]:
    """The files of a ZIP by name, without their folder."""
    with zipfile.ZipFile(path) as archive:
        return {name.rpartition("/")[2]: archive.read(name) for name in archive.namelist()}


def stems_of(client: Client, job_id: str, folder: Path) -> dict[str, bytes]:
    """PCM of the four stems and the bounce, to be compared between jobs."""
    files = unpacked(client.download(job_id, folder).path)
    return {name: pcm_of(files[f"{name}.wav"]).tobytes() for name in (*STEMS, "bounce")}
