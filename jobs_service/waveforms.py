"""The peaks of a version's audio files, computed from what is stored. Recent ones are kept in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from jobs_service.journal_json import VersionFiles
from servicekit.audio.pcm24 import Pcm24
from servicekit.audio.peaks import Peaks, find_peaks
from servicekit.audio.wav import read_frame_count, sample_blocks
from servicekit.delivery.names import STEMS
from servicekit.errors import Cancelled
from servicekit.store.object_store import ObjectStore
from servicekit.store.verified_read import VerifiedReader, open_verified
from sonichaos.jobs.v1 import jobs_service_pb2

_CACHE_BYTES = 16 << 20
"""Peaks of 655 versions with stems at the default number of points."""
_ENTRY_BYTES = 1024
"""What an entry of the cache takes besides the peaks: small files have few of them, and many entries."""


class Waveforms:
    """Computes the peaks of versions whose files are in ``store``, and keeps at most ``cache_bytes`` of them. Thread-safe."""

    def __init__(self, store: ObjectStore, *, cache_bytes: int = _CACHE_BYTES) -> None:
        self._store = store
        self._cache = _PeaksCache(cache_bytes)

    def of(self, files: VersionFiles, *, points: int, cancelled: threading.Event) -> list[jobs_service_pb2.Waveform]:
        """The bounce's, then those of the stems that the version has.

        Raises DataLoss DIGEST_MISMATCH for a file that is missing or does not have its recorded digest, and Cancelled soon after
        ``cancelled`` is set.
        """
        return [_message(wav, self._peaks(wav, points, cancelled)) for wav in _wavs(files)]

    def _peaks(self, wav: _StoredWav, points: int, cancelled: threading.Event) -> Peaks:
        found = self._cache.get(wav.sha256, points)
        if found is None:
            found = self._compute(wav, points, cancelled)
            self._cache.put(wav.sha256, points, found)
        return found

    def _compute(self, wav: _StoredWav, points: int, cancelled: threading.Event) -> Peaks:
        with open_verified(self._store, wav.key, wav.sha256, offset=wav.offset_bytes, length=wav.size_bytes) as stored:
            frames = read_frame_count(stored, name=wav.key)
            return find_peaks(_until(cancelled, stored, frames, wav.key), frames=frames, points=points)


@dataclass(frozen=True, kw_only=True)
class _StoredWav:
    """A WAV: an object in the store, or a part of one."""

    name: str
    sha256: str
    key: str
    offset_bytes: int = 0
    size_bytes: int | None = None


def _wavs(files: VersionFiles) -> Iterator[_StoredWav]:
    """The WAVs of a version: the bounce is stored as a file of its own or is in the ZIP, as the stems are."""
    if files.bounce is not None:
        yield _StoredWav(name="bounce.wav", sha256=files.bounce.sha256, key=files.bounce.key)
    if files.zip is None:
        return
    entries = {entry.name: entry for entry in files.zip_entries}
    names = [f"{stem}.wav" for stem in STEMS]
    for name in names if files.bounce is not None else ["bounce.wav", *names]:
        if name in entries:
            entry = entries[name]
            yield _StoredWav(
                name=name,
                sha256=entry.sha256,
                key=files.zip.key,
                offset_bytes=entry.offset_bytes,
                size_bytes=entry.size_bytes,
            )


def _until(cancelled: threading.Event, stored: VerifiedReader, frames: int, name: str) -> Iterator[Pcm24]:
    for block in sample_blocks(stored, frames, name=name):
        if cancelled.is_set():
            raise Cancelled("the call was cancelled")
        yield block


def _message(wav: _StoredWav, peaks: Peaks) -> jobs_service_pb2.Waveform:
    return jobs_service_pb2.Waveform(
        name=wav.name,
        sha256=wav.sha256,
        frames=peaks.frames,
        minima=peaks.minima.tolist(),
        maxima=peaks.maxima.tolist(),
    )


class _PeaksCache:
    """The peaks that were asked for last, by the digest of their file and the number of points; at most ``limit_bytes``."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._peaks: OrderedDict[tuple[str, int], Peaks] = OrderedDict()
        self._nbytes = 0

    def get(self, sha256: str, points: int) -> Peaks | None:
        with self._lock:
            found = self._peaks.get((sha256, points))
            if found is not None:
                self._peaks.move_to_end((sha256, points))
            return found

    def put(self, sha256: str, points: int, peaks: Peaks) -> None:
        with self._lock:
            replaced = self._peaks.pop((sha256, points), None)
            self._nbytes += _size(peaks) - (0 if replaced is None else _size(replaced))
            self._peaks[sha256, points] = peaks
            while self._nbytes > self._limit_bytes:
                _, oldest = self._peaks.popitem(last=False)
                self._nbytes -= _size(oldest)


def _size(peaks: Peaks) -> int:
    return _ENTRY_BYTES + peaks.nbytes
