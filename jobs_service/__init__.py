"""JobsService over the journal and the object store, mounted by both services for the jobs they own."""

from jobs_service.deletion import JobDeletions
from jobs_service.feed import Feed
from jobs_service.messages import event_message, job_message
from jobs_service.server import JobsServicer

__all__ = ["Feed", "JobDeletions", "JobsServicer", "event_message", "job_message"]
