"""``sonichaos fetch-weights`` against a loopback server that publishes files in the form of demucs' weights."""

from __future__ import annotations

import fcntl
import hashlib
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from hostctl import fetch_weights as command
from hostctl import weight_sources
from sonichaos_client.cli.root import Root
from sonichaos_client.retry import RetryPolicy
from tests.wire.scripted_files import FileShelf

CONTENTS = [random.Random(seed).randbytes(300_000) for seed in range(2)]  # noqa: S311
DIGESTS = {f"{seed:08x}": hashlib.sha256(data).hexdigest() for seed, data in enumerate(CONTENTS)}
NAMES = [f"{signature}.safetensors" for signature in DIGESTS]
PICKLES = [f"{signature}-{digest[:8]}.th" for signature, digest in DIGESTS.items()]


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileShelf]:
    """A published two-model bag named ``small_ft``."""
    source = weight_sources.demucs_model(
        "small_ft",
        revision="f" * 40,
        safetensors=DIGESTS,
        pickles={signature: digest[:8] for signature, digest in DIGESTS.items()},
        weights="weights:\n  - [1., 0.]\n  - [0., 1.]\n",
    )
    monkeypatch.setitem(weight_sources.SOURCES, "small_ft", source)
    monkeypatch.setattr(command, "_RETRY", RetryPolicy(first_s=0.01, cap_s=0.01, patience_s=0.2))
    with FileShelf() as running:
        for name, data in zip(NAMES + PICKLES, CONTENTS * 2, strict=True):
            running.put(f"/demucs/{name}", data)
        yield running


def fetch(shelf: FileShelf, folder: Path, *options: str) -> Result:
    """Run the command as the installed one runs it."""
    root = Root("sonichaos", commands=[command.fetch_weights])
    arguments = ["fetch-weights", "small_ft", "--to", str(folder), "--mirror", f"{shelf.base_url}/demucs", *options]
    return CliRunner().invoke(root, arguments)


def visible(folder: Path) -> set[str]:
    """The folder's files but hidden ones."""
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


@pytest.mark.parametrize(
    ("options", "names", "said"),
    [((), NAMES, "full SHA-256 that is known"), (("--form", "pickles"), PICKLES, "first 8 hex digits")],
    ids=["safetensors", "pickles"],
)
def test_a_bag_is_fetched_verified_and_locked(
    shelf: FileShelf, tmp_path: Path, options: tuple[str, ...], names: list[str], said: str
) -> None:
    """All files land, safetensors unless pickles are asked for; full digests are locked, and it is said how far they were known."""
    result = fetch(shelf, tmp_path / "w", *options)
    assert result.exit_code == 0, result.stderr
    assert visible(tmp_path / "w") == {*names, "small_ft.yaml", "SHA256SUMS"}
    assert [(tmp_path / "w" / name).read_bytes() for name in names] == CONTENTS
    bag = yaml.safe_load((tmp_path / "w" / "small_ft.yaml").read_text())
    assert bag["models"] == ["00000000", "00000001"]
    assert bag["weights"] == [[1.0, 0.0], [0.0, 1.0]]
    for name, digest in zip(names, DIGESTS.values(), strict=True):
        assert f"{digest}  {name}" in (tmp_path / "w" / "SHA256SUMS").read_text()
    assert said in result.stderr
    assert "scientific purposes" in result.stderr
    assert f"--separator-repo {tmp_path / 'w'}" in result.stdout


def test_known_models_are_pinned() -> None:
    """Each known model has safetensors at a full revision with full digests, and pickles by the digits in their names."""
    for source in weight_sources.SOURCES.values():
        tensors, pickles = source.forms["safetensors"], source.forms["pickles"]
        assert re.fullmatch(
            r"https://huggingface\.co/adefossez/HTDemucs[-a-z0-9]*/resolve/[0-9a-f]{40}", tensors.base_url
        )
        assert all(re.fullmatch(r"[0-9a-f]{64}", file.sha256_prefix) for file in tensors.files)
        assert all(file.name.endswith(f"-{file.sha256_prefix}.th") for file in pickles.files)
        assert [file.name[:8] for file in tensors.files] == yaml.safe_load(source.bag_yaml)["models"]


def test_a_second_run_fetches_nothing(shelf: FileShelf, tmp_path: Path) -> None:
    """What is there and matches is left as it is."""
    fetch(shelf, tmp_path)
    shelf.ranges.clear()
    again = fetch(shelf, tmp_path)
    assert again.exit_code == 0
    assert shelf.ranges == []
    assert "full SHA-256 that is known" not in again.stderr


