"""``sonichaos mcp`` over stdio with the package's own client, against the fake services."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters

from sonichaos_client.enums import JobState
from sonichaos_client.testing.fake import ANY_PORT, FakeOptions, FakeSonichaos, start_fake
from sonichaos_client.verify import verify_zip
from tests.support import mcp_host
from tests.support.mcp_host import error_of, structured

ROOT = Path(__file__).resolve().parents[2]
MCP_PAGE = ROOT / "docs" / "mcp.md"
KEY = "sonichaos_mcp_0123456789"
WRONG_KEY = "sonichaos_mcp_9876543210"


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeSonichaos]:
    """Both services; a job takes virtual time, and callers need a key."""
    options = FakeOptions(
        render_listen=ANY_PORT, separation_listen=ANY_PORT, url_listen=ANY_PORT, speed=100.0, api_keys=(KEY,)
    )
    with start_fake(options) as running:
        yield running


def environment(fake: FakeSonichaos, key: str = KEY) -> dict[str, str]:
    """The environment of the server, with what a host's configuration would add."""
    return {
        "SONICHAOS_RENDER_ADDRESS": fake.render_address,
        "SONICHAOS_SEPARATION_ADDRESS": fake.separation_address,
        "SONICHAOS_API_KEY": key,
    }


def connected(fake: FakeSonichaos, folder: Path, key: str = KEY) -> AbstractAsyncContextManager[Client]:
    """A client of a running ``sonichaos mcp``."""
    return mcp_host.connected(folder, environment(fake, key))


