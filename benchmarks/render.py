"""Time of each stage of a render, from brief to bounce, in one process: without services, journal and separation.

    python -m benchmarks.render [--renderer NAME_OR_DIR] [--device cuda] [--seconds 8 30 90 180] [--repeats 3]
                                [--steps 8 12] [--guidance 1 2] [--threads 2] [--variants-seconds 30]

The first table has a row for each length at the renderer's default steps and guidance. The second has, for one length, a row for
each variant of steps, guidance and windows per batch. Every round runs each variant once, so that other load affects all of them,
and each figure is the minimum of all rounds. ``--cpu-time`` measures the processor time of all threads instead of the wall time,
which is more accurate on a shared machine.
"""

from __future__ import annotations

import argparse
import io
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import torch

from render_service.audit import BounceFacts
from render_service.bounce import make_bounce
from render_service.brief import Brief, resolve
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap
from render_service.personas.library import PersonaLibrary
from render_service.plan import Plan, make_plan
from render_service.renderers.latent_diffusion.stack import LatentDiffusion
from render_service.renderers.load import load_renderer
from render_service.renderers.renderer import Renderer
from servicekit.clock import SystemClock
from servicekit.delivery.manifest import Licence, ModelFacts
from servicekit.delivery.names import LicenceCoverage
from servicekit.store.folder_store import FolderStore
from servicekit.store.url_signer import UrlSigner

STAGES = ("plan", "denoise", "vocode", "bounce")
_BUILT_IN = Path(str(files("render_service") / "personas" / "builtin"))


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Parameters of a render; ``windows_per_batch`` ``None`` is the renderer's default."""

    seconds: float
    steps: int
    guidance: float
    windows_per_batch: int | None = None

    def __str__(self) -> str:
        windows = "" if self.windows_per_batch is None else f", {self.windows_per_batch} windows per batch"
        return f"{self.seconds:g} s, {self.steps} steps, guidance {self.guidance:g}{windows}"


class RenderBenchmark:
    """A renderer, one of its personas and a clock."""

    def __init__(self, renderer: Renderer, clock: Callable[[], float], scratch: Path) -> None:
        self.renderer, self._clock = renderer, clock
        self._windows_per_batch = renderer.windows_per_batch if isinstance(renderer, LatentDiffusion) else 1
        now = SystemClock()
        signer = UrlSigner(base_url="http://127.0.0.1:1", secret=b"s" * 32, now=now.now)
        library = PersonaLibrary(renderer=renderer, built_in=_BUILT_IN, store=FolderStore(scratch, signer), clock=now)
        self._persona = library.all("local")[0]

    def stage_seconds(self, variant: Variant) -> dict[str, float]:
        """Render once; returns the seconds of each stage."""
        if isinstance(self.renderer, LatentDiffusion):
            self.renderer.windows_per_batch = variant.windows_per_batch or self._windows_per_batch
        at = [self._clock()]
        plan = self._plan(variant)
        at.append(self._clock())
        latents = self.renderer.denoise(plan, _ignore)
        at.append(self._clock())
        waveform = self.renderer.vocode(latents, plan, _ignore)
        at.append(self._clock())
        make_bounce(waveform, self._facts(plan)).wav.write_to(io.BytesIO())
        at.append(self._clock())
        return dict(zip(STAGES, (b - a for a, b in pairwise(at)), strict=True))

    def _plan(self, variant: Variant) -> Plan:
        brief = Brief(
            prompt="warm synths, steady drums, hopeful",
            persona_id=self._persona.id,
            seed=7,
            seconds=variant.seconds,
            tempo_map=TempoMap.constant(108.0),
            key=Key.parse("A minor"),
        )
        return make_plan(
            resolve(brief),
            self._persona,
            planner=self.renderer.planner,
            steps=variant.steps,
            guidance=variant.guidance,
        )

    def _facts(self, plan: Plan) -> BounceFacts:
        info = self.renderer.info
        return BounceFacts(
            tenant="bench",
            job_id="bench",
            version=1,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            plan=plan,
            labels={},
            licence=Licence(covers=LicenceCoverage.BOUNCE),
            model=ModelFacts(name=info.name, licence=info.licence, digests={m.role: m.sha256 for m in info.models}),
            fingerprint=info.fingerprint,
            processing=info.processing,
        )


def minimum(benchmark: RenderBenchmark, variants: Sequence[Variant], repeats: int) -> dict[Variant, dict[str, float]]:
    """Minimum seconds of each stage over ``repeats`` rounds; every round runs each variant once."""
    found: dict[Variant, dict[str, float]] = {}
    for _ in range(repeats):
        for variant in variants:
            spent = benchmark.stage_seconds(variant)
            before = found.get(variant, spent)
            found[variant] = {stage: min(before[stage], spent[stage]) for stage in STAGES}
    return found


def table(found: dict[Variant, dict[str, float]]) -> str:
    """A Markdown table of the stages."""
    lines = [
        f"| seconds | {' | '.join(STAGES)} | total | times real time |",
        f"| --- {'| --- ' * (len(STAGES) + 2)}|",
    ]
    for variant, spent in found.items():
        total = sum(spent.values())
        cells = " | ".join(f"{spent[stage]:.2f}" for stage in STAGES)
        lines.append(f"| {variant} | {cells} | {total:.2f} | {variant.seconds / total:.1f} |")
    return "\n".join(lines)


def peak_mib() -> float:
    """Peak resident set of this process in MiB, models included; GPU memory is not counted."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def _ignore(done: int, total: int) -> None:
    """Progress is not shown."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renderer", default="starter")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds", type=float, nargs="*", default=[8.0, 30.0, 90.0, 180.0])
    parser.add_argument("--steps", type=int, nargs="*", default=[8, 12])
    parser.add_argument("--guidance", type=float, nargs="*", default=[1.0, 2.0])
    parser.add_argument("--variants-seconds", type=float, default=30.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cpu-time", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    import tempfile

    args = _arguments()
    renderer = load_renderer(args.renderer, device=args.device, threads=args.threads)
    clock = time.process_time if args.cpu_time else time.perf_counter
    with tempfile.TemporaryDirectory() as scratch:
        benchmark = RenderBenchmark(renderer, clock, Path(scratch))
        renderer.warm()
        default = Variant(seconds=0.0, steps=renderer.info.default_steps, guidance=renderer.info.default_guidance)
        print(
            f"{renderer.info.name} on {renderer.info.fingerprint['device']}, {torch.get_num_threads()} threads, ",
            end="",
        )
        print(
            "processor seconds" if args.cpu_time else "wall seconds",
            f"minimum of {args.repeats} runs\n",
            sep=", ",
        )
        if args.seconds:
            print(
                table(minimum(benchmark, [replace(default, seconds=length) for length in args.seconds], args.repeats)),
                "\n",
            )
        varied = replace(default, seconds=args.variants_seconds)
        variants = [replace(varied, steps=s, guidance=g) for s in args.steps for g in args.guidance]
        if isinstance(renderer, LatentDiffusion):
            variants += [replace(varied, windows_per_batch=windows) for windows in (1, 32)]
        print(table(minimum(benchmark, variants, args.repeats)))
        print(f"\npeak resident set {peak_mib():.0f} MiB")


if __name__ == "__main__":
    main()
