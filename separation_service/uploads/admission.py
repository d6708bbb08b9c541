"""Admission of uploads: each is checked whole, its bounce stored, then accepted as a job. Bad input leaves nothing behind."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from jobs_service.admission_hook import NO_HOOK, AdmissionHook, ProposedWork
from jobs_service.journal_json import ResolvedBrief
from separation_service.scratch import BufferWav, PcmBuffer, ScratchFolder
from separation_service.uploads.header import UploadHeader, check_upload_key, upload_folder
from separation_service.uploads.pending import PendingUploads
from separation_service.uploads.spool import Spool
from servicekit.access.limits import LimitPolicy, limits_of_current_caller
from servicekit.access.tenant_shares import TenantShares
from servicekit.audio.loudness import Loudness, Meter
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from servicekit.audio.upload import UploadReader, read_upload_header
from servicekit.audio.wav import WavFile
from servicekit.clock import Clock
from servicekit.delivery.files import StoredFile
from servicekit.delivery.manifest import FileFacts, Manifest
from servicekit.delivery.manifest_json import manifest_text
from servicekit.errors import FieldViolation, InvalidAudio, InvalidFields, NotFound, ResourceExhausted
from servicekit.ids import new_job_id
from servicekit.journal import Job, Journal, NewJob, OwningService, Request, canonical_json
from servicekit.store.object_store import ObjectStore

RPC = "CreateSeparation"
_METHOD = "/sonichaos.separation.v1.SeparationService/CreateSeparation"

_READ_BYTES = 1 << 20
_RETRY_AFTER_S = 5.0


@dataclass(frozen=True, kw_only=True)
class UploadLimits:
    """Bytes of a file, seconds of audio, versions in the queue, uploads received at once."""

    max_bytes: int
    max_seconds: float
    queue_limit: int
    max_at_once: int


class UploadAdmission:
    """Accepts uploads. ``hook`` may refuse them."""

    def __init__(
        self,
        *,
        journal: Journal,
        store: ObjectStore,
        clock: Clock,
        scratch: ScratchFolder,
        pending: PendingUploads,
        limits: UploadLimits,
        hook: AdmissionHook = NO_HOOK,
        tenant_limits: LimitPolicy | None = None,
    ) -> None:
        self.hook = hook
        self._journal = journal
        self._store = store
        self._clock = clock
        self._scratch = scratch
        self._pending = pending
        self._limits = limits
        self._tenant_limits = tenant_limits
        self._places = TenantShares(limits.max_at_once)

    @contextmanager
    def spool(self) -> Iterator[Spool]:
        """A spool for the bytes of one upload. Raises `ResourceExhausted` QUEUE_FULL where too many are open."""
        places = self._places
        if not places.has_room():
            raise ResourceExhausted(
                f"at most {places.limit} uploads can be received at once, and {places.of_one_tenant} of one tenant; try again "
                "later",
                reason="QUEUE_FULL",
                metadata={"limit": str(places.limit)},
                retry_after_s=_RETRY_AFTER_S,
            )
        with places.place(), Spool(self._scratch.folder, limit_bytes=self._limits.max_bytes) as spool:
            yield spool

    def fetch(self, tenant: str, key: str, spool: Spool) -> None:
        """Copy a file of the tenant's upload folder into the spool. Raises `InvalidFields`, and `NotFound` FILE_NOT_FOUND.

        Another tenant's file answers as one that is not there.
        """
        found = check_upload_key(key, "header.store_key")
        if found:
            raise InvalidFields(found)
        folder = upload_folder(tenant)
        if not key.startswith(folder):
            raise _no_file(key, folder)
        try:
            with self._store.open(key) as source:
                while data := source.read(_READ_BYTES):
                    spool.write(data)
        except NotFound:
            raise _no_file(key, folder) from None

    def accept(self, tenant: str, header: UploadHeader, spool: Spool) -> Job:
        """The job, once it is durable; for a repeated request the job that it made before.

        Raises `InvalidFields`, `InvalidAudio`, `AlreadyExists` REQUEST_ID_REUSED, `ResourceExhausted` QUEUE_FULL and TENANT_LIMIT,
        `FailedPrecondition` EXPIRY_TOO_SOON, and as the hook and the store.
        """
        if header.sha256 and header.sha256 != spool.sha256:
            detail = f"SHA-256 must be {header.sha256}, but the {spool.size_bytes} bytes received have {spool.sha256}"
            raise InvalidAudio(f"the upload was damaged: {detail}; send it again", metadata={"detail": detail})
        request = Request(
            tenant=tenant, rpc=RPC, request_id=header.request_id or None, digest=_request_digest(header, spool.sha256)
        )
        known = self._journal.find_existing(request)
        if known is not None:
            return known.job
        now = self._clock.now()
        if header.expire_time is not None and header.expire_time <= now:
            raise InvalidFields([FieldViolation("header.expire_time", "must be in the future, or not set")])
        path = spool.path
        upload = read_upload_header(path, max_seconds=self._limits.max_seconds, resample=header.resample)
        # A FLAC of some megabytes can hold hours of silence: its samples are read only where the job would be accepted.
        self._journal.check_room(
            tenant,
            OwningService.SEPARATION,
            upload.frames / SAMPLE_RATE_HZ,
            limit=self._limits.queue_limit,
            tenant_limits=limits_of_current_caller(self._tenant_limits),
        )
        created_at = now.replace(microsecond=0)
        with self._scratch.open() as scratch:
            track = scratch.pcm(upload.frames)
            reader = UploadReader(path, upload)
            loudness = _read(reader, track)
            draft = _draft(track, loudness, header, new_job_id(created_at), created_at)
            wav, manifest = _bounce(track, loudness, replace(draft, processing=reader.processing))
            with self._pending.recorded(manifest.job_id):
                return self._accept_stored(request, header, wav, manifest, spool)

    def _accept_stored(
        self, request: Request, header: UploadHeader, wav: WavFile, manifest: Manifest, spool: Spool
    ) -> Job:
        """Ask the hook, store the bounce, then accept."""
        bounce = StoredFile(key=manifest.keys.bounce, size_bytes=wav.size_bytes, sha256=wav.digest.sha256)
        seconds = wav.frames / SAMPLE_RATE_HZ
        brief = ResolvedBrief(
            seconds=seconds,
            stems=True,
            stem_mode=header.stem_mode,
            labels=header.labels,
            licence=header.licence,
            expire_time=header.expire_time,
            file_name=header.file_name,
        )
        new = NewJob(
            job_id=manifest.job_id,
            owner=OwningService.SEPARATION,
            request=request,
            brief=brief.json(),
            plan={
                "manifest": manifest_text(manifest),
                "bounce": {"key": bounce.key, "size_bytes": bounce.size_bytes, "sha256": bounce.sha256},
                "upload": {"fileName": header.file_name, "sha256": spool.sha256, "sizeBytes": spool.size_bytes},
            },
            stems_wanted=True,
            stem_mode=header.stem_mode,
            expire_time=header.expire_time,
            labels=header.labels,
            audio_seconds=seconds,
            priority=header.priority,
        )
        self.hook.check(ProposedWork.of_job(_METHOD, new))
        tenant_limits = limits_of_current_caller(self._tenant_limits)
        with self._store.writer(bounce.key, content_type="audio/wav") as sink:
            wav.write_to(sink)
        return self._journal.accept(new, limit=self._limits.queue_limit, tenant_limits=tenant_limits).job


def _no_file(key: str, folder: str) -> NotFound:
    return NotFound(
        f"the store has no file {key} that this caller may name; the caller's files lie under {folder!r}",
        reason="FILE_NOT_FOUND",
        metadata={"key": key},
    )


def _request_digest(header: UploadHeader, sha256: str) -> str:
    """Digest of everything that was requested, and of the bytes: a repeated request must have the same one."""
    facts = asdict(replace(header, request_id="", sha256=sha256, expire_time=None))
    del facts["expire_time"], facts["priority"]
    if not header.resample:  # as in requests of releases without the field
        del facts["resample"]
    facts["stem_mode"] = header.stem_mode.name
    if header.expire_time is not None:
        facts["expireTime"] = header.expire_time.isoformat()
    return hashlib.sha256(canonical_json([RPC, facts]).encode()).hexdigest()


def _read(reader: UploadReader, track: PcmBuffer) -> Loudness:
    """Append the upload's samples to ``track`` and return their loudness. Raises `InvalidAudio`."""
    meter = Meter()
    for block in reader.blocks():
        track.append(block)
        meter.add(block)
    return meter.loudness()


def _draft(track: PcmBuffer, loudness: Loudness, header: UploadHeader, job_id: str, created_at: datetime) -> Manifest:
    """The manifest of a version without stems, before its bounce has digests."""
    return Manifest(
        job_id=job_id,
        version=1,
        created_at=created_at,
        origin=None,
        tempo_map=None,
        key=None,
        frames=track.frames,
        bounce=FileFacts.draft("bounce", loudness),
        licence=header.licence,
        labels=header.labels,
        fingerprint={},
    )


def _bounce(track: PcmBuffer, loudness: Loudness, draft: Manifest) -> tuple[WavFile, Manifest]:
    """The 24-bit bounce, and the manifest with its digests."""
    wav = BufferWav(track, draft.wav_facts("bounce", loudness))
    return wav, replace(draft, bounce=FileFacts.of(wav))
