"""An uploaded WAV is listened to for its tempo map and key; nothing of it is kept."""

from __future__ import annotations

from pathlib import Path

from separation_service.alignment import Analysis, Hints, analyze
from servicekit.audio.pcm24 import from_pcm24
from servicekit.audio.upload import read_upload, read_upload_header

MAX_SECONDS = 600.0
"""Longest recording that is listened to: the analysis holds all of it."""


def listen_to(path: Path, hints: Hints) -> tuple[Analysis, int]:
    """The analysis and the number of frames. Raises `InvalidAudio` for what is not a WAV that could be separated."""
    pcm = read_upload(path, read_upload_header(path, max_seconds=MAX_SECONDS))
    return analyze(from_pcm24(pcm), hints), int(pcm.shape[1])
