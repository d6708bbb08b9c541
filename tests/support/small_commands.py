"""What makes the documented commands small that take minutes or hours, and what they then print and write."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.support.doc_commands import Command

_STAGES = ("plan", "denoise", "vocode", "bounce")
_STEMS = ("drums", "bass", "vocals", "other")


@dataclass(frozen=True, kw_only=True)
class Small:
    """How a command becomes small.

    ``options`` are appended, since the last value of an option counts, and ``variables`` replace those of the command. ``{name}``
    in them is a fixture. ``prints``: patterns of its output; ``writes``: files that it leaves. ``quick``: it runs in `make test`.
    """

    options: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    prints: Sequence[str] = ()
    writes: Sequence[str] = ()
    quick: bool = False


def _rows(*names: str) -> tuple[str, ...]:
    """Patterns of a Markdown table's rows with these names, each with a number."""
    return tuple(rf"(?m)^\| {re.escape(name)} \|.*\d" for name in names)


_GPU_RUN_PARTS = (
    "unpack",
    "host",
    "init",
    "corpus",
    "separator",
    "denoiser",
    "distil",
    "export",
    "render",
    "separation",
    "take",
)
_ONE_STEP = "--steps 1"
_SEPARATOR = Small(
    options="--songs 4 --held-out 1 --song-s 6 --batch 1 --budget-s 1 --device cpu --processes 1",
    prints=[rf"{stem}: .*1 songs" for stem in ("drums", "bass")],
    writes=["mine-separator/MODEL_CARD.md", "mine-separator/own.yaml"],
)
_EVALUATION = "--small --takes 1 --seconds 4 --part adherence"
_TESTS_PASS = r"[1-9]\d* passed"

