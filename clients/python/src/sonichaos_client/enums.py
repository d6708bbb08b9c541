"""The enumerations of the API as Python enums: they print by name and compare equal to the numbers in protobuf messages.

Protobuf messages hold plain numbers; ``JobState(job.state)`` converts one. The values are those of the protos.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal, Self, TypeAlias

StemName: TypeAlias = Literal["drums", "bass", "vocals", "other"]
"""A stem by its name, accepted where a `Stem` is."""


class ApiEnum(int, Enum):
    """An enum whose ``str`` is the member's name.

    A number that this version of the client does not know becomes a member named ``UNRECOGNIZED_<number>``.
    """

    def __str__(self) -> str:
        return self.name

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNRECOGNIZED_{value}"
        member._value_ = value
        return member


class JobState(ApiEnum):
    """The state of a job or of a version."""

    UNSPECIFIED = 0
    QUEUED = 1
    RUNNING = 2
    CANCELLING = 3
    DONE = 4
    FAILED = 5
    CANCELLED = 6


class EventKind(ApiEnum):
    """What a job event reports."""

    UNSPECIFIED = 0
    STATE = 1
    PROGRESS = 2
    BOUNCE_READY = 3
    STEMS_READY = 4
    DELETED = 5


class ProgressTrack(ApiEnum):
    """The two progress tracks of a version: the render, and its stems."""

    UNSPECIFIED = 0
    RENDER = 1
    STEMS = 2


class Stage(ApiEnum):
    """A stage of the pipeline."""

    UNSPECIFIED = 0
    PLAN = 1
    DENOISE = 2
    VOCODE = 3
    BOUNCE = 4
    HANDOFF = 5
    RECEIVE = 6
    SEPARATE = 7
    ALIGN = 8
    PACKAGE = 9
    STORE = 10


class OwningService(ApiEnum):
    """The service that owns a job."""

    UNSPECIFIED = 0
    RENDER = 1
    SEPARATION = 2

    @property
    def service_name(self) -> str:
        """Such as ``render_service``."""
        return f"{self.name.lower()}_service"


class Stem(ApiEnum):
    """One of the four stems."""

    UNSPECIFIED = 0
    DRUMS = 1
    BASS = 2
    VOCALS = 3
    OTHER = 4


class StemMode(ApiEnum):
    """How the stems relate to the bounce: an exact sum, or the model's own output."""

    UNSPECIFIED = 0
    EXACT = 1
    RAW = 2


class LicenceCoverage(ApiEnum):
    """The files that a licence covers."""

    UNSPECIFIED = 0
    BOUNCE = 1
    BOUNCE_AND_STEMS = 2


class FileKind(ApiEnum):
    """A stored file of a version."""

    UNSPECIFIED = 0
    BOUNCE = 1
    MANIFEST = 2
    ZIP = 3
    LATENTS = 4
    MIDI = 5


class ReplayOutcome(ApiEnum):
    """How a replay compares with the stored take."""

    UNSPECIFIED = 0
    EXACT = 1
    CLOSE = 2
    DIFFERENT = 3


class WebhookEventKind(ApiEnum):
    """What a webhook is notified of."""

    UNSPECIFIED = 0
    VERSION_ENDED = 1
    BOUNCE_READY = 2


class WebhookDeliveryState(ApiEnum):
    """The state of a delivery of a webhook."""

    UNSPECIFIED = 0
    WAITING = 1
    DELIVERED = 2
    FAILED = 3


class WebhookProblem(ApiEnum):
    """Why an attempt of a delivery failed, or why none was made."""

    UNSPECIFIED = 0
    STATUS = 1
    TIMEOUT = 2
    NAME_NOT_RESOLVED = 3
    ADDRESS_NOT_ALLOWED = 4
    CONNECTION_FAILED = 5
    TLS_FAILED = 6
    INVALID_RESPONSE = 7
    GONE = 8
    TOO_MANY_WAITING = 9
    INTERRUPTED = 10