def test_a_cut_is_resumed_in_the_run_and_in_the_next(shelf: FileShelf, tmp_path: Path) -> None:
    """Within a run the download goes on after a cut; where the server stays away, the next run goes on from the part."""
    shelf.cut_after_bytes = [100_000, 50_000, *([0] * 200)]
    assert fetch(shelf, tmp_path).exit_code == 75
    assert visible(tmp_path) == set()
    shelf.cut_after_bytes.clear()
    shelf.ranges.clear()
    assert fetch(shelf, tmp_path).exit_code == 0
    assert shelf.ranges == ["bytes=150000-", ""]
    assert (tmp_path / NAMES[0]).read_bytes() == CONTENTS[0]


def test_a_part_of_something_else_is_fetched_anew(shelf: FileShelf, tmp_path: Path) -> None:
    """A part that was left by another content does not spoil the file."""
    (tmp_path / f".{NAMES[0]}.part").write_bytes(b"x" * 1000)
    assert fetch(shelf, tmp_path).exit_code == 0
    assert (tmp_path / NAMES[0]).read_bytes() == CONTENTS[0]


def test_a_whole_part_needs_no_more_bytes(shelf: FileShelf, tmp_path: Path) -> None:
    """A run that ended between the last byte and the name goes on from there."""
    (tmp_path / f".{NAMES[0]}.part").write_bytes(CONTENTS[0])
    assert fetch(shelf, tmp_path).exit_code == 0
    assert (tmp_path / NAMES[0]).read_bytes() == CONTENTS[0]


def test_other_bytes_than_published_are_refused(shelf: FileShelf, tmp_path: Path) -> None:
    """A file whose digest is not the known one is not kept; exit status 3."""
    shelf.tamper = True
    result = fetch(shelf, tmp_path)
    assert result.exit_code == 3
    assert hashlib.sha256(CONTENTS[0]).hexdigest()[:8] in result.stderr
    assert visible(tmp_path) == set()
    assert not (tmp_path / f".{NAMES[0]}.part").exists()


def test_a_file_changed_after_the_lock_is_found(shelf: FileShelf, tmp_path: Path) -> None:
    """The lock holds all 64 digits, for files on disk and for files fetched again."""
    fetch(shelf, tmp_path)
    (tmp_path / NAMES[1]).write_bytes(b"changed")
    result = fetch(shelf, tmp_path)
    assert result.exit_code == 3
    assert "delete it" in result.stderr
    (tmp_path / NAMES[1]).unlink()
    digest = hashlib.sha256(CONTENTS[1]).hexdigest()
    fetch(shelf, tmp_path, "--form", "pickles")
    sums = (tmp_path / "SHA256SUMS").read_text()
    (tmp_path / "SHA256SUMS").write_text(sums.replace(digest, digest[:8] + "0" * 56))
    (tmp_path / PICKLES[1]).unlink()
    assert fetch(shelf, tmp_path, "--form", "pickles").exit_code == 3
    assert not (tmp_path / PICKLES[1]).exists()
    (tmp_path / "SHA256SUMS").write_text(sums.replace(digest, "0" * 64))
    refused = fetch(shelf, tmp_path)
    assert refused.exit_code == 1
    assert digest in refused.stderr


def test_only_one_fetch_at_a_time(shelf: FileShelf, tmp_path: Path) -> None:
    """A second fetch into the same folder is refused instead of writing into the first one's parts."""
    with (tmp_path / ".fetch.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        result = fetch(shelf, tmp_path)
    assert result.exit_code == 1
    assert "another fetch-weights" in result.stderr


def test_plain_http_and_unknown_names_are_refused(shelf: FileShelf, tmp_path: Path) -> None:
    """Weights come over HTTPS from sources that are known."""
    plain = fetch(shelf, tmp_path, "--mirror", "http://example.com/demucs")
    assert plain.exit_code == 2
    assert "https only" in plain.stderr
    root = Root("sonichaos", commands=[command.fetch_weights])
    unknown = CliRunner().invoke(root, ["fetch-weights", "nope", "--to", str(tmp_path)])
    assert unknown.exit_code == 2
    assert "htdemucs_ft" in unknown.stderr
    assert CliRunner().invoke(root, ["fetch-weights", "starter"]).exit_code == 0
