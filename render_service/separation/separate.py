"""The handoff stage of a take: its bounce is separated, and the stems become part of its version."""

from __future__ import annotations

import grpc

from jobs_service.journal_json import VersionFiles
from jobs_service.value_messages import stem_mode_message, stored_file_message
from render_service.audit import stems_draft
from render_service.bounce import Bounce
from render_service.separation.client import SeparationClient, progress_forwarder, read_stored_stems
from servicekit.delivery.manifest_json import manifest_text
from servicekit.store.object_store import ObjectStore
from servicekit.work import Assignment, StagedFiles
from sonichaos.separation.v1 import separation_pb2


def store_stems(bounce: Bounce, assignment: Assignment, *, separation: SeparationClient, store: ObjectStore) -> None:
    """Have a bounce separated, store the completed manifest, and commit both with their audit row.

    Raises as separation_service, the store and the journal do; then the ZIP is removed and the bounce's manifest restored.
    """
    progress, keys, bounce_manifest = assignment.progress, bounce.manifest.keys, manifest_text(bounce.manifest)

    def start_call(lease_id: str) -> grpc.CallIterator[separation_pb2.SeparateTensorResponse]:
        request = separation_pb2.SeparateTensorRequest(
            lease_id=lease_id,
            job_id=bounce.manifest.job_id,
            version=bounce.manifest.version,
            stem_mode=stem_mode_message(assignment.version.stem_mode),
            manifest_json=bounce_manifest,
            bounce=stored_file_message(bounce.stored_file),
        )
        return separation.separate_tensor(request, expires_in_s=progress.expires_in_s())

    with StagedFiles(store, overwritten={keys.manifest: bounce_manifest}) as staged:
        update = separation.lend_and_call(bounce, start_call, work=progress, on_progress=progress_forwarder(progress))
        stems = read_stored_stems(update.result)
        staged.add(stems.zip.key)
        text = stems.manifest_json.encode()
        progress.retrying(lambda: staged.put_bytes(keys.manifest, text, content_type="application/json"))
        files = VersionFiles(zip=stems.zip, zip_entries=stems.zip_entries, manifest=stems.manifest)
        progress.stems_ready(files=files.json(), audit=stems_draft(bounce.manifest, bounce.facts, stems))
