"""The journal's closed vocabularies: names of ``sonichaos.jobs.v1`` enums without their prefix."""

from __future__ import annotations

from enum import StrEnum


class Owner(StrEnum):
    """Which service made a job and is the only one that writes it."""

    RENDER = "RENDER"
    SEPARATION = "SEPARATION"


class JobState(StrEnum):
    """Where a version stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        """True where nothing more will happen by itself."""
        return self in ENDED


ENDED = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})
CLAIMED = frozenset({JobState.RUNNING, JobState.CANCELLING})


class ProgressTrack(StrEnum):
    """The two tracks on which progress is reported."""

    RENDER = "RENDER"
    STEMS = "STEMS"


class Stage(StrEnum):
    """A step of the road from brief to ZIP."""

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


class EventKind(StrEnum):
    """What an event tells."""

    STATE = "STATE"
    PROGRESS = "PROGRESS"
    BOUNCE_READY = "BOUNCE_READY"
    STEMS_READY = "STEMS_READY"
    DELETED = "DELETED"
