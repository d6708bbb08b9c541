"""Check a ZIP of stems against the product's contract, independently of the code that wrote it.

    report = verify_zip(Path("j-...-v1.zip"))
    for finding in report.findings: ...

Nothing is unpacked; memory does not grow with the file. What it looks at: the archive's layout, names, times and checksums; each
WAV's header; every SHA-256 in the manifest; the manifest against the published schema and against itself and the WAVs; in
exact mode the sum of the stems, sample for sample; loudness and true peak, measured anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sonichaos_client.finding import Finding, Report
from sonichaos_client.loudness_check import Meter
from sonichaos_client.wav_check import WavSamples, check_wav, facts_of
from sonichaos_client.zip_layout import Member, UnreadableZip, read_layout

STEM_FILES = ("drums.wav", "bass.wav", "vocals.wav", "other.wav")
WAV_FILES = ("bounce.wav", *STEM_FILES)
MANIFEST_FILE = "manifest.json"
FILES = (*WAV_FILES, MANIFEST_FILE)

MAX_MANIFEST_BYTES = 4 * 1024 * 1024
LOUDNESS_TOLERANCE_LU = 0.1
"""EBU Tech 3341 asks of a meter that it reads within 0.1 LU."""
TRUE_PEAK_TOLERANCE_DB = 0.05
"""For rounding of the gain and of the reading; a render's ceiling is -1 dBTP."""
CEILING_DBTP = -1.0

_READ_BYTES = 1 << 20
_MAX_SCHEMA_FINDINGS = 20
_CHECKED = (
    "layout, names, times and checksums of the ZIP",
    "headers of the five WAVs",
    "SHA-256 of each WAV against the manifest",
    "the manifest against its schema and the files",
    "loudness and true peak of each WAV",
)
_CHECKED_SUM = "drums + bass + vocals + other = bounce, sample for sample"


def verify_zip(path: Path) -> Report:
    """Check the ZIP at ``path``. Raises OSError where it cannot be read; everything else is in the report."""
    with path.open("rb") as file:
        try:
            members, findings = read_layout(file, os.fstat(file.fileno()).st_size)
        except UnreadableZip as error:
            return Report(path=path, findings=(Finding("zip", "", str(error)),), checked=(_CHECKED[0],))
        found = [*findings, *_check_names(members)]
        by_name = {member.name: member for member in members if member.name in FILES}
        manifest, manifest_found = _read_manifest(file, by_name.get(MANIFEST_FILE))
        found += manifest_found
        if manifest is not None:
            found += _check_manifest(manifest, members[0].path.split("/", 1)[0])
        found += _check_bytes(file, by_name, manifest)
        samples = []
        for name in WAV_FILES:
            if name in by_name:
                wav, wav_found = check_wav(file, by_name[name], manifest)
                found += wav_found
                samples += [wav] if wav else []
        exact = manifest is not None and manifest["stemMode"] == "exact"
        found += _check_levels(file, samples, manifest)
        found += _check_sum(file, samples) if exact else []
    return _report(path, found, manifest, exact=exact)


def _report(path: Path, found: Sequence[Finding], manifest: Mapping[str, Any] | None, *, exact: bool) -> Report:
    checked = (*_CHECKED, _CHECKED_SUM) if exact else _CHECKED
    if manifest is None:
        return Report(path=path, findings=tuple(found), checked=checked)
    return Report(
        path=path,
        findings=tuple(found),
        checked=checked,
        job_id=manifest["jobId"],
        version=manifest["version"],
        frames=manifest["frames"],
        stem_mode=manifest["stemMode"],
        lufs=manifest["lufs"],
        true_peak_dbtp=manifest["truePeakDbtp"],
    )


