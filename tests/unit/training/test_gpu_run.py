"""scripts/gpu_run.sh with a Python that only records what it is asked to run: plan, failures, results."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path

import click
import pytest

from training.cli import main as sonichaos_train

ROOT = Path(__file__).parents[3]
RECORDER = r"""#!/bin/bash
# Writes what each command would: songs, run states, a checkpoint, a separator. FAIL names a command that fails.
printf '%s\n' "$(printf '%s\t' "$@")" >> "$RECORD"
case "$*" in
  -c*grpc*) echo 1.2.3; exit ;;
  *"gpu_carry.py weights"*) head -c 16000000 /dev/zero > "${@: -1}" ;;
  *" latents "*) latents=$work/renderer/latents; mkdir -p "$latents"; for i in $(seq 60); do : > "$latents/$i.safetensors"; done ;;
  *" denoiser "*) touch "$work/renderer/denoiser.pt" ;;
  *" distil "*) touch "$work/renderer/guided_denoiser.pt" ;;
  *" separator "*) mkdir -p "$work/separator"; touch "$work/separator/own.yaml" ;;
  *" evaluate "*) mkdir -p "$work/logs/evaluation"; echo page > "$work/logs/evaluation/README.md" ;;
  "- "*) exec python3 "$@" ;;
esac
echo "output of $*"
[[ -z $FAIL || "$*" != *"$FAIL"* ]]
"""


def run(
    folder: Path, *, fail: str = "", seconds: int = 600
) -> tuple[list[list[str]], dict[str, dict[str, object]], Path]:
    """Run the script; returns the recorded commands, what parts.json says and the folder of results."""
    recorder, record, out = folder / "python", folder / "record", folder / "out"
    recorder.write_text(RECORDER, encoding="utf-8")
    recorder.chmod(0o755)
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHON": str(recorder),
        "RECORD": str(record),
        "FAIL": fail,
        "GPU_RUN_SECONDS": str(seconds),
        "GPU_RUN_OUT": str(out),
        "GPU_RUN_WORK": str(folder / "work"),
        "GPU_CARRY": str(folder / "none"),
    }
    subprocess.run(
        ["bash", "scripts/gpu_run.sh"], cwd=ROOT, env=environment, check=True, capture_output=True, timeout=120
    )
    commands = [line.rstrip("\t").split("\t") for line in record.read_text(encoding="utf-8").splitlines()]
    return commands, json.loads((out / "parts.json").read_text(encoding="utf-8")), out


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[list[str]], dict[str, dict[str, object]], Path]:
    """A run in which every part succeeds at once."""
    return run(tmp_path_factory.mktemp("whole"))


def test_every_part_runs_and_is_recorded(whole: tuple[list[list[str]], dict[str, dict[str, object]], Path]) -> None:
    """In one order where one part needs another."""
    _, parts, _ = whole
    expected = "unpack host init corpus denoiser distil separator export evaluate render separation take"
    assert set(parts) == set(expected.split())
    assert {part["status"] for part in parts.values()} == {"0"}


def test_results_keep_to_the_limits(whole: tuple[list[list[str]], dict[str, dict[str, object]], Path]) -> None:
    """At most 8 files of 15 MiB; large ones are split; logs and the evaluation are in an archive."""
    _, _, out = whole
    files = {path.name: path.stat().st_size for path in out.iterdir()}
    assert len(files) <= 8
    assert max(files.values()) <= 15 * 2**20
    assert files["denoiser.safetensors.part0"] + files["denoiser.safetensors.part1"] == 16_000_000
    with tarfile.open(out / "results.tar.gz") as archive:
        names = set(archive.getnames())
    assert {"logs/denoiser.log", "logs/take.log", "logs/evaluation/README.md", "logs/parts.tsv"} <= names


def test_the_commands_of_the_training_accept_their_options(
    whole: tuple[list[list[str]], dict[str, dict[str, object]], Path],
) -> None:
    """Each is parsed by the command line it is for."""
    commands, _, _ = whole
    parsed = set()
    for command in (line[2:] for line in commands if line[:2] == ["-m", "training"]):
        arguments = command[2:] if command[0] == "--log-file" else command
        subcommand = sonichaos_train.commands[arguments[0]]
        context = click.Context(sonichaos_train)
        with context:
            subcommand.make_context(arguments[0], arguments[1:], parent=context)
        parsed.add(arguments[0])
    assert parsed == {"init", "latents", "denoiser", "distil", "separator", "export", "evaluate"}


def test_the_pair_uses_the_new_weights(whole: tuple[list[list[str]], dict[str, dict[str, object]], Path]) -> None:
    """The exported checkpoint and the trained separator, on the GPU."""
    commands, _, _ = whole
    (take,) = [line for line in commands if "benchmarks.take" in line]
    joined = " ".join(take)
    assert "/work/checkpoint --device cuda --separator own --separator-repo" in joined


def test_the_failure_of_a_part_stops_nothing(tmp_path: Path) -> None:
    """It is recorded; what comes after runs."""
    _, parts, out = run(tmp_path, fail=" distil ")
    assert parts["distil"]["status"] == "1"
    assert parts["take"]["status"] == "0"
    assert (out / "results.tar.gz").is_file()
