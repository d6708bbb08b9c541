#!/usr/bin/env bash
# One run on a GPU host that is there for minutes and has no network: composes the corpus on all cores while the GPU trains, distils,
# trains the separator, measures, and renders takes by the running pair. docs/training.md says how to prepare it and what it writes.
#
#   GPU_RUN_SECONDS     for everything, default 780     GPU_RUN_OUT    results, default build/gpu-run
#   GPU_RUN_MINIATURE   1: the same on a CPU, with tiny trainings   GPU_CARRY      from gpu_prepare.sh, default build/gpu-carry
#
# Every part has a limit of its own and a log; the failure of a part is recorded and stops nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

miniature=${GPU_RUN_MINIATURE:-0}
out=$(realpath -m "${GPU_RUN_OUT:-build/gpu-run}")
carry=$(realpath -m "${GPU_CARRY:-build/gpu-carry}")
work=$(realpath -m "${GPU_RUN_WORK:-build/gpu-work}")
renderer=$work/renderer
checkpoint=$work/checkpoint
logs=$work/logs
cores=$(nproc)
composers=$((cores > 3 ? cores - 2 : 1))

if [[ $miniature == 1 ]]; then
  python=${PYTHON:-.venv/bin/python} total_s=${GPU_RUN_SECONDS:-2400} device=cpu
  songs=3 first_songs=3
  denoiser=(--steps 2 --frames-per-step 144 --threads 1)
  distil=(--steps 1 --frames-per-step 144 --threads 1)
  separator=(--budget-s 1 --songs 2 --held-out 1 --solo-share 0 --renderer-share 0 --song-s 6 --batch 1)
  render=(--seconds 2 --repeats 1 --steps 8 --guidance 1 --variants-seconds 2)
  separation=(--threads 1 --models 1 --cells 5x1x1 --ours fp32)
  take_s=(4)
else
  python=${PYTHON:-python3} total_s=${GPU_RUN_SECONDS:-780} device=cuda
  songs=100000 first_songs=48
  denoiser=(--frames-per-step 16384 --threads 2)
  distil=(--frames-per-step 16384 --threads 2)
  separator=(--songs 360 --held-out 8 --batch 16 --processes "$composers" --threads 4 --budget-s "$((total_s * 110 / 1000))")
  render=(--seconds 8 30 90 180 --repeats 3)
  separation=(--threads 8 --models 1 --cells 90x1x3 30x4x1)
  take_s=(8 30 90)
fi

# The time at which each part has to be over, in thousandths of the total.
composed=560 trained=600 distilled=700 rendered=770 separated=800 compared=870 taken=950 evaluated=960

at() { echo $((total_s * $1 / 1000)); } # seconds since the start

part() { # NAME UNTIL COMMAND...: run it until then at the latest; record status and seconds
  local name=$1 started=$SECONDS status=0
  local left=$(($(at "$2") - SECONDS))
  shift 2
  if ((left < 3)); then
    status=skipped
  else
    timeout --kill-after=5 "$left" "$@" >"$logs/$name.log" 2>&1 </dev/null || status=$?
  fi
  printf '%s\t%s\t%s\t%s\n' "$name" "$status" "$started" "$((SECONDS - started))" >>"$logs/parts.tsv"
  echo "$SECONDS s: $name ended with status $status after $((SECONDS - started)) s"
}

unpack() { # what the host lacks: packages, text encoder, soundfont, entry points; stubs for the host's grpcio
  mkdir -p "$work/site"
  if [[ -d $carry ]]; then
    if [[ $miniature != 1 ]]; then tar -xJf "$carry/site.tar.xz" -C "$work/site"; fi
    "$python" scripts/gpu_carry.py unpack --from "$carry" --site "$work/site"
  fi
  # Stubs refuse a grpcio older than their generator's, although they run with it.
  cp -r clients/python/src "$work/client"
  local version
  version=$("$python" -c 'import grpc; print(grpc.__version__)')
  find "$work/client" -name '*_pb2_grpc.py' -exec sed -i "s/^GRPC_GENERATED_VERSION = .*/GRPC_GENERATED_VERSION = '$version'/" {} +
}

describe() {
  nvidia-smi || true
  "$python" -c 'import sys, torch; print(sys.version, torch.__version__, torch.cuda.is_available(), torch.get_num_threads())'
  "$python" -c 'import importlib.metadata as m; print(*sorted({f"{d.name} {d.version}" for d in m.distributions()}), sep="\n")'
}

wait_for_songs() { # until the first songs are composed or the composers have ended
  until (($(find "$renderer/latents" -name '*.safetensors' 2>/dev/null | wc -l) >= first_songs)); do
    kill -0 "$1" 2>/dev/null || break
    sleep 1
  done
}

save_weights() { # RUN: its averaged weights, if it has been saved since they were written
  local state=$renderer/$1.pt
  if [[ $state -nt $out/$1.safetensors ]]; then
    "$python" scripts/gpu_carry.py weights --state "$state" --to "$out/$1.safetensors"
  fi
}

save_logs() {
  tar -czf "$work/results.tar.gz" -C "$work" logs
  mv "$work/results.tar.gz" "$out/results.tar.gz"
}

