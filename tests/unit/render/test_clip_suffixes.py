"""The files that the client takes for clips are those that render_service reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from render_service.personas.clips import Clip
from servicekit.errors import InvalidAudio
from sonichaos_client import LocalReadError
from sonichaos_client.upload import CLIP_SUFFIXES, clips_in

FORMATS = {".wav": "WAV", ".flac": "FLAC", ".aif": "AIFF", ".aiff": "AIFF", ".ogg": "OGG"}
REFUSED = {".w64": "W64", ".rf64": "RF64", ".mp3": "MP3"}


def write(folder: Path, suffix: str, kind: str) -> bytes:
    """A file of noise; its bytes."""
    path = folder / f"clip{suffix}"
    soundfile.write(path, 0.1 * np.random.default_rng(3).standard_normal((88200, 2)), 44100, format=kind)
    return path.read_bytes()


@pytest.mark.parametrize("suffix", sorted(CLIP_SUFFIXES))
def test_the_service_reads_what_the_client_sends(tmp_path: Path, suffix: str) -> None:
    """Every suffix, in any case."""
    data = write(tmp_path, suffix.upper(), FORMATS[suffix])
    assert [path.suffix for path in clips_in(tmp_path)] == [suffix.upper()]
    assert Clip(data=data).waveform(name="clip 0").shape == (2, 88200)


@pytest.mark.parametrize(("suffix", "kind"), REFUSED.items())
def test_the_client_does_not_send_what_the_service_refuses(tmp_path: Path, suffix: str, kind: str) -> None:
    """The error names the suffixes of clips."""
    with pytest.raises(InvalidAudio, match="must be WAV, FLAC, AIFF or Ogg"):
        Clip(data=write(tmp_path, suffix, kind)).waveform(name="clip 0")
    with pytest.raises(LocalReadError, match=r"Expected files that end in \.aif, \.aiff, \.flac, \.ogg, \.wav\."):
        clips_in(tmp_path)
