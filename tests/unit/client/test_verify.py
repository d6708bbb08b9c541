"""Verification of ZIPs: valid ones, and one failure for each kind of damage."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from servicekit.delivery.names import StemMode
from sonichaos_client.verify import VerifyReport, verify_zip
from tests.support.stems_zip import JOB, Delivery, delivery, rules


def check(made: Delivery, tmp_path: Path) -> VerifyReport:
    """Pack and verify."""
    return verify_zip(made.pack(tmp_path / "a.zip"))


def patched(data: bytes, at: int, part: bytes) -> bytes:
    """``data`` with ``part`` written over it."""
    return data[:at] + part + data[at + len(part) :]


def body_at(data: bytes, chunk: bytes) -> int:
    """Offset of the body of a chunk."""
    return data.index(chunk) + 8


@pytest.mark.parametrize("mode", list(StemMode))
@pytest.mark.parametrize("upload", [False, True])
def test_undamaged_zips_are_valid(tmp_path: Path, mode: str, upload: bool) -> None:  # noqa: FBT001  a parameter of the test
    """ZIPs of takes and uploads, exact and raw, pass every check, and the report has their facts."""
    report = check(delivery(mode=mode, upload=upload), tmp_path)
    assert report.failures == ()
    assert report.valid
    assert (report.job_id, report.version, report.frames, report.stem_mode) == (JOB, 1, 44117, mode)
    assert ("sample for sample" in " ".join(report.checked)) == (mode == "exact")


def test_longer_and_later_versions_are_valid(tmp_path: Path) -> None:
    """A second version in its own folder is valid, and so is a take of several blocks."""
    assert check(delivery(version=2, frames=150_001), tmp_path).failures == ()


def test_a_take_too_short_for_loudness_is_valid(tmp_path: Path) -> None:
    """Below 0.4 s the loudness is null, which is valid."""
    report = check(delivery(frames=3000), tmp_path)
    assert report.failures == ()
    assert report.lufs is None


def one_unit(made: Delivery) -> None:
    """One sample of one stem differs by the smallest step."""
    data = made.files["bass.wav"]
    made.set_wav("bass.wav", patched(data, len(data) - 600, bytes([data[-600] ^ 1])))


def swapped_stems(made: Delivery) -> None:
    """Two stems are swapped."""
    files = made.files
    files["drums.wav"], files["bass.wav"] = files["bass.wav"], files["drums.wav"]


def silent_vocals_say_loud(made: Delivery) -> None:
    """The manifest has a loudness for silence."""
    made.edit("stems.files.vocals.lufs", -20.0)


def without(name: str) -> Callable[[Delivery], None]:
    """A file is missing."""

    def change(made: Delivery) -> None:
        del made.files[name]

    return change


def edited(path: str, value: object) -> Callable[[Delivery], None]:
    """One fact of the manifest is changed."""
    return lambda made: made.edit(path, value)


def rewritten(name: str, chunk: bytes, offset: int, part: bytes) -> Callable[[Delivery], None]:
    """Bytes within a chunk of a WAV are changed, and the digest with them."""

    def change(made: Delivery) -> None:
        data = made.files[name]
        made.set_wav(name, patched(data, body_at(data, chunk) + offset, part))

    return change


def cut_wav(made: Delivery) -> None:
    """A WAV lost its last frame, but its header did not change."""
    made.set_wav("other.wav", made.files["other.wav"][:-6])


def shorter_wav(made: Delivery) -> None:
    """A WAV is a frame shorter than the others, with a matching header."""
    data = made.files["other.wav"][:-6]
    size = int.from_bytes(data[4:8], "little") - 6
    data = patched(data, 4, size.to_bytes(4, "little"))
    at = body_at(data, b"data") - 4
    made.set_wav(
        "other.wav", patched(data, at, (int.from_bytes(data[at : at + 4], "little") - 6).to_bytes(4, "little"))
    )


def no_bext(made: Delivery) -> None:
    """The bext chunk has another name."""
    made.set_wav("drums.wav", made.files["drums.wav"].replace(b"bext", b"junk", 1))


def louder_bounce(made: Delivery) -> None:
    """The bounce is twice as loud, 6 dB above the limit; the other files did not change."""
    data = made.files["bounce.wav"]
    at = body_at(data, b"data")
    loud = bytearray()
    for sample in range(at, len(data), 3):
        value = int.from_bytes(data[sample : sample + 3], "little", signed=True) * 2
        loud += max(min(value, 8388607), -8388608).to_bytes(3, "little", signed=True)
    made.set_wav("bounce.wav", data[:at] + bytes(loud))


def reordered(made: Delivery) -> None:
    """The manifest comes first."""
    made.files = {"manifest.json": made.files["manifest.json"], **made.files}


def extra_file(made: Delivery) -> None:
    """A seventh file."""
    made.files["notes.txt"] = b"hello"


def not_json(made: Delivery) -> None:
    """The manifest is truncated."""
    made.files["manifest.json"] = made.files["manifest.json"][:-10]


def with_infinity(made: Delivery) -> None:
    """The manifest has a number that is not valid JSON."""
    made.files["manifest.json"] = made.files["manifest.json"].replace(
        b'"residualDbfs": -', b'"residualDbfs": -Infinity, "x": -'
    )


def with_a_number_beyond_all_others(made: Delivery) -> None:
    """The manifest has a number that is read as infinity."""
    made.files["manifest.json"] = made.files["manifest.json"].replace(
        b'"residualDbfs": -', b'"residualDbfs": -1e999, "x": -'
    )


def in_folder(folder: str) -> Callable[[Delivery], None]:
    """The files are in another folder."""

    def change(made: Delivery) -> None:
        made.folder = folder

    return change


STEMS = ("drums.wav", "bass.wav", "vocals.wav", "other.wav")
DAMAGES: list[tuple[Callable[[Delivery], None], set[tuple[str, str]]]] = [
    (one_unit, {("sum", "")}),
    (
        swapped_stems,
        {("digest", n) for n in STEMS[:2]} | {(r, n) for r in ("bext", "loudness", "true-peak") for n in STEMS[:2]},
    ),
    (silent_vocals_say_loud, {("loudness", "vocals.wav"), ("bext", "vocals.wav")}),
    (without("bass.wav"), {("files", ""), ("sum", "")}),
    (without("manifest.json"), {("files", "")}),
    (edited("bounce.sha256", "0" * 64), {("digest", "bounce.wav")}),
    (edited("stems.files.other.sha256", "0" * 64), {("digest", "other.wav")}),
    (edited("frames", 44100), {("frames", "bounce.wav"), *(("frames", name) for name in STEMS)}),
    (edited("lufs", -3.0), {("manifest", "manifest.json")}),
    (edited("lufs", ...), {("schema", "manifest.json")}),
    (edited("surprise", 1), {("schema", "manifest.json")}),
    (edited("stems", None), {("schema", "manifest.json")}),
    (edited("tempoMap.swingRatio", 3), {("schema", "manifest.json")}),
    (edited("stems.residualRule", None), {("manifest", "manifest.json")}),
    (edited("stems.files.drums.file", "bass.wav"), {("manifest", "manifest.json")}),
    (edited("jobId", "j-another"), {("files", ""), *(("bext", name) for name in ("bounce.wav", *STEMS))}),
    (edited("createdAt", "2026-03-04T05:06:08Z"), {("bext", name) for name in ("bounce.wav", *STEMS)}),
    (edited("prompt", None), {("comment", name) for name in ("bounce.wav", *STEMS)}),
    (rewritten("drums.wav", b"fmt ", 4, struct.pack("<I", 48000)), {("format", "drums.wav"), ("sum", "")}),
    (rewritten("drums.wav", b"fmt ", 0, struct.pack("<H", 0xFFFE)), {("format", "drums.wav"), ("sum", "")}),
    (rewritten("bass.wav", b"bext", 346, b"\1"), {("bext", "bass.wav")}),
    (rewritten("bass.wav", b"bext", 338, b"\1"), {("bext", "bass.wav")}),
    (rewritten("bass.wav", b"bext", 412, b"\0\0"), {("bext", "bass.wav")}),
    (rewritten("bass.wav", b"LIST", 12, b"Generated by XX"), {("comment", "bass.wav")}),
    (rewritten("other.wav", b"RIFF", -4, b"\0"), {("riff", "other.wav")}),
    (rewritten("other.wav", b"RIFF", 0, b"AVI "), {("riff", "other.wav"), ("sum", "")}),
    (cut_wav, {("riff", "other.wav"), ("sum", "")}),
    (shorter_wav, {("frames", "other.wav"), ("frames", "")}),
    (no_bext, {("bext", "drums.wav")}),
    (louder_bounce, {("loudness", "bounce.wav"), ("true-peak", "bounce.wav"), ("sum", "")}),
    (reordered, {("files", "")}),
    (extra_file, {("files", "")}),
    (not_json, {("schema", "manifest.json")}),
    (with_infinity, {("schema", "manifest.json")}),
    (with_a_number_beyond_all_others, {("schema", "manifest.json")}),
    (in_folder("sonichaos-j-other/"), {("files", "")}),
    (in_folder(f"sonichaos-{JOB}-v2/"), {("files", "")}),
    (in_folder("../"), {("path", ""), ("files", "")}),
    (in_folder("/etc/"), {("path", ""), ("files", "")}),
    (in_folder("a/b/"), {("files", "")}),
    (in_folder("C:\\"), {("path", ""), ("files", "")}),
]


@pytest.mark.parametrize(("damage", "expected"), DAMAGES)
def test_damage_fails_its_check(
    tmp_path: Path, damage: Callable[[Delivery], None], expected: set[tuple[str, str]]
) -> None:
    """Each kind of damage fails the check that covers it, in the damaged file, and no other check."""
    made = delivery()
    damage(made)
    report = check(made, tmp_path)
    assert not report.valid
    assert rules(report) == expected


def test_raw_stems_need_not_sum(tmp_path: Path) -> None:
    """In raw mode the sum is not checked."""
    made = delivery(mode=StemMode.RAW)
    one_unit(made)
    assert check(made, tmp_path).failures == ()


def with_stems_of_v1(made: Delivery) -> Delivery:
    """A v2 whose drums, bass and other are the files of v1."""
    for name in ("drums.wav", "bass.wav", "other.wav"):
        made.set_wav(name, delivery().files[name])
    return made


def test_stems_of_an_earlier_version(tmp_path: Path) -> None:
    """Stems that a re-render copied name the version that created them, as `kept` in the manifest does."""
    made = with_stems_of_v1(delivery(version=2))
    facts = {"version": 1, "createdAt": made.manifest["createdAt"], "source": "generated"}
    assert rules(verify_zip(made.pack(tmp_path / "unsaid.zip"))) == {
        ("bext", name) for name in ("drums.wav", "bass.wav", "other.wav")
    }
    made.edit("rerender.kept", dict.fromkeys(("drums", "bass", "other"), facts))
    assert rules(verify_zip(made.pack(tmp_path / "kept.zip"))) == set()
    made.edit("rerender.kept", {stem: {**facts, "version": 3} for stem in ("drums", "bass", "other")})
    assert ("bext", "drums.wav") in rules(verify_zip(made.pack(tmp_path / "other.zip")))
