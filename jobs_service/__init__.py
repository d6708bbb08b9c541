"""JobsService over the journal and the object store, mounted by both services for the jobs they own."""

from jobs_service.deletion import JobDeletions
from jobs_service.feed import Feed
from jobs_service.messages import JobMessages, event_message
from jobs_service.retention import Retention
from jobs_service.server import JobsServicer
from jobs_service.store_marker import StoreMarker
from jobs_service.sweep import StoreSweep, UnnamedJobFiles
from jobs_service.upkeep import Upkeep
from jobs_service.upkeep_threads import UpkeepThreads

__all__ = [
    "Feed",
    "JobDeletions",
    "JobMessages",
    "JobsServicer",
    "Retention",
    "StoreMarker",
    "StoreSweep",
    "UnnamedJobFiles",
    "Upkeep",
    "UpkeepThreads",
    "event_message",
]
