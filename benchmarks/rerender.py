"""One-stem re-renders with the shipped weights: how far from the grid, whose sound, and what stayed as it was.

    python -m benchmarks.rerender --takes 20 [--first 0] [--seconds 8] [--stem drums] [--from-noise] [--results FILE]

Each take is rendered with one persona, and one of its stems again with another; stems and personas go round. Drift is accepted, so
that every stem can be judged: the verdict says which would have failed. FILE keeps one line a take, so that takes may be added in
several runs; the tables are of all its lines.

Whose sound a new stem has is judged apart from the renderer's nets (benchmarks/stem_judge.py), by the stems of 64 further takes in
raw mode: a new stem is what the separator's one model gives, where the stems of an original in exact mode hold a share of what
all models left, and a judge who knows only the one kind is wrong about the other. The ceiling is how often he knows one of these
takes by the 63 others. The null asks for another persona than the wanted one, drawn from a shuffle.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks.stem_judge import Lesson, fit, known_again, nearest
from benchmarks.take import pair
from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos_client import Client, FileKind, Stem
from sonichaos_client.errors import JobFailedError
from sonichaos_client.verify import verify_zip
from training.evaluation.judge import Judge, describe

STEMS = {"vocals": Stem.VOCALS, "bass": Stem.BASS, "other": Stem.OTHER, "drums": Stem.DRUMS}
PERSONAS = ("granite-road", "neon-drift", "velvet-lounge", "glass-orchard")
TEMPI_BPM = (84.0, 96.0, 108.0, 120.0, 132.0, 144.0, 160.0)
KEYS = ("A minor", "C major", "E minor", "F major", "D minor")
LESSONS, FIRST_LESSON_SEED = 64, 50_000
"""Takes that teach the judge: as many by each persona."""
Row = dict[str, Any]


def brief_of(index: int, seconds: float) -> brief_pb2.Brief:
    """Take ``index``: persona, tempo and key go round at different speeds."""
    return brief_pb2.Brief(
        prompt=("a driving song with voice", "a calm song with voice", "an upbeat song with voice")[index % 3],
        persona_id=PERSONAS[index % len(PERSONAS)],
        seed=1000 + index,
        seconds=seconds,
        bpm=TEMPI_BPM[index % len(TEMPI_BPM)],
        key=KEYS[index % len(KEYS)],
        stems=True,
    )


def one(client: Client, index: int, known: argparse.Namespace, folder: Path) -> Row:
    """Render, re-render, compare; gives a line of the results."""
    brief = brief_of(index, known.seconds)
    job = client.wait(client.create_render(brief))
    stem = known.stem or list(STEMS)[(index // len(PERSONAS) + index) % len(STEMS)]
    target = PERSONAS[(index + 1 + index // len(PERSONAS) % (len(PERSONAS) - 1)) % len(PERSONAS)]
    old_zip = client.download(job.job_id, folder, version=1).path
    untouched = _digests(client, job)
    row: Row = {"index": index, "stem": stem, "persona": brief.persona_id, "target": target, "bpm": brief.bpm}
    old = _files(old_zip)
    made = client.rerender_stem(
        job.job_id,
        STEMS[stem],
        persona_id=target,
        seed=2000 + index,
        allow_drift=True,
        from_noise=known.from_noise,
        strength=known.strength,
    )
    try:
        done = client.wait(made.job, version=made.version)
    except JobFailedError as error:
        return row | {"failed": error.reason, "metadata": dict(error.metadata)}
    new_zip = client.download(job.job_id, folder, version=made.version).path
    new = _files(new_zip)
    facts = json.loads(new["manifest.json"])["rerender"]
    del facts["onsets"]
    kept = [name for name in STEMS if name != stem]
    return row | {
        "facts": facts,
        "newFeatures": features(new[f"{stem}.wav"]),
        "keptIdentical": all(old[f"{name}.wav"] == new[f"{name}.wav"] for name in kept),
        "verified": verify_zip(new_zip).failures == (),
        "untouched": _digests(client, done) == untouched,
    }


def lesson(client: Client, index: int, seconds: float, folder: Path) -> str:
    """A line of the judge's file: one more take, of another seed, and how its stems sound as the separator gives them."""
    brief = brief_of(index, seconds)
    brief.seed, brief.stem_mode = FIRST_LESSON_SEED + index, brief_pb2.STEM_MODE_RAW
    job = client.wait(client.create_render(brief))
    files = _files(client.download(job.job_id, folder, version=1).path)
    heard = {name: features(files[f"{name}.wav"]) for name in STEMS}
    return json.dumps({"persona": brief.persona_id, "features": heard}) + "\n"


def features(wav: bytes) -> list[float]:
    """A WAV as the judge hears it."""
    samples, _ = soundfile.read(io.BytesIO(wav), dtype="float32", always_2d=True)
    return [float(value) for value in describe(samples.T)]


