"""The checks of a ZIP.

Layout, names, timestamps and checksums; WAV headers; every SHA-256 in the manifest; the manifest against its schema, itself and
the WAVs; in exact mode the sum of the stems, sample for sample; loudness and true peak.
Nothing is unpacked, and memory use does not grow with the file.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sonichaos_client.fields import StrPath
from sonichaos_client.verify.loudness import Meter
from sonichaos_client.verify.report import CheckFailure, VerifyReport
from sonichaos_client.verify.wav import WavSamples, check_wav, facts_of
from sonichaos_client.verify.zip_layout import Member, UnreadableZipError, read_layout

STEM_FILES = ("drums.wav", "bass.wav", "vocals.wav", "other.wav")
WAV_FILES = ("bounce.wav", *STEM_FILES)
MANIFEST_FILE = "manifest.json"
FILES = (*WAV_FILES, MANIFEST_FILE)

MAX_MANIFEST_BYTES = 4 * 1024 * 1024
LOUDNESS_TOLERANCE_LU = 0.1
"""EBU Tech 3341 requires a meter to read within 0.1 LU."""
TRUE_PEAK_TOLERANCE_DB = 0.05
"""Allows for rounding of the gain and of the measurement."""
MAX_TRUE_PEAK_DBTP = -1.0
"""Limit of a render's bounce, docs/contract.md, section 3."""

_READ_BYTES = 1 << 20
_MAX_SCHEMA_FAILURES = 20
_CHECKED = (
    "ZIP layout, names, timestamps and checksums",
    "WAV headers",
    "SHA-256 of each WAV",
    "manifest schema and contents",
    "loudness and true peak of each WAV",
)
_CHECKED_SUM = "drums + bass + vocals + other = bounce, sample for sample"


def verify_zip(path: StrPath) -> VerifyReport:
    """Check the ZIP at ``path``. Raises OSError if it cannot be read; everything else is in the report."""
    path = Path(path)
    with path.open("rb") as file:
        try:
            members, layout_failures = read_layout(file, os.fstat(file.fileno()).st_size)
        except UnreadableZipError as error:
            return VerifyReport(path=path, failures=(CheckFailure("zip", "", str(error)),), checked=(_CHECKED[0],))
        failures = [*layout_failures, *_check_names(members)]
        by_name = {member.name: member for member in members if member.name in FILES}
        manifest, manifest_failures = _read_manifest(file, by_name.get(MANIFEST_FILE))
        failures += manifest_failures
        if manifest is not None:
            failures += _check_manifest(manifest, members[0].path.split("/", 1)[0])
        failures += _check_bytes(file, by_name, manifest)
        samples = []
        for name in WAV_FILES:
            if name in by_name:
                wav, wav_failures = check_wav(file, by_name[name], manifest)
                failures += wav_failures
                samples += [wav] if wav else []
        exact = manifest is not None and manifest["stemMode"] == "exact"
        failures += _check_levels(file, samples, manifest)
        failures += _check_sum(file, samples) if exact else []
    return _report(path, failures, manifest, exact=exact)


def _report(
    path: Path, failures: Sequence[CheckFailure], manifest: Mapping[str, Any] | None, *, exact: bool
) -> VerifyReport:
    checked = (*_CHECKED, _CHECKED_SUM) if exact else _CHECKED
    if manifest is None:
        return VerifyReport(path=path, failures=tuple(failures), checked=checked)
    return VerifyReport(
        path=path,
        failures=tuple(failures),
        checked=checked,
        job_id=manifest["jobId"],
        version=manifest["version"],
        frames=manifest["frames"],
        stem_mode=manifest["stemMode"],
        lufs=manifest["lufs"],
        true_peak_dbtp=manifest["truePeakDbtp"],
    )


