"""Re-renders of one stem with the shipped weights: distance from the grid, persona of the new stem, and what must not change.

    python -m benchmarks.rerender --takes 20 [--first 0] [--seconds 8] [--stem drums] [--from-noise | --strength 0.9]
        [--results FILE] [--references FILE] [--same-notes]

Each take is rendered with one persona, then one of its stems again with another; stems and personas alternate. Drift is allowed,
so that every stem can be measured; the verdict tells which ones would have failed. FILE gets one line per take. Several
runs can add to it, and the tables cover all its lines.

The services judge vocals, bass and other by the notes of their score: for every note, the strongest rise within 45 ms. The second
table adds the original's own stem, measured the same way, a null of as many notes at random times, and drums, of which every clear
onset is measured against the nearest note (benchmarks/stem_timing.py). The services judge drums by the grid, moved by those of
the original.

The persona of a new stem is determined by classifiers that are independent of the renderer (benchmarks/stem_classifier.py),
fitted on the stems of reference takes in raw mode, 64 by default. Raw mode matters: a re-rendered stem is the plain output of a
model, while a stem in exact mode includes a share of the residual, and a classifier fitted on one kind errs on the other. The
upper bound is how many of the reference takes are recognised by the others. The null compares with shuffled personas. A re-render
plays the notes of its base, while a persona's own takes have notes in its own range and density. With ``--same-notes`` each
four reference takes, one by every persona, play the same notes, so that the classifiers learn the sound alone. "Purity"
is where a delivered stem, with what the fit into the mix kept of the others' sound, lies between the centres of the old and the
requested persona.
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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from benchmarks.stem_classifier import ReferenceTake, fit, leave_one_out, purity
from benchmarks.stem_timing import against_notes, median_and_worst, notes_table
from benchmarks.take import running_services
from render_service.plan import Plan, plan_from_json
from servicekit.audio.loudness import integrated_lufs
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ, Pcm24
from servicekit.audio.wav import read_wav
from servicekit.journal.personal import whole_body
from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos_client import Client, FileKind, Stem
from sonichaos_client.errors import JobFailedError
from sonichaos_client.verify import verify_zip
from training.evaluation.classifier import PersonaClassifier, audio_features

STEMS = {"vocals": Stem.VOCALS, "bass": Stem.BASS, "other": Stem.OTHER, "drums": Stem.DRUMS}
PERSONAS = ("granite-road", "neon-drift", "velvet-lounge", "glass-orchard")
TEMPI_BPM = (84.0, 96.0, 108.0, 120.0, 132.0, 144.0, 160.0)
KEYS = ("A minor", "C major", "E minor", "F major", "D minor")
FIRST_REFERENCE_SEED = 50_000
Row = dict[str, Any]


def brief_of(index: int, seconds: float) -> brief_pb2.Brief:
    """The brief of take ``index``; persona, tempo, key and prompt cycle with different periods."""
    return brief_pb2.Brief(
        prompt=("a driving song with voice", "a calm song with voice", "an upbeat song with voice")[index % 3],
        persona_id=PERSONAS[index % len(PERSONAS)],
        seed=1000 + index,
        seconds=seconds,
        bpm=TEMPI_BPM[index % len(TEMPI_BPM)],
        key=KEYS[index % len(KEYS)],
        stems=True,
    )


def measure(client: Client, index: int, options: argparse.Namespace, folder: Path) -> Row:
    """Render a take, re-render one stem and compare; returns a line of the results."""
    brief = brief_of(index, options.seconds)
    job = client.wait(client.create_render(brief))
    stem = options.stem or list(STEMS)[(index // len(PERSONAS) + index) % len(STEMS)]
    target = PERSONAS[(index + 1 + index // len(PERSONAS) % (len(PERSONAS) - 1)) % len(PERSONAS)]
    old_zip = client.download(job.job_id, folder, version=1).path
    digests = _digests(client, job)
    row: Row = {"index": index, "stem": stem, "persona": brief.persona_id, "target": target, "bpm": brief.bpm}
    old = _files(old_zip)
    started = client.rerender_stem(
        job.job_id,
        STEMS[stem],
        persona_id=target,
        seed=2000 + index,
        allow_drift=True,
        from_noise=options.from_noise,
        strength=options.strength,
    )
    try:
        done = client.wait(started.message, version=started.version)
    except JobFailedError as error:
        return row | {"failed": error.reason, "metadata": dict(error.metadata)}
    new_zip = client.download(job.job_id, folder, version=started.version).path
    new = _files(new_zip)
    facts = json.loads(new["manifest.json"])["rerender"]
    del facts["onsets"]
    plan = plan_of_version(client, job.job_id, started.version)
    other_stems = [name for name in STEMS if name != stem]
    return row | {
        "facts": facts,
        "notes": against_notes(plan, stem, old=waveform(old[f"{stem}.wav"]), new=waveform(new[f"{stem}.wav"])),
        "oldFeatures": features(old[f"{stem}.wav"]),
        "newFeatures": features(new[f"{stem}.wav"]),
        **spectrum_change(old["bounce.wav"], new["bounce.wav"]),
        "otherStemsIdentical": all(old[f"{name}.wav"] == new[f"{name}.wav"] for name in other_stems),
        "verified": verify_zip(new_zip).failures == (),
        "originalUnchanged": _digests(client, done) == digests,
    }


def reference_briefs(client: Client, options: argparse.Namespace, folder: Path) -> Iterator[brief_pb2.Brief]:
    """The briefs of the reference takes, in raw mode."""
    for index in range(options.reference_takes):
        brief = brief_of(index, options.seconds)
        brief.seed, brief.stem_mode = FIRST_REFERENCE_SEED + index, brief_pb2.STEM_MODE_RAW
        if not options.same_notes:
            yield brief
        elif index % len(PERSONAS) == 0:
            yield from _on_the_same_notes(client, index // len(PERSONAS), options.seconds, folder)


def _on_the_same_notes(client: Client, index: int, seconds: float, folder: Path) -> Iterator[brief_pb2.Brief]:
    """Briefs by every persona for the notes of one take; the takes are by the personas in turn."""
    composed = brief_of(index, seconds)
    composed.seed, composed.stems = FIRST_REFERENCE_SEED + index, False
    job = client.wait(client.create_render(composed))
    midi = client.download(job.job_id, folder, version=1, kind=FileKind.MIDI).path.read_bytes()
    for number, persona in enumerate(PERSONAS):
        brief = brief_of(index, seconds)
        brief.persona_id, brief.seed = persona, FIRST_REFERENCE_SEED + len(PERSONAS) * index + number
        brief.stem_mode, brief.score.midi = brief_pb2.STEM_MODE_RAW, midi
        brief.tempo_map.CopyFrom(job.versions[0].brief.tempo_map)
        yield brief


def reference_take(client: Client, brief: brief_pb2.Brief, folder: Path) -> str:
    """Render a reference take; returns its persona and the features of its stems as a line of JSON."""
    job = client.wait(client.create_render(brief))
    files = _files(client.download(job.job_id, folder, version=1).path)
    of_stems = {name: features(files[f"{name}.wav"]) for name in STEMS}
    return json.dumps({"persona": brief.persona_id, "features": of_stems}) + "\n"


def spectrum_change(old: bytes, new: bytes) -> Row:
    """Loudness of the new bounce minus that of the old one, and its third octaves: deepest hole and mean deviation in dB.

    Third octaves from 50 Hz to 16 kHz, of those within 40 dB of the loudest.
    """
    before, after = (read_wav(io.BytesIO(wav), name="bounce.wav") for wav in (old, new))
    old_db, new_db = _third_octaves_db(before), _third_octaves_db(after)
    change_db = (new_db - old_db)[old_db > old_db.max() - 40.0]
    return {
        "mixChangeLu": (integrated_lufs(after) or 0.0) - (integrated_lufs(before) or 0.0),
        "deepestHoleDb": float(change_db.min()),
        "meanDeviationDb": float(np.abs(change_db).mean()),
    }


def _third_octaves_db(pcm: Pcm24) -> NDArray[np.float64]:
    power = np.square(np.abs(np.fft.rfft(pcm, axis=1))).sum(axis=0)
    hz = np.fft.rfftfreq(pcm.shape[1], 1.0 / SAMPLE_RATE_HZ)
    edges_hz = 1000.0 * 2.0 ** (np.arange(-27, 27, 2) / 6.0)
    sums = np.diff(np.concatenate([[0.0], np.cumsum(power)])[np.searchsorted(hz, edges_hz)])
    return np.asarray(10.0 * np.log10(sums + 1e-9))


def features(wav: bytes) -> list[float]:
    """Audio features of a WAV file."""
    return [float(value) for value in audio_features(waveform(wav))]


def waveform(wav: bytes) -> NDArray[np.float32]:
    """The samples ``(2, T)`` of a WAV file."""
    samples, _ = soundfile.read(io.BytesIO(wav), dtype="float32", always_2d=True)
    return np.ascontiguousarray(samples.T)


def plan_of_version(client: Client, job_id: str, version: int) -> Plan:
    """The plan in a version's audit row."""
    row = next(row for row in client.list_audit_rows(job_id) if row.version == version)
    body = whole_body(row.body_json, json.loads(row.personal_json or "{}"))
    return plan_from_json({**body["plan"], "prompt": row.prompt})


