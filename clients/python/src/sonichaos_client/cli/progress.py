"""A version's progress on stderr: a bar for each track on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client.cli.session import note

_TRACKS = {job_pb2.PROGRESS_TRACK_RENDER: "render", job_pb2.PROGRESS_TRACK_STEMS: "stems"}
_LINES_A_TRACK = 10


class Display(Protocol):
    """Shows events; a ``with`` block, so that the terminal is left tidy."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, event: job_pb2.JobEvent) -> None:
        """Show one event."""


def display(tracks: list[job_pb2.ProgressTrack.ValueType], *, json_lines: bool) -> Display:
    """Bars on a terminal; elsewhere lines, or nothing where a program reads JSON."""
    if sys.stderr.isatty():
        return Bars(tracks)
    return Nothing() if json_lines else Lines()


def tracks_of(job: job_pb2.Job, version: job_pb2.Version) -> list[job_pb2.ProgressTrack.ValueType]:
    """The tracks that a version has."""
    tracks = [] if job.owner == job_pb2.OWNING_SERVICE_SEPARATION else [job_pb2.PROGRESS_TRACK_RENDER]
    if version.stems_wanted or not tracks:
        tracks.append(job_pb2.PROGRESS_TRACK_STEMS)
    return tracks


def stage_name(stage: job_pb2.Stage.ValueType) -> str:
    """Such as ``denoise``."""
    return job_pb2.Stage.Name(stage).removeprefix("STAGE_").lower()


def state_name(state: job_pb2.JobState.ValueType) -> str:
    """Such as ``running``."""
    return job_pb2.JobState.Name(state).removeprefix("JOB_STATE_").lower()


def _about(event: job_pb2.JobEvent) -> str:
    words = [stage_name(event.stage)] if event.stage else []
    if event.steps_total:
        words.append(f"{event.steps_done}/{event.steps_total}")
    if event.attempt > 1:
        words.append(f"(attempt {event.attempt})")
    if event.HasField("estimated_time_left"):
        words.append(f"about {event.estimated_time_left.ToTimedelta().total_seconds():.0f} s left")
    return " ".join(words)


def _news(event: job_pb2.JobEvent) -> str:
    """What an event tells beyond progress; empty where it tells nothing."""
    if event.kind == job_pb2.EVENT_KIND_BOUNCE_READY:
        return f"v{event.version}: the bounce is ready"
    if event.kind == job_pb2.EVENT_KIND_STEMS_READY:
        return f"v{event.version}: the stems are ready"
    if event.kind == job_pb2.EVENT_KIND_STATE:
        return f"v{event.version}: {state_name(event.state)}"
    if event.kind == job_pb2.EVENT_KIND_DELETED:
        return "deleted"
    return ""


class Bars:
    """Live bars, one a track."""

    def __init__(self, tracks: list[job_pb2.ProgressTrack.ValueType]) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<6}"),
            BarColumn(bar_width=40),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[about]}", markup=False),
            console=Console(stderr=True),
        )
        self._tasks: dict[int, TaskID] = {}
        for track in tracks:
            self._task(track)

    def _task(self, track: job_pb2.ProgressTrack.ValueType) -> TaskID:
        if track not in self._tasks:
            self._tasks[track] = self._progress.add_task(_TRACKS.get(track, "?"), total=1.0, about="waiting")
        return self._tasks[track]

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, event: job_pb2.JobEvent) -> None:
        """Move a bar, or write a line above the bars."""
        if event.track:
            self._progress.update(self._task(event.track), completed=event.fraction, about=_about(event))
        if event.kind in {job_pb2.EVENT_KIND_BOUNCE_READY, job_pb2.EVENT_KIND_STEMS_READY}:
            self._progress.console.print(_news(event), markup=False, highlight=False)


class Lines:
    """A line at each new stage and each further tenth of a track."""

    def __init__(self) -> None:
        self._shown: dict[tuple[int, int], tuple[int, int, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, event: job_pb2.JobEvent) -> None:
        """Write a line where there is something new."""
        if event.track:
            self._show_track(event)
        if news := _news(event):
            note(news)

    def _show_track(self, event: job_pb2.JobEvent) -> None:
        tenths = int(event.fraction * _LINES_A_TRACK + 1e-9)
        mark = (event.attempt, event.stage, tenths)
        if self._shown.get((event.version, event.track)) == mark:
            return
        self._shown[event.version, event.track] = mark
        bar = "#" * tenths + "-" * (_LINES_A_TRACK - tenths)
        note(f"{_TRACKS.get(event.track, '?'):<6} [{bar}] {event.fraction:>4.0%} {_about(event)}")


class Nothing:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, event: job_pb2.JobEvent) -> None:
        """Show nothing."""
