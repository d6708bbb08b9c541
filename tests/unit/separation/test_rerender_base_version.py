"""A base version is read out of its ZIP file by file, each checked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from separation_service.engine import load_separator
from separation_service.package import AllStems
from separation_service.rerender.base_version import BaseVersionRef, read_base_version
from servicekit.delivery.names import STEMS, StemMode, StemName
from servicekit.errors import DataLoss
from servicekit.metrics import Metrics
from servicekit.store.folder_store import FolderStore
from servicekit.work import StagedFiles
from tests.support.separation_pipeline import JOB_ID, music, new_pipeline, new_store, replacement_in, take_of
from tests.support.silent_progress import SilentProgress

FRAMES = 44100


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FolderStore:
    """A folder for the versions of these tests."""
    return new_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def ref(tmp_path_factory: pytest.TempPathFactory, store: FolderStore) -> BaseVersionRef:
    """A stored first version of one second."""
    separator = load_separator("starter", repo=None, device="cpu", threads=1)
    folder: Path = tmp_path_factory.mktemp("pipeline")
    pipeline = new_pipeline(folder, separator, store=store, metrics=Metrics("separation"))
    stored = pipeline(
        take_of(music(1.0)).receive(store),
        AllStems(mode=StemMode.EXACT),
        SilentProgress(),
        StagedFiles(store, JOB_ID, 1, 1),
    )
    return replacement_in(stored, 1.0).base


def test_samples_and_copied_files_are_those_of_the_zip(store: FolderStore, ref: BaseVersionRef) -> None:
    """All stems as integers that sum to the bounce; the files of the three others byte for byte."""
    base = read_base_version(ref, StemName.BASS, FRAMES, store)
    assert np.array_equal(base.take.stems.astype(np.int64).sum(axis=0), base.take.bounce)
    assert np.array_equal(base.take.old, base.take.of(StemName.BASS))
    assert list(base.copied) == [name for name in STEMS if name != StemName.BASS]
    for name, file in base.copied.items():
        entry = ref.entries[f"{name}.wav"]
        data = store.read(ref.zip_key, max_bytes=1 << 30)[entry.offset_bytes : entry.offset_bytes + entry.size_bytes]
        assert b"".join(file.content.chunks()) == data
        assert file.digest.sha256 == entry.sha256
    assert base.take.is_original


def test_a_copied_stem_keeps_the_version_that_made_it(store: FolderStore, ref: BaseVersionRef) -> None:
    """Version 1 made them; the take has no origin, so it counts as an upload, whose bounce has no true-peak limit."""
    base = read_base_version(ref, StemName.DRUMS, FRAMES, store)
    made = {"version": 1, "createdAt": "2026-01-02T00:00:00Z", "source": "separated"}
    assert base.copied_facts == {name: made for name in STEMS if name != StemName.DRUMS}
    assert json.dumps(base.copied_facts)
    assert base.is_upload


@pytest.mark.parametrize("name", ["bounce.wav", "vocals.wav", "manifest.json"])
def test_a_file_with_another_digest_is_data_loss(store: FolderStore, ref: BaseVersionRef, name: str) -> None:
    """Every file of the ZIP is checked, whichever stem is replaced."""
    entries = {**ref.entries, name: replace(ref.entries[name], sha256="0" * 64)}
    with pytest.raises(DataLoss):
        read_base_version(replace(ref, entries=entries), StemName.BASS, FRAMES, store)


def test_another_length_and_a_missing_zip_are_named(store: FolderStore, ref: BaseVersionRef) -> None:
    """A new mix of another length, and a ZIP that was deleted."""
    with pytest.raises(DataLoss, match=f"it has {FRAMES} frames, the new mix has {FRAMES - 1}"):
        read_base_version(ref, StemName.BASS, FRAMES - 1, store)
    with pytest.raises(DataLoss, match="is missing now"):
        read_base_version(replace(ref, zip_key="jobs/gone/v1.zip"), StemName.BASS, FRAMES, store)
