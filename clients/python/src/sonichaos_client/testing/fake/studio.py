"""What all work of the fake shares."""

from __future__ import annotations

from dataclasses import dataclass

from sonichaos_client.testing.fake.audit import AuditChain
from sonichaos_client.testing.fake.clock import VirtualClock
from sonichaos_client.testing.fake.faults import Faults
from sonichaos_client.testing.fake.files import FileStore
from sonichaos_client.testing.fake.personas import Personas
from sonichaos_client.testing.fake.records import Records

_SPEED_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Speeds:
    """Seconds of the clock that each track takes for ten seconds of audio or less; longer takes take longer in proportion."""

    render_s: float = 1.0
    stems_s: float = 1.0

    def render_time_s(self, audio_s: float) -> float:
        """How long the track "render" takes."""
        return self.render_s * max(audio_s / _SPEED_SECONDS, 1.0)

    def stems_time_s(self, audio_s: float) -> float:
        """How long the track "stems" takes."""
        return self.stems_s * max(audio_s / _SPEED_SECONDS, 1.0)


@dataclass(frozen=True, kw_only=True)
class Studio:
    """What all work of the fake shares."""

    clock: VirtualClock
    records: Records
    files: FileStore
    audit: AuditChain
    personas: Personas
    faults: Faults
    speeds: Speeds
