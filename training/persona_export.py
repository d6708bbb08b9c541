"""Exports the built-in personas in the service's format: clips from the corpus, their embedding, the prefix.

Layout: ``{folder}/{id}/clip-0.flac``, ``clip-1.flac``, ``persona.json``.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from render_service.renderers.renderer import Renderer
from training.corpus.builtin_personas import built_in_personas
from training.corpus.compose import REFERENCE_SEEDS, compose
from training.corpus.persona import PersonaSpec
from training.corpus.song import perform

CLIPS = 2
CLIP_SECONDS = 4.0  # one window of the encoder
_CLIP_STEPS = 2.0**11  # 12 bits: FLAC files are a third smaller, the rounding noise is at -77 dBFS
_FIRST_SEED = REFERENCE_SEEDS[0]
_SONG_SECONDS = 14.0
_RATE_HZ = 44100


def export_personas(renderer: Renderer, folder: Path, *, keep_clips: bool) -> list[str]:
    """Write every built-in persona and return the ids. ``keep_clips`` leaves existing clips and recomputes their embedding."""
    encoder = next(model.sha256 for model in renderer.info.models if model.role == "persona")
    for index, persona in enumerate(built_in_personas()):
        target = folder / persona.id
        target.mkdir(parents=True, exist_ok=True)
        paths = sorted(target.glob("clip-*.flac"))
        if not (keep_clips and len(paths) == CLIPS):
            paths = [
                _write_clip(persona, target / f"clip-{i}.flac", _FIRST_SEED + index * CLIPS + i) for i in range(CLIPS)
            ]
        data = [path.read_bytes() for path in paths]
        vector = renderer.embed_persona([decode(clip) for clip in data])
        facts = {
            "id": persona.id,
            "prefix": persona.prefix,
            "embedding": [round(float(x), 7) for x in vector],
            "clipSha256": [hashlib.sha256(clip).hexdigest() for clip in data],
            "encoderSha256": encoder,
        }
        (target / "persona.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return [persona.id for persona in built_in_personas()]


def decode(clip: bytes) -> NDArray[np.float32]:
    """Decode a FLAC clip to ``(2, T)``; mono is doubled."""
    samples, _ = soundfile.read(io.BytesIO(clip), dtype="float32", always_2d=True)
    return np.ascontiguousarray(np.broadcast_to(samples.T, (2, len(samples))))


def _write_clip(persona: PersonaSpec, path: Path, seed: int) -> Path:
    """Write the section of a sung song with the loudest voice, 12 bits in a 16-bit file."""
    song = perform(compose(seed, seconds=_SONG_SECONDS, persona=persona, instrumental=False))
    length = round(CLIP_SECONDS * _RATE_HZ)
    power = np.square(song.stems["vocals"]).mean(axis=0)
    starts = range(0, song.mix.shape[1] - length, _RATE_HZ)
    start = max(starts, key=lambda s: float(power[s : s + length].mean()))
    clip = np.rint(song.mix[:, start : start + length].T * _CLIP_STEPS) / _CLIP_STEPS
    soundfile.write(path, clip, _RATE_HZ, subtype="PCM_16", format="FLAC")
    return path
