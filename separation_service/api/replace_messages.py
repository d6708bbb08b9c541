"""Translates ReplaceStem."""

from __future__ import annotations

import numpy as np

from jobs_service.value_messages import (
    loudness_message,
    read_stem,
    read_stored_file,
    read_zip_entries,
    stored_file_message,
    zip_entry_messages,
)
from separation_service.alignment import BarRange, Grid
from separation_service.alignment.timing import StemNotes
from separation_service.api import messages as wire
from separation_service.calls import CallResult, ReplaceRequest
from separation_service.engine import SeparatorInfo
from separation_service.receive import LoanedAudio
from separation_service.rerender.base_version import BaseVersionRef
from separation_service.rerender.compare import Comparison
from separation_service.rerender.replacement import Replacement
from separation_service.store import StoredPackage
from servicekit.delivery.names import STEMS
from servicekit.errors import FieldViolation, Internal, InvalidFields
from sonichaos.separation.v1 import separation_pb2

_MAX_NOTES = 20_000
_ZIP_FILES = ("bounce.wav", *(f"{stem}.wav" for stem in STEMS), "manifest.json")


def read_replace_request(request: separation_pb2.ReplaceStemRequest) -> ReplaceRequest:
    """The request's values. Raises `InvalidFields`."""
    stem = read_stem(request.stem)
    if stem is None:
        wanted = "must be STEM_DRUMS, STEM_BASS, STEM_VOCALS or STEM_OTHER"
        raise InvalidFields([FieldViolation("stem", f"{wanted}, got {request.stem}")])
    mix = LoanedAudio(
        lease_id=request.lease_id,
        job_id=request.job_id,
        version=request.version,
        attempt=request.attempt,
        manifest_json=request.manifest_json,
        file=read_stored_file(request.mix),
    )
    bars = BarRange(from_bar=request.from_bar, to_bar=request.to_bar)
    replacement = Replacement(
        stem=stem,
        base=_base_version(request.base),
        grid=_grid(request.grid),
        region=bars if request.from_bar or request.to_bar else None,
        allow_drift=request.allow_drift,
        match_mix=request.match_mix,
        prefer_new_sound=request.prefer_new_sound,
        notes=_notes(request),
        loop=request.loop,
    )
    compare_with = read_stored_file(request.compare_with) if request.HasField("compare_with") else None
    return ReplaceRequest(mix=mix, replacement=replacement, compare_with=compare_with)


def _base_version(message: separation_pb2.BaseVersion) -> BaseVersionRef:
    entries = {entry.name: entry for entry in read_zip_entries(message.zip_entries)}
    missing = [name for name in _ZIP_FILES if name not in entries]
    if missing:
        wanted = f"must have {', '.join(_ZIP_FILES)}"
        raise InvalidFields([FieldViolation("base.zip_entries", f"{wanted}; {', '.join(missing)} missing")])
    return BaseVersionRef(number=message.version, zip_key=message.zip.key, entries=entries)


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


def _notes(request: separation_pb2.ReplaceStemRequest) -> StemNotes | None:
    if not request.note_seconds:
        return None
    if len(request.note_seconds) > _MAX_NOTES:
        text = f"must have at most {_MAX_NOTES} values, got {len(request.note_seconds)}"
        raise InvalidFields([FieldViolation("note_seconds", text)])
    try:
        return StemNotes(starts_s=np.array(request.note_seconds), new_part=request.new_part)
    except ValueError as error:
        raise InvalidFields([FieldViolation("note_seconds", str(error))]) from None


def replace_result(
    result: CallResult[StoredPackage | Comparison], info: SeparatorInfo
) -> separation_pb2.ReplaceStemResponse:
    """The last message of a call."""
    if isinstance(result.value, Comparison):
        return separation_pb2.ReplaceStemResponse(comparison=_comparison(result.value))
    stored = result.value
    if stored.bounce is None:
        raise Internal("a re-render must store its bounce", metadata={"stage": "STORE"})
    message = separation_pb2.StemReplacement(
        bounce=stored_file_message(stored.bounce.file),
        loudness=loudness_message(stored.bounce.loudness),
        zip=stored_file_message(stored.zip),
        zip_entries=zip_entry_messages(stored.entries),
        manifest=stored_file_message(stored.manifest),
        manifest_json=stored.manifest_json,
        timings=wire.timings(result.stage_times),
        separator=info.name,
        weights_sha256=info.weights_sha256,
        fingerprint=stored.fingerprint,
    )
    return separation_pb2.ReplaceStemResponse(result=message)


def _comparison(comparison: Comparison) -> separation_pb2.ReplacementComparison:
    return separation_pb2.ReplacementComparison(
        stored_sha256=comparison.stored_sha256,
        replayed_sha256=comparison.replayed_sha256,
        largest_difference=comparison.difference.largest,
        spectral_difference_db=comparison.difference.spectral_db,
        loudness_difference_lu=comparison.difference.loudness_lu,
        fingerprint=comparison.fingerprint,
    )
