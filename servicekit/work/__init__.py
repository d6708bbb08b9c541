"""Work on accepted versions: claims, progress, orders to stop, retries, drain."""

from servicekit.work.assignment import Assignment
from servicekit.work.cancellation import CancellationToken, GivenBack, StopReason
from servicekit.work.orphans import OrphanedFiles
from servicekit.work.progress import Progress, StageWeights
from servicekit.work.retry import RetryPolicy
from servicekit.work.runner import Runner
from servicekit.work.staged_files import StagedFiles

__all__ = [
    "Assignment",
    "CancellationToken",
    "GivenBack",
    "OrphanedFiles",
    "Progress",
    "RetryPolicy",
    "Runner",
    "StageWeights",
    "StagedFiles",
    "StopReason",
]
