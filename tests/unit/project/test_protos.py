"""The wire keeps its promises: lint, layout, no breaking change, stubs that match."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
BUF = ROOT / "node_modules" / ".bin" / "buf"


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a tool and keep what it prints."""
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module", autouse=True)
def _buf() -> None:
    if not BUF.exists():
        pytest.skip("needs npm package @bufbuild/buf (npm ci)")


def test_lint_finds_nothing() -> None:
    """Buf's STANDARD rules, and a comment on everything, hold."""
    result = run(str(BUF), "lint")
    assert result.returncode == 0, result.stdout


def test_format_finds_nothing() -> None:
    """The protos are laid out as buf lays them out."""
    result = run(str(BUF), "format", "--exit-code", "--diff", "protos")
    assert result.returncode == 0, result.stdout


BASELINE = "protos/baseline.binpb"


def test_nothing_breaks_against_the_baseline() -> None:
    """A caller built against the wire that the baseline holds can still call."""
    result = run(str(BUF), "breaking", "protos", "--against", BASELINE)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_check_would_see_a_break(tmp_path: Path) -> None:
    """A field that changes its number is found: the tests of breaking changes can fail."""
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    brief = tmp_path / "protos/sonichaos/jobs/v1/brief.proto"
    brief.write_text(re.sub(r"string persona_id = 2;", "string persona_id = 77;", brief.read_text(), count=1))
    result = run(str(BUF), "breaking", "protos", "--against", str(ROOT / BASELINE), cwd=tmp_path)
    assert result.returncode != 0
    assert "persona_id" in result.stdout


def _git(*command: str) -> subprocess.CompletedProcess[str]:
    return run("git", *command)


def _commit_before() -> str:
    """The commit whose protos are compared with: HEAD while they are being changed, else the one before their last change."""
    if _git("status", "--porcelain", "--", "protos").stdout:
        return "HEAD"
    before = f"{_git('log', '-1', '--format=%H', '--', 'protos').stdout.strip()}^"
    known = _git("rev-parse", "--verify", "--quiet", before)
    return before if known.returncode == 0 else "HEAD"  # a shallow clone does not hold it


def test_nothing_breaks_against_the_commit_before(tmp_path: Path) -> None:
    """What was added since the baseline stays, too, unless the same change rewrites the baseline."""
    before = _commit_before()
    if _git("diff", "--quiet", before, "--", BASELINE).returncode != 0:
        return
    archive = subprocess.run(["git", "archive", before, "protos"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x"], cwd=tmp_path, input=archive, check=True)
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    result = run(str(BUF), "breaking", "--against", str(tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr


def test_committed_python_stubs_are_those_of_the_protos(tmp_path: Path) -> None:
    """Generating again gives the committed files."""
    generated = tmp_path / "out"
    generated.mkdir()
    files = sorted(str(p.relative_to(ROOT / "protos")) for p in (ROOT / "protos/sonichaos").rglob("*.proto"))
    environ = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", "protos", f"--python_out={generated}"]
    subprocess.run([*command, *files], cwd=ROOT, check=True, env=environ, timeout=120)
    for path in generated.rglob("*_pb2.py"):
        committed = ROOT / "clients/python/src" / path.relative_to(generated)
        # The header names the protoc release, which differs between installations.
        assert _body(committed) == _body(path), f"{committed} is stale: make protos"


def _body(path: Path) -> str:
    text = path.read_text()
    return text[text.index("DESCRIPTOR =") :]


def _template() -> dict[str, Any]:
    """What clients/buf.gen.yaml says."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "clients/buf.gen.yaml").read_text())
    return loaded


def _missing(plugins: list[dict[str, Any]]) -> list[str]:
    """The programs of plugins that are not installed."""
    programs = ["protoc" if "protoc_builtin" in plugin else str(plugin["local"]) for plugin in plugins]
    return [name for name in programs if shutil.which(ROOT / "clients" / name if "/" in name else name) is None]


@pytest.mark.parametrize("folder", sorted({str(plugin["out"]) for plugin in _template()["plugins"]}))
def test_committed_stubs_are_what_buf_generates(folder: str, tmp_path: Path) -> None:
    """Each language's stubs belong to the protos of this tree, and no file is left of a proto that is gone."""
    plugins = [plugin for plugin in _template()["plugins"] if plugin["out"] == folder]
    if missing := _missing(plugins):
        assert "CI" not in os.environ, f"CI needs {missing}"
        pytest.skip(f"needs {', '.join(missing)} (apt.txt, npm ci in clients/typescript)")
    template = json.dumps(_template() | {"plugins": plugins})
    generated = run(str(BUF), "generate", "--template", template, "--output", str(tmp_path), cwd=ROOT / "clients")
    assert generated.returncode == 0, generated.stderr
    committed, fresh = (_texts(base / folder) for base in (ROOT / "clients", tmp_path))
    assert committed.keys() == fresh.keys(), "run make protos"
    stale = [name for name, text in fresh.items() if committed[name] != text]
    assert stale == [], f"{folder}: run make protos"


def _texts(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
