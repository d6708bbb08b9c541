"""The sources of the composer page: checked, tested, and built into something small."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.doc_blocks import blocks
from tests.support.web_page import BUILT, FOLDER, ROOT, require_packages, require_page, run_npm

MAX_BUNDLE_BYTES = 350_000


@pytest.mark.parametrize("script", ["check", "test"])
def test_the_source_passes(script: str) -> None:
    """Strict types and Biome with its rules for types, promises, React and accessibility; then the unit tests."""
    require_packages()
    ran = run_npm("run", "--silent", script)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_bundle_is_small() -> None:
    """All scripts and styles together, compressed as they are sent."""
    require_page()
    files = [path for path in BUILT.rglob("*") if path.suffix in {".js", ".css"}]
    sizes = {path.name: len(gzip.compress(path.read_bytes(), 9)) for path in files}
    assert {path.suffix for path in files} == {".js", ".css"}
    assert sum(sizes.values()) < MAX_BUNDLE_BYTES, sizes


def test_the_page_has_no_code_in_it_and_names_no_other_host() -> None:
    """Its Content-Security-Policy would refuse both; the licences of what is bundled come with it."""
    require_page()
    html = (BUILT / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]* src=)[^>]*>", html) == []
    assert not re.search(r"<style|\son[a-z]+=|javascript:", html)
    assert re.findall(r"(?:src|href)=[\"'](?!\./)[^\"']*", html) == []
    assert "react-dom" in (BUILT / "LICENSES.md").read_text(encoding="utf-8")


def test_every_text_is_in_the_message_files() -> None:
    """No component has words of its own between its tags or in the attributes that readers see or hear."""
    words = re.compile(r">\s*[A-Za-z][^<>{}()=;]*</|\b(?:aria-label|title|placeholder|alt)=\"[^\"]*[A-Za-z]")
    found = {
        str(path.relative_to(FOLDER)): words.findall(path.read_text(encoding="utf-8"))
        for path in (FOLDER / "src").rglob("*.tsx")
    }
    assert len(found) > 5
    assert {path: texts for path, texts in found.items() if texts} == {}


def test_the_lock_file_names_no_registry() -> None:
    """The packages can be installed through a mirror."""
    packages = json.loads((FOLDER / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    own = {"", "../typescript"}
    registry = {name for name, package in packages.items() if "resolved" in package and not package.get("link")}
    assert registry == set()
    assert {name for name, package in packages.items() if "integrity" not in package and not package.get("link")} == own


def test_the_documented_keys_are_those_of_the_player() -> None:
    """docs/web.md has the list that the player shows."""
    texts = (FOLDER / "src" / "messages" / "en_player.ts").read_text(encoding="utf-8")
    shown = re.findall(r'^ {4}\["(.+)", "(.+)"\],$', texts, re.MULTILINE)
    section = (ROOT / "docs" / "web.md").read_text(encoding="utf-8").split("\n## Keys\n")[1].split("\n## ")[0]
    assert len(shown) > 5
    assert re.findall(r"^\| (?!---)(.+?) \| (.+) \|$", section, re.MULTILINE) == shown


def test_the_documented_start_builds_the_page(tmp_path: Path) -> None:
    """The first command of docs/web.md; tests/flow/test_web_page.py runs the second."""
    (commands,) = blocks(ROOT / "docs" / "web.md", "sh")
    build, _ = commands.code.splitlines()
    made = shlex.split(build, comments=True)
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("pyproject.toml", "clients/typescript/package-lock.json", "clients/web/package-lock.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    # As a shell runs it: a make that runs the tests would pass on its own flags.
    environment = {key: value for key, value in os.environ.items() if key not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
    planned = subprocess.run(
        [*made, "-n"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert planned.splitlines()[-1] == "scripts/build_page.sh"
