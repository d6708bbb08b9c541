"""The journal's enums. Values are those of the ``sonichaos.jobs.v1`` and ``webhooks.v1`` enums without their prefix."""

from __future__ import annotations

from enum import StrEnum


class OwningService(StrEnum):
    """The one service that writes a job."""

    RENDER = "RENDER"
    SEPARATION = "SEPARATION"


class JobState(StrEnum):
    """State of a version."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        """True in a final state."""
        return self in ENDED


ENDED = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})
CLAIMED = frozenset({JobState.RUNNING, JobState.CANCELLING})


class ProgressTrack(StrEnum):
    """The two tracks on which progress is reported."""

    RENDER = "RENDER"
    STEMS = "STEMS"


class Stage(StrEnum):
    """A stage of the pipeline from brief to ZIP."""

    PLAN = "PLAN"
    DENOISE = "DENOISE"
    VOCODE = "VOCODE"
    BOUNCE = "BOUNCE"
    HANDOFF = "HANDOFF"
    RECEIVE = "RECEIVE"
    SEPARATE = "SEPARATE"
    ALIGN = "ALIGN"
    PACKAGE = "PACKAGE"
    STORE = "STORE"


class DataKind(StrEnum):
    """Kind of data that is erased, or that remains after an erasure."""

    JOBS = "JOBS"
    JOB_FILES = "JOB_FILES"
    EVENTS = "EVENTS"
    LABELS = "LABELS"
    REQUEST_IDS = "REQUEST_IDS"
    AUDIT_TEXTS = "AUDIT_TEXTS"
    AUDIT_ROWS = "AUDIT_ROWS"
    EARLIER_AUDIT_ROWS = "EARLIER_AUDIT_ROWS"
    MEASUREMENTS = "MEASUREMENTS"
    PERSONAS = "PERSONAS"
    UPLOADS = "UPLOADS"
    API_KEYS = "API_KEYS"
    USAGE = "USAGE"
    DATABASE_LOG = "DATABASE_LOG"
    SERVICE_LOG = "SERVICE_LOG"
    BACKUPS = "BACKUPS"
    WEBHOOKS = "WEBHOOKS"
    WEBHOOK_DELIVERIES = "WEBHOOK_DELIVERIES"


class EventKind(StrEnum):
    """Kind of an event."""

    STATE = "STATE"
    PROGRESS = "PROGRESS"
    BOUNCE_READY = "BOUNCE_READY"
    STEMS_READY = "STEMS_READY"
    DELETED = "DELETED"


class WebhookEventKind(StrEnum):
    """What a webhook is notified of."""

    VERSION_ENDED = "VERSION_ENDED"
    BOUNCE_READY = "BOUNCE_READY"


class WebhookDeliveryState(StrEnum):
    """State of a delivery. The last two are final."""

    WAITING = "WAITING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"


class WebhookProblem(StrEnum):
    """Why an attempt of a delivery failed, or why none was made."""

    STATUS = "STATUS"
    TIMEOUT = "TIMEOUT"
    NAME_NOT_RESOLVED = "NAME_NOT_RESOLVED"
    ADDRESS_NOT_ALLOWED = "ADDRESS_NOT_ALLOWED"
    CONNECTION_FAILED = "CONNECTION_FAILED"
    TLS_FAILED = "TLS_FAILED"
    INVALID_RESPONSE = "INVALID_RESPONSE"
    GONE = "GONE"
    TOO_MANY_WAITING = "TOO_MANY_WAITING"
    INTERRUPTED = "INTERRUPTED"
