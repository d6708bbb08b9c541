"""The handoff stage of a take: its bounce is separated, and the stems become part of its version."""

from __future__ import annotations

import grpc

from jobs_service.journal_json import VersionFiles
from jobs_service.value_messages import stem_mode_message, stored_file_message
from render_service.audit import stems_draft
from render_service.bounce import Bounce
from render_service.separation.client import SeparationClient, progress_forwarder, read_stored_stems
from servicekit.delivery.manifest_json import manifest_text
from servicekit.errors import Internal
from servicekit.store.object_store import ObjectStore
from servicekit.work import Assignment
from sonichaos.separation.v1 import separation_pb2


def store_stems(
    bounce: Bounce, files: VersionFiles, assignment: Assignment, *, separation: SeparationClient, store: ObjectStore
) -> None:
    """Have a bounce separated, store the completed manifest, and commit both with their audit row.

    ``files`` are the version's so far. Raises as separation_service, the store and the journal do; then what was stored is removed.
    """
    progress, version = assignment.progress, assignment.version
    if files.bounce is None or files.manifest is None:
        raise Internal(f"v{version.number} of {version.job_id} has no stored bounce to separate")
    stored_bounce = files.bounce

    def start_call(lease_id: str) -> grpc.CallIterator[separation_pb2.SeparateTensorResponse]:
        request = separation_pb2.SeparateTensorRequest(
            lease_id=lease_id,
            job_id=version.job_id,
            version=version.number,
            attempt=assignment.attempt,
            stem_mode=stem_mode_message(version.stem_mode),
            manifest_json=manifest_text(bounce.manifest),
            bounce=stored_file_message(stored_bounce),
            loop=bounce.facts.plan.loop,
        )
        return separation.separate_tensor(request, expires_in_s=progress.expires_in_s())

    with progress.staged_files(store) as staged:
        staged.replaces(files.manifest)
        update = separation.lend_and_call(bounce, start_call, work=progress, on_progress=progress_forwarder(progress))
        stems = read_stored_stems(update.result)
        staged.add(stems.zip.key)
        text = stems.manifest_json.encode()
        manifest = progress.retrying(lambda: staged.put_bytes("manifest", text, content_type="application/json"))
        completed = VersionFiles(zip=stems.zip, zip_entries=stems.zip_entries, manifest=manifest)
        audit = stems_draft(bounce.manifest, bounce.facts, stored_bounce, stems)
        progress.stems_ready(files=completed.json(), audit=audit)
