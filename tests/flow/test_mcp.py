"""``sonichaos mcp`` over stdio, with the mcp package's own client, against the live pair."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from mcp import Client

from sonichaos_client.verify import verify_zip
from tests.support.mcp_host import connected, error_of, structured
from tests.support.pair import LivePair


async def saved_file(client: Client, **arguments: object) -> Path:
    """Downloads; the path that the tool returned, whose SHA-256 is that of the file."""
    saved = structured(await client.call_tool("download", arguments))
    path = Path(saved["path"])
    assert digest_of(path) == saved["sha256"]
    return path


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files_below(folder: Path) -> dict[str, bytes]:
    """Each file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_an_assistant_makes_music_in_one_folder(example_pair: LivePair, tmp_path: Path) -> None:
    """Render with stems, status, re-render, separate, download; files are verified, and written to the folder alone."""
    folder, outside = tmp_path / "music", tmp_path / "outside"
    outside.mkdir()
    (outside / "kept.zip").write_bytes(b"kept")
    variables = {
        "SONICHAOS_RENDER_ADDRESS": example_pair.render_address,
        "SONICHAOS_SEPARATION_ADDRESS": example_pair.separation_address,
        "HOME": str(outside),
        "TMPDIR": str(outside),
    }
    async with connected(folder, variables) as client:
        brief = {"prompt": "slow dusty boom bap", "persona": example_pair.persona, "seconds": 2, "seed": 7}
        made = structured(await client.call_tool("render", {**brief, "stems": True}))
        job_id = made["job_id"]
        assert (made["state"], made["seed"]) == ("done", 7)
        again = {"job_id": job_id, "stem": "vocals", "persona": example_pair.other_persona, "seed": 1}
        assert structured(await client.call_tool("rerender", again))["version"] == 2
        status = structured(await client.call_tool("status", {"job_id": job_id}))
        assert [(one["version"], one["state"]) for one in status["versions"]] == [(1, "done"), (2, "done")]

        archives = [await saved_file(client, job_id=job_id, version=number) for number in (1, 2)]
        bounce = await saved_file(client, job_id=job_id, version=1, file="bounce")
        upload = structured(await client.call_tool("separate", {"file": bounce.name}))
        assert upload["state"] == "done"
        archives.append(await saved_file(client, job_id=upload["job_id"]))

        shutil.copy(bounce, tmp_path / "secret.wav")
        for name in ("../secret.wav", str(tmp_path / "secret.wav")):
            assert f"must be a path below {folder}" in error_of(await client.call_tool("separate", {"file": name}))
        archives[0].unlink()
        archives[0].symlink_to(outside / "kept.zip")
        link = {"job_id": job_id, "version": 1}
        assert "already exists" in error_of(await client.call_tool("download", link))
        await client.call_tool("download", {**link, "overwrite": True})
    assert files_below(outside) == {"kept.zip": b"kept"}
    assert {path.name for path in folder.iterdir()} == {path.name for path in (*archives, bounce)}
    assert {os.path.commonpath([folder, path]) for path in (*archives, bounce)} == {str(folder)}
    for archive in archives:
        assert not archive.is_symlink()
        assert not verify_zip(archive).failures
