"""Build the wheels and source archives of both distributions: ``.venv/bin/python scripts/build_dists.py [FOLDER]``.

The same commit gives the same bytes: only tracked files and the built page are packed, in a folder of their own and with fixed
modes; times are those of the commit (or ``SOURCE_DATE_EPOCH``); the members of a source archive are sorted and have no owners.
Needs no network. `make web` builds the page before.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECTS = {"client": ROOT / "clients" / "python", "studio": ROOT}
_OF_STUDIO = ("hostctl", "jobs_service", "render_service", "separation_service", "servicekit", "training")
_PAGE = Path("hostctl", "web", "page")
_TOP_LEVEL = ("pyproject.toml", "README.md", "LICENSE", "NOTICE")
_HOOKS = """
import os, sys
from setuptools import build_meta
os.umask(0o022)  # modes are stored in a wheel
print(getattr(build_meta, "build_" + sys.argv[1])(sys.argv[2]))
"""


def commit_time() -> int:
    """Seconds of the checked-out commit, or ``SOURCE_DATE_EPOCH``."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    shown = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, check=True, text=True)
    return int(shown.stdout)


def copy_sources(name: str, folder: Path) -> None:
    """Copy the tracked files of a distribution, and the built page into the one that serves it."""
    project = PROJECTS[name]
    wanted = ["."] if name == "client" else [*_TOP_LEVEL, *_OF_STUDIO]
    listed = subprocess.run(["git", "ls-files", "-z", *wanted], cwd=project, capture_output=True, check=True).stdout
    paths = list(filter(None, listed.decode().split("\0")))
    if name == "studio":
        if not (ROOT / _PAGE / "index.html").is_file():
            raise SystemExit("The page is not built: run 'make web', which needs Node.js 20 or newer with npm.")
        paths += sorted(str(one.relative_to(ROOT)) for one in (ROOT / _PAGE).rglob("*") if one.is_file())
    for path in paths:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(project / path, target)
        target.chmod(0o755 if os.access(project / path, os.X_OK) else 0o644)


def build(name: str, kind: str, out: Path, seconds: int) -> Path:
    """Build a distribution (``client`` or ``studio``) as ``wheel`` or ``sdist``; the file."""
    with tempfile.TemporaryDirectory(prefix="sonichaos-build-") as folder:
        copy_sources(name, Path(folder))
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(seconds), "PYTHONHASHSEED": "0"}
        command = [sys.executable, "-c", _HOOKS, kind, str(out)]
        built = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False, text=True)
        if built.returncode:
            raise SystemExit(f"{name}: {kind} could not be built:\n{built.stderr[-3000:]}")
    path = out / built.stdout.split()[-1]
    if kind == "sdist":
        normalize(path, seconds)
    return path


def normalize(archive: Path, seconds: int) -> None:
    """Rewrite a ``.tar.gz`` with sorted members, one time and no owners."""
    plain = io.BytesIO()
    with tarfile.open(archive) as old, tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as new:
        for member in sorted(old.getmembers(), key=lambda one: one.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = seconds, 0, 0, "", ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    with archive.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=seconds) as packed:
        packed.write(plain.getvalue())


def main() -> None:
    """Build all four and print their paths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "dist")
    parser.add_argument("--only", choices=sorted(PROJECTS), help="one distribution")
    options = parser.parse_args()
    out: Path = options.folder.resolve()
    out.mkdir(parents=True, exist_ok=True)
    seconds = commit_time()
    for name in [options.only] if options.only else PROJECTS:
        for kind in ("wheel", "sdist"):
            print(build(name, kind, out, seconds))


if __name__ == "__main__":
    main()
