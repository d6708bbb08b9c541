"""The handoff of a re-render: the new mix is lent, one stem of it takes the place of the base version's, the version is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf import json_format

from render_service.audited import AUDIT_STEMS
from render_service.bounce import Bounce, make_bounce
from render_service.bounce_facts import BounceFacts
from render_service.music.tempo_map import TempoMap
from render_service.renderers.renderer import Waveform
from render_service.rerender import Rerender
from render_service.separation.client import REGION_WAIT_S, SeparationClient, Stoppable, follow, zip_facts
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from servicekit.delivery.manifest_json import manifest_text
from servicekit.errors import Internal
from servicekit.journal import AuditDraft, Stage
from servicekit.store.object_store import ObjectStore
from servicekit.work import Progress
from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos.separation.v1 import separation_pb2


def replace_stem(
    mix: Bounce,
    facts: BounceFacts,
    order: Rerender,
    *,
    separation: SeparationClient,
    store: ObjectStore,
    progress: Progress,
) -> None:
    """Lend the new mix, follow its separation, store the completed manifest and keep the version.

    Raises as separation_service and the store do.
    """
    progress.stage(Stage.HANDOFF)
    lent = separation.lender.lend(
        mix.samples(), sample_rate_hz=SAMPLE_RATE_HZ, job_id=facts.job_id, wait_s=REGION_WAIT_S
    )
    with lent as loan:
        request = _request(mix, facts, order, loan.lease_id)
        message = follow(separation.messages(separation.stub.ReplaceStem(request), progress), progress)
    if message is None or not message.HasField("result"):
        raise Internal("separation_service ended without a result")
    result = message.result
    store.put_bytes(result.manifest.key, result.manifest_json.encode(), content_type="application/json")
    files = job_pb2.VersionFiles(
        bounce=result.bounce, zip=result.zip, zip_entries=result.zip_entries, manifest=result.manifest
    )
    progress.version_ready(
        files=json_format.MessageToDict(files),
        loudness=json_format.MessageToDict(result.loudness),
        audit=_audit(mix, facts, order, result),
    )


def make_mix(waveform: Waveform, facts: BounceFacts, order: Rerender) -> Bounce:
    """The new mix as a bounce of its version would be: limited, in 24 bits, with the manifest that the version's begins with."""
    rerender = order.manifest_facts(persona_id=facts.plan.persona_id, seed=facts.plan.seed)
    return make_bounce(waveform, replace(facts, rerender=rerender))


@dataclass(frozen=True)
class Comparison:
    """A replayed bounce beside the stored one. ``largest`` is in units of 24 bits."""

    stored_sha256: str
    replayed_sha256: str
    largest: int
    fingerprint: Mapping[str, str]


def compare_replacement(
    mix: Bounce,
    facts: BounceFacts,
    order: Rerender,
    stored: Mapping[str, Any],
    *,
    separation: SeparationClient,
    progress: Stoppable,
) -> Comparison:
    """The same road to its end, but nothing is stored: the bounce is compared with ``stored``, a StoredFile as proto-JSON."""
    lent = separation.lender.lend(
        mix.samples(), sample_rate_hz=SAMPLE_RATE_HZ, job_id=facts.job_id, wait_s=REGION_WAIT_S
    )
    with lent as loan:
        request = _request(mix, facts, order, loan.lease_id)
        json_format.ParseDict(dict(stored), request.compare_with)
        for message in separation.messages(separation.stub.ReplaceStem(request), progress):
            if message.HasField("comparison"):
                found = message.comparison
                return Comparison(
                    stored_sha256=found.stored_sha256,
                    replayed_sha256=found.replayed_sha256,
                    largest=found.largest_difference,
                    fingerprint=dict(found.fingerprint),
                )
    raise Internal("separation_service ended without a comparison")


def grid_message(tempo_map: TempoMap, seconds: float) -> separation_pb2.Grid:
    """The times that a tempo map implies for a take of ``seconds``."""
    return separation_pb2.Grid(
        beat_seconds=tempo_map.beats_s(seconds),
        downbeat_seconds=tempo_map.bars_s(seconds),
        subdivision_seconds=tempo_map.grid_s(seconds, divisions=4),
        seconds=seconds,
    )


def _request(mix: Bounce, facts: BounceFacts, order: Rerender, lease_id: str) -> separation_pb2.ReplaceStemRequest:
    base = order.base
    return separation_pb2.ReplaceStemRequest(
        lease_id=lease_id,
        job_id=facts.job_id,
        version=facts.version,
        stem=brief_pb2.Stem.Value(f"STEM_{order.stem.name}"),
        manifest_json=manifest_text(mix.manifest),
        mix=job_pb2.StoredFile(size_bytes=mix.wav.size_bytes, sha256=mix.sha256),
        base=separation_pb2.BaseVersion(
            version=base.version,
            zip=job_pb2.StoredFile(key=base.zip.key, size_bytes=base.zip.size_bytes, sha256=base.zip.sha256),
            zip_entries=[
                job_pb2.ZipEntry(
                    name=entry.name,
                    offset_bytes=entry.offset_bytes,
                    size_bytes=entry.size_bytes,
                    sha256=entry.sha256,
                )
                for entry in base.entries
            ],
        ),
        grid=grid_message(facts.plan.tempo_map, facts.plan.seconds),
        from_bar=order.region.from_bar if order.region else 0,
        to_bar=order.region.to_bar if order.region else 0,
        allow_drift=order.allow_drift,
    )


def _audit(mix: Bounce, facts: BounceFacts, order: Rerender, result: separation_pb2.StemReplacement) -> AuditDraft:
    """The one row of a re-render: its inputs by value or digest, what was measured, and what was stored.

    The lists of onsets that the manifest has for pictures are left out.
    """
    measured = {key: value for key, value in json.loads(result.manifest_json)["rerender"].items() if key != "onsets"}
    loudness = result.loudness
    body = facts.audit_body() | {
        "bounce": {"key": result.bounce.key, "sha256": result.bounce.sha256},
        "lufs": loudness.lufs if loudness.HasField("lufs") else None,
        "truePeakDbtp": loudness.true_peak_dbtp if loudness.HasField("true_peak_dbtp") else None,
        **zip_facts(result.zip, result.zip_entries),
        "manifestSha256": result.manifest.sha256,
        "separator": {"name": result.separator, "weightsSha256": result.weights_sha256},
        "separationFingerprint": dict(sorted(result.fingerprint.items())),
        "processing": list(mix.manifest.processing),
        "order": order.facts(),
        "mixSha256": mix.sha256,
        "rerender": measured,
    }
    return AuditDraft(kind=AUDIT_STEMS, body=body, prompt=facts.plan.prompt)
