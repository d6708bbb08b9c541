#!/usr/bin/env bash
# Generates the stubs under clients/ from protos/: Python's with grpcio-tools, the other languages' with one `buf generate`.
# Needs the development install, the npm packages of . and clients/typescript, and the Debian packages in apt.txt.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
out=clients/python/src
bin=$(dirname "$python")
rm -rf "$out/sonichaos"
mapfile -t files < <(cd protos && find sonichaos -name '*.proto' | sort)
PATH="$PWD/$bin:$PATH" "$python" -m grpc_tools.protoc -I protos \
  --python_out="$out" --grpc_python_out="$out" --mypy_out="$out" --mypy_grpc_out="$out" "${files[@]}"
find "$out/sonichaos" -type d -exec touch {}/__init__.py \;
cp -r protos/sonichaos/manifest "$out/sonichaos/" 2>/dev/null || true
find "$out/sonichaos" -type d -exec touch {}/__init__.py \;
find "$out/sonichaos" -type d -exec touch {}/py.typed \; 2>/dev/null
find "$out/sonichaos" -mindepth 1 -name py.typed ! -path "$out/sonichaos/py.typed" -delete
# protoc writes an empty grpc module for a file without services.
for grpc in $(find "$out/sonichaos" -name '*_pb2_grpc.py'); do grep -q 'class .*Servicer' "$grpc" || rm -f "$grpc" "${grpc}i"; done

(cd clients && ../node_modules/.bin/buf generate)
