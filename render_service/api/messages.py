"""The service's own values as messages of ``sonichaos.render.v1``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from jobs_service.value_messages import stem_message, timestamp
from render_service.composer.style import Instrumentation, Mood, Recognized, StyleReading
from render_service.music.prompt_words import PromptFacts
from render_service.personas.persona import Persona
from render_service.renderers.renderer import RendererInfo
from render_service.usecases.drift_report import MIN_COUNT, MIN_SHARE, DriftReport
from render_service.usecases.replay import Replay
from servicekit.journal import AuditRow, Estimate, canonical_json
from sonichaos.render.v1 import render_pb2

MAX_DRIFTS = 10_000
"""Of them a response has at most 2 MB, and gRPC's clients accept 4 MiB; the counts are of all."""


def persona_message(persona: Persona) -> render_pb2.Persona:
    """A persona."""
    return render_pb2.Persona(
        id=persona.id,
        prefix=persona.prefix,
        embedding=persona.embedding,
        clip_sha256=persona.clip_sha256,
        built_in=persona.built_in,
        create_time=timestamp(persona.created_at) if persona.created_at else None,
        encoder_sha256=persona.encoder_sha256,
    )


def prompt_analysis_message(facts: PromptFacts, style: StyleReading | None) -> render_pb2.AnalyzePromptResponse:
    """What was read from a prompt; ``style`` is None for a renderer that reads none."""
    response = render_pb2.AnalyzePromptResponse(
        key="" if facts.key is None else str(facts.key), instrumental=facts.instrumental
    )
    if style is not None:
        response.instrumentation.extend(map(_recognized, style.recognized_families))
        if style.recognized_mood is not None:
            response.mood.CopyFrom(_recognized(style.recognized_mood))
    bpm_range = facts.bpm_range if facts.bpm is None else (facts.bpm, facts.bpm)
    if bpm_range is not None:
        words = facts.tempo_quote
        response.tempo.CopyFrom(render_pb2.RecognizedValue(value=words, text=words, listed=True))
        response.min_bpm, response.max_bpm = bpm_range
    return response


def _recognized(found: Recognized[Instrumentation] | Recognized[Mood]) -> render_pb2.RecognizedValue:
    return render_pb2.RecognizedValue(value=found.value.value, text=found.quote, listed=found.listed)


def estimate_message(estimate: Estimate) -> render_pb2.EstimateRenderResponse:
    """An estimate; what is not known is not set."""
    response = render_pb2.EstimateRenderResponse(versions_ahead=estimate.versions_ahead)
    if estimate.end_time is not None:
        response.estimated_end_time.CopyFrom(timestamp(estimate.end_time))
    if estimate.duration_s is not None:
        response.estimated_duration.FromTimedelta(timedelta(seconds=estimate.duration_s))
    return response


def audit_row_message(row: AuditRow) -> render_pb2.AuditRow:
    """An audit row; erased texts are empty."""
    return render_pb2.AuditRow(
        sequence=row.sequence,
        job_id=row.job_id,
        version=row.version,
        kind=row.kind,
        body_json=row.body_json,
        prompt=row.prompt or "",
        personal_json=canonical_json(row.personal) if row.personal else "",
        previous_digest=row.previous_digest,
        digest=row.digest,
        create_time=timestamp(row.create_time),
    )


def drift_report_message(report: DriftReport) -> render_pb2.GetDriftReportResponse:
    """A drift report, with the thresholds that it was judged by."""
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
            judged_against=drift.judged_against,
        )
        for drift in report.drifts[-MAX_DRIFTS:]
    ]
    return render_pb2.GetDriftReportResponse(
        stem=stem_message(report.stem),
        drifts=drifts,
        within_limits_count=report.within_limits_count,
        threshold_met=report.threshold_met,
        min_count=MIN_COUNT,
        min_share=MIN_SHARE,
    )


def replay_message(replay: Replay) -> render_pb2.ReplayTakeResponse:
    """The outcome of a replay."""
    return render_pb2.ReplayTakeResponse(
        outcome=render_pb2.ReplayOutcome.Value(f"REPLAY_OUTCOME_{replay.outcome.name}"),
        difference_dbfs=replay.difference_dbfs,
        spectral_difference_db=replay.spectral_db,
        loudness_difference_lu=replay.loudness_lu,
        stored_sha256=replay.stored_sha256,
        replayed_sha256=replay.replayed_sha256,
        fingerprint_differences=replay.fingerprint_differences,
    )


def model_info_message(
    info: RendererInfo, fingerprint: Mapping[str, str], *, supports_score: bool, allow_drums: bool
) -> render_pb2.GetModelInfoResponse:
    """The loaded renderer, the execution fingerprint, and whether drums may be re-rendered."""
    return render_pb2.GetModelInfoResponse(
        name=info.name,
        licence=info.licence,
        models=[render_pb2.ModelDigest(role=m.role, sha256=m.sha256, parameters=m.parameters) for m in info.models],
        min_seconds=info.min_seconds,
        max_seconds=info.max_seconds,
        fingerprint=fingerprint,
        supports_lyrics=info.supports_lyrics,
        supports_score=supports_score,
        drums_rerender_enabled=allow_drums,
    )
