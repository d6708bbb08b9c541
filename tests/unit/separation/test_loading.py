"""Loading by name from a folder: what is there runs, what is not is an error that says what to do, and nothing is fetched."""

from __future__ import annotations

import hashlib
import pickle
import socket
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import yaml

from separation_service.engine import load_separator
from separation_service.engine.weights_folder import STARTER_FOLDER
from servicekit.errors import FailedPrecondition
from tests.support.tiny_models import quiet, save_safetensors, save_th, tiny

MIX = np.random.default_rng(0).normal(0.0, 0.2, (2, 20_000)).astype(np.float32)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket can be made or name looked up in these tests."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("the loader went to the network")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def refused(name: str, repo: Path | None) -> str:
    """The message of the refusal; its reason is checked."""
    with pytest.raises(FailedPrecondition) as caught:
        load_separator(name, repo=repo, device="cpu", threads=1)
    assert caught.value.reason == "MODEL_UNUSABLE"
    assert caught.value.metadata["model"] == name
    return caught.value.message


def test_the_starter_loads_anywhere() -> None:
    """The weights in the package load with no folder and no network, at most 8 MB, their digest pinned beside them."""
    starter = load_separator("starter", repo=None, device="cpu", threads=1)
    assert set(starter.info.sources) == {"drums", "bass", "vocals", "other"}
    assert starter.info.licence == "Apache-2.0"
    assert sum(path.stat().st_size for path in STARTER_FOLDER.glob("*.safetensors")) <= 8_000_000
    pinned = (STARTER_FOLDER / "SHA256SUMS").read_text().split()[0]
    assert [file.sha256 for file in starter.info.files] == [pinned]
    assert starter.info.weights_sha256 == hashlib.sha256(f"{pinned}\n".encode()).hexdigest()


def test_a_bag_has_all_its_digests(one_hot: Path) -> None:
    """Every file of a bag is digested whole, in the bag's order."""
    info = load_separator("ft", repo=one_hot, device="cpu", threads=1).info
    found = [hashlib.sha256((one_hot / file.name).read_bytes()).hexdigest() for file in info.files]
    assert [file.sha256 for file in info.files] == found
    assert info.models == 4


def test_both_forms_compute_the_same(tmp_path: Path) -> None:
    """The same weights as .th and as safetensors give the same samples: also the form that demucs leaves in train mode."""
    for form, save in (("th", save_th), ("st", save_safetensors)):
        (tmp_path / form).mkdir()
        save(tiny(), "one", tmp_path / form)
    outputs = [
        load_separator("one", repo=tmp_path / form, device="cpu", threads=1).separate(MIX, quiet)
        for form in ("th", "st")
    ]
    assert (outputs[0] == outputs[1]).all()


@pytest.mark.parametrize("repo", [None, Path("/nowhere/at/all")])
def test_a_missing_folder_says_what_to_do(repo: Path | None) -> None:
    """Without its folder htdemucs_ft is an error that names the command to run; demucs would have gone to its hub."""
    assert "sonichaos fetch-weights htdemucs_ft --to" in refused("htdemucs_ft", repo)


@pytest.mark.parametrize("name", ["htdemucs_ft", "demucs_unittest", "../secret", "hf://x/y", "", "a" * 65])
def test_a_missing_model_is_never_another(one_hot: Path, name: str) -> None:
    """A name that the folder does not have, or that means something special to demucs, is refused."""
    assert "cannot be used" in refused(name, one_hot)


def test_a_flipped_bit_is_refused(tmp_path: Path) -> None:
    """A .th whose bytes do not match the digest in its name is refused before it is read as a pickle."""
    path = save_th(tiny(), "one", tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert "does not match its digest" in refused("one", tmp_path)


def test_sums_pin_every_file(tmp_path: Path) -> None:
    """With SHA256SUMS in the folder, a file with another digest, or that it does not list, is refused."""
    path = save_safetensors(tiny(), "one", tmp_path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    sums = tmp_path / "SHA256SUMS"
    sums.write_text(f"{digest}  {path.name}\n")
    assert load_separator("one", repo=tmp_path, device="cpu", threads=1).info.files[0].sha256 == digest
    sums.write_text(f"{'0' * 64}  {path.name}\n")
    assert "does not match its digest" in refused("one", tmp_path)
    sums.write_text(f"{digest}  another.safetensors\n")
    assert "is not listed in SHA256SUMS" in refused("one", tmp_path)
    sums.write_text("nonsense\n")
    assert "SHA256SUMS must have lines" in refused("one", tmp_path)


def test_a_file_may_only_name_demucs_models(tmp_path: Path) -> None:
    """Safetensors metadata that names another class, which demucs would import and call, is refused."""
    save_safetensors(tiny(), "one", tmp_path, klass="subprocess.Popen")
    assert "subprocess.Popen" in refused("one", tmp_path)


def test_a_pickle_of_unknown_digest_is_not_opened(tmp_path: Path) -> None:
    """A pickle can run code, so one that nobody vouches for by a digest is refused before it is read as one."""
    (tmp_path / "wild.th").write_bytes(pickle.dumps(Path("/")))
    assert "can run code" in refused("wild", tmp_path)


@pytest.mark.parametrize("name", ["garbage.th", "garbage.safetensors"])
def test_files_of_another_kind_are_named(tmp_path: Path, name: str) -> None:
    """A file that is no model is an error, not a traceback."""
    data = b"this is no model" * 100
    (tmp_path / name).write_bytes(data)
    (tmp_path / "SHA256SUMS").write_text(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
    assert "demucs cannot load" in refused("garbage", tmp_path)


@pytest.mark.parametrize("text", ["models: [", "models: nothing", "models: ['../x']", "models: []", "5"])
def test_a_broken_bag_is_named(tmp_path: Path, text: str) -> None:
    """A YAML that names no signatures is refused."""
    (tmp_path / "bag.yaml").write_text(text)
    assert "bag.yaml" in refused("bag", tmp_path)


def test_a_bag_that_misses_a_model_is_named(tmp_path: Path) -> None:
    """The missing signature is in the message."""
    save_th(tiny(), "here", tmp_path)
    (tmp_path / "bag.yaml").write_text(yaml.safe_dump({"models": ["here", "gone"]}))
    assert "gone" in refused("bag", tmp_path)


def test_other_sources_are_refused(tmp_path: Path) -> None:
    """A model that does not give the four stems is refused, saying what it gives."""
    save_th(tiny(sources=("vocals", "accompaniment")), "karaoke", tmp_path)
    assert "vocals, accompaniment" in refused("karaoke", tmp_path)


def test_a_source_without_weight_is_refused(tmp_path: Path) -> None:
    """A bag that has no weight for a stem would divide by nothing."""
    save_th(tiny(), "one", tmp_path)
    (tmp_path / "bag.yaml").write_text(yaml.safe_dump({"models": ["one"], "weights": [[1.0, 0.0, 1.0, 1.0]]}))
    assert "no model of the bag has a weight for bass" in refused("bag", tmp_path)


def test_no_gpu_is_said() -> None:
    """A GPU that is not there is an error, not a slow run."""
    with pytest.raises(FailedPrecondition, match="--device cpu"):
        load_separator("starter", repo=None, device="cuda:99", threads=1)
