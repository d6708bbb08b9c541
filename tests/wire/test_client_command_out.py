"""``--out FILE|DIR`` of the ``sonichaos`` command, against scripted services."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client_command import RENDER, lines, sonichaos
from tests.support.scripted_service import BOUNCE, ZIP
from tests.support.scripted_services import ScriptedPair, scripted_pair


@pytest.fixture
def pair() -> Iterator[ScriptedPair]:
    """Two scripted services."""
    with scripted_pair() as running:
        yield running


def test_out_may_be_a_file(pair: ScriptedPair, tmp_path: Path) -> None:
    """Its suffix says what is stored: the bounce or the ZIP. The name may have a folder, which is created."""
    wav, archive = tmp_path / "new" / "take.wav", tmp_path / "TAKE.ZIP"
    alone = sonichaos(pair, *RENDER, "--out", str(wav))
    assert (alone.exit_code, wav.read_bytes()) == (0, BOUNCE), alone.stderr
    assert str(wav) in alone.stdout.splitlines()
    assert sonichaos(pair, *RENDER, "--stems", "--out", str(archive)).exit_code == 0
    assert archive.read_bytes() == ZIP
    job_id = list(pair.render.jobs)[1]
    both = sonichaos(pair, "watch", job_id, "--out", str(tmp_path / "mix.wav"))
    assert (tmp_path / "mix.wav").read_bytes() == BOUNCE
    assert f"the stems: sonichaos get {job_id}" in both.stderr
    fetched = sonichaos(pair, "get", job_id, "--out", str(tmp_path / "again.zip"), "--json")
    assert lines(fetched)[0]["path"] == str(tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == ZIP
    (tmp_path / "in.wav").write_bytes(b"RIFF1234")
    assert sonichaos(pair, "separate", str(tmp_path / "in.wav"), "--out", str(tmp_path / "stems.zip")).exit_code == 0
    assert (tmp_path / "stems.zip").read_bytes() == ZIP
    rerendered = sonichaos(pair, "rerender", job_id, "--stem", "bass", "--out", str(tmp_path / "v2.zip"))
    assert rerendered.exit_code == 0, rerendered.stderr
    assert (tmp_path / "v2.zip").read_bytes() == ZIP


def test_a_folder_may_be_named_like_a_file(pair: ScriptedPair, tmp_path: Path) -> None:
    """If it exists, or the name ends in a slash; one that does not look like audio is created."""
    (tmp_path / "old.wav").mkdir()
    for folder in (tmp_path / "old.wav", f"{tmp_path}/new.wav/", tmp_path / "out.2"):
        assert sonichaos(pair, *RENDER, "--out", str(folder)).exit_code == 0
        assert [path.read_bytes() for path in Path(folder).iterdir()] == [BOUNCE]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*RENDER, "--out", "take.zip"), "a take without --stems is stored under a name in .wav"),
        ((*RENDER, "--out", "take.flac"), "must be a folder, or a file that ends in .wav, .zip"),
        ((*RENDER, "--out", "mine.wav"), "mine.wav already exists"),
        (
            ("separate", "mine.wav", "--out", "notes.mid"),
            "a separation of an upload is stored under a name in .wav or .zip or .json",
        ),
        (("get", "j-1", "--file", "zip", "--out", "new.wav"), "--file zip is stored under a name in .zip"),
    ],
)
def test_an_output_that_cannot_be_is_rejected_before_any_call(
    pair: ScriptedPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    """The message says which names are possible; no job is created, and no file is changed."""
    monkeypatch.chdir(tmp_path)
    Path("mine.wav").write_bytes(b"mine")
    result = sonichaos(pair, *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert [*pair.render.calls, *pair.separation.calls] == []
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"mine"]


def test_a_file_is_overwritten_with_force_and_only_by_a_whole_one(pair: ScriptedPair, tmp_path: Path) -> None:
    """A download that fails leaves the old file as it was."""
    path = tmp_path / "take.wav"
    path.write_bytes(b"mine")
    pair.files.statuses = [404]
    assert sonichaos(pair, *RENDER, "--out", str(path), "--force").exit_code == 3
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [b"mine"]
    assert sonichaos(pair, *RENDER, "--out", str(path), "--force").exit_code == 0
    assert path.read_bytes() == BOUNCE
