"""Receives the bounce: lent by render_service, or stored before as an upload.

Either way the result is the same: the WAV whose bytes are those of the stored bounce, and the manifest of a version without stems.
Letters: ``C`` channels (2), ``T`` samples a channel.
"""

from __future__ import annotations

from dataclasses import dataclass

from separation_service.scratch import BufferWav, PcmBuffer, Scratch
from servicekit.audio.pcm24 import CHANNELS, SAMPLE_RATE_HZ, blocks, to_pcm24
from servicekit.audio.wav import WavFile, wav_blocks
from servicekit.delivery.files import StoredFile
from servicekit.delivery.manifest import Manifest
from servicekit.delivery.manifest_json import read_manifest
from servicekit.errors import DataLoss, InvalidTensor
from servicekit.journal import Stage
from servicekit.loans import Borrowings
from servicekit.store.object_store import ObjectStore
from servicekit.store.verified_read import open_verified


@dataclass(frozen=True, kw_only=True)
class ReceivedBounce:
    """A bounce to separate. ``wav`` reads as ``(C, n)`` int32; ``manifest`` has no stems yet."""

    wav: WavFile
    manifest: Manifest

    @property
    def frames(self) -> int:
        """Samples a channel."""
        return self.wav.frames


@dataclass(frozen=True, kw_only=True)
class LoanedAudio:
    """A caller's loan: the version and attempt it belongs to, its manifest as JSON, and the WAV file that its samples must make.

    The file is a stored bounce, or the new mix of a re-render, which has no key because it is not stored.
    """

    lease_id: str
    job_id: str
    version: int
    attempt: int
    manifest_json: str
    file: StoredFile


def receive_loan(loan: LoanedAudio, borrowings: Borrowings, scratch: Scratch) -> ReceivedBounce:
    """Copy the loan's samples into ``scratch`` as integers and return the loan to its lender.

    Raises `FailedPrecondition` LEASE_LOST, `InvalidTensor` where loan and manifest do not match, `DataLoss` where the samples do
    not make the file.
    """
    manifest = read_manifest(loan.manifest_json)
    if (manifest.job_id, manifest.version) != (loan.job_id, loan.version):
        raise InvalidTensor(
            f"the manifest must be of {loan.job_id} v{loan.version}, as the call is, "
            f"got one of {manifest.job_id} v{manifest.version}"
        )
    with borrowings.borrow(loan.lease_id) as tensor:
        header = tensor.header
        if header.sample_rate_hz != SAMPLE_RATE_HZ or header.channels != CHANNELS or header.frames != manifest.frames:
            raise InvalidTensor(
                f"the tensor must have {CHANNELS} channels of {manifest.frames} frames at {SAMPLE_RATE_HZ} Hz, "
                f"got {header.channels} of {header.frames} at {header.sample_rate_hz} Hz"
            )
        samples = scratch.pcm(manifest.frames)
        for block in blocks(manifest.frames):
            samples.append(to_pcm24(tensor.array[:, block], stage=Stage.RECEIVE))
    return _received(samples, manifest, loan.file)


def receive_stored(manifest: Manifest, bounce: StoredFile, store: ObjectStore, scratch: Scratch) -> ReceivedBounce:
    """Read an upload's bounce into ``scratch``. Raises `DataLoss` where it does not match its digest."""
    samples = scratch.pcm(manifest.frames)
    with open_verified(store, bounce.key, bounce.sha256) as stored:
        for block in wav_blocks(stored, name=bounce.key, frames=manifest.frames):
            samples.append(block)
    return _received(samples, manifest, bounce)


def _received(samples: PcmBuffer, manifest: Manifest, file: StoredFile) -> ReceivedBounce:
    """The WAV rebuilt from samples and manifest, which must be the file byte for byte."""
    wav = BufferWav(samples, manifest.wav_facts("bounce", manifest.bounce.loudness))
    if wav.digest.sha256 != file.sha256 or manifest.bounce.sha256 != file.sha256:
        raise DataLoss(
            f"the WAV rebuilt from these samples must have the SHA-256 {file.sha256} of {file.key or 'the new mix'}, got "
            f"{wav.digest.sha256}; the manifest has {manifest.bounce.sha256}; render it again",
            metadata={"key": file.key, "expected_sha256": file.sha256, "found_sha256": wav.digest.sha256},
        )
    return ReceivedBounce(wav=wav, manifest=manifest)
