"""Bounce and separation share memory, no files, and the second take finds everything warm."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sonichaos.jobs.v1 import job_pb2
from tests.conftest import require_debian
from tests.support.pair import LivePair, loan_maps, turn_held
from tests.support.takes import at, brief, take, until

_OPENED = re.compile(r'^(?P<pid>\d+) .*open(?:at2?)?\((?:AT_FDCWD, |\d+, )?"(?P<path>[^"]*)"')
_CODE = (".py", ".pyc", ".so", ".cpp", ".c")
_WEIGHTS = (".safetensors", ".th", ".pt", ".bin", ".onnx")


@contextmanager
def traced(folder: Path, *pids: int) -> Iterator[dict[int, list[str]]]:
    """The files that processes open during the block, filled in at its end."""
    opened: dict[int, list[str]] = {}
    tracers = {}
    for pid in pids:
        command = [
            "strace",
            "-f",
            "-o",
            str(folder / f"{pid}.trace"),
            "-e",
            "trace=open,openat,openat2",
            "-p",
            str(pid),
        ]
        tracers[pid] = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for tracer in tracers.values():
        assert tracer.stderr is not None
        assert "attached" in tracer.stderr.readline()
    yield opened
    for pid, tracer in tracers.items():
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=30)
        lines = (folder / f"{pid}.trace").read_text(encoding="utf-8").splitlines()
        opened[pid] = [match["path"] for line in lines if (match := _OPENED.match(line))]


def test_the_lent_region_is_mapped_in_both(live_pair: LivePair) -> None:
    """During the separation both processes have the same region of memory mapped."""
    client = live_pair.client
    job = client.create_render(brief(live_pair.persona, stems=True))
    until(client, job, at(job_pb2.STAGE_DENOISE))
    with turn_held(live_pair.data):
        until(client, job, at(job_pb2.STAGE_SEPARATE))
        lent, borrowed = loan_maps(live_pair.render_pid), loan_maps(live_pair.separation_pid)
    assert lent & borrowed
    assert client.wait(job).state == job_pb2.JOB_STATE_DONE


def test_a_second_take_opens_no_audio_no_weights_and_no_code(live_pair: LivePair, tmp_path: Path) -> None:
    """Until the stems are stored, no audio file, model, module or compiler output is opened: the pair stays warm."""
    require_debian("strace", "strace")
    take(live_pair.client, brief(live_pair.persona, stems=True))
    render, separation = live_pair.render_pid, live_pair.separation_pid
    with traced(tmp_path, render, separation) as opened:
        story = take(live_pair.client, brief(live_pair.persona, stems=True, seed=11))
    assert story.job.state == job_pb2.JOB_STATE_DONE
    assert opened[render], "the trace saw nothing"
    assert opened[separation], "the trace saw nothing"
    assert not [path for path in opened[separation] if path.endswith((".wav", ".flac"))]
    for paths in opened.values():
        models = [path for path in paths if path.endswith(_WEIGHTS) and "latents" not in path]
        code = [path for path in paths if path.endswith(_CODE)]
        assert (models, code) == ([], [])
