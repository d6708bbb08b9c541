"""ReplaceStem and AnalyzeAudio on the wire. Pure translation: what is malformed becomes a field violation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from separation_service.alignment import Analysis, BarRange, Grid, Hints
from separation_service.api import messages as wire
from separation_service.calls import CallResult
from separation_service.engine import SeparatorInfo
from separation_service.receive import LentBounce
from separation_service.rerender.base_version import BaseOrder
from separation_service.rerender.pipeline import Compared, ReplaceOrder
from separation_service.rerender.store import Replacement
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from servicekit.delivery.files import StoredFile, ZipEntry
from servicekit.delivery.names import STEMS, StemName
from servicekit.errors import FieldViolation, InvalidFields
from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos.separation.v1 import separation_pb2

_STEMS: Mapping[int, StemName] = {brief_pb2.Stem.Value(f"STEM_{stem.name}"): stem for stem in STEMS}
_ZIP_FILES = ("bounce.wav", *(f"{stem}.wav" for stem in STEMS), "manifest.json")
_BPM_RANGE = (30.0, 300.0)


def read_replace_request(request: separation_pb2.ReplaceStemRequest) -> ReplaceOrder:
    """What is to be replaced by what. Raises `InvalidFields`."""
    stem = _STEMS.get(request.stem)
    if stem is None:
        raise InvalidFields([FieldViolation("stem", "wants STEM_DRUMS, STEM_BASS, STEM_VOCALS or STEM_OTHER")])
    mix = _bounce_file(request.mix)
    lent = LentBounce(
        lease_id=request.lease_id,
        job_id=request.job_id,
        version=request.version,
        manifest_json=request.manifest_json,
        bounce=mix,
    )
    given = request.HasField("compare_with")
    return ReplaceOrder(
        lent=lent,
        stem=stem,
        base=_base(request.base),
        grid=_grid(request.grid),
        region=BarRange(from_bar=request.from_bar, to_bar=request.to_bar)
        if request.from_bar or request.to_bar
        else None,
        allow_drift=request.allow_drift,
        compare_with=_bounce_file(request.compare_with) if given else None,
    )


def _base(message: separation_pb2.BaseVersion) -> BaseOrder:
    entries = {
        entry.name: ZipEntry(
            name=entry.name,
            offset_bytes=entry.offset_bytes,
            size_bytes=entry.size_bytes,
            sha256=entry.sha256,
        )
        for entry in message.zip_entries
    }
    missing = [name for name in _ZIP_FILES if name not in entries]
    if missing:
        raise InvalidFields([FieldViolation("base.zip_entries", f"wants all six files, lacks {', '.join(missing)}")])
    return BaseOrder(version=message.version, zip_key=message.zip.key, entries=entries)


def _grid(message: separation_pb2.Grid) -> Grid:
    try:
        return Grid(
            seconds=message.seconds,
            beats_s=np.array(message.beat_seconds, dtype=np.float64),
            downbeats_s=np.array(message.downbeat_seconds, dtype=np.float64),
            subdivisions_s=np.array(message.subdivision_seconds, dtype=np.float64),
        )
    except ValueError as error:
        raise InvalidFields([FieldViolation("grid", str(error))]) from None


def _bounce_file(message: job_pb2.StoredFile) -> StoredFile:
    return StoredFile(key=message.key, size_bytes=message.size_bytes, sha256=message.sha256)


def replacement_message(
    result: CallResult[Replacement | Compared], info: SeparatorInfo
) -> separation_pb2.ReplaceStemResponse:
    """The last message of a call."""
    outcome = result.outcome
    if isinstance(outcome, Compared):
        comparison = separation_pb2.ReplacementComparison(
            stored_sha256=outcome.stored_sha256,
            replayed_sha256=outcome.replayed_sha256,
            largest_difference=outcome.largest,
            fingerprint=outcome.fingerprint,
        )
        return separation_pb2.ReplaceStemResponse(comparison=comparison)
    delivered, loudness = outcome.delivered, outcome.loudness
    message = separation_pb2.StemReplacement(
        bounce=wire.stored_file(outcome.bounce),
        loudness=job_pb2.Loudness(lufs=loudness.lufs, true_peak_dbtp=loudness.true_peak_dbtp),
        zip=wire.stored_file(delivered.zip),
        zip_entries=wire.entries_of(delivered),
        manifest=wire.stored_file(delivered.manifest),
        manifest_json=delivered.manifest_json,
        timings=wire.timings(result.times),
        separator=info.name,
        weights_sha256=info.weights_sha256,
        fingerprint=delivered.fingerprint,
    )
    return separation_pb2.ReplaceStemResponse(result=message)


@dataclass(frozen=True, kw_only=True)
class AnalysisOrder:
    """What is to be analysed, where it does not come as bytes, and what the caller knows of it."""

    store_key: str
    hints: Hints


def read_analysis_header(message: separation_pb2.AnalysisHeader) -> AnalysisOrder:
    """The header as asked for. Raises `InvalidFields` naming the fields that are wrong."""
    found: list[FieldViolation] = []
    low, high = message.min_bpm, message.max_bpm
    least, most = _BPM_RANGE
    if (low or high) and not least <= low < high <= most:
        text = f"wants min_bpm below max_bpm, both of {least:g} to {most:g}, got {low:g} and {high:g}"
        found.append(FieldViolation("header.min_bpm", text))
    if message.beats_per_bar > 16:
        found.append(FieldViolation("header.beats_per_bar", f"wants 1 to 16, got {message.beats_per_bar}"))
    if found:
        raise InvalidFields(found)
    hints = Hints(bpm_range=(low, high) if low else None, beats_per_bar=message.beats_per_bar or None)
    return AnalysisOrder(store_key=message.store_key, hints=hints)


def analysis_message(analysis: Analysis, frames: int) -> separation_pb2.AnalyzeAudioResponse:
    """What was estimated."""
    return separation_pb2.AnalyzeAudioResponse(
        tempo_map=_tempo_map(analysis) if analysis.tempo else None,
        tempo_confidence=analysis.tempo_confidence,
        other_bpm=analysis.other_bpm,
        downbeat_confidence=analysis.downbeat_confidence,
        key="" if analysis.key is None else str(analysis.key),
        key_confidence=analysis.key_confidence,
        seconds=frames / SAMPLE_RATE_HZ,
    )


def _tempo_map(analysis: Analysis) -> brief_pb2.TempoMap:
    points: Sequence[brief_pb2.TempoPoint] = [
        brief_pb2.TempoPoint(start_seconds=span.second, bpm=span.bpm, beats_per_bar=span.beats_per_bar, beat_unit=4)
        for span in analysis.tempo
    ]
    return brief_pb2.TempoMap(
        points=points, first_downbeat_seconds=analysis.first_downbeat_s, swing_ratio=analysis.swing
    )
