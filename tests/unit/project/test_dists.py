"""Wheels and source archives: the same bytes from the same commit, and a client that works alone in a clean environment."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.scripted_services import scripted_pair
from tests.support.web_page import BUILT as PAGE
from tests.support.web_page import FOLDER as WEB
from tests.support.web_page import require_page

ROOT = Path(__file__).resolve().parents[3]
MAX_CLIENT_BYTES = 60_000_000
SECONDS = 1_790_000_000


@pytest.fixture(scope="module")
def build_dists() -> ModuleType:
    """scripts/build_dists.py as a module."""
    spec = importlib.util.spec_from_file_location("build_dists", ROOT / "scripts" / "build_dists.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def dists(build_dists: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """All four, by distribution and kind."""
    require_page()
    out = tmp_path_factory.mktemp("dists")
    return {
        (name, kind): build_dists.build(name, kind, out, SECONDS)
        for name in build_dists.PROJECTS
        for kind in ("wheel", "sdist")
    }


def test_two_builds_are_identical(build_dists: ModuleType, dists: dict[tuple[str, str], Path], tmp_path: Path) -> None:
    """Another build, in another folder and with another umask, has the same bytes."""
    before = os.umask(0o077)
    try:
        again = {key: build_dists.build(*key, tmp_path, SECONDS) for key in dists}
    finally:
        os.umask(before)
    for key, path in dists.items():
        assert again[key].name == path.name
        assert hashlib.sha256(again[key].read_bytes()).digest() == hashlib.sha256(path.read_bytes()).digest(), key


def test_the_page_is_in_the_full_installation(dists: dict[tuple[str, str], Path]) -> None:
    """With the licences of the npm packages in it, as it is built; a client alone has none."""
    built = {
        f"hostctl/web/page/{path.relative_to(PAGE)}": path.read_bytes() for path in PAGE.rglob("*") if path.is_file()
    }
    assert "hostctl/web/page/index.html" in built
    assert b"Copyright (c) Meta Platforms" in built["hostctl/web/page/LICENSES.md"]
    with zipfile.ZipFile(dists["studio", "wheel"]) as archive:
        packed = {name: archive.read(name) for name in archive.namelist() if name.startswith("hostctl/web/page/")}
    assert packed == built
    with tarfile.open(dists["studio", "sdist"]) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers()}
    assert built.keys() <= names
    with zipfile.ZipFile(dists["client", "wheel"]) as archive:
        assert not [name for name in archive.namelist() if "hostctl" in name]


def test_two_builds_of_the_page_are_identical(dists: dict[tuple[str, str], Path], tmp_path: Path) -> None:
    """The page's sources alone decide about its bytes."""
    command = [
        "node_modules/.bin/vite",
        "build",
        "--logLevel",
        "error",
        "--emptyOutDir",
        "--outDir",
        str(tmp_path / "page"),
    ]
    subprocess.run(command, cwd=WEB, check=True, timeout=300)
    again = {path.relative_to(tmp_path / "page"): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert again == {path.relative_to(PAGE): path.read_bytes() for path in PAGE.rglob("*") if path.is_file()}


def metadata_of(wheel: Path, name: str) -> str:
    """A file of the wheel's ``.dist-info``."""
    with zipfile.ZipFile(wheel) as archive:
        (path,) = [one for one in archive.namelist() if one.endswith(f".dist-info/{name}")]
        return archive.read(path).decode()


def requirements_of(wheel: Path) -> list[Requirement]:
    """What a wheel requires without its extras."""
    texts = Parser().parsestr(metadata_of(wheel, "METADATA")).get_all("Requires-Dist") or []
    return [one for one in map(Requirement, texts) if one.marker is None or one.marker.evaluate({"extra": ""})]


def closure(wanted: list[Requirement]) -> Iterator[metadata.Distribution]:
    """The installed distributions that requirements need, directly or not."""
    seen: set[str] = set()
    waiting = list(wanted)
    while waiting:
        one = waiting.pop()
        if canonicalize_name(one.name) in seen or (one.marker and not one.marker.evaluate({"extra": ""})):
            continue
        seen.add(canonicalize_name(one.name))
        distribution = metadata.distribution(one.name)
        assert distribution.version in one.specifier
        waiting += map(Requirement, distribution.requires or [])
        yield distribution


@pytest.fixture(scope="module")
def environment(dists: dict[tuple[str, str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the client's wheel and what its metadata requires, and nothing else.

    The dependencies are copied from the environment of the tests, as pip installed them there, because tests need no network.
    """
    folder = tmp_path_factory.mktemp("alone") / "venv"
    venv.create(folder, with_pip=False)
    site = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    wheel = dists["client", "wheel"]
    for distribution in closure(requirements_of(wheel)):
        for file in distribution.files or []:
            source = Path(str(file.locate()))
            if ".." not in file.parts and source.is_file():
                target = site.joinpath(*file.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    checked = subprocess.run([*pip, "check"], capture_output=True, check=False, text=True)
    assert checked.returncode == 0, checked.stdout
    return folder


def alone(environment: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A program of the environment, without the variables of the tests."""
    return subprocess.run(
        [str(environment / "bin" / command[0]), *command[1:]],
        cwd=environment,
        env={"PATH": os.environ["PATH"], "HOME": str(environment), **variables},
        capture_output=True,
        check=False,
        text=True,
    )


def test_the_client_is_small(environment: Path) -> None:
    """With its dependencies, below 60 MB on disk."""
    used = sum(path.lstat().st_blocks * 512 for path in environment.rglob("*"))
    assert 1_000_000 < used < MAX_CLIENT_BYTES


def test_the_client_works_alone(environment: Path) -> None:
    """Neither torch, numpy nor the services are there; the command calls a running service."""
    heavy = "import importlib.util as u; print([n for n in ('torch', 'numpy', 'servicekit', 'pip') if u.find_spec(n)])"
    assert alone(environment, "python", "-c", heavy).stdout.strip() == "[]"
    shown = alone(environment, "sonichaos", "--help")
    assert shown.returncode == 0, shown.stderr
    assert "\n  render " in shown.stdout
    assert (
        alone(environment, "sonichaos", "-V").stdout == f"sonichaos, version {metadata.version('sonichaos-client')}\n"
    )
    with scripted_pair() as pair:
        pair.render.accept("j-1", stems=False)
        listed = alone(environment, "sonichaos", "jobs", "--json", **pair.environment)
    assert listed.returncode == 0, listed.stderr
    assert '"jobId":"j-1"' in listed.stdout


def test_what_the_client_lacks_says_where_it_comes_from(environment: Path, dists: dict[tuple[str, str], Path]) -> None:
    """The operator's commands from the full install, checks of ZIPs from an extra."""
    up = alone(environment, "sonichaos", "up")
    assert up.returncode == 1
    assert "requires the full install" in up.stderr
    verify = alone(environment, "sonichaos", "verify", str(dists["client", "wheel"]))
    assert verify.returncode == 2
    assert "pip install 'sonichaos-client[verify]'" in verify.stderr


def test_the_full_package_has_the_same_command(dists: dict[tuple[str, str], Path]) -> None:
    """It requires the client, whose entry point is ``sonichaos``, with what its commands need, and adds commands to it."""
    assert "sonichaos = sonichaos_client.cli:main" in metadata_of(dists["client", "wheel"], "entry_points.txt")
    studio = dists["studio", "wheel"]
    scripts, _, commands = metadata_of(studio, "entry_points.txt").partition("[sonichaos.commands]")
    assert "sonichaos =" not in scripts
    assert "up = hostctl.up:up" in commands
    (client,) = [one for one in requirements_of(studio) if one.name == "sonichaos-client"]
    extras = set(Parser().parsestr(metadata_of(dists["client", "wheel"], "METADATA")).get_all("Provides-Extra") or [])
    assert client.extras == extras - {"plot"}, "charts only: an option of one command, which says what it requires"