# By the beginning of a command; the longest that fits counts.
SMALL = {
    "benchmarks.alignment": Small(
        options="--songs 1 --seconds 8",
        prints=[
            "2 re-renders",
            r"mix, \+20 ms .*\d",
            "within 3 ms  within 8 ms",
            *(rf"(?m)^{stem} .*\d" for stem in _STEMS),
        ],
        quick=True,
    ),
    "benchmarks.analysis": Small(
        options="--songs 2 --seconds 8",
        prints=[
            r"tempo within 2 %: \d",
            r"with a bpm range from the caller \d",
            "beats' F-measure: ",
            "downbeats",
            "key exact: ",
        ],
        quick=True,
    ),
    "benchmarks.closed_loop": Small(
        options="--clients 2 --seconds 2 --address {render_address}",
        prints=_rows("CreateRender", "WatchJob, first event", "CancelJob", "end of the watch"),
        quick=True,
    ),
    "benchmarks.fake": Small(
        options="--takes 1",
        prints=[r"started in \d+ ms", *(rf"{s} s with stems: .* median \d" for s in (2, 30, 180))],
        quick=True,
    ),
    "benchmarks.grpc_web": Small(
        options="--rounds 2 --calls 2 --events 100",
        prints=_rows("gRPC, no translator", "Envoy", "bridge"),
        quick=True,
    ),
    "benchmarks.handoff": Small(
        options="--rounds 2 --seconds 1",
        prints=[r"lent memfd region \(used\) .*\d", r"gRPC, 1 MiB chunks, Unix socket .*\d", r"WAV on disk .*\d"],
        quick=True,
    ),
    "benchmarks.identity": Small(
        options="--rounds 2 --calls 2 --connections 2",
        prints=_rows("loopback, no identity", "TLS, JWT (ES256)", "mutual TLS, client certificate"),
        quick=True,
    ),
    "benchmarks.journal": Small(
        options="--jobs 5 50 --events 5 --calls 2",
        prints=_rows("GetJob", "ListJobs, 50 newest", "watch: feed", "CreateRender", "claim and finish"),
        quick=True,
    ),
    "benchmarks.journal --jobs 1000 1000000 --calls 20 --server": Small(
        options="--jobs 5 50 --events 5 --calls 2 --server {postgresql}",
        prints=_rows("GetJob", "claim and finish"),
        quick=True,
    ),
    "benchmarks.long_audio": Small(
        options="--seconds 3",
        prints=["JOB_STATE_DONE", "upload .* s of it", r"peak disk use \d+ MiB", r"peak \d+ MiB, \d+ MiB above"],
    ),
    "benchmarks.phase": Small(
        options="--songs 1 --seconds 2",
        prints=[
            r"\| true audio \| Griffin-Lim alone \| as shipped \| as shipped, with the score \|",
            *_rows(
                "partials 0.8-4 kHz, dB",
                "bass note strongest",
                "coherence of mid and side",
                "CPU s",
                "peaks that stay, dB",
            ),
        ],
    ),
    "benchmarks.prompts": Small(prints=["held out", "development", *_rows("families", "no family", "mood", "no mood")]),
    "benchmarks.render": Small(
        options="--seconds 2 --repeats 1 --steps 2 --guidance 1 --variants-seconds 2 --device cpu",
        prints=[
            " | ".join(_STAGES).replace("|", r"\|"),
            r"\| 2 s, 2 steps, guidance 1 \| \d",
            r"peak resident set \d+ MiB",
        ],
    ),
    "benchmarks.rerender": Small(
        options="--takes 1 --seconds 4 --reference-takes 8",
        prints=[
            "1 takes, 1 re-rendered",
            r"\| within limits \| beyond \| unmeasurable \|",
            "persona: . of 1 nearest to the requested one of 4",
            "other three stems identical byte for byte: 1/1",
        ],
    ),
    "benchmarks.residual_rules": Small(
        options="--songs 1 --seconds 6",
        prints=["model's own SDR: drums", r"\| rule \| .* \| silent stems \|", *_rows("bin-deviation-2048")],
    ),
    "benchmarks.separation": Small(
        options="--cells 1x1x1 --threads 1 --device cpu --name small --repo {separator_folder}",
        prints=[
            r"time, s \| times stock \| .* agreement, dB \| rise of memory, MiB",
            *_rows("stock, float32", "ours, torch", "ours, OpenVINO"),
        ],
    ),
    "benchmarks.take": Small(
        options="--seconds 2",
        prints=[
            "2 s take, JOB_STATE_DONE: .* s from the call to the stored ZIP",
            *(rf"(?m)^  {stage} .*\d s$" for stage in (*_STAGES, "handoff", "receive", "separate", "package", "store")),
            *(rf"{service}: peak resident set \d+ MiB" for service in ("render_service", "separation_service")),
        ],
    ),
    "benchmarks.webhooks": Small(
        options="--jobs 2 --rounds 1",
        prints=[r"0 webhooks: end of a job \d", r"10 webhooks: end of a job .* ratio \d.* \d+ deliveries a second"],
        quick=True,
    ),
    "pytest tests/unit/separation": Small(options="-k test_every_length_agrees", prints=[_TESTS_PASS]),
    "pytest tests/unit/servicekit/test_audio_rate.py": Small(options="-k pass_band", prints=[_TESTS_PASS]),
    "pytest tests/fuzz": Small(variables={"FUZZ_MUTATIONS": "1"}, prints=[_TESTS_PASS]),
    "pytest -m soak tests/flow/test_soak.py": Small(variables={"SOAK_MINUTES": "0.5"}, prints=["1 passed"]),
    "scripts/gpu_run.sh": Small(
        variables={
            "GPU_RUN_MINIATURE": "1",
            "GPU_RUN_OUT": "{folder}/out",
            "GPU_RUN_WORK": "{folder}/work",
            "GPU_CARRY": "{folder}/none",
        },
        prints=[rf"s: {part} ended with status 0" for part in _GPU_RUN_PARTS],
        writes=["out/parts.json", "out/results.tar.gz"],
    ),
    "sonichaos-train corpus --preview": Small(
        options="--songs 1 --seconds 2", writes=["preview/seed-0/mix.wav", "preview/seed-0/plan.txt"]
    ),
    "sonichaos-train corpus --work": Small(options="--songs 5 --seconds 8", writes=["work/songs/00000004.safetensors"]),
    "sonichaos-train corpus --recordings": Small(prints=["work/songs/.*safetensors"]),
    "sonichaos-train init": Small(prints=["initialised from starter: autoencoder"]),
    "sonichaos-train autoencoder": Small(
        options=_ONE_STEP, prints=["autoencoder: 1 steps", r"held-out songs: .*\d dB"]
    ),
    "sonichaos-train decoder": Small(options=_ONE_STEP, prints=["decoder: 1 steps", r"held-out songs: .*\d dB"]),
    "sonichaos-train persona": Small(options=_ONE_STEP, prints=["persona_encoder: 1 steps"]),
    "sonichaos-train latents": Small(
        options="--songs 48 --seconds 3 --processes 1", writes=["work/latents/00000047.safetensors"]
    ),
    "sonichaos-train habits": Small(
        prints=[r"error, unseen personas \| null", *_rows("density", "swing", "electronic_kit", "percussion")]
    ),
    "sonichaos-train partials": Small(options="--songs 2 --steps 1", prints=[r"held out \d.*, without partials \d"]),
    "sonichaos-train denoiser": Small(options=_ONE_STEP + " --frames-per-step 144", prints=["denoiser: 1 steps"]),
    "sonichaos-train distil": Small(options=_ONE_STEP + " --frames-per-step 144", prints=["guided_denoiser: 1 steps"]),
    "sonichaos-train vocoder": Small(options=_ONE_STEP, prints=["vocoder: 1 steps"]),
    "sonichaos-train export": Small(prints=[r"denoiser: \d+ parameters"], writes=["mine/MODEL_CARD.md"]),
    "sonichaos-train separator": _SEPARATOR,
    "sonichaos-train separator --recordings": Small(
        options="--held-out 1 --batch 1 --budget-s 1", prints=_SEPARATOR.prints
    ),
    "sonichaos-train evaluate --to report": Small(
        options=_EVALUATION, writes=["report/README.md", "report/figures.json"]
    ),
    "sonichaos-train evaluate --small": Small(options=_EVALUATION, writes=["docs/evaluation/README.md"]),
}


def small(command: Command) -> Small:
    """What makes a command small."""
    fitting = [start for start in SMALL if command.text.startswith(start)]
    assert fitting, f"{command}: say in SMALL what makes it small"
    return SMALL[max(fitting, key=len)]