def _digests(client: Client, job: job_pb2.Job) -> list[str]:
    """Of v1's files as they are fetched now: ZIP and bounce."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [
            client.download(job.job_id, Path(folder), version=1).path,
            client.download(job.job_id, Path(folder), version=1, kind=FileKind.BOUNCE).path,
        ]
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def _files(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name.rpartition("/")[2]: archive.read(name) for name in archive.namelist()}


def whose(rows: Sequence[Row], judges: Mapping[str, Judge]) -> list[tuple[Row, str]]:
    """For each re-rendered stem the persona that it is nearest to."""
    made = [row for row in rows if "newFeatures" in row]
    return [(row, PERSONAS[nearest(judges[row["stem"]], np.array(row["newFeatures"]))]) for row in made]


def drift_table(rows: Sequence[Row]) -> str:
    """One line a kind of stem: the median of each measured figure over the re-renders, and the worst in brackets."""
    lines = [
        "| stem | re-renders | within | beyond | unmeasurable | failed | onset - grid, ms | p95, ms | matched | moved by, ms |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for stem in STEMS:
        mine = [row for row in rows if row["stem"] == stem]
        facts = [row["facts"] for row in mine if "facts" in row]
        verdicts = Counter(fact["verdict"] for fact in facts)
        grids = [fact["delivered"]["grid"] for fact in facts if fact["delivered"]["grid"]]
        offsets = [fact["correction"]["offsetMs"] for fact in facts]
        cells = [
            _middle_and_worst([grid["medianMs"] for grid in grids], "+.1f"),
            _middle_and_worst([grid["p95Ms"] for grid in grids], ".1f"),
            _middle_and_worst([grid["matched"] for grid in grids], ".2f", least=True),
            _middle_and_worst(offsets, "+.1f"),
        ]
        counts = [verdicts[verdict] for verdict in ("within", "beyond", "unmeasurable")]
        failed = len(mine) - len(facts)
        lines.append(f"| {stem} | {len(mine)} | {' | '.join(map(str, [*counts, failed]))} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _middle_and_worst(values: Sequence[float], form: str, *, least: bool = False) -> str:
    if not values:
        return "-"
    worst = min(values) if least else max(values, key=abs)
    return f"{np.median(values):{form}} ({worst:{form}})"


def misses(rows: Sequence[Row]) -> list[str]:
    """Every re-render that failed or lies beyond its limits, with its numbers."""
    told = []
    for row in rows:
        name = f"take {row['index']}, {row['stem']}, {row['bpm']:g} bpm, {row['persona']} to {row['target']}"
        if "failed" in row:
            told.append(f"{name}: {row['failed']} {row['metadata']}")
        elif row["facts"]["verdict"] == "beyond":
            told.append(f"{name}: {'; '.join(row['facts']['exceeded'])}")
    return told


def report(rows: Sequence[Row], lessons: Sequence[Lesson]) -> None:
    """Print the tables."""
    done = [row for row in rows if "facts" in row]
    print(f"{len(rows)} takes, {len(done)} re-rendered\n\n{drift_table(rows)}\n")
    for line in misses(rows):
        print(f"- {line}")
    print(f"\n{_personas(rows, fit(lessons, PERSONAS))}")
    again = known_again(lessons, PERSONAS)
    of_stems = ", ".join(f"{stem} {again[stem]}" for stem in STEMS)
    print(f"the judge's own takes, each known by the others: {of_stems} of {len(lessons)} each")
    for key, words in (
        ("keptIdentical", "the other three stems identical, byte for byte"),
        ("verified", "ZIP verified, the integer sum with it"),
        ("untouched", "v1 untouched"),
    ):
        print(f"{words}: {sum(row[key] for row in done)}/{len(done)}")


def _personas(rows: Sequence[Row], judges: Mapping[str, Judge]) -> str:
    """How many new stems have the wanted persona's sound, how many still the old one's, and the null."""
    found = whose(rows, judges)
    wanted = [row["target"] for row, _ in found]
    switched = [row["stem"] for row, heard in found if heard == row["target"]]
    stayed = sum(heard == row["persona"] for row, heard in found)
    rng = np.random.default_rng(0)
    shuffles = [
        np.mean([heard == other for (_, heard), other in zip(found, rng.permutation(wanted), strict=True)])
        for _ in range(1000)
    ]
    of_stems = ", ".join(f"{stem} {Counter(switched)[stem]}" for stem in STEMS)
    return (
        f"persona: {len(switched)}/{len(found)} nearest to the wanted one of {len(PERSONAS)} ({of_stems}), {stayed} to the old "
        f"one; shuffled null {np.mean(shuffles):.2f}, at most {np.quantile(shuffles, 0.99):.2f} in 99 %"
    )


def main() -> None:
    """Measure what is asked for, then print the tables of all that was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--takes", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--stem", choices=list(STEMS), help="re-render this one of every take; default: they go round")
    parser.add_argument("--from-noise", action="store_true", help="from noise alone, not from the original's latents")
    parser.add_argument("--strength", type=float, help="share of noise at the start; default: the service's")
    parser.add_argument("--results", type=Path)
    parser.add_argument("--judge", type=Path, help="keep what teaches the judge here (.jsonl)")
    known, extra = parser.parse_known_args()
    os.environ["SONICHAOS_DRUMS_RERENDER"] = "true"
    with tempfile.TemporaryDirectory() as folder:
        results = known.results or Path(folder) / "results.jsonl"
        if known.takes:
            with (
                pair(extra) as ready,
                Client(ready["renderAddress"], ready["separationAddress"]) as client,
                results.open("a", encoding="utf-8") as file,
            ):
                for index in range(known.first, known.first + known.takes):
                    file.write(json.dumps(one(client, index, known, Path(folder))) + "\n")
                    file.flush()
        taught = known.judge or Path(folder) / "judge.jsonl"
        if not taught.exists():
            with pair(extra) as ready, Client(ready["renderAddress"], ready["separationAddress"]) as client:
                taught.write_text("".join(lesson(client, i, known.seconds, Path(folder)) for i in range(LESSONS)))
        lines = [json.loads(line) for line in taught.read_text(encoding="utf-8").splitlines()]
        rows = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
        report(rows, [(one["persona"], one["features"]) for one in lines])


if __name__ == "__main__":
    main()
