"""Shared values as messages and back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from jobs_service import value_messages as messages
from servicekit.audio.loudness import Loudness
from servicekit.delivery.manifest import Licence
from servicekit.delivery.names import STEMS, LicenceCoverage, StemMode
from servicekit.errors import FieldViolation
from servicekit.journal import Stage
from sonichaos.jobs.v1 import brief_pb2, job_pb2


def test_every_value_of_an_enum_reads_back() -> None:
    """Stems, stem modes, stages and coverages; what is unspecified is None."""
    assert [messages.read_stem(messages.stem_message(stem)) for stem in STEMS] == list(STEMS)
    assert [messages.read_stem_mode(messages.stem_mode_message(mode)) for mode in StemMode] == list(StemMode)
    assert [messages.read_stage(messages.stage_message(stage)) for stage in Stage] == list(Stage)
    assert messages.read_stem(brief_pb2.STEM_UNSPECIFIED) is None
    assert messages.read_stage(job_pb2.STAGE_UNSPECIFIED) is None


def test_the_wire_names_no_value_that_is_missing_here() -> None:
    """A value that is added to a proto has to be added here too."""
    assert len(brief_pb2.Stem.values()) == len(STEMS) + 1
    assert len(brief_pb2.StemMode.values()) == len(StemMode) + 1
    assert len(job_pb2.Stage.values()) == len(Stage) + 1
    assert len(brief_pb2.LicenceCoverage.values()) == len(LicenceCoverage) + 1


def test_a_licence_reads_back_and_an_unknown_coverage_is_a_violation() -> None:
    """An unspecified coverage is bounce and stems."""
    violations: list[FieldViolation] = []
    licence = Licence(tier="sync", licensee="me", terms="t", covers=LicenceCoverage.BOUNCE)
    assert messages.read_licence(messages.licence_message(licence), violations, field="brief.licence") == licence
    assert messages.read_licence(brief_pb2.Licence(), violations, field="brief.licence") == Licence()
    assert violations == []
    unknown = brief_pb2.Licence.FromString(b"\x20\x63")  # covers = 99
    assert messages.read_licence(unknown, violations, field="brief.licence") == Licence()
    assert [violation.field for violation in violations] == ["brief.licence.covers"]


def test_an_unknown_stem_mode_is_a_violation() -> None:
    """Unspecified is exact."""
    violations: list[FieldViolation] = []
    unspecified = messages.read_requested_stem_mode(
        brief_pb2.STEM_MODE_UNSPECIFIED, violations, field="brief.stem_mode"
    )
    assert unspecified is StemMode.EXACT
    assert not violations
    messages.read_requested_stem_mode(brief_pb2.StemMode.ValueType(9), violations, field="brief.stem_mode")
    assert [violation.field for violation in violations] == ["brief.stem_mode"]


@pytest.mark.parametrize(
    "loudness", [Loudness(lufs=None, true_peak_dbtp=None), Loudness(lufs=-14.5, true_peak_dbtp=0.0)]
)
def test_loudness_reads_back(loudness: Loudness) -> None:
    """Silence has none, which is not 0."""
    assert messages.read_loudness(messages.loudness_message(loudness)) == loudness


def test_times_read_back_and_malformed_ones_are_none() -> None:
    """Protobuf's integers hold times that a datetime does not."""
    moment = datetime(2026, 1, 2, 3, 4, 5, 600000, tzinfo=UTC)
    assert messages.read_time(messages.timestamp(moment)) == moment
    assert messages.read_time(Timestamp(seconds=1 << 60)) is None
    assert messages.read_time(Timestamp(nanos=-1)) is None
