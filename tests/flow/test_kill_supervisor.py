"""``sonichaos up`` killed or paused while jobs run: a part of the kill matrix."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client import Client, Job, JobHandle, Stem
from tests.flow.conftest import add_personas, running_up
from tests.support.pair import eventually
from tests.support.takes import STEMS, at, brief, check_numbers, collect_events, pcm_of, unpacked, until
from tests.support.tiny_separator import tiny_separator

pytestmark = pytest.mark.soak
Samples = dict[str, bytes]


class Jobs:
    """One job of each kind, each on a base of its own."""

    def __init__(self, client: Client, clip: Path) -> None:
        self._clip = clip
        self._base = client.wait(client.create_render(brief(stems=True))).job_id
        self._bare = client.wait(client.create_render(brief())).job_id

    def start(self, client: Client) -> list[Job | JobHandle]:
        """All accepted, none waited for."""
        again = client.rerender_stem(
            self._base, Stem.OTHER, persona_id="hiss", base_version=1, seed=5, allow_drift=True
        )
        return [
            client.create_render(brief(stems=True)),
            again.message,
            client.separate_file(self._clip),
            client.add_stems(self._bare),
        ]


def samples_of(client: Client, job: Job | JobHandle, folder: Path) -> Samples:
    """The samples of a job's newest version, which is done, its events numbered without a gap."""
    client.wait(job)
    story = collect_events(client, job)
    check_numbers(story.events)
    files = unpacked(client.download(job.job_id, folder / str(len(list(folder.iterdir())))).path)
    return {name: pcm_of(files[f"{name}.wav"]).tobytes() for name in (*STEMS, "bounce")}


@pytest.fixture
def settings(models: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """A separator whose stems are not silent, and a short drain."""
    repo = tiny_separator(tmp_path / "separator", gain=12.0)
    return {**models, "SONICHAOS_SEPARATOR_REPO": str(repo), "SONICHAOS_DRAIN_SECONDS": "0"}


def kill(pid: int, services: list[int]) -> None:
    """SIGKILL; the services end with their parent."""
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not any(map(psutil.pid_exists, services)), "both services have ended")


def pause(pid: int, services: list[int]) -> None:
    """SIGSTOP: nobody reads what the services log."""
    os.kill(pid, signal.SIGSTOP)
    assert all(map(psutil.pid_exists, services))


@pytest.mark.parametrize("fault", [kill, pause])
def test_supervisor(
    fault: Callable[[int, list[int]], None], settings: dict[str, str], clips: dict[str, Path], tmp_path: Path
) -> None:
    """One job of each kind is done, with the samples of an undisturbed run: after a restart, or while it is paused."""
    (tmp_path / "out").mkdir()
    with running_up(tmp_path, settings) as live:
        add_personas(live.client, clips)
        jobs = Jobs(live.client, clips["tone"])
        wanted = [samples_of(live.client, job, tmp_path / "out") for job in jobs.start(live.client)]
        others = Jobs(live.client, clips["tone"])
        started = others.start(live.client)
        until(live.client, started[0], at(job_pb2.STAGE_DENOISE))
        fault(live.pid, [live.render_pid, live.separation_pid])
        if fault is pause:
            found = [samples_of(live.client, job, tmp_path / "out") for job in started]
            os.kill(live.pid, signal.SIGCONT)
    if fault is kill:
        with running_up(tmp_path, settings) as live:
            found = [samples_of(live.client, job, tmp_path / "out") for job in started]
    assert found == wanted
