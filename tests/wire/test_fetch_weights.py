"""``sonichaos fetch-weights`` against a loopback server that publishes files in the form of demucs' weights."""

from __future__ import annotations

import fcntl
import hashlib
import os
import random
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from hostctl import download, weight_sources
from hostctl import fetch_weights as command
from hostctl.download import AttemptLimits
from sonichaos_client.cli.root import Root
from sonichaos_client.retry import RetryPolicy
from tests.support.scripted_file_server import ScriptedFileServer

ROOT = Path(__file__).resolve().parents[2]
CONTENTS = [random.Random(seed).randbytes(300_000) for seed in range(2)]  # noqa: S311
DIGESTS = {f"{seed:08x}": hashlib.sha256(data).hexdigest() for seed, data in enumerate(CONTENTS)}
NAMES = [f"{signature}.safetensors" for signature in DIGESTS]
PICKLES = [f"{signature}-{digest[:8]}.th" for signature, digest in DIGESTS.items()]


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedFileServer]:
    """A published two-model bag named ``small_ft``."""
    source = weight_sources.demucs_model(
        "small_ft",
        revision="f" * 40,
        safetensors=DIGESTS,
        pickles={signature: digest[:8] for signature, digest in DIGESTS.items()},
        weights="weights:\n  - [1., 0.]\n  - [0., 1.]\n",
    )
    monkeypatch.setitem(weight_sources.SOURCES, "small_ft", source)
    retry = RetryPolicy(initial_backoff_s=0.01, max_backoff_s=0.01, max_elapsed_s=0.2)
    monkeypatch.setattr(command, "LIMITS", AttemptLimits(answer_s=5.0, unreachable_s=6.0, retry=retry))
    with ScriptedFileServer() as running:
        for name, data in zip(NAMES + PICKLES, CONTENTS * 2, strict=True):
            running.put(f"/demucs/{name}", data)
        yield running


def fetch(files: ScriptedFileServer, folder: Path, *options: str) -> Result:
    """Run the command as the installed one runs it."""
    root = Root("sonichaos", commands=[command.fetch_weights])
    arguments = ["fetch-weights", "small_ft", "--to", str(folder), "--mirror", f"{files.base_url}/demucs", *options]
    return CliRunner().invoke(root, arguments)


def visible(folder: Path) -> set[str]:
    """The folder's files but hidden ones."""
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


@pytest.mark.parametrize(
    ("options", "names", "said"),
    [((), NAMES, "has its published SHA-256"), (("--form", "pickles"), PICKLES, "first 8 hex digits")],
    ids=["safetensors", "pickles"],
)
def test_a_bag_is_fetched_verified_and_recorded(
    files: ScriptedFileServer, tmp_path: Path, options: tuple[str, ...], names: list[str], said: str
) -> None:
    """All files arrive, safetensors by default; full digests are recorded, and a note says how much of them was published."""
    result = fetch(files, tmp_path / "w", *options)
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


def test_a_second_run_fetches_nothing(files: ScriptedFileServer, tmp_path: Path) -> None:
    """A file that is there and matches is not downloaded again."""
    fetch(files, tmp_path)
    files.ranges.clear()
    again = fetch(files, tmp_path)
    assert again.exit_code == 0
    assert files.ranges == []
    assert "has its published SHA-256" not in again.stderr


def test_a_cut_is_resumed_in_the_run_and_in_the_next(files: ScriptedFileServer, tmp_path: Path) -> None:
    """A run resumes after a cut; if the server stays away, the next run resumes from the partial file."""
    files.disconnect_after_bytes = [100_000, 50_000, *([0] * 200)]
    assert fetch(files, tmp_path).exit_code == 75
    assert visible(tmp_path) == set()
    files.disconnect_after_bytes.clear()
    files.ranges.clear()
    assert fetch(files, tmp_path).exit_code == 0
    assert files.ranges == ["bytes=150000-", ""]
    assert (tmp_path / NAMES[0]).read_bytes() == CONTENTS[0]


def test_a_part_of_something_else_is_fetched_anew(files: ScriptedFileServer, tmp_path: Path) -> None:
    """A partial file of another content does not spoil the download."""
    (tmp_path / f".{NAMES[0]}.part").write_bytes(b"x" * 1000)
    assert fetch(files, tmp_path).exit_code == 0
    assert (tmp_path / NAMES[0]).read_bytes() == CONTENTS[0]


def test_a_whole_part_needs_no_more_bytes(files: ScriptedFileServer, tmp_path: Path) -> None:
    """A run that ended between the last byte and the rename is completed."""
    (tmp_path / f".{NAMES[0]}.part").write_bytes(CONTENTS[0])
    assert fetch(files, tmp_path).exit_code == 0
    assert (tmp_path / NAMES[0]).read_bytes() == CONTENTS[0]


def test_other_bytes_than_published_are_refused(files: ScriptedFileServer, tmp_path: Path) -> None:
    """A file with another digest than the published one is deleted; exit status 3."""
    files.tamper = True
    result = fetch(files, tmp_path)
    assert result.exit_code == 3
    assert hashlib.sha256(CONTENTS[0]).hexdigest()[:8] in result.stderr
    assert visible(tmp_path) == set()
    assert not (tmp_path / f".{NAMES[0]}.part").exists()


