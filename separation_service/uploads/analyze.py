"""Estimates tempo map and key of an uploaded recording. Nothing of it is stored."""

from __future__ import annotations

from pathlib import Path

from separation_service.alignment import Analysis, Hints, analyze
from servicekit.audio.pcm24 import from_pcm24
from servicekit.audio.upload import read_upload, read_upload_header

MAX_SECONDS = 600.0
"""Longest recording that is analysed: the analysis holds all of it in memory."""


def analyze_upload(path: Path, hints: Hints, *, resample: bool) -> tuple[Analysis, int]:
    """The analysis and the number of frames at 44100 Hz. Raises `InvalidAudio` for what could not be separated either."""
    pcm = read_upload(path, read_upload_header(path, max_seconds=MAX_SECONDS, resample=resample))
    return analyze(from_pcm24(pcm), hints), int(pcm.shape[1])
