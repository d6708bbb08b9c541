"""The wire keeps its promises: lint, layout, no breaking change, stubs that match."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
BUF = ROOT / "node_modules" / ".bin" / "buf"


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a tool and keep what it prints."""
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module", autouse=True)
def _buf() -> None:
    if not BUF.exists():
        pytest.skip("needs npm package @bufbuild/buf (npm ci)")
    run("scripts/link_googleapis.sh")


def test_lint_finds_nothing() -> None:
    """Buf's STANDARD rules, and a comment on everything, hold."""
    result = run(str(BUF), "lint")
    assert result.returncode == 0, result.stdout


def test_format_finds_nothing() -> None:
    """The protos are laid out as buf lays them out."""
    result = run(str(BUF), "format", "--exit-code", "--diff", "protos")
    assert result.returncode == 0, result.stdout


def _git(*command: str) -> str:
    return subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _last_commit() -> str:
    """The commit whose protos are compared with: HEAD while they are being changed, else the one before their last change."""
    if _git("status", "--porcelain", "--", "protos"):
        return "HEAD"
    before = f"{_git('log', '-1', '--format=%H', '--', 'protos')}^"
    known = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", before], cwd=ROOT, capture_output=True, check=False
    )
    return before if known.returncode == 0 else "HEAD"  # a shallow clone does not hold it


def _protos_of_last_commit(folder: Path) -> Path:
    command = ["git", "archive", _last_commit(), "protos"]
    archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x"], cwd=folder, input=archive, check=True)
    shutil.copy(ROOT / "buf.yaml", folder / "buf.yaml")
    shutil.copytree(ROOT / "build" / "googleapis", folder / "build" / "googleapis")
    return folder


def test_nothing_breaks_against_the_last_commit(tmp_path: Path) -> None:
    """A caller built against the protos before their last change can still call."""
    before = _protos_of_last_commit(tmp_path)
    result = run(str(BUF), "breaking", "--against", str(before))
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_check_would_see_a_break(tmp_path: Path) -> None:
    """A field that changes its number is found: the test above can fail."""
    before = _protos_of_last_commit(tmp_path)
    brief = before / "protos/sonichaos/jobs/v1/brief.proto"
    brief.write_text(re.sub(r"string persona_id = 2;", "string persona_id = 77;", brief.read_text(), count=1))
    result = run(str(BUF), "breaking", "--against", str(before))
    assert result.returncode != 0
    assert "persona_id" in result.stdout


def test_committed_python_stubs_are_those_of_the_protos(tmp_path: Path) -> None:
    """Generating again gives the committed files."""
    generated = tmp_path / "out"
    generated.mkdir()
    files = sorted(str(p.relative_to(ROOT / "protos")) for p in (ROOT / "protos").rglob("*.proto"))
    environ = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        "-I",
        "protos",
        "-I",
        "build/googleapis",
        f"--python_out={generated}",
    ]
    subprocess.run([*command, *files], cwd=ROOT, check=True, env=environ, timeout=120)
    for path in generated.rglob("*_pb2.py"):
        committed = ROOT / "clients/python/src" / path.relative_to(generated)
        # The header names the protoc release, which differs between installations.
        assert _body(committed) == _body(path), f"{committed} is stale: make protos"


def _body(path: Path) -> str:
    text = path.read_text()
    return text[text.index("DESCRIPTOR =") :]
