"""Work on accepted versions: claims, progress, orders to stop, retries, drain."""

from servicekit.work.assignment import Assignment
from servicekit.work.cancellation import GivenBack, StopOrder, StopReason
from servicekit.work.orphans import UnnamedFiles
from servicekit.work.progress import Progress, StageWeights
from servicekit.work.retry import RetryPolicy
from servicekit.work.runner import Runner
from servicekit.work.staged_files import WholeOrNothing

__all__ = [
    "Assignment",
    "GivenBack",
    "Progress",
    "RetryPolicy",
    "Runner",
    "StageWeights",
    "StopOrder",
    "StopReason",
    "UnnamedFiles",
    "WholeOrNothing",
]
