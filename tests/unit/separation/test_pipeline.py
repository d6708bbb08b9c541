"""The pipeline: a re-render is the separation of one stem, aligned with its base, and counts as a separation everywhere."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from separation_service.engine import Separator, load_separator
from separation_service.package import AllStems
from separation_service.pipeline import SeparationPipeline
from separation_service.rerender.replacement import Replacement
from separation_service.store import StoredPackage
from separation_service.timing.progress import CallProgress, ProgressUpdate
from servicekit.audio.wav import read_wav
from servicekit.clock import SystemClock
from servicekit.delivery.names import STEMS, StemMode, StemName
from servicekit.errors import Cancelled, DataLoss
from servicekit.journal import Stage
from servicekit.metrics import Metrics
from servicekit.work import StagedFiles
from tests.support.separation_pipeline import (
    JOB_ID,
    Take,
    music,
    new_mix,
    new_pipeline,
    new_store,
    replacement_in,
    take_of,
)

SECONDS = 3.0


@pytest.fixture(scope="module")
def starter() -> Separator:
    """The weights in the package."""
    return load_separator("starter", repo=None, device="cpu", threads=1)


class Run:
    """A pipeline over a folder, and what its metrics and its store have."""

    def __init__(self, folder: Path, separator: Separator) -> None:
        self.metrics = Metrics("separation")
        self.store = new_store(folder)
        self.pipeline: SeparationPipeline = new_pipeline(folder, separator, store=self.store, metrics=self.metrics)
        self.updates: list[ProgressUpdate] = []
        self.on_update: Callable[[ProgressUpdate], None] = lambda _update: None

    def progress(self) -> CallProgress:
        """Progress whose updates start anew."""
        self.updates = []

        def publish(update: ProgressUpdate) -> None:
            self.updates.append(update)
            self.on_update(update)

        return CallProgress(publish, clock=SystemClock(), observe=lambda _stage, _seconds: None)

    def separate(self, take: Take) -> StoredPackage:
        """All stems of a take."""
        return self.pipeline(
            take.receive(self.store),
            AllStems(mode=StemMode.EXACT),
            self.progress(),
            StagedFiles(self.store, JOB_ID, 1, 1),
        )

    def replace(self, mix: Take, what: Replacement) -> StoredPackage:
        """A re-render."""
        staged = StagedFiles(self.store, JOB_ID, mix.manifest.version, 1)
        return self.pipeline(mix.receive(self.store), what, self.progress(), staged)

    def stored(self) -> set[str]:
        """Names of the job's files in the store."""
        return {key.rpartition("/")[2] for key in self.store.keys(f"jobs/{JOB_ID}")}

    def metric(self, name: str) -> float | None:
        """A sample of the service's metrics."""
        return self.metrics.registry.get_sample_value(name)

    def files(self, stored: StoredPackage) -> dict[str, bytes]:
        """The files of a stored ZIP by name."""
        with zipfile.ZipFile(io.BytesIO(self.store.read(stored.zip.key, max_bytes=1 << 30))) as archive:
            return {name.rpartition("/")[2]: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def run(tmp_path: Path, starter: Separator) -> Run:
    """A pipeline of its own for each test."""
    return Run(tmp_path, starter)


def test_a_re_render_replaces_one_stem_and_stores_its_bounce(run: Run) -> None:
    """Three stems are copied byte for byte; the bounce is stored beside the ZIP and sums from its stems; no manifest is stored."""
    base = run.separate(take_of(music(SECONDS)))
    stored = run.replace(new_mix(SECONDS), replacement_in(base, SECONDS))
    before, after = run.files(base), run.files(stored)
    assert [name for name in before if before[name] != after[name]] == ["bounce.wav", "other.wav", "manifest.json"]
    assert stored.bounce is not None
    assert run.store.read(stored.bounce.file.key, max_bytes=1 << 30) == after["bounce.wav"]
    pcm = {name: read_wav(io.BytesIO(after[f"{name}.wav"]), name=name) for name in ("bounce", *STEMS)}
    assert np.array_equal(sum(pcm[name].astype(np.int64) for name in STEMS), pcm["bounce"])
    assert run.stored() == {"v1.zip", "v2.wav", "v2.zip"}
    assert after["manifest.json"].decode() == stored.manifest_json


def test_a_re_render_counts_against_the_latency_budget(run: Run) -> None:
    """Its time on the device is in the metric of separations, and does not change the speed for all stems."""
    base = run.separate(take_of(music(SECONDS)))
    factor = run.pipeline.estimator.realtime_factor
    run.replace(new_mix(SECONDS), replacement_in(base, SECONDS))
    assert run.metric("sonichaos_separation_work_seconds_count") == 2.0
    assert run.metric("sonichaos_separation_latency_budget_share_count") == 2.0
    assert run.pipeline.estimator.realtime_factor == factor


def test_a_second_re_render_has_an_estimate_from_its_first_step(run: Run) -> None:
    """The first has none before it separates; the second has one for the wait, each step, alignment and packaging."""
    base = run.separate(take_of(music(SECONDS)))
    what = replacement_in(base, SECONDS)
    load = run.pipeline.load(round(SECONDS * 44100), what)
    assert run.pipeline.estimator.expected_after_s(Stage.RECEIVE, load) is None
    run.replace(new_mix(SECONDS), what)
    assert run.pipeline.estimator.expected_after_s(Stage.RECEIVE, load) is not None
    run.replace(new_mix(SECONDS, version=3), what)
    for stage in (Stage.SEPARATE, Stage.ALIGN, Stage.PACKAGE):
        timed = [update for update in run.updates if update.stage is stage and update.steps_done]
        assert timed, stage
        assert all(update.time_left_s is not None for update in timed), stage


def test_a_replay_compares_and_stores_nothing(run: Run) -> None:
    """The same mix gives the same bounce; another one differs."""
    base = run.separate(take_of(music(SECONDS)))
    what = replacement_in(base, SECONDS)
    stored = run.replace(new_mix(SECONDS), what)
    assert stored.bounce is not None
    before = run.stored()
    same = run.pipeline.compare(new_mix(SECONDS).receive(run.store), what, stored.bounce.file, run.progress())
    assert (same.replayed_sha256, same.difference.largest) == (same.stored_sha256, 0)
    other = take_of(music(SECONDS, seed=9), version=2, rerender=new_mix(SECONDS).manifest.rerender)
    differs = run.pipeline.compare(other.receive(run.store), what, stored.bounce.file, run.progress())
    assert differs.difference.largest > 0
    assert run.stored() == before


def test_a_re_render_stopped_while_it_is_stored_leaves_no_bounce(run: Run) -> None:
    """The bounce is stored first; a cancel during the ZIP removes it."""
    base = run.separate(take_of(music(SECONDS)))
    progress = run.progress()
    run.on_update = lambda update: progress.cancel() if update.stage is Stage.STORE else None
    with pytest.raises(Cancelled), StagedFiles(run.store, JOB_ID, 2, 1) as staged:
        run.pipeline(new_mix(SECONDS).receive(run.store), replacement_in(base, SECONDS), progress, staged)
    assert run.stored() == {"v1.zip"}


def test_a_base_of_another_length_is_data_loss(run: Run) -> None:
    """Before the device is asked for."""
    base = run.separate(take_of(music(SECONDS)))
    with pytest.raises(DataLoss, match="the new mix has"):
        run.replace(new_mix(2.0), replacement_in(base, SECONDS, stem=StemName.BASS))
    assert {update.stage for update in run.updates} == {Stage.RECEIVE}