save_each_minute() { # so that a host that is taken back leaves what there is
  while sleep 60 >/dev/null 2>&1; do # redirected, so that it does not hold the terminal when this ends
    save_weights denoiser >>"$logs/weights.log" 2>&1 || true
    save_weights guided_denoiser >>"$logs/weights.log" 2>&1 || true
    save_logs || true
  done
}

deliver() { # everything into at most 8 files of at most 15 MiB
  save_weights denoiser || true
  save_weights guided_denoiser || true
  if [[ -d $work/separator ]]; then tar -cf "$out/separator.tar" -C "$work" separator; fi
  mkdir -p "$logs/runs"
  cp "$renderer"/*.json "$checkpoint"/*.json "$checkpoint"/*.md "$logs/runs/" 2>/dev/null || true
  find "$renderer/latents" -name '*.safetensors' 2>/dev/null | wc -l >"$logs/songs.txt"
  "$python" - "$logs/parts.tsv" "$out/parts.json" <<'PY'
import json
import sys
from pathlib import Path

rows = [line.split("\t") for line in Path(sys.argv[1]).read_text().splitlines()]
parts = {name: {"status": status, "started_s": int(started), "seconds": int(spent)} for name, status, started, spent in rows}
Path(sys.argv[2]).write_text(json.dumps(parts, indent=1) + "\n")
PY
  save_logs
  local file
  for file in "$out"/*; do
    if [[ -f $file && $(stat -c %s "$file") -gt $((15 * 2 ** 20)) ]]; then
      split --bytes=15M --numeric-suffixes --suffix-length=1 "$file" "$file.part"
      rm "$file"
    fi
  done
  ls -l "$out"
  local bytes files
  bytes=$(du -cb "$out"/* | tail -n 1 | cut -f 1)
  files=$(find "$out" -type f | wc -l)
  if ((bytes > 64 * 2 ** 20 || files > 8)); then
    echo "results must be at most 8 files of 64 MiB together, got $files files of $bytes bytes" >&2
    return 1
  fi
}

if [[ -n $(ls -A "$out" 2>/dev/null) ]]; then
  echo "GPU_RUN_OUT must be an empty folder, got $out; move its files" >&2
  exit 2
fi
rm -rf "$work"
mkdir -p "$out" "$logs" "$renderer"
export PYTHONPATH=$PWD:$work/client:$work/site PYTHONUNBUFFERED=1 OMP_WAIT_POLICY=PASSIVE
export -f unpack describe
export miniature carry work python

part unpack 150 bash -euo pipefail -c unpack
part host 200 bash -c describe
part init 200 "$python" -m training init --work "$renderer"

part corpus "$composed" env OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
  "$python" -m training latents --work "$renderer" --songs "$songs" --processes "$composers" &
corpus=$!
save_each_minute &
saving=$!
wait_for_songs "$corpus"
if [[ $miniature == 1 ]]; then wait "$corpus"; fi

# The separator's songs are composed when the denoiser's are done, on the same cores, while the denoiser and its distillation train.
{
  tail --pid="$corpus" -f /dev/null
  part separator "$separated" "$python" -m training --log-file "$logs/separator-losses.log" separator \
    --work "$work/separator-songs" --out "$work/separator" --init-from starter --device "$device" "${separator[@]}"
} &
separating=$!
if [[ $miniature == 1 ]]; then wait "$separating"; fi

start_s=20 # imports, reading the songs, saving
part denoiser "$((trained + 20))" "$python" -m training --log-file "$logs/denoiser-losses.log" denoiser \
  --work "$renderer" --device "$device" --budget-s "$(($(at "$trained") - SECONDS - start_s))" "${denoiser[@]}"
part distil "$((distilled + 20))" "$python" -m training --log-file "$logs/distil-losses.log" distil \
  --work "$renderer" --device "$device" --budget-s "$(($(at "$distilled") - SECONDS - start_s))" "${distil[@]}"
part export "$rendered" "$python" -m training export --work "$renderer" --to "$checkpoint" --name gpu --plain

evaluating=
if [[ $miniature != 1 ]]; then
  evaluate=(--renderer "$checkpoint" --small --takes 4 --threads 6)
  if [[ -f $carry/classifier.npz ]]; then evaluate+=(--classifier "$carry/classifier.npz"); fi
  part evaluate "$evaluated" "$python" -m training evaluate --to "$logs/evaluation" "${evaluate[@]}" &
  evaluating=$!
fi
part render "$rendered" "$python" -m benchmarks.render --renderer "$checkpoint" --device "$device" "${render[@]}"
wait "$separating"
part separation "$compared" "$python" -m benchmarks.separation --device "$device" "${separation[@]}"
pair=(--renderer "$checkpoint" --device "$device")
if [[ -f $work/separator/own.yaml ]]; then pair+=(--separator own --separator-repo "$work/separator"); fi
part take "$taken" "$python" -m benchmarks.take --seconds "${take_s[@]}" "${pair[@]}"
if [[ -n $evaluating ]]; then wait "$evaluating"; fi
kill "$saving" 2>/dev/null || true
wait "$saving" 2>/dev/null || true
deliver
