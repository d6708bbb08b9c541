"""Processes an accepted upload: the pipeline of every separation, with progress and results in the journal."""

from __future__ import annotations

from jobs_service.journal_json import VersionFiles, loudness_json
from separation_service.package import AllStems
from separation_service.pipeline import SeparationPipeline
from separation_service.receive import ReceivedBounce, receive_stored
from separation_service.scratch import Scratch
from separation_service.store import StoredPackage
from separation_service.uploads.audit import UploadFacts
from servicekit.delivery.files import StoredFile
from servicekit.delivery.keys import VersionKeys
from servicekit.delivery.manifest import Manifest
from servicekit.delivery.manifest_json import manifest_text, read_manifest
from servicekit.journal import OrphanedVersion, Stage
from servicekit.store.object_store import ObjectStore
from servicekit.work import Assignment, StagedFiles, remove_orphaned_files


class UploadWork:
    """Called in a thread of the runner for each attempt at an accepted upload."""

    def __init__(self, pipeline: SeparationPipeline) -> None:
        self._pipeline = pipeline

    def __call__(self, assignment: Assignment) -> None:
        """Separate the upload and commit its stems. Its bounce is committed first, in the first attempt."""
        if assignment.version.checkpointed_stage is Stage.STORE:  # everything was committed before a crash
            return
        upload = _Upload(assignment)
        store = self._pipeline.store

        def receive(scratch: Scratch) -> ReceivedBounce:
            received = receive_stored(upload.manifest, upload.bounce, store, scratch)
            if assignment.version.checkpointed_stage is None:
                upload.commit_bounce(store)
            return received

        with assignment.progress.staged_files(store) as staged:
            what = AllStems(mode=assignment.version.stem_mode)
            stored = self._pipeline(receive, what, assignment.progress, staged)
            upload.commit_stems(stored, staged, self._pipeline)


def remove_orphans(orphan: OrphanedVersion, store: ObjectStore) -> None:
    """Remove what attempts at an upload left. Its bounce was stored when it was accepted, before a row could name it."""
    remove_orphaned_files(orphan, store, keep=[VersionKeys(orphan.job_id, orphan.version).bounce])


class _Upload:
    """An attempt at an upload: its values, and the two commits of its results."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self.manifest: Manifest = read_manifest(assignment.plan["manifest"])
        self.bounce = StoredFile(**assignment.plan["bounce"])
        self._bounce_manifest = VersionFiles.read(assignment.version.files).manifest
        self._audit = UploadFacts(
            manifest=self.manifest,
            bounce=self.bounce,
            upload=assignment.plan["upload"],
            stem_mode=assignment.version.stem_mode,
        )

    def commit_bounce(self, store: ObjectStore) -> None:
        """Store the bounce's manifest and commit the bounce, so that it can be downloaded."""
        text, progress = manifest_text(self.manifest).encode(), self._assignment.progress
        with progress.staged_files(store) as staged:
            manifest = progress.retrying(
                lambda: staged.put_bytes("manifest", text, content_type="application/json", is_final=False)
            )
            progress.bounce_ready(
                files=VersionFiles(bounce=self.bounce, manifest=manifest).json(),
                loudness=loudness_json(self.manifest.bounce.loudness),
                audit=self._audit.bounce_draft(),
            )
        self._bounce_manifest = manifest

    def commit_stems(self, stored: StoredPackage, staged: StagedFiles, pipeline: SeparationPipeline) -> None:
        """Store the completed manifest and commit the stems."""
        if self._bounce_manifest is not None:
            staged.replaces(self._bounce_manifest)
        text = stored.manifest_json.encode()
        manifest = self._assignment.progress.retrying(
            lambda: staged.put_bytes("manifest", text, content_type="application/json")
        )
        files = VersionFiles(zip=stored.zip, zip_entries=stored.entries, manifest=manifest)
        self._assignment.progress.stems_ready(
            files=files.json(), audit=self._audit.stems_draft(stored, pipeline.separator.info)
        )
