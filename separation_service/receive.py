"""The bounce comes in: lent by render_service, or stored before from an upload.

Either way it becomes the same value: the WAV whose bytes are the stored bounce's, and the manifest of a version without stems.
Letters: ``C`` channels (2), ``T`` samples a channel.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from separation_service.scratch import BufferWav, PcmBuffer, Scratch
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ, blocks, to_pcm24
from servicekit.audio.wav import WavFile, wav_blocks
from servicekit.delivery.files import StoredFile
from servicekit.delivery.manifest import Manifest
from servicekit.delivery.manifest_json import read_manifest
from servicekit.errors import DataLoss, InvalidTensor
from servicekit.loans import Borrowings
from servicekit.store.object_store import ObjectStore
from servicekit.store.verified_read import open_verified

STAGE = "RECEIVE"


@dataclass(frozen=True, kw_only=True)
class Received:
    """A bounce to separate. ``wav`` reads as ``(C, n)`` int32; ``manifest`` has no stems yet."""

    wav: WavFile
    manifest: Manifest

    @property
    def frames(self) -> int:
        """Samples a channel."""
        return self.wav.frames


@dataclass(frozen=True, kw_only=True)
class LentBounce:
    """What a caller says of a loan: whose version it is, its manifest as stored, and the stored file it must equal."""

    lease_id: str
    job_id: str
    version: int
    manifest_json: str
    bounce: StoredFile


def receive_loan(lent: LentBounce, borrowings: Borrowings, scratch: Scratch) -> Received:
    """Take the loan, keep its samples as integers in ``scratch``, and give it back.

    Raises `FailedPrecondition` LEASE_LOST, `InvalidTensor` where loan and manifest do not belong together, `DataLoss` where the
    WAV made of them is not the stored one.
    """
    manifest = read_manifest(lent.manifest_json)
    if (manifest.job_id, manifest.version) != (lent.job_id, lent.version):
        raise InvalidTensor(
            f"the manifest is of {manifest.job_id} v{manifest.version}, the call of {lent.job_id} v{lent.version}"
        )
    with borrowings.take(lent.lease_id) as tensor:
        header = tensor.header
        if header.sample_rate_hz != SAMPLE_RATE_HZ or header.channels != 2 or header.frames != manifest.frames:
            raise InvalidTensor(
                f"wanted 2 channels of {manifest.frames} frames at {SAMPLE_RATE_HZ} Hz, got {header.channels} of "
                f"{header.frames} at {header.sample_rate_hz} Hz"
            )
        track = scratch.pcm(manifest.frames)
        for block in blocks(manifest.frames):
            track.append(to_pcm24(tensor.array[:, block], stage=STAGE))
    return _received(track, manifest, lent.bounce)


def receive_stored(manifest: Manifest, bounce: StoredFile, store: ObjectStore, scratch: Scratch) -> Received:
    """Read the bounce of an upload back into ``scratch``. Raises `DataLoss` where it no longer matches its digest."""
    track = scratch.pcm(manifest.frames)
    with open_verified(store, bounce.key, bounce.sha256) as stored:
        for block in wav_blocks(stored, name=bounce.key, frames=manifest.frames):
            track.append(block)
    return _received(track, manifest, bounce)


def _received(track: PcmBuffer, manifest: Manifest, bounce: StoredFile) -> Received:
    """The WAV is made again from samples and facts; it must be the stored one, byte for byte."""
    wav = BufferWav(track, manifest.wav_facts("bounce", manifest.bounce.loudness))
    if not hmac.compare_digest(wav.digest.sha256, bounce.sha256) or manifest.bounce.sha256 != bounce.sha256:
        raise DataLoss(
            f"the bounce made of these samples has SHA-256 {wav.digest.sha256}, the stored {bounce.key} has {bounce.sha256} and "
            f"the manifest says {manifest.bounce.sha256}; render it again",
            metadata={"key": bounce.key, "expected_sha256": bounce.sha256, "found_sha256": wav.digest.sha256},
        )
    return Received(wav=wav, manifest=manifest)