def test_a_file_changed_after_the_first_fetch_is_refused(files: ScriptedFileServer, tmp_path: Path) -> None:
    """All 64 recorded digits are compared, for files on disk and for files fetched again."""
    fetch(files, tmp_path)
    (tmp_path / NAMES[1]).write_bytes(b"changed")
    result = fetch(files, tmp_path)
    assert result.exit_code == 3
    assert "delete it" in result.stderr
    (tmp_path / NAMES[1]).unlink()
    digest = hashlib.sha256(CONTENTS[1]).hexdigest()
    fetch(files, tmp_path, "--form", "pickles")
    sums = (tmp_path / "SHA256SUMS").read_text()
    (tmp_path / "SHA256SUMS").write_text(sums.replace(digest, digest[:8] + "0" * 56))
    (tmp_path / PICKLES[1]).unlink()
    assert fetch(files, tmp_path, "--form", "pickles").exit_code == 3
    assert not (tmp_path / PICKLES[1]).exists()
    (tmp_path / "SHA256SUMS").write_text(sums.replace(digest, "0" * 64))
    refused = fetch(files, tmp_path)
    assert refused.exit_code == 1
    assert digest in refused.stderr


def test_a_server_without_ranges_is_downloaded_from_the_start(files: ScriptedFileServer, tmp_path: Path) -> None:
    """Where the server ignores Range, the partial file is replaced, not appended to."""
    files.ignore_range = True
    files.disconnect_after_bytes = [100_000]
    assert fetch(files, tmp_path).exit_code == 0
    assert [(tmp_path / name).read_bytes() for name in NAMES] == CONTENTS


def test_a_redirect_is_followed_only_over_https(files: ScriptedFileServer, tmp_path: Path) -> None:
    """A redirect on this machine is followed; one to plain HTTP elsewhere is refused before a byte is sent there."""
    with ScriptedFileServer() as other:
        for name, data in zip(NAMES, CONTENTS, strict=True):
            other.put(f"/demucs/{name}", data)
        files.redirect_to = other.base_url
        assert fetch(files, tmp_path / "here").exit_code == 0
        other.ranges.clear()
        files.redirect_to = other.base_url.replace("127.0.0.1", "127.0.0.2")
        refused = fetch(files, tmp_path / "elsewhere")
        assert other.ranges == []
    assert refused.exit_code == 2
    assert "https only" in refused.stderr
    assert visible(tmp_path / "elsewhere") == set()


def test_a_server_that_is_busy_is_asked_again_and_a_missing_file_is_not(
    files: ScriptedFileServer, tmp_path: Path
) -> None:
    """503 and 429 are retried; 404 fails at once and names the URL."""
    files.statuses = [503, 429]
    assert fetch(files, tmp_path / "busy").exit_code == 0
    files.ranges.clear()
    files.statuses = [404]
    missing = fetch(files, tmp_path / "missing")
    assert missing.exit_code == 1
    assert f"{files.base_url}/demucs/{NAMES[0]} answered 404" in missing.stderr
    assert len(files.ranges) == 1


def test_a_server_that_never_answers_is_given_up(
    files: ScriptedFileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt has a limit, and so have all together; exit status 75 says to try again later."""
    limits = AttemptLimits(answer_s=0.1, unreachable_s=0.3, retry=command.LIMITS.retry)
    monkeypatch.setattr(command, "LIMITS", limits)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = fetch(files, tmp_path, "--mirror", f"http://127.0.0.1:{silent.getsockname()[1]}/demucs")
    assert result.exit_code == 75
    assert "attempt 1 failed" in result.stderr
    assert "does not answer: nothing came within 0.1 s (2 attempts" in result.stderr
    assert "Without a network, copy 00000000.safetensors to" in result.stderr


def test_attempts_are_shown_and_end_within_20_s(tmp_path: Path) -> None:
    """The command itself, with its own limits and nobody at the other end: each attempt, then what to do."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    mirror = f"http://127.0.0.1:{port}"
    result = subprocess.run(
        [sys.executable, "-m", "sonichaos_client", "fetch-weights", "htdemucs", "--to", tmp_path, "--mirror", mirror],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "clients" / "python" / "src")])},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    shown = result.stderr.splitlines()
    assert shown[0] == f"955717e8.safetensors: from http://127.0.0.1:{port}/"
    assert [line.split(": ")[1] for line in shown[1:4]] == [f"attempt {number} failed" for number in (1, 2, 3)]
    assert "(4 attempts in" in shown[4]
    assert "set HTTPS_PROXY" in shown[4]
    assert (result.returncode, result.stdout) == (75, "")
    assert list(tmp_path.glob("*.safetensors")) == []


def test_a_file_without_end_is_stopped(
    files: ScriptedFileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More bytes than any model has are refused."""
    monkeypatch.setattr(download, "MAX_BYTES", 200_000)
    result = fetch(files, tmp_path)
    assert result.exit_code == 1
    assert "at most 200000 bytes" in result.stderr


def test_progress_is_noted_for_each_tenth(files: ScriptedFileServer, tmp_path: Path) -> None:
    """The last line of progress has all of the file."""
    assert f"{NAMES[0]}: 0.3 of 0.3 MB" in fetch(files, tmp_path).stderr


def test_only_one_fetch_at_a_time(files: ScriptedFileServer, tmp_path: Path) -> None:
    """A second fetch into the same folder is refused: it would write into the partial files of the first."""
    with (tmp_path / ".fetch.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        result = fetch(files, tmp_path)
    assert result.exit_code == 1
    assert "another fetch-weights is running" in result.stderr


def test_plain_http_and_unknown_names_are_refused(files: ScriptedFileServer, tmp_path: Path) -> None:
    """Weights come over HTTPS, from known sources."""
    plain = fetch(files, tmp_path, "--mirror", "http://example.com/demucs")
    assert plain.exit_code == 2
    assert "https only" in plain.stderr
    root = Root("sonichaos", commands=[command.fetch_weights])
    unknown = CliRunner().invoke(root, ["fetch-weights", "nope", "--to", str(tmp_path)])
    assert unknown.exit_code == 2
    assert "htdemucs_ft" in unknown.stderr
    assert CliRunner().invoke(root, ["fetch-weights", "starter"]).exit_code == 0
