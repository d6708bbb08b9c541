"""The handoff of a re-render: the new mix is lent, one stem of it takes the place of the base version's, the version is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from jobs_service.journal_json import VersionFiles, loudness_json
from jobs_service.value_messages import (
    read_loudness,
    read_stored_file,
    stem_message,
    stored_file_message,
    zip_entry_messages,
)
from render_service.audit import BounceFacts, rerender_draft
from render_service.bounce import Bounce, make_bounce
from render_service.music.tempo_map import TempoMap
from render_service.renderers.renderer import Waveform
from render_service.rerender import Rerender
from render_service.separation.client import REGION_WAIT_S, SeparationClient, Stoppable, follow, stored_stems
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from servicekit.delivery.files import StoredFile
from servicekit.delivery.manifest_json import manifest_text
from servicekit.errors import Internal
from servicekit.journal import Stage
from servicekit.store.object_store import ObjectStore
from servicekit.work import Progress
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
    bounce, loudness, stems = read_stored_file(result.bounce), read_loudness(result.loudness), stored_stems(result)
    files = VersionFiles(bounce=bounce, zip=stems.zip, zip_entries=stems.zip_entries, manifest=stems.manifest)
    progress.version_ready(
        files=files.json(),
        loudness=loudness_json(loudness),
        audit=rerender_draft(mix.manifest, facts, order, bounce=bounce, loudness=loudness, stems=stems),
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
    stored: StoredFile,
    *,
    separation: SeparationClient,
    progress: Stoppable,
) -> Comparison:
    """The same road to its end, but nothing is stored: the bounce is compared with ``stored``."""
    lent = separation.lender.lend(
        mix.samples(), sample_rate_hz=SAMPLE_RATE_HZ, job_id=facts.job_id, wait_s=REGION_WAIT_S
    )
    with lent as loan:
        request = _request(mix, facts, order, loan.lease_id)
        request.compare_with.CopyFrom(stored_file_message(stored))
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
        stem=stem_message(order.stem),
        manifest_json=manifest_text(mix.manifest),
        mix=stored_file_message(replace(mix.stored_file, key="")),
        base=separation_pb2.BaseVersion(
            version=base.version,
            zip=stored_file_message(base.zip),
            zip_entries=zip_entry_messages(base.entries),
        ),
        grid=grid_message(facts.plan.tempo_map, facts.plan.seconds),
        from_bar=order.region.from_bar if order.region else 0,
        to_bar=order.region.to_bar if order.region else 0,
        allow_drift=order.allow_drift,
    )
