"""Work on accepted versions: claims, progress, orders to stop, retries, drain."""

from servicekit.work.assignment import Assignment
from servicekit.work.progress import Progress, StageWeights
from servicekit.work.retry import RetryPolicy
from servicekit.work.runner import Runner
from servicekit.work.stop import GivenBack, StopOrder, StopReason
from servicekit.work.unnamed_files import UnnamedFiles
from servicekit.work.whole_or_nothing import WholeOrNothing

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
