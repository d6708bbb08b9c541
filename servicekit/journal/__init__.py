"""Jobs, versions, numbered events and the audit chain of one installation, on SQLite or PostgreSQL."""

from servicekit.journal.audit_chain import canonical_json
from servicekit.journal.database import SchemaError
from servicekit.journal.journal import Journal
from servicekit.journal.rows import (
    Accepted,
    AuditDraft,
    AuditPage,
    AuditRow,
    ChainHead,
    ChainReport,
    Claim,
    ClaimLost,
    Event,
    EventDraft,
    EventPage,
    Job,
    JobFilter,
    JobPage,
    NewJob,
    NewVersion,
    Orders,
    Request,
    Version,
)
from servicekit.journal.states import EventKind, JobState, Owner, Stage, StemMode, Track

__all__ = [
    "Accepted",
    "AuditDraft",
    "AuditPage",
    "AuditRow",
    "ChainHead",
    "ChainReport",
    "Claim",
    "ClaimLost",
    "Event",
    "EventDraft",
    "EventKind",
    "EventPage",
    "Job",
    "JobFilter",
    "JobPage",
    "JobState",
    "Journal",
    "NewJob",
    "NewVersion",
    "Orders",
    "Owner",
    "Request",
    "SchemaError",
    "Stage",
    "StemMode",
    "Track",
    "Version",
    "canonical_json",
]
