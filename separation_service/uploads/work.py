"""Processes an accepted upload: the pipeline of every separation, with progress and results in the journal."""

from __future__ import annotations

from jobs_service.journal_json import VersionFiles, loudness_json
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
from servicekit.work import Assignment, StagedFiles


class UploadWork:
    """Called in a thread of the runner for each attempt at an accepted upload."""

    def __init__(self, pipeline: SeparationPipeline) -> None:
        self._pipeline = pipeline

    def __call__(self, assignment: Assignment) -> None:
        """Separate the upload and commit its stems. Its bounce is committed first, in the first attempt."""
        if assignment.version.checkpointed_stage is Stage.STORE:  # everything was committed before a crash
            return
        upload = _Upload(assignment)
        store, keys = self._pipeline.store, upload.keys

        def receive(scratch: Scratch) -> ReceivedBounce:
            received = receive_stored(upload.manifest, upload.bounce, store, scratch)
            if assignment.version.checkpointed_stage is None:
                upload.commit_bounce(store)
            return received

        with StagedFiles(store, overwritten={keys.manifest: manifest_text(upload.manifest)}) as staged:
            stored = self._pipeline(receive, assignment.version.stem_mode, assignment.progress, staged)
            upload.commit_stems(stored, staged, self._pipeline)


def stored_keys(orphan: OrphanedVersion) -> list[str]:
    """The keys that an attempt at an upload may store; its bounce was stored when it was accepted."""
    return [VersionKeys(orphan.job_id, orphan.version).zip]


class _Upload:
    """An attempt at an upload: its values, and the two commits of its results."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self.manifest: Manifest = read_manifest(assignment.plan["manifest"])
        self.bounce = StoredFile(**assignment.plan["bounce"])
        self.keys = self.manifest.keys
        self._audit = UploadFacts(
            manifest=self.manifest,
            bounce=self.bounce,
            upload=assignment.plan["upload"],
            stem_mode=assignment.version.stem_mode,
        )

    def commit_bounce(self, store: ObjectStore) -> None:
        """Store the bounce's manifest and commit the bounce, so that it can be downloaded."""
        text = manifest_text(self.manifest).encode()
        progress, key = self._assignment.progress, self.keys.manifest
        manifest = progress.retrying(lambda: store.put_bytes(key, text, content_type="application/json"))
        progress.bounce_ready(
            files=VersionFiles(bounce=self.bounce, manifest=manifest).json(),
            loudness=loudness_json(self.manifest.bounce.loudness),
            audit=self._audit.bounce_draft(),
        )

    def commit_stems(self, stored: StoredPackage, staged: StagedFiles, pipeline: SeparationPipeline) -> None:
        """Store the completed manifest and commit the stems."""
        text, key = stored.manifest_json.encode(), self.keys.manifest
        self._assignment.progress.retrying(lambda: staged.put_bytes(key, text, content_type="application/json"))
        files = VersionFiles(zip=stored.zip, zip_entries=stored.entries, manifest=stored.manifest)
        self._assignment.progress.stems_ready(
            files=files.json(), audit=self._audit.stems_draft(stored, pipeline.separator.info)
        )
