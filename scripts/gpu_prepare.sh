#!/usr/bin/env bash
# Fills build/gpu-carry with what scripts/gpu_run.sh needs on a GPU host without network: wheels for Python 3.12, a compact text
# encoder and a compact soundfont. Run it where .venv has the training extra and there is network. Prints the sizes; refuses if the
# working tree and the folder exceed GPU_CARRY_LIMIT_MIB together. Files of yours in the folder stay and count.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
carry=${GPU_CARRY:-build/gpu-carry}
limit_mib=${GPU_CARRY_LIMIT_MIB:-64}

# Packages that a host with torch, transformers, scipy, scikit-learn, numba, matplotlib, aiohttp and grpcio may lack; the installed
# versions.
packages=(
  alembic annotated-types argon2-cffi argon2-cffi-bindings audioread cffi decorator demucs googleapis-common-protos grpcio-health-checking
  grpcio-reflection grpcio-status jsonschema jsonschema-specifications julius lameenc librosa mako minio pooch protobuf pycparser
  platformdirs pycryptodome pydantic pydantic-core pyloudnorm referencing rpds-py soundfile soxr structlog tinysoundfont typing-extensions
  typing-inspection
)
platforms=()
for glibc in 1 2014 _2_17 _2_24 _2_26 _2_27 _2_28 _2_31 _2_34 _2_35 _2_39; do
  platforms+=(--platform "manylinux${glibc}_x86_64")
done

wheels=$carry-wheels
rm -rf "$wheels"
mkdir -p "$carry" "$wheels"
pinned() {
  "$python" -c 'import importlib.metadata as m, sys; print(*(f"{name}=={m.version(name)}" for name in sys.argv[1:]), sep="\n")' "$@"
}
download() {
  "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.12 --dest "$wheels" "$@"
}
mapfile -t requirements < <(pinned "${packages[@]}")
download --implementation cp "${platforms[@]}" "${requirements[@]}"
download --platform any "$(pinned sqlalchemy)" # the wheel without compiled parts, half as large
"$python" scripts/gpu_carry.py pack --wheels "$wheels" --to "$carry" --limit-mib "$limit_mib"
echo "next: take the working tree and $carry to the GPU host and run scripts/gpu_run.sh there"
