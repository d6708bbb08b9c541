#!/usr/bin/env bash
# Copies the google.rpc protos from the installed googleapis-common-protos to build/googleapis, where buf and protoc search for them.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
source=$("$python" -c 'import google.rpc, pathlib; print(pathlib.Path(list(google.rpc.__path__)[0]))')
mkdir -p build/googleapis/google/rpc
cp "$source"/{status,error_details}.proto build/googleapis/google/rpc/
