#!/usr/bin/env bash
# Generates the Python stubs under clients/python from protos/.
# Needs the development install (grpcio-tools, mypy-protobuf, googleapis-common-protos).
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
out=clients/python/src
bin=$(dirname "$python")
scripts/link_googleapis.sh
rm -rf "$out/sonichaos"
mapfile -t files < <(cd protos && find sonichaos -name '*.proto' | sort)
PATH="$PWD/$bin:$PATH" "$python" -m grpc_tools.protoc -I protos -I build/googleapis \
  --python_out="$out" --grpc_python_out="$out" --mypy_out="$out" --mypy_grpc_out="$out" "${files[@]}"
find "$out/sonichaos" -type d -exec touch {}/__init__.py \;
cp -r protos/sonichaos/manifest "$out/sonichaos/" 2>/dev/null || true
find "$out/sonichaos" -type d -exec touch {}/__init__.py \;
find "$out/sonichaos" -type d -exec touch {}/py.typed \; 2>/dev/null
find "$out/sonichaos" -mindepth 1 -name py.typed ! -path "$out/sonichaos/py.typed" -delete
# protoc writes an empty grpc module for a file without services.
for grpc in $(find "$out/sonichaos" -name '*_pb2_grpc.py'); do grep -q 'class .*Servicer' "$grpc" || rm -f "$grpc" "${grpc}i"; done
