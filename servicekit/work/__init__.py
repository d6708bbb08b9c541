"""Runs accepted versions: claims, progress, cancellation, retries, drain, and removal of staged and orphaned files."""

from servicekit.work.assignment import Assignment
from servicekit.work.cancellation import CancellationToken, StopReason, WorkerShutdown
from servicekit.work.progress import Progress
from servicekit.work.reporting import ProgressThrottle, estimate_time_left_s
from servicekit.work.retry import RetryPolicy, WaitBudget
from servicekit.work.runner import Runner
from servicekit.work.staged_files import StagedFiles, remove_orphaned_files
from servicekit.work.tracks import StageWeights

__all__ = [
    "Assignment",
    "CancellationToken",
    "Progress",
    "ProgressThrottle",
    "RetryPolicy",
    "Runner",
    "StageWeights",
    "StagedFiles",
    "StopReason",
    "WaitBudget",
    "WorkerShutdown",
    "estimate_time_left_s",
    "remove_orphaned_files",
]
