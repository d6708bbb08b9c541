"""The peaks of a fake version's audio files."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sonichaos.jobs.v1 import job_pb2, jobs_service_pb2
from sonichaos_client.testing.fake.files import Content, FileStore
from sonichaos_client.testing.fake.tones import STEMS
from sonichaos_client.testing.fake.upload_audio import read_upload

_SHIFT = 8
"""From 24 bits to 16."""
_MAX_16 = (1 << 15) - 1


@dataclass(frozen=True, kw_only=True)
class _Wav:
    name: str
    sha256: str
    content: Content
    first: int
    end: int


def waveforms(
    store: FileStore, files: job_pb2.VersionFiles, points: int
) -> Callable[[], list[jobs_service_pb2.Waveform]]:
    """What computes the peaks of the bounce and of the stems that there are, also after the files were deleted."""
    wavs = []
    bounce, zipped = store.get(files.bounce.key), store.get(files.zip.key)
    if bounce is not None:
        sha256, size = files.bounce.sha256, files.bounce.size_bytes
        wavs.append(_Wav(name="bounce.wav", sha256=sha256, content=bounce.content, first=0, end=size))
    if zipped is not None:
        entries = {entry.name: entry for entry in files.zip_entries}
        for entry in (entries[f"{stem}.wav"] for stem in STEMS):
            first, end = entry.offset_bytes, entry.offset_bytes + entry.size_bytes
            wavs.append(_Wav(name=entry.name, sha256=entry.sha256, content=zipped.content, first=first, end=end))
    return lambda: [_waveform(wav, points) for wav in wavs]


def _waveform(wav: _Wav, points: int) -> jobs_service_pb2.Waveform:
    pcm = read_upload(wav.content.read(wav.first, wav.end), max_seconds=math.inf).pcm
    frames = pcm.shape[1]
    count = min(points, frames)
    firsts = (np.arange(count, dtype=np.int64) * frames + count - 1) // count
    lowest = np.minimum.reduceat(pcm.min(axis=0), firsts) >> _SHIFT
    highest = np.minimum(-(-np.maximum.reduceat(pcm.max(axis=0), firsts) >> _SHIFT), _MAX_16)
    return jobs_service_pb2.Waveform(
        name=wav.name, sha256=wav.sha256, frames=frames, minima=lowest.tolist(), maxima=highest.tolist()
    )