def _check_names(members: Sequence[Member]) -> list[CheckFailure]:
    """One folder with the six files in their order, and no name that would be unpacked outside of it."""
    failures = []
    for member in members:
        parts = member.path.split("/")
        unsafe = "\\" in member.path or ":" in member.path or not member.path.isprintable() or ".." in parts
        if unsafe or member.path.startswith("/"):
            failures.append(CheckFailure("path", "", f"the name {member.path!r} could be unpacked outside its folder"))
        elif len(parts) != 2 or parts[1] not in FILES:
            failures.append(CheckFailure("files", "", f"unexpected file {member.path!r}"))
    names = [member.name for member in members]
    missing = [name for name in FILES if name not in names]
    if missing:
        failures.append(CheckFailure("files", "", f"missing or unreadable: {', '.join(missing)}"))
    if len({member.path.split("/", 1)[0] for member in members}) > 1:
        failures.append(CheckFailure("files", "", "the files are in more than one folder"))
    if len(names) > len(set(names)):
        failures.append(CheckFailure("files", "", "a file name occurs twice"))
    if not failures and names != list(FILES):
        failures.append(CheckFailure("files", "", f"expected the order {', '.join(FILES)}, got {', '.join(names)}"))
    return failures


def _read_manifest(file: BinaryIO, member: Member | None) -> tuple[Mapping[str, Any] | None, list[CheckFailure]]:
    """The manifest, None unless it matches the schema."""
    if member is None:
        return None, []
    if member.size > MAX_MANIFEST_BYTES:
        return None, [
            CheckFailure("schema", MANIFEST_FILE, f"expected at most {MAX_MANIFEST_BYTES} bytes, got {member.size}")
        ]
    file.seek(member.offset)
    try:
        facts = json.loads(file.read(member.size).decode("utf-8"), parse_constant=_reject_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        return None, [CheckFailure("schema", MANIFEST_FILE, f"not valid JSON in UTF-8: {error}")]
    failures = _check_schema(facts)
    if not failures and facts["stems"] is None:
        failures = [CheckFailure("schema", MANIFEST_FILE, "stems is null in a ZIP of stems")]
    return (None if failures else facts), failures


def _check_schema(facts: object) -> list[CheckFailure]:
    """Violations of the published schema, each with its path."""
    from jsonschema.exceptions import best_match

    # A nullable field violates two alternatives at once; best_match picks the relevant one.
    errors = [best_match([error]) for error in islice(_schema().iter_errors(facts), _MAX_SCHEMA_FAILURES)]
    return [CheckFailure("schema", MANIFEST_FILE, f"{error.json_path}: {error.message[:300]}") for error in errors]


def _check_manifest(manifest: Mapping[str, Any], folder: str) -> list[CheckFailure]:
    """Facts that must agree with each other and with the folder's name."""
    failures = []
    version, job_id, bounce = manifest["version"], manifest["jobId"], manifest["bounce"]
    expected = f"sonichaos-{job_id}" + (f"-v{version}" if version > 1 else "")
    if folder != expected:
        failures.append(CheckFailure("files", "", f"expected the folder {expected!r}, got {folder!r}"))
    for key in ("lufs", "truePeakDbtp"):
        if manifest[key] != bounce[key]:
            message = f"{key} is {manifest[key]} at the top level and {bounce[key]} for the bounce"
            failures.append(CheckFailure("manifest", MANIFEST_FILE, message))
    for name in WAV_FILES:
        facts = facts_of(manifest, name)
        if facts is not None and facts["file"] != name:
            failures.append(
                CheckFailure("manifest", MANIFEST_FILE, f"expected the file name {name!r}, got {facts['file']!r}")
            )
    exact, rule = manifest["stemMode"] == "exact", manifest["stems"]["residualRule"]
    if exact != (rule is not None):
        failures.append(
            CheckFailure(
                "manifest", MANIFEST_FILE, f"stem mode {manifest['stemMode']} contradicts residual rule {rule}"
            )
        )
    return failures


def _check_bytes(
    file: BinaryIO, members: Mapping[str, Member], manifest: Mapping[str, Any] | None
) -> list[CheckFailure]:
    """Each file's CRC-32 against the ZIP and its SHA-256 against the manifest."""
    failures = []
    for name, member in members.items():
        sha256, crc32 = hashlib.sha256(), 0
        file.seek(member.offset)
        for start in range(0, member.size, _READ_BYTES):
            data = file.read(min(_READ_BYTES, member.size - start))
            sha256.update(data)
            crc32 = zlib.crc32(data, crc32)
        if crc32 != member.crc32:
            failures.append(CheckFailure("checksum", name, f"expected CRC-32 {member.crc32:08x}, got {crc32:08x}"))
        facts = facts_of(manifest, name) if manifest is not None and name != MANIFEST_FILE else None
        if facts is not None and sha256.hexdigest() != facts["sha256"]:
            message = f"expected SHA-256 {facts['sha256']}, got {sha256.hexdigest()}"
            failures.append(CheckFailure("digest", name, message))
    return failures


def _check_levels(
    file: BinaryIO, samples: Sequence[WavSamples], manifest: Mapping[str, Any] | None
) -> list[CheckFailure]:
    """Loudness and true peak of each WAV against the manifest, and the true peak limit of a render."""
    failures: list[CheckFailure] = []
    for wav in samples:
        facts = facts_of(manifest, wav.name) if manifest is not None else None
        if manifest is None or facts is None:
            continue
        meter = Meter()
        for block in wav.blocks(file):
            meter.add(block)
        lufs, peak = meter.lufs(), meter.true_peak_dbtp()
        if not _close(lufs, facts["lufs"], LOUDNESS_TOLERANCE_LU):
            failures.append(
                CheckFailure(
                    "loudness",
                    wav.name,
                    f"measured {_level(lufs, 'LUFS')}, the manifest has {_level(facts['lufs'], 'LUFS')}",
                )
            )
        if not _close(peak, facts["truePeakDbtp"], TRUE_PEAK_TOLERANCE_DB):
            message = f"measured {_level(peak, 'dBTP')}, the manifest has {_level(facts['truePeakDbtp'], 'dBTP')}"
            failures.append(CheckFailure("true-peak", wav.name, message))
        # A later version's bounce is an integer sum with a new stem, limited to full scale only.
        rendered = wav.name == "bounce.wav" and manifest["prompt"] is not None and manifest["version"] == 1
        if rendered and peak is not None and peak > MAX_TRUE_PEAK_DBTP + TRUE_PEAK_TOLERANCE_DB:
            message = f"expected at most {MAX_TRUE_PEAK_DBTP:g} dBTP for a render, measured {peak:.2f} dBTP"
            failures.append(CheckFailure("true-peak", wav.name, message))
    return failures


def _check_sum(file: BinaryIO, samples: Sequence[WavSamples]) -> list[CheckFailure]:
    """In exact mode the four stems must sum to the bounce."""
    if len(samples) < len(WAV_FILES):
        return [CheckFailure("sum", "", "not checked, because a WAV is missing or unreadable")]
    if len({wav.frames for wav in samples}) > 1:
        lengths = ", ".join(f"{wav.name} {wav.frames}" for wav in samples)
        return [CheckFailure("frames", "", f"the WAVs differ in length, so the sum was not checked: {lengths}")]
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
    where = f"first at frame {first}, by at most {largest} 24-bit steps"
    return [
        CheckFailure(
            "sum",
            "",
            f"drums + bass + vocals + other differs from the bounce in {wrong} sample{'s' * (wrong > 1)}, {where}",
        )
    ]


def _close(measured: float | None, stated: float | None, tolerance: float) -> bool:
    """Whether both are set and close to each other, or both are None."""
    if measured is None or stated is None:
        return measured is stated
    return abs(measured - stated) <= tolerance


def _level(value: float | None, unit: str) -> str:
    return f"no {unit}" if value is None else f"{value:.2f} {unit}"


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise ValueError(f"{number[:40]} is beyond every number of a manifest")
    return value


@cache
def _schema() -> Any:  # noqa: ANN401  jsonschema has no types here
    from jsonschema import Draft202012Validator

    text = resources.files("sonichaos.manifest.v1").joinpath("manifest.schema.json").read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(text))