def _digests(client: Client, job: job_pb2.Job) -> list[str]:
    """SHA-256 of v1's ZIP and bounce, downloaded now."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [
            client.download(job.job_id, Path(folder), version=1).path,
            client.download(job.job_id, Path(folder), version=1, kind=FileKind.BOUNCE).path,
        ]
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def _files(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name.rpartition("/")[2]: archive.read(name) for name in archive.namelist()}


def nearest_personas(rows: Sequence[Row], classifiers: Mapping[str, PersonaClassifier]) -> list[tuple[Row, str]]:
    """The persona that each re-rendered stem is nearest to."""
    done = [row for row in rows if "newFeatures" in row]
    return [(row, PERSONAS[classifiers[row["stem"]].nearest_centre(np.array(row["newFeatures"]))]) for row in done]


def drift_table(rows: Sequence[Row]) -> str:
    """One line per kind of stem: medians over the re-renders, the worst value in brackets."""
    columns = ["stem", "re-renders", "within limits", "beyond", "unmeasurable", "failed"]
    columns += ["median, ms", "95th percentile, ms", "matched", "mix moved by, ms"]
    lines = [
        f"| {' | '.join(columns)} |",
        f"|{' --- |' * len(columns)}",
    ]
    for stem in STEMS:
        of_stem = [row for row in rows if row["stem"] == stem]
        facts = [row["facts"] for row in of_stem if "facts" in row]
        verdicts = Counter(fact["verdict"] for fact in facts)
        judged = [timing for fact in facts if (timing := _judged_timing(fact))]
        offsets = [fact["correction"]["offsetMs"] for fact in facts]
        cells = [
            median_and_worst([timing["medianMs"] for timing in judged], "+.1f"),
            median_and_worst([timing["p95Ms"] for timing in judged], ".1f"),
            median_and_worst([timing["matched"] for timing in judged], ".2f", smallest_is_worst=True),
            median_and_worst(offsets, "+.1f"),
        ]
        counts = [verdicts[verdict] for verdict in ("within", "beyond", "unmeasurable")]
        failed = len(of_stem) - len(facts)
        lines.append(f"| {stem} | {len(of_stem)} | {' | '.join(map(str, [*counts, failed]))} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _judged_timing(facts: Row) -> Row | None:
    """The figures that the verdict is about."""
    by_grid = "grid" if facts["zeroMs"] is None else "calibrated"
    timing: Row | None = facts["delivered"]["notes" if facts["judgedAgainst"] == "score" else by_grid]
    return timing


def mix_table(done: Sequence[Row]) -> str:
    """How the bounce changed: medians over the re-renders, the worst in brackets."""
    loudness, holes, deviations = (
        [row[key] for row in done] for key in ("mixChangeLu", "deepestHoleDb", "meanDeviationDb")
    )
    return (
        f"bounce: loudness {median_and_worst(loudness, '+.2f')} LU, deepest hole in a third octave "
        f"{median_and_worst(holes, '.1f')} dB, mean deviation {median_and_worst(deviations, '.2f')} dB"
    )


def misses(rows: Sequence[Row]) -> list[str]:
    """A line for every re-render that failed or is beyond its limits."""
    lines = []
    for row in rows:
        name = f"take {row['index']}, {row['stem']}, {row['bpm']:g} bpm, {row['persona']} to {row['target']}"
        if "failed" in row:
            lines.append(f"{name}: {row['failed']} {row['metadata']}")
        elif row["facts"]["verdict"] == "beyond":
            lines.append(f"{name}: {'; '.join(row['facts']['exceeded'])}")
    return lines


def report(rows: Sequence[Row], references: Sequence[ReferenceTake]) -> None:
    """Print the tables."""
    done = [row for row in rows if "facts" in row]
    print(f"{len(rows)} takes, {len(done)} re-rendered\n\n{drift_table(rows)}\n")
    print(f"{notes_table([row | row['notes'] for row in done if row.get('notes')])}\n")
    for line in misses(rows):
        print(f"- {line}")
    classifiers = fit(references, PERSONAS)
    print(f"\n{_personas(rows, classifiers)}\n{_purities(done, classifiers)}")
    correct = leave_one_out(references, PERSONAS)
    of_stems = ", ".join(f"{stem} {correct[stem]}" for stem in STEMS)
    print(mix_table(done))
    print(f"reference takes recognised by the others (upper bound): {of_stems} of {len(references)} each")
    for key, label in (
        ("otherStemsIdentical", "other three stems identical byte for byte"),
        ("verified", "ZIP passed `sonichaos verify`"),
        ("originalUnchanged", "v1's files unchanged"),
    ):
        print(f"{label}: {sum(row[key] for row in done)}/{len(done)}")


def _personas(rows: Sequence[Row], classifiers: Mapping[str, PersonaClassifier]) -> str:
    """How many new stems are nearest to the requested persona, how many to the old one, and the null."""
    found = nearest_personas(rows, classifiers)
    requested = [row["target"] for row, _ in found]
    changed = [row["stem"] for row, nearest in found if nearest == row["target"]]
    unchanged = sum(nearest == row["persona"] for row, nearest in found)
    rng = np.random.default_rng(0)
    shuffles = [
        np.mean([nearest == other for (_, nearest), other in zip(found, rng.permutation(requested), strict=True)])
        for _ in range(1000)
    ]
    of_stems = ", ".join(f"{stem} {Counter(changed)[stem]}" for stem in STEMS)
    return (
        f"persona: {len(changed)} of {len(found)} nearest to the requested one of {len(PERSONAS)} ({of_stems}), {unchanged} to "
        f"the old one; shuffled null {np.mean(shuffles):.2f}, at most {np.quantile(shuffles, 0.99):.2f} in 99 %"
    )


def _purities(done: Sequence[Row], classifiers: Mapping[str, PersonaClassifier]) -> str:
    """How far the new stems, fitted into the mix, are from the old persona to the requested one; null: the old stems."""
    values: dict[str, list[float]] = {"oldFeatures": [], "newFeatures": []}
    for row in done:
        old, requested = (PERSONAS.index(row[key]) for key in ("persona", "target"))
        for key, found in values.items():
            found.append(purity(classifiers[row["stem"]], row[key], old=old, requested=requested))
    new, null = (median_and_worst(values[key], ".2f", smallest_is_worst=True) for key in ("newFeatures", "oldFeatures"))
    shared_lu = [
        mix["sharedLu"] for row in done if (mix := row["facts"]["level"]["mix"]) and mix["sharedLu"] is not None
    ]
    return (
        f"purity of the delivered stems, 0 old to 1 requested persona: {new}, old stems {null}; "
        f"the others' sound that they keep: {median_and_worst(shared_lu, '.1f')} LU against the old stem"
    )


def main() -> None:
    """Measure, then print the tables of all results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--takes", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--stem", choices=list(STEMS), help="re-render this stem of every take; default: all in turn")
    parser.add_argument(
        "--from-noise", action="store_true", help="start from noise alone, not from the original's latents"
    )
    parser.add_argument("--strength", type=float, help="share of noise at the start; default: that of the service")
    parser.add_argument("--results", type=Path, help="file (.jsonl) to append the results to")
    parser.add_argument(
        "--references", type=Path, help="file (.jsonl) with the reference takes; written if it does not exist"
    )
    parser.add_argument(
        "--reference-takes",
        type=int,
        default=64,
        help="how many, in turn by each persona; with few the classifiers err",
    )
    parser.add_argument(
        "--same-notes", action="store_true", help="each four reference takes, by all personas, play the same notes"
    )
    options, extra = parser.parse_known_args()
    os.environ["SONICHAOS_DRUMS_RERENDER"] = "true"
    with tempfile.TemporaryDirectory() as folder:
        results = options.results or Path(folder) / "results.jsonl"
        if options.takes:
            with (
                running_services(extra) as ready,
                Client(ready["renderAddress"], ready["separationAddress"]) as client,
                results.open("a", encoding="utf-8") as file,
            ):
                for index in range(options.first, options.first + options.takes):
                    file.write(json.dumps(measure(client, index, options, Path(folder))) + "\n")
                    file.flush()
        references = options.references or Path(folder) / "references.jsonl"
        if not references.exists():
            with running_services(extra) as ready, Client(ready["renderAddress"], ready["separationAddress"]) as client:
                briefs = reference_briefs(client, options, Path(folder))
                references.write_text("".join(reference_take(client, brief, Path(folder)) for brief in briefs))
        lines = [json.loads(line) for line in references.read_text(encoding="utf-8").splitlines()]
        rows = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
        report(rows, [(line["persona"], line["features"]) for line in lines])


if __name__ == "__main__":
    main()
