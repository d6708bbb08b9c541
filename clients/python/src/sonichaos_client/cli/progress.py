"""The progress of a version on stderr: one bar per track on a terminal, otherwise lines."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client.cli.formatting import lower
from sonichaos_client.cli.session import note
from sonichaos_client.enums import EventKind, OwningService, ProgressTrack
from sonichaos_client.events import JobEvent
from sonichaos_client.job_reference import owner_of

_LINES_PER_TRACK = 10


class ProgressDisplay(Protocol):
    """Shows events. A context manager, so that the terminal is restored."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, event: JobEvent) -> None:
        """Show one event."""


def progress_display(tracks: list[ProgressTrack], *, json_lines: bool) -> ProgressDisplay:
    """Bars on a terminal, otherwise lines; nothing if a program reads JSON without a terminal."""
    if sys.stderr.isatty():
        return ProgressBars(tracks)
    return NoDisplay() if json_lines else ProgressLines()


def tracks_of(job: job_pb2.Job, version: job_pb2.Version) -> list[ProgressTrack]:
    """The progress tracks of a version."""
    tracks = [ProgressTrack.RENDER] if owner_of(job) is OwningService.RENDER else []
    if version.stems_wanted or not tracks:
        tracks.append(ProgressTrack.STEMS)
    return tracks


def _details(event: JobEvent) -> str:
    if event.fraction >= 1.0:
        return "done"
    words = [lower(event.stage)] if event.stage else []
    if event.steps_total:
        words.append(f"{event.steps_done}/{event.steps_total}")
    if event.attempt > 1:
        words.append(f"(attempt {event.attempt})")
    if event.estimated_time_left is not None:
        left_s = round(event.estimated_time_left.total_seconds())
        words.append(f"about {left_s} s left" if left_s else "under 1 s left")
    return " ".join(words)


def _announcement(event: JobEvent) -> str:
    """The text for an event that is not only progress; empty otherwise."""
    match event.kind:
        case EventKind.BOUNCE_READY:
            return f"v{event.version}: the bounce is ready"
        case EventKind.STEMS_READY:
            return f"v{event.version}: the stems are ready"
        case EventKind.STATE:
            return f"v{event.version}: {lower(event.state)}"
        case EventKind.DELETED:
            return "deleted"
        case _:
            return ""


class ProgressBars:
    """One live bar per track."""

    def __init__(self, tracks: list[ProgressTrack]) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<6}"),
            BarColumn(bar_width=40),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[details]}", markup=False),
            console=Console(stderr=True),
        )
        self._tasks: dict[ProgressTrack, TaskID] = {}
        for track in tracks:
            self._task(track)

    def _task(self, track: ProgressTrack) -> TaskID:
        if track not in self._tasks:
            self._tasks[track] = self._progress.add_task(lower(track), total=1.0, details="waiting")
        return self._tasks[track]

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, event: JobEvent) -> None:
        """Move a bar, or print a line above the bars."""
        if event.track:
            self._progress.update(self._task(event.track), completed=event.fraction, details=_details(event))
        if event.kind in {EventKind.BOUNCE_READY, EventKind.STEMS_READY}:
            self._progress.console.print(_announcement(event), markup=False, highlight=False)


class ProgressLines:
    """A line for each new stage and each tenth of a track."""

    def __init__(self) -> None:
        self._shown: dict[tuple[int, ProgressTrack], tuple[int, int, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, event: JobEvent) -> None:
        """Print a line if something changed."""
        if event.track:
            self._show_track(event)
        if announcement := _announcement(event):
            note(announcement)

    def _show_track(self, event: JobEvent) -> None:
        tenths = int(event.fraction * _LINES_PER_TRACK + 1e-9)
        position = (event.attempt, event.stage, tenths)
        if self._shown.get((event.version, event.track)) == position:
            return
        self._shown[event.version, event.track] = position
        bar = "#" * tenths + "-" * (_LINES_PER_TRACK - tenths)
        note(f"{lower(event.track):<6} [{bar}] {event.fraction:>4.0%} {_details(event)}")


class NoDisplay:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, event: JobEvent) -> None:
        """Show nothing."""
