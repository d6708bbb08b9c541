"""Re-renders on the wire. Pure translation: what is malformed becomes a field violation."""

from __future__ import annotations

import math
from collections.abc import Mapping

from render_service.api import messages as wire
from render_service.brief import MAX_PROMPT_CHARACTERS
from render_service.rerender import DEFAULT_STRENGTH, Region
from render_service.usecases.drift_report import MIN_COUNT, MIN_SHARE, DriftReport
from render_service.usecases.rerender_stem import Change
from servicekit.delivery.names import STEMS, StemName
from servicekit.errors import FieldViolation, InvalidFields
from servicekit.text import has_control_characters
from sonichaos.jobs.v1 import brief_pb2
from sonichaos.render.v1 import render_pb2

_STEMS: Mapping[int, StemName] = {brief_pb2.Stem.Value(f"STEM_{stem.name}"): stem for stem in STEMS}


def read_reported_stem(value: int) -> StemName:
    """The stem that a drift report is asked of; drums where none is named. Raises InvalidFields."""
    if value == brief_pb2.STEM_UNSPECIFIED:
        return StemName.DRUMS
    if value not in _STEMS:
        raise InvalidFields([FieldViolation("stem", f"wants a Stem, got {value}")])
    return _STEMS[value]


def report_message(report: DriftReport) -> render_pb2.GetDriftReportResponse:
    """The report as a message."""
    drifts = [
        render_pb2.MeasuredDrift(
            job_id=drift.job_id,
            version=drift.version,
            within_limits=drift.within_limits,
            accepted=drift.accepted,
            measurable=drift.measurable,
            uncounted=not drift.judged,
            median_ms=drift.median_ms,
            p95_ms=drift.p95_ms,
            slope_ms_per_minute=drift.slope_ms_per_minute,
            slope_error_ms_per_minute=drift.slope_error_ms_per_minute,
            matched_share=drift.matched_share,
        )
        for drift in report.drifts
    ]
    return render_pb2.GetDriftReportResponse(
        stem=brief_pb2.Stem.Value(f"STEM_{report.stem.name}"),
        drifts=drifts,
        within_limits_count=report.within_limits_count,
        threshold_met=report.threshold_met,
        min_count=MIN_COUNT,
        min_share=MIN_SHARE,
    )


def canonical_json(message: render_pb2.RerenderStemRequest) -> str:
    """What a retry is compared by: everything but the request's own id."""
    content = render_pb2.RerenderStemRequest()
    content.CopyFrom(message)
    content.ClearField("request_id")
    return wire.canonical_json(content)


def read_change(message: render_pb2.RerenderStemRequest) -> Change:
    """The change as asked for. Raises InvalidFields naming every field that is wrong."""
    found: list[FieldViolation] = []
    stem = _STEMS.get(message.stem)
    if stem is None:
        found.append(FieldViolation("stem", "wants STEM_DRUMS, STEM_BASS, STEM_VOCALS or STEM_OTHER"))
    if len(message.prompt) > MAX_PROMPT_CHARACTERS:
        text = f"wants at most {MAX_PROMPT_CHARACTERS} characters, got {len(message.prompt)}"
        found.append(FieldViolation("prompt", text))
    if has_control_characters(message.prompt):
        found.append(FieldViolation("prompt", "wants text without control characters"))
    change = Change(
        job_id=message.job_id,
        base_version=message.base_version,
        stem=stem or StemName.OTHER,
        persona_id=message.persona_id,
        prompt=message.prompt if message.prompt.strip() else "",
        seed=message.seed if message.HasField("seed") else None,
        from_noise=message.from_noise,
        strength=_strength(message, found),
        region=_region(message, found),
        allow_drift=message.allow_drift,
        tempo_map=wire.read_tempo(message, found, root=""),
        key=wire.read_key(message.key, found, root=""),
    )
    if found:
        raise InvalidFields(found)
    return change


def _strength(message: render_pb2.RerenderStemRequest, found: list[FieldViolation]) -> float:
    strength = message.strength or DEFAULT_STRENGTH
    if not (math.isfinite(strength) and 0.0 < strength <= 1.0):
        found.append(FieldViolation("strength", f"wants more than 0 and at most 1, got {message.strength:g}"))
    elif message.from_noise and message.strength:
        found.append(FieldViolation("strength", "has no meaning with from_noise, which starts from noise alone"))
    return strength


def _region(message: render_pb2.RerenderStemRequest, found: list[FieldViolation]) -> Region | None:
    first, last = message.from_bar, message.to_bar
    if not first and not last:
        return None
    if not 1 <= first <= last:
        text = f"wants from_bar of 1 or more and to_bar not before it, got {first} to {last}; both 0 is the whole take"
        found.append(FieldViolation("from_bar", text))
        return None
    return Region(from_bar=first, to_bar=last)
