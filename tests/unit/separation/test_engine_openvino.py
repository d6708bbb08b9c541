"""The separator on OpenVINO: demucs' numbers, converted once, no telemetry, and a clear error where it cannot run."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from demucs.demucs import Demucs

from separation_service.engine import EngineOptions, load_separator, openvino_core
from servicekit.delivery.names import STEMS
from servicekit.errors import FailedPrecondition
from tests.support.tiny_models import quiet, save_bag, save_th, tiny
from tests.unit.separation.test_engine_agreement import LEAST_SNR_DB, music, snr_db, stock


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag of one model that is good for two stems, and beside it a folder for what is converted."""
    return save_bag(tmp_path_factory.mktemp("half"), "half", weights=[[1.0, 2.0, 0.5, 1.0]], models=1)


def options(folder: Path) -> EngineOptions:
    """OpenVINO, keeping what it converts."""
    return EngineOptions(runtime="openvino", cache=folder / "cache")


@pytest.mark.parametrize("frames", [4410, 70_001])
def test_openvino_agrees(folder: Path, frames: int) -> None:
    """The stems are stock's, the fingerprint names what ran, and a second run gives the same samples."""
    separator = load_separator("half", repo=folder, device="cpu", threads=1, options=options(folder))
    separator.warm()
    mix = music(frames)
    expected, found = stock(mix, "half", folder), separator.separate(mix, quiet)
    for index, stem in enumerate(STEMS):
        assert snr_db(expected[stem], found[index]) >= LEAST_SNR_DB, stem
    assert separator.info.fingerprint["separator.runtime"] == f"openvino {openvino_core.version()}"
    assert (separator.separate(mix, quiet) == found).all()


def test_what_was_converted_is_kept(folder: Path) -> None:
    """A second start finds the converted model, computes the same with it, and leaves the folder as it was."""
    first = load_separator("half", repo=folder, device="cpu", threads=1, options=options(folder))
    before = {path: path.stat().st_mtime_ns for path in (folder / "cache").rglob("*")}
    assert sum(path.name == "core.xml" for path in before) == 1
    second = load_separator("half", repo=folder, device="cpu", threads=1, options=options(folder))
    assert {path: path.stat().st_mtime_ns for path in (folder / "cache").rglob("*")} == before
    mix = music(20_000)
    assert (first.separate(mix, quiet) == second.separate(mix, quiet)).all()


def test_its_maker_is_not_told(folder: Path) -> None:
    """OpenVINO runs with the stand-in for its telemetry, which sends nothing; installed as it comes, its import would report."""
    openvino_core.library()
    assert importlib.import_module("openvino.tools.ovc.telemetry_utils").tm.__name__.endswith("telemetry_stub")


def test_small_models_stay_on_torch(folder: Path) -> None:
    """Left to choose, the engine converts no model that is too small to pay for it, and the fingerprint says torch."""
    choice = EngineOptions(runtime="auto", cache=folder / "unused")
    separator = load_separator("starter", repo=None, device="cpu", threads=1, options=choice)
    assert separator.info.fingerprint["separator.runtime"] == "torch"
    assert not (folder / "unused").exists()


def test_what_openvino_cannot_run_is_refused(tmp_path: Path, folder: Path) -> None:
    """Asked for by name, it is never replaced in silence: another kind of model or reduced precision is an error."""
    save_th(tiny(Demucs), "older", tmp_path)
    with pytest.raises(FailedPrecondition, match="HTDemucs models of the usual form only"):
        load_separator("older", repo=tmp_path, device="cpu", threads=1, options=EngineOptions(runtime="openvino"))
    reduced = EngineOptions(runtime="openvino", precision="reduced")
    with pytest.raises(FailedPrecondition, match="50 dB are required"):
        load_separator("half", repo=folder, device="cpu", threads=1, options=reduced)


def test_older_models_say_whose_forward_runs(tmp_path: Path) -> None:
    """A model that the engine does not take apart runs demucs' own forward, and the fingerprint says so."""
    save_th(tiny(Demucs), "older", tmp_path)
    info = load_separator("older", repo=tmp_path, device="cpu", threads=1, options=EngineOptions(runtime="auto")).info
    assert info.fingerprint["separator.runtime"] == "torch, demucs' own forward"
    assert np.isfinite(info.parameters)
