"""The handoff stage of a re-render: one stem of the new mix replaces that of the base version.

A replay makes the same call; then nothing is stored, and the result is compared with the stored bounce.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import grpc

from jobs_service.journal_json import VersionFiles, loudness_json
from jobs_service.value_messages import (
    read_loudness,
    read_stored_file,
    stem_message,
    stored_file_message,
    zip_entry_messages,
)
from render_service.audit import rerender_draft
from render_service.bounce import Bounce, store_midi
from render_service.music.tempo_map import TempoMap
from render_service.rerender import Rerender
from render_service.separation.client import Cancellable, SeparationClient, progress_forwarder, read_stored_stems
from servicekit.audio.difference import Difference
from servicekit.delivery.files import StoredFile
from servicekit.delivery.manifest_json import manifest_text
from servicekit.store.object_store import ObjectStore
from servicekit.work import Assignment
from sonichaos.separation.v1 import separation_pb2


def store_rerender(
    mix: Bounce, rerender: Rerender, assignment: Assignment, *, separation: SeparationClient, store: ObjectStore
) -> None:
    """Have one stem of the new mix replaced, store manifest and notes, and commit the version with its audit row.

    Raises as separation_service, the store and the journal do; then what was stored is removed.
    """
    progress = assignment.progress

    def start_call(lease_id: str) -> grpc.CallIterator[separation_pb2.ReplaceStemResponse]:
        request = _request(mix, rerender, lease_id)
        request.attempt = assignment.attempt
        return separation.stub.ReplaceStem(request)

    with progress.staged_files(store) as staged:
        update = separation.lend_and_call(mix, start_call, work=progress, on_progress=progress_forwarder(progress))
        result = update.result
        bounce, loudness = read_stored_file(result.bounce), read_loudness(result.loudness)
        stems = read_stored_stems(result)
        staged.add(bounce.key)
        staged.add(stems.zip.key)
        text = stems.manifest_json.encode()
        manifest = progress.retrying(lambda: staged.put_bytes("manifest", text, content_type="application/json"))
        midi = progress.retrying(lambda: store_midi(mix.facts, staged))
        files = VersionFiles(bounce=bounce, zip=stems.zip, zip_entries=stems.zip_entries, manifest=manifest, midi=midi)
        progress.version_ready(
            files=files.json(),
            loudness=loudness_json(loudness),
            audit=rerender_draft(
                mix.manifest, mix.facts, rerender, bounce=bounce, loudness=loudness, stems=stems, midi=midi
            ),
        )


@dataclass(frozen=True)
class Comparison:
    """A replayed bounce compared with the stored one."""

    stored_sha256: str
    replayed_sha256: str
    difference: Difference
    fingerprint: Mapping[str, str]


def compare_rerender(
    mix: Bounce, rerender: Rerender, stored: StoredFile, *, separation: SeparationClient, work: Cancellable
) -> Comparison:
    """Have one stem of the mix replaced without storing anything, and the new bounce compared with ``stored``."""

    def start_call(lease_id: str) -> grpc.CallIterator[separation_pb2.ReplaceStemResponse]:
        request = _request(mix, rerender, lease_id)
        request.compare_with.CopyFrom(stored_file_message(stored))
        request.allow_drift = (
            True  # the verdict was given when the version was made, perhaps by another release's rules
        )
        return separation.stub.ReplaceStem(request)

    update = separation.lend_and_call(
        mix, start_call, work=work, on_progress=lambda _update: None, expected="comparison"
    )
    found = update.comparison
    return Comparison(
        stored_sha256=found.stored_sha256,
        replayed_sha256=found.replayed_sha256,
        difference=Difference(
            largest=found.largest_difference,
            spectral_db=found.spectral_difference_db if found.HasField("spectral_difference_db") else None,
            loudness_lu=found.loudness_difference_lu if found.HasField("loudness_difference_lu") else None,
        ),
        fingerprint=dict(found.fingerprint),
    )


def grid_message(tempo_map: TempoMap, seconds: float) -> separation_pb2.Grid:
    """The times of beats, bars and sixteenths in a take of ``seconds``."""
    return separation_pb2.Grid(
        beat_seconds=tempo_map.beats_s(seconds),
        downbeat_seconds=tempo_map.bars_s(seconds),
        subdivision_seconds=tempo_map.grid_s(seconds, divisions=4),
        seconds=seconds,
    )


def _request(mix: Bounce, rerender: Rerender, lease_id: str) -> separation_pb2.ReplaceStemRequest:
    base, plan = rerender.base, mix.facts.plan
    return separation_pb2.ReplaceStemRequest(
        lease_id=lease_id,
        job_id=mix.manifest.job_id,
        version=mix.manifest.version,
        stem=stem_message(rerender.stem),
        manifest_json=manifest_text(mix.manifest),
        mix=stored_file_message(mix.file_at("")),
        base=separation_pb2.BaseVersion(
            version=base.version,
            zip=stored_file_message(base.zip),
            zip_entries=zip_entry_messages(base.entries),
        ),
        grid=grid_message(plan.tempo_map, plan.seconds),
        from_bar=rerender.region.from_bar if rerender.region else 0,
        to_bar=rerender.region.to_bar if rerender.region else 0,
        allow_drift=rerender.allow_drift,
        match_mix=rerender.match_mix,
        prefer_new_sound=rerender.prefer_new_sound,
        note_seconds=() if plan.score is None else plan.score.starts_s(rerender.stem),
        new_part=rerender.new_part,
        loop=rerender.loop,
    )
