"""The Python API: what is exported, enumerations by name, events, and keyword arguments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor

import sonichaos_client
from sonichaos.jobs.v1 import brief_pb2, job_pb2, jobs_service_pb2
from sonichaos.render.v1 import render_pb2
from sonichaos.separation.v1 import separation_pb2
from sonichaos.webhooks.v1 import webhooks_pb2
from sonichaos_client import (
    AnalysisFields,
    Brief,
    BriefFields,
    EventKind,
    FileKind,
    JobEvent,
    JobState,
    Licence,
    LicenceCoverage,
    OwningService,
    ProgressTrack,
    ReplayOutcome,
    RerenderFields,
    SeparationFields,
    SonichaosError,
    Stage,
    Stem,
    StemMode,
    WebhookDeliveryState,
    WebhookEventKind,
    WebhookProblem,
    errors,
)
from sonichaos_client.enums import ApiEnum
from sonichaos_client.fields import message_of
from sonichaos_client.render import brief_of


@pytest.mark.parametrize(
    ("enum", "descriptor"),
    [
        (EventKind, job_pb2.EventKind.DESCRIPTOR),
        (FileKind, jobs_service_pb2.FileKind.DESCRIPTOR),
        (JobState, job_pb2.JobState.DESCRIPTOR),
        (LicenceCoverage, brief_pb2.LicenceCoverage.DESCRIPTOR),
        (OwningService, job_pb2.OwningService.DESCRIPTOR),
        (ProgressTrack, job_pb2.ProgressTrack.DESCRIPTOR),
        (ReplayOutcome, render_pb2.ReplayOutcome.DESCRIPTOR),
        (Stage, job_pb2.Stage.DESCRIPTOR),
        (Stem, brief_pb2.Stem.DESCRIPTOR),
        (StemMode, brief_pb2.StemMode.DESCRIPTOR),
        (WebhookDeliveryState, webhooks_pb2.WebhookDeliveryState.DESCRIPTOR),
        (WebhookEventKind, webhooks_pb2.WebhookEventKind.DESCRIPTOR),
        (WebhookProblem, webhooks_pb2.WebhookProblem.DESCRIPTOR),
    ],
)
def test_each_enum_mirrors_its_protobuf_enum(enum: type[ApiEnum], descriptor: EnumDescriptor) -> None:
    """Same values, and the same names without the prefix."""
    prefix = descriptor.values[0].name.removesuffix("UNSPECIFIED")
    assert {member.name: int(member) for member in enum} == {
        value.name.removeprefix(prefix): value.number for value in descriptor.values
    }


def test_an_enum_prints_by_name_and_equals_its_number() -> None:
    """In print and in format strings; a number of a later release has a name too."""
    assert (str(Stage.DENOISE), f"{Stage.DENOISE:>8}") == ("DENOISE", " DENOISE")
    assert Stage.DENOISE == job_pb2.STAGE_DENOISE
    assert {job_pb2.STAGE_DENOISE: "same key"}[Stage.DENOISE] == "same key"
    assert str(Stage(99)) == "UNRECOGNIZED_99"
    assert Stage(99) == 99
    with pytest.raises(ValueError, match="DENOISE"):
        Stage("DENOISE")


def test_every_exception_is_exported() -> None:
    """Whatever a call can raise is caught by a name of the package."""
    exceptions = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, SonichaosError) and not name.startswith("_")
    }
    assert exceptions <= set(sonichaos_client.__all__)
    assert all(name.endswith("Error") for name in exceptions)
    assert all(f"{name} " in str(errors.__doc__) or f"{name}\n" in str(errors.__doc__) for name in exceptions)


def test_every_exported_name_exists() -> None:
    """``from sonichaos_client import *`` works."""
    assert all(hasattr(sonichaos_client, name) for name in sonichaos_client.__all__)


def test_an_event_has_enums_and_python_times() -> None:
    """What a message leaves out is None or UNSPECIFIED."""
    message = job_pb2.JobEvent(
        job_id="j-1", sequence=4, version=1, kind=job_pb2.EVENT_KIND_PROGRESS, stage=job_pb2.STAGE_VOCODE, fraction=0.5
    )
    message.event_time.FromDatetime(datetime(2026, 3, 4, tzinfo=UTC))
    event = JobEvent.from_message(message)
    assert (str(event.kind), str(event.stage), str(event.track)) == ("PROGRESS", "VOCODE", "UNSPECIFIED")
    assert (event.event_time, event.estimated_time_left, event.error) == (datetime(2026, 3, 4, tzinfo=UTC), None, None)
    message.estimated_time_left.FromTimedelta(timedelta(seconds=1.5))
    message.error.code, message.error.message = 5, "gone"
    event = JobEvent.from_message(message)
    assert event.estimated_time_left == timedelta(seconds=1.5)
    assert isinstance(event.error, errors.NotFoundError)
    assert event.message is message


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"kind": job_pb2.EVENT_KIND_STATE, "state": job_pb2.JOB_STATE_QUEUED}, "v2 queued"),
        ({"kind": job_pb2.EVENT_KIND_PROGRESS, "stage": job_pb2.STAGE_DENOISE, "fraction": 0.384}, "v2 denoise 38%"),
        ({"kind": job_pb2.EVENT_KIND_BOUNCE_READY, "stage": job_pb2.STAGE_BOUNCE, "fraction": 1.0}, "v2 bounce ready"),
        ({"kind": job_pb2.EVENT_KIND_STATE, "state": job_pb2.JOB_STATE_DONE}, "v2 done"),
        ({"kind": 99}, "v2 unrecognized 99"),
    ],
)
def test_an_event_prints_as_what_it_reports(fields: dict[str, Any], text: str) -> None:
    """Its version, and the stage with its progress, or the news."""
    assert str(JobEvent.from_message(job_pb2.JobEvent(job_id="j-1", version=2, **fields))) == text


def _fields_of(descriptor: Descriptor) -> set[str]:
    return {field.name for field in descriptor.fields}


def test_keyword_arguments_are_the_fields_of_the_messages() -> None:
    """Every field of a request can be passed; what the client itself fills in is left out."""
    assert set(BriefFields.__annotations__) == _fields_of(Brief.DESCRIPTOR)
    assert set(RerenderFields.__annotations__) == _fields_of(render_pb2.RerenderStemRequest.DESCRIPTOR) - {
        "request_id",
        "job_id",
        "stem",
    }
    assert set(SeparationFields.__annotations__) == _fields_of(separation_pb2.SeparationHeader.DESCRIPTOR) - {
        "request_id",
        "file_name",
        "sha256",
        "store_key",
    }
    assert set(AnalysisFields.__annotations__) == _fields_of(separation_pb2.AnalysisHeader.DESCRIPTOR) - {"store_key"}


def test_keyword_arguments_become_a_brief() -> None:
    """Enums, times and nested messages are converted; None is left to the service."""
    fields: dict[str, Any] = {
        "prompt": "a",
        "persona_id": "ember",
        "seed": None,
        "seconds": 8,
        "stem_mode": StemMode.RAW,
        "labels": {"reel": "3"},
        "licence": Licence(tier="sync"),
        "expire_time": datetime(2026, 3, 4, tzinfo=UTC),
    }
    brief = brief_of(None, fields)  # type: ignore[arg-type]
    assert not brief.HasField("seed")
    assert (brief.seconds, brief.stem_mode, dict(brief.labels)) == (8.0, brief_pb2.STEM_MODE_RAW, {"reel": "3"})
    assert brief.expire_time.ToDatetime(tzinfo=UTC) == fields["expire_time"]
    assert brief_of(brief, {}) is brief


def test_a_wrong_keyword_argument_is_a_type_error() -> None:
    """As for any Python function, and the message lists the valid names."""
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'promt'.*prompt"):
        message_of(Brief, {"promt": "a"}, allowed=BriefFields)
    with pytest.raises(TypeError, match="not both"):
        brief_of(Brief(), {"prompt": "a"})
    with pytest.raises(TypeError, match="prompt"):
        brief_of(None, {})
