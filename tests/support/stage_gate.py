"""Holds the work of a service at a point, so that a test can kill or pause a process exactly there.

A point is a stage, right after it was reported or in its middle, lies before or after a commit of stored files, or is a step of an
upload before its job exists. The work itself is the service's own. A service that was started with a gate looks for the point in a
file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from tests.support.pair import eventually

ZIP_STORED = "zip-stored"
BOUNCE_STORED, BOUNCE_COMMITTED = "bounce-stored", "bounce-committed"
STEMS_STORED, STEMS_COMMITTED = "stems-stored", "stems-committed"
MIDDLE = "-middle"
"""After the name of a stage: some of its steps are done, and others are not."""
UPLOAD_RECEIVED, UPLOAD_CHECKED = "upload-received", "upload-checked"
"""The first bytes of an upload are spooled and others are not; its header is checked and its samples are not."""
UPLOAD_STORED, UPLOAD_COMMITTED = "upload-stored", "upload-committed"
"""Its bounce is stored, without a job; its job is accepted and not answered."""
_POLL_S = 0.01


@dataclass(frozen=True)
class StageGate:
    """A gate of any number of services. ``folder`` exists."""

    folder: Path

    def close(self, service: str, point: str) -> None:
        """Hold the next work of a service that comes to a point, and all after it, until :meth:`open`."""
        self.open()
        (self.folder / "wanted").write_text(f"{service} {point}")
        (self.folder / "wanted").rename(self.folder / "closed")

    def held(self) -> int:
        """The process whose work is held, once there is one."""
        return int(eventually(lambda: next(self.folder.glob("held-*"), None), "work is held").name.partition("-")[2])

    def open(self) -> None:
        """Let all work go on."""
        (self.folder / "closed").unlink(missing_ok=True)
        for one in self.folder.glob("held-*"):
            one.unlink()

    def pass_through(self, service: str, point: str) -> None:
        """Called by the service's work."""
        if self._is_closed(service, point):
            (self.folder / f"held-{os.getpid()}").touch()
            while self._is_closed(service, point):
                time.sleep(_POLL_S)

    def _is_closed(self, service: str, point: str) -> bool:
        try:
            return (self.folder / "closed").read_text() == f"{service} {point}"
        except FileNotFoundError:
            return False


def install(gate: StageGate, service: str) -> None:
    """Make the work of this process, which is a service, pass through a gate."""
    from separation_service.pipeline import SeparationPipeline
    from separation_service.timing.progress import CallProgress
    from separation_service.uploads import admission
    from separation_service.uploads.spool import Spool
    from servicekit.journal import Journal
    from servicekit.work import Progress

    for progress in (Progress, CallProgress):
        _gate_stages(progress, gate, service)
    changed: tuple[tuple[Any, str, str, str], ...] = (
        (SeparationPipeline, "__call__", "", ZIP_STORED),
        (Progress, "bounce_ready", BOUNCE_STORED, BOUNCE_COMMITTED),
        (Progress, "stems_ready", STEMS_STORED, STEMS_COMMITTED),
        (Progress, "version_ready", STEMS_STORED, STEMS_COMMITTED),
        (Spool, "write", "", UPLOAD_RECEIVED),
        (admission, "read_upload_header", "", UPLOAD_CHECKED),
        (Journal, "accept", UPLOAD_STORED, UPLOAD_COMMITTED),
    )
    for owner, name, before, after in changed:
        setattr(owner, name, _passing(getattr(owner, name), gate, service, before, after))


def _passing(method: Callable[..., Any], gate: StageGate, service: str, before: str, after: str) -> Callable[..., Any]:
    @wraps(method)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        if before:
            gate.pass_through(service, before)
        result = method(*arguments, **named)
        gate.pass_through(service, after)
        return result

    return wrapped


def _gate_stages(owner: Any, gate: StageGate, service: str) -> None:
    """Pass through after each report of a stage, and after those of its steps that are not its last."""
    report_stage, report_step = owner.stage, owner.step
    stages: WeakKeyDictionary[Any, str] = WeakKeyDictionary()

    @wraps(report_stage)
    def stage(progress: Any, name: Any, *arguments: Any, **named: Any) -> None:
        report_stage(progress, name, *arguments, **named)
        stages[progress] = str(name)
        gate.pass_through(service, str(name))

    @wraps(report_step)
    def step(progress: Any, done: int, *, total: int | None = None, **named: Any) -> None:
        report_step(progress, done, total=total, **named)
        if total is not None and 0 < done < total:
            gate.pass_through(service, stages[progress] + MIDDLE)

    owner.stage, owner.step = stage, step