async def test_a_take_is_rendered_rerendered_and_downloaded(fake: FakeSonichaos, tmp_path: Path) -> None:
    """The whole flow: personas, render with progress, re-render, status, download of both versions."""
    shown: list[tuple[float, str]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        assert total == 1.0
        shown.append((progress, message or ""))

    async with connected(fake, tmp_path / "new") as client:
        personas = structured(await client.call_tool("personas"))
        assert personas["default"] == "glass-orchard"
        brief = {"prompt": "slow dusty boom bap", "seconds": 2, "seed": 7, "bpm": 90, "stems": True}
        made = structured(await client.call_tool("render", brief, progress_callback=on_progress))
        assert (made["state"], made["seed"], made["bpm"], made["persona"]) == ("done", 7, [90.0], "glass-orchard")
        assert {"zip", "bounce", "manifest"} <= set(made["files"])
        job = {"job_id": made["job_id"]}
        again = structured(await client.call_tool("rerender", {**job, "stem": "vocals", "persona": "neon-drift"}))
        assert (again["job_id"], again["version"], again["state"]) == (made["job_id"], 2, "done")
        status = structured(await client.call_tool("status", job))
        assert [one["persona"] for one in status["versions"]] == ["glass-orchard", "neon-drift"]
        saved = structured(await client.call_tool("download", {**job, "version": 1}))
        twice = await client.call_tool("download", {**job, "version": 1})
        newest = structured(await client.call_tool("download", job))
    path = Path(saved["path"])
    assert path == tmp_path / "new" / f"{made['job_id']}-v1.zip"
    assert digest_of(path) == saved["sha256"]
    assert newest["version"] == 2
    for archive in (path, Path(newest["path"])):
        assert not verify_zip(archive).failures
    assert "already exists" in error_of(twice)
    fractions = [fraction for fraction, _ in shown]
    assert fractions == sorted(set(fractions))
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert f"{made['job_id']} v1 is accepted. It goes on if this call is cancelled" in shown[0][1]


async def test_a_recording_is_separated_from_the_folder_only(fake: FakeSonichaos, tmp_path: Path) -> None:
    """A path or a link that leads out of the folder is refused, and so is a missing file; nothing is uploaded then."""
    folder = tmp_path / "shared"
    async with connected(fake, folder) as client:
        bounce = structured(await client.call_tool("render", {"prompt": "a", "seconds": 2}))
        saved = structured(await client.call_tool("download", {"job_id": bounce["job_id"], "file": "bounce"}))
        shutil.copy(saved["path"], tmp_path / "secret.wav")
        (folder / "link.wav").symlink_to(tmp_path / "secret.wav")
        before = jobs_of(fake)
        for name in ("../secret.wav", str(tmp_path / "secret.wav"), "link.wav"):
            assert f"must be a path below {folder}" in error_of(await client.call_tool("separate", {"file": name}))
        missing = error_of(await client.call_tool("separate", {"file": "no.wav"}))
        assert f"Files there: {Path(saved['path']).name}, link.wav." in missing
        assert jobs_of(fake) == before
        separated = structured(await client.call_tool("separate", {"file": Path(saved["path"]).name}))
        assert (separated["state"], separated["seed"]) == ("done", None)
        archive = structured(await client.call_tool("download", {"job_id": separated["job_id"]}))
    assert Path(archive["path"]).parent == folder
    assert not verify_zip(Path(archive["path"])).failures


async def test_errors_say_what_was_expected(fake: FakeSonichaos, tmp_path: Path) -> None:
    """Arguments out of range, unknown names, a wrong key: the reason and what exists, as an error of the tool."""
    async with connected(fake, tmp_path) as client:
        assert "less than or equal to 180" in error_of(
            await client.call_tool("render", {"prompt": "a", "seconds": 999})
        )
        nobody = error_of(await client.call_tool("render", {"prompt": "a", "persona": "nobody"}))
        assert "PERSONA_NOT_FOUND" in nobody
        assert "neon-drift" in nobody
        assert "JOB_NOT_FOUND" in error_of(await client.call_tool("status", {"job_id": "j-none"}))
    async with connected(fake, tmp_path, key=WRONG_KEY) as client:
        assert "CREDENTIALS_INVALID" in error_of(await client.call_tool("personas"))


@pytest.mark.parametrize("ends", [False, True])
async def test_a_cancelled_call_leaves_the_job_running(tmp_path: Path, *, ends: bool) -> None:
    """The host cancels the call; the job goes on until it is done, or until the tool cancel ends it."""
    options = FakeOptions(
        render_listen=ANY_PORT, separation_listen=ANY_PORT, url_listen=ANY_PORT, speed=0.0, api_keys=(KEY,)
    )
    accepted: list[str] = []
    with start_fake(options) as stopped:
        async with connected(stopped, tmp_path) as client:
            async with anyio.create_task_group() as calls:

                async def on_progress(_progress: float, _total: float | None, message: str | None) -> None:
                    accepted.append((message or "").split()[0])
                    calls.cancel_scope.cancel()

                calls.start_soon(lambda: client.call_tool("render", {"prompt": "a"}, progress_callback=on_progress))
            job = {"job_id": accepted[0]}
            (version,) = structured(await client.call_tool("status", job))["versions"]
            assert version["state"] in {"queued", "running"}
            if ends:
                await client.call_tool("cancel", job)
            stopped.skip(600)
            (version,) = structured(await client.call_tool("status", job))["versions"]
            assert version["state"] == ("cancelled" if ends else "done")
            nothing = await client.call_tool("cancel", job)
            assert "nothing to cancel" in error_of(nothing)


async def test_a_call_need_not_wait(fake: FakeSonichaos, tmp_path: Path) -> None:
    """Without ``wait`` the answer is the accepted version."""
    async with connected(fake, tmp_path) as client:
        made = structured(await client.call_tool("render", {"prompt": "a", "wait": False}))
        assert made["state"] in {"queued", "running"}


async def test_the_configuration_of_the_page_starts_it(fake: FakeSonichaos, tmp_path: Path) -> None:
    """The command and its arguments as docs/mcp.md has them, with another folder and the addresses of the fake."""
    (block,) = re.findall(r"```json\n(.*?)```", MCP_PAGE.read_text(encoding="utf-8"), re.DOTALL)
    configured = json.loads(block)["mcpServers"]["sonichaos"]
    assert set(configured["env"]) <= set(environment(fake))
    command = str(Path(sys.executable).parent / configured["command"])
    arguments = [str(tmp_path) if argument.startswith("/") else argument for argument in configured["args"]]
    server = StdioServerParameters(command=command, args=arguments, env=environment(fake))
    async with Client(server) as client:
        assert structured(await client.call_tool("personas"))["personas"]


async def test_tools_are_described(fake: FakeSonichaos, tmp_path: Path) -> None:
    """Each has a description, typed parameters and a typed result; only cancel destroys something."""
    async with connected(fake, tmp_path) as client:
        listed = (await client.list_tools()).tools
    tools = {tool.name: tool for tool in listed}
    assert set(tools) == {"render", "rerender", "separate", "status", "cancel", "personas", "download"}
    for tool in listed:
        assert tool.description
        assert tool.output_schema is not None
        assert all("description" in field for field in tool.input_schema.get("properties", {}).values())
        assert tool.annotations is not None
        assert bool(tool.annotations.destructive_hint) == (tool.name == "cancel")
    assert tools["render"].input_schema["required"] == ["prompt"]


def test_the_package_is_optional(tmp_path: Path) -> None:
    """Without it, and with settings that cannot work, the command says what to do before it reads anything."""
    without = "import sys; sys.modules['mcp'] = None; from sonichaos_client.cli import main; main()"
    for code, options, said in (
        (without, (), "pip install 'sonichaos-client[mcp]'"),
        ("from sonichaos_client.cli import main; main()", ("--ca", "/nonexistent.pem"), "/nonexistent.pem"),
    ):
        result = subprocess.run(
            [sys.executable, "-c", code, "mcp", "--folder", str(tmp_path / "f"), *options],
            env={**os.environ, "SONICHAOS_RENDER_ADDRESS": "https://127.0.0.1:1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert result.returncode not in {0, 130}
        assert result.stdout == ""
        assert said in result.stderr


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def jobs_of(fake: FakeSonichaos) -> list[str]:
    """Ids of all jobs."""
    with fake.client() as client:
        return [job.job_id for job in client.list_jobs() if JobState(job.state)]
