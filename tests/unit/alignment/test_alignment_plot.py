"""The picture of a re-render, drawn from two ZIPs."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from render_service.music.tempo_map import TempoMap, TempoPoint, tempo_map_json
from separation_service.alignment import BarRange
from separation_service.rerender.align import align
from servicekit.audio.loudness import measure
from servicekit.audio.pcm24 import Pcm24
from servicekit.audio.wav import Wav
from servicekit.delivery.manifest import FileFacts, Licence, Manifest
from servicekit.delivery.zip_archive import zip_folder
from sonichaos_client.plot import PlotUnavailableError, plot_rerender
from sonichaos_client.tempo_grid import tempo_grid
from tests.support.corpus_takes import SECONDS, WINDING, needs_soundfont, pair, spoiled
from tests.support.silent_progress import SilentProgress
from tests.support.stems_zip import JOB, ORIGIN, Delivery

MAPS = [
    TempoMap.constant(118.0, swing=0.6),
    WINDING,
    TempoMap(
        points=(
            TempoPoint(start_s=0.0, bpm=100.0, beats_per_bar=3),
            TempoPoint(start_s=3.95, bpm=140.0, beats_per_bar=4),
            TempoPoint(start_s=9.0, bpm=80.0, beats_per_bar=4),
        ),
        first_downbeat_s=0.35,
    ),
    TempoMap(  # a change of metre off the beat, and one after the end
        points=(
            TempoPoint(start_s=0.0, bpm=100.0),
            TempoPoint(start_s=3.43, bpm=140.0, beats_per_bar=3),
            TempoPoint(start_s=11.0, bpm=80.0),
        )
    ),
]


def zipped(folder: Path, stem: Pcm24, version: int, rerender: dict[str, object] | None) -> Path:
    """A ZIP with what the picture needs of a version."""
    loudness = measure(stem)
    manifest = Manifest(
        job_id=JOB,
        version=version,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        origin=ORIGIN,
        tempo_map=tempo_map_json(WINDING),
        key=None,
        frames=stem.shape[1],
        bounce=FileFacts.draft("bounce", loudness),
        licence=Licence(),
        labels={},
        fingerprint={},
    )
    wav = b"".join(Wav(stem, manifest.wav_facts("other", loudness)).chunks())
    facts = {"jobId": JOB, "version": version, "tempoMap": manifest.tempo_map, "rerender": rerender}
    files = {"other.wav": wav, "manifest.json": json.dumps(facts).encode()}
    return Delivery(zip_folder(JOB, version), files).pack(folder / f"v{version}.zip")


@needs_soundfont
def test_both_stems_are_drawn_and_wrong_pairs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PNG of some size; a base that is not the base, and a missing library, are said."""
    take = pair("winding")
    base = take.base("other")
    mix, new = (spoiled(audio, offset_s=0.02) for audio in (take.other.mix, take.other.stems["other"]))
    done = align(mix, new, take.target(base, BarRange(from_bar=2, to_bar=3), allow_drift=True), SilentProgress())
    old_zip = zipped(tmp_path, base.old, 1, None)
    new_zip = zipped(tmp_path, done.stem, 2, {"baseVersion": 1, "stem": "other"} | done.report.facts)
    picture = tmp_path / "picture.png"
    plot_rerender(old_zip, new_zip, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 20_000
    with pytest.raises(ValueError, match="contains no re-rendered stem"):
        plot_rerender(new_zip, old_zip, picture)
    with pytest.raises(ValueError, match=r"Expected .* v1, the base version of .*, got .* v2"):
        plot_rerender(new_zip, new_zip, picture)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(PlotUnavailableError, match="sonichaos-client"):
        plot_rerender(old_zip, new_zip, picture)


@pytest.mark.parametrize("tempo_map", MAPS)
def test_the_clients_grid_is_the_renderers(tempo_map: TempoMap) -> None:
    """Beats, bars and swung subdivisions, from the manifest's JSON alone."""
    grid = tempo_grid(tempo_map_json(tempo_map), SECONDS)
    for found, wanted in (
        (grid.beats_s, tempo_map.beats_s(SECONDS)),
        (grid.bars_s, tempo_map.bars_s(SECONDS)),
        (grid.subdivisions_s, tempo_map.grid_s(SECONDS)),
    ):
        assert np.allclose(found[found >= -1e-9], wanted, atol=1e-5)
