"""Translates AnalyzeAudio."""

from __future__ import annotations

from dataclasses import dataclass

from jobs_service.value_messages import tempo_map_message
from separation_service.alignment import Analysis, Hints
from separation_service.uploads.header import check_upload_key
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from servicekit.errors import FieldViolation, InvalidFields
from sonichaos.separation.v1 import separation_pb2

_MIN_BPM, _MAX_BPM = 30.0, 300.0
_MAX_BEATS_PER_BAR = 16


@dataclass(frozen=True, kw_only=True)
class AnalysisRequest:
    """Key of the file to analyse (empty: its bytes follow), what the caller knows of it, and whether another rate is converted."""

    store_key: str
    hints: Hints
    resample: bool


def read_analysis_header(message: separation_pb2.AnalysisHeader) -> AnalysisRequest:
    """The header's values. Raises `InvalidFields` with every field that is wrong."""
    found: list[FieldViolation] = []
    low, high = message.min_bpm, message.max_bpm
    if (low or high) and not _MIN_BPM <= low < high <= _MAX_BPM:
        wanted = f"must be below max_bpm, both between {_MIN_BPM:g} and {_MAX_BPM:g}"
        found.append(FieldViolation("header.min_bpm", f"{wanted}, got {low:g} and {high:g}"))
    if message.beats_per_bar > _MAX_BEATS_PER_BAR:
        wanted = f"must be between 1 and {_MAX_BEATS_PER_BAR}"
        found.append(FieldViolation("header.beats_per_bar", f"{wanted}, got {message.beats_per_bar}"))
    found += check_upload_key(message.store_key, "header.store_key")
    if found:
        raise InvalidFields(found)
    hints = Hints(bpm_range=(low, high) if low else None, beats_per_bar=message.beats_per_bar or None)
    return AnalysisRequest(store_key=message.store_key, hints=hints, resample=message.resample)


def analysis_message(analysis: Analysis, frames: int) -> separation_pb2.AnalyzeAudioResponse:
    """The estimates."""
    tempo_map = tempo_map_message(
        analysis.tempo, first_downbeat_s=analysis.first_downbeat_s, swing_ratio=analysis.swing
    )
    return separation_pb2.AnalyzeAudioResponse(
        tempo_map=tempo_map if analysis.tempo else None,
        tempo_confidence=analysis.tempo_confidence,
        other_bpm=analysis.other_bpm,
        downbeat_confidence=analysis.downbeat_confidence,
        key="" if analysis.key is None else str(analysis.key),
        key_confidence=analysis.key_confidence,
        seconds=frames / SAMPLE_RATE_HZ,
    )