def _check_names(members: Sequence[Member]) -> list[Finding]:
    """One folder with the six files, in their order, and nothing that could land elsewhere."""
    found = []
    for member in members:
        parts = member.path.split("/")
        unsafe = "\\" in member.path or ":" in member.path or not member.path.isprintable() or ".." in parts
        if unsafe or member.path.startswith("/"):
            found.append(Finding("path", "", f"the name {member.path!r} could land outside its folder"))
        elif len(parts) != 2 or parts[1] not in FILES:
            found.append(Finding("files", "", f"there is {member.path!r}, which does not belong there"))
    names = [member.name for member in members]
    missing = [name for name in FILES if name not in names]
    if missing:
        found.append(Finding("files", "", f"missing, or not readable: {', '.join(missing)}"))
    if len({member.path.split("/", 1)[0] for member in members}) > 1:
        found.append(Finding("files", "", "its files lie in more than one folder"))
    if len(names) > len(set(names)):
        found.append(Finding("files", "", "a file is there twice"))
    if not found and names != list(FILES):
        found.append(Finding("files", "", f"wanted the order {', '.join(FILES)}, got {', '.join(names)}"))
    return found


def _read_manifest(file: BinaryIO, member: Member | None) -> tuple[Mapping[str, Any] | None, list[Finding]]:
    """The manifest, None unless it keeps the schema."""
    if member is None:
        return None, []
    if member.size > MAX_MANIFEST_BYTES:
        return None, [Finding("schema", MANIFEST_FILE, f"has {member.size} bytes, far more than a manifest needs")]
    file.seek(member.offset)
    try:
        facts = json.loads(file.read(member.size).decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        return None, [Finding("schema", MANIFEST_FILE, f"is not JSON in UTF-8: {error}")]
    found = _check_schema(facts)
    if not found and facts["stems"] is None:
        found = [Finding("schema", MANIFEST_FILE, "says that there are no stems, yet it lies in a ZIP of stems")]
    return (None if found else facts), found


def _check_schema(facts: object) -> list[Finding]:
    """Where the manifest breaks the published schema, by the path of each part."""
    from jsonschema.exceptions import best_match

    # What may be null is wrong in two ways at once; the match is the one that was meant.
    errors = [best_match([error]) for error in islice(_schema().iter_errors(facts), _MAX_SCHEMA_FINDINGS)]
    return [Finding("schema", MANIFEST_FILE, f"{error.json_path}: {error.message[:300]}") for error in errors]


def _check_manifest(manifest: Mapping[str, Any], folder: str) -> list[Finding]:
    """Facts that have to agree with each other and with the folder's name."""
    found = []
    version, job_id, bounce = manifest["version"], manifest["jobId"], manifest["bounce"]
    wanted = f"sonichaos-{job_id}" + (f"-v{version}" if version > 1 else "")
    if folder != wanted:
        found.append(
            Finding("files", "", f"the folder is {folder!r}, wanted {wanted!r} for {job_id} version {version}")
        )
    for key in ("lufs", "truePeakDbtp"):
        if manifest[key] != bounce[key]:
            message = f"says {key} {manifest[key]} at the top and {bounce[key]} for the bounce"
            found.append(Finding("manifest", MANIFEST_FILE, message))
    for name in WAV_FILES:
        facts = facts_of(manifest, name)
        if facts is not None and facts["file"] != name:
            found.append(Finding("manifest", MANIFEST_FILE, f"names the file {facts['file']!r} where {name!r} belongs"))
    exact, rule = manifest["stemMode"] == "exact", manifest["stems"]["residualRule"]
    if exact != (rule is not None):
        found.append(
            Finding("manifest", MANIFEST_FILE, f"has stem mode {manifest['stemMode']} and residual rule {rule}")
        )
    return found


def _check_bytes(file: BinaryIO, members: Mapping[str, Member], manifest: Mapping[str, Any] | None) -> list[Finding]:
    """Each file's CRC-32 against the ZIP and its SHA-256 against the manifest."""
    found = []
    for name, member in members.items():
        sha256, crc32 = hashlib.sha256(), 0
        file.seek(member.offset)
        for start in range(0, member.size, _READ_BYTES):
            data = file.read(min(_READ_BYTES, member.size - start))
            sha256.update(data)
            crc32 = zlib.crc32(data, crc32)
        if crc32 != member.crc32:
            found.append(Finding("checksum", name, f"has the checksum {crc32:08x}, the ZIP says {member.crc32:08x}"))
        facts = facts_of(manifest, name) if manifest is not None and name != MANIFEST_FILE else None
        if facts is not None and sha256.hexdigest() != facts["sha256"]:
            message = f"has SHA-256 {sha256.hexdigest()}, the manifest says {facts['sha256']}"
            found.append(Finding("digest", name, message))
    return found


def _check_levels(file: BinaryIO, samples: Sequence[WavSamples], manifest: Mapping[str, Any] | None) -> list[Finding]:
    """Loudness and true peak of each WAV against the manifest, and the ceiling of a render."""
    found: list[Finding] = []
    for wav in samples:
        facts = facts_of(manifest, wav.name) if manifest is not None else None
        if manifest is None or facts is None:
            continue
        meter = Meter()
        for block in wav.blocks(file):
            meter.add(block)
        lufs, peak = meter.lufs(), meter.true_peak_dbtp()
        if not _close(lufs, facts["lufs"], LOUDNESS_TOLERANCE_LU):
            found.append(
                Finding("loudness", wav.name, f"measures {_level(lufs)} LUFS, the manifest says {facts['lufs']}")
            )
        if not _close(peak, facts["truePeakDbtp"], TRUE_PEAK_TOLERANCE_DB):
            message = f"measures {_level(peak)} dBTP, the manifest says {facts['truePeakDbtp']}"
            found.append(Finding("true-peak", wav.name, message))
        # Later versions are integer sums of an earlier bounce and a new stem, held below full scale only.
        rendered = wav.name == "bounce.wav" and manifest["prompt"] is not None and manifest["version"] == 1
        if rendered and peak is not None and peak > CEILING_DBTP + TRUE_PEAK_TOLERANCE_DB:
            message = f"measures {peak:.2f} dBTP, a render has at most {CEILING_DBTP:g}"
            found.append(Finding("true-peak", wav.name, message))
    return found


def _check_sum(file: BinaryIO, samples: Sequence[WavSamples]) -> list[Finding]:
    """In exact mode the four stems sum to the bounce."""
    if len(samples) < len(WAV_FILES):
        return [Finding("sum", "", "could not be checked, because not every WAV can be read")]
    if len({wav.frames for wav in samples}) > 1:
        lengths = ", ".join(f"{wav.name} {wav.frames}" for wav in samples)
        return [Finding("frames", "", f"the WAVs differ in frames, so they cannot sum: {lengths}")]
    wrong, first, largest, start = 0, 0, 0, 0
    for bounce, *stems in zip(*(wav.blocks(file) for wav in samples), strict=True):
        difference = np.abs(np.sum(stems, axis=0, dtype=np.int64) - bounce)
        off = np.flatnonzero(difference.max(axis=0))
        if off.size and not wrong:
            first = start + int(off[0])
        wrong += int(np.count_nonzero(difference))
        largest = max(largest, int(difference.max()))
        start += bounce.shape[1]
    if not wrong:
        return []
    where = f"first at frame {first}, by at most {largest} units of 24 bits"
    return [Finding("sum", "", f"drums + bass + vocals + other differ from the bounce in {wrong} samples, {where}")]


def _close(measured: float | None, said: float | None, tolerance: float) -> bool:
    """Whether both are there and near each other, or neither is."""
    if measured is None or said is None:
        return measured is said
    return abs(measured - said) <= tolerance


def _level(value: float | None) -> str:
    return "no" if value is None else f"{value:.2f}"


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


@cache
def _schema() -> Any:  # noqa: ANN401  jsonschema has no types here
    from jsonschema import Draft202012Validator

    text = resources.files("sonichaos.manifest.v1").joinpath("manifest.schema.json").read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(text))
