"""Verification of ZIPs by other writers, of broken and of hostile ZIPs."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sonichaos_client.verify import verify_zip
from sonichaos_client.verify.archive import FILES
from sonichaos_client.verify.zip_layout import read_layout
from tests.support.sparse_zip import write_sparse_zip
from tests.support.stems_zip import delivery, rules


def foreign(tmp_path: Path, **options: object) -> Path:
    """The same files, packed by the standard library with its own settings."""
    path = tmp_path / "foreign.zip"
    made = delivery(frames=20_000)
    with zipfile.ZipFile(path, "w", **options) as archive:  # type: ignore[call-overload]
        for name, data in made.files.items():
            archive.writestr(
                zipfile.ZipInfo(made.folder + name, (1980, 1, 1, 0, 0, 0)), data, options.get("compression")
            )
    return path


def test_a_zip_of_another_writer_may_be_valid(tmp_path: Path) -> None:
    """A ZIP that the standard library writes by the same rules is valid."""
    assert verify_zip(foreign(tmp_path)).failures == ()


def test_compression_is_reported(tmp_path: Path) -> None:
    """Compressed files are reported and not decompressed, so that a ZIP bomb is harmless."""
    report = verify_zip(foreign(tmp_path, compression=zipfile.ZIP_DEFLATED))
    assert {("stored", name) for name in FILES} <= rules(report)


def test_timestamps_are_reported(tmp_path: Path) -> None:
    """A timestamp other than the fixed one is reported."""
    path = tmp_path / "a.zip"
    made = delivery(frames=3000)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in made.files.items():
            archive.writestr(zipfile.ZipInfo(made.folder + name, (2026, 3, 4, 5, 6, 8)), data)
    report = verify_zip(path)
    assert rules(report) == {("timestamp", name) for name in FILES}
    assert "2026-03-04 05:06:08" in report.failures[0].message


def test_unnecessary_zip64_is_reported(tmp_path: Path) -> None:
    """ZIP64 sizes of small files are reported."""
    path = tmp_path / "a.zip"
    made = delivery(frames=3000)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in made.files.items():
            info = zipfile.ZipInfo(made.folder + name, (1980, 1, 1, 0, 0, 0))
            info.extra = struct.pack("<HH", 1, 0)
            archive.writestr(info, data)
    assert {("zip64", name) for name in FILES} <= rules(verify_zip(path))


def test_a_flipped_sample_bit_is_detected(tmp_path: Path) -> None:
    """A flipped bit fails the ZIP's checksum and the manifest's digest."""
    path = delivery().pack(tmp_path / "a.zip")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    found = verify_zip(path).failures
    assert {failure.rule for failure in found} >= {"checksum", "digest", "sum"}
    assert len({failure.file for failure in found if failure.file}) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b"PK",
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data + b"x",
        lambda data: b"x" + data,
        lambda data: data[:1000] + data[1001:],
        lambda _: b"RIFF" * 1000,
    ],
    ids=["empty", "two bytes", "last byte", "half", "appended", "prefixed", "a byte less", "other"],
)
def test_broken_archives_are_reported(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """A ZIP that is truncated, extended or not a ZIP is one failure and no exception."""
    path = tmp_path / "a.zip"
    path.write_bytes(damage(delivery(frames=3000).pack(path).read_bytes()))
    report = verify_zip(path)
    assert [failure.rule for failure in report.failures] == ["zip"]
    assert report.job_id is None


def test_hidden_bytes_are_reported(tmp_path: Path) -> None:
    """Bytes between the files are reported, although other readers skip them."""
    path = tmp_path / "a.zip"
    made = delivery(frames=3000)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in made.files.items():
            archive.writestr(zipfile.ZipInfo(made.folder + name, (1980, 1, 1, 0, 0, 0)), data)
            if name == "drums.wav":
                assert archive.fp is not None
                archive.fp.write(b"hidden")
                archive.start_dir = archive.fp.tell()
    report = verify_zip(path)
    assert rules(report) == {("zip", "")}
    assert "6 bytes" in report.failures[0].message


def unicode_path(name: str, other: str) -> bytes:
    """Info-ZIP's extra field 0x7075: programs that know it unpack the file under the other name."""
    body = b"\x01" + struct.pack("<I", zlib.crc32(name.encode())) + other.encode()
    return struct.pack("<HH", 0x7075, len(body)) + body


def test_a_second_name_in_an_extra_field_is_reported(tmp_path: Path) -> None:
    """Unzip would unpack it elsewhere than what was checked. Any extra field but that of ZIP64 is reported."""
    path = tmp_path / "a.zip"
    made = delivery(frames=3000)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in made.files.items():
            entry = zipfile.ZipInfo(made.folder + name, (1980, 1, 1, 0, 0, 0))
            if name == "bass.wav":
                entry.extra = unicode_path(entry.filename, "../../etc/cron.d/job")
            archive.writestr(entry, data)
    report = verify_zip(path)
    assert rules(report) == {("path", "bass.wav")}
    assert "0x7075" in report.failures[0].message


def test_comments_are_reported(tmp_path: Path) -> None:
    """They have no use in a delivery."""
    path = tmp_path / "a.zip"
    made = delivery(frames=3000)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in made.files.items():
            entry = zipfile.ZipInfo(made.folder + name, (1980, 1, 1, 0, 0, 0))
            entry.comment = b"hello"
            archive.writestr(entry, data)
    assert rules(verify_zip(path)) == {("zip", name) for name in FILES}


def test_a_huge_directory_is_rejected_unread(tmp_path: Path) -> None:
    """A directory of thousands of files is rejected by its stated size."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(2000):
            archive.writestr(f"f/{index}", b"")
    report = verify_zip(path)
    assert "directory" in report.failures[0].message


def test_a_huge_manifest_is_rejected_unread(tmp_path: Path) -> None:
    """A manifest of many mebibytes is not parsed."""
    made = delivery(frames=3000)
    made.files["manifest.json"] = b'"' + b"a" * (5 << 20) + b'"'
    assert ("schema", "manifest.json") in rules(verify_zip(made.pack(tmp_path / "a.zip")))


def test_a_link_is_reported(tmp_path: Path) -> None:
    """A file that unpacks as a symbolic link is reported."""
    path = tmp_path / "a.zip"
    made = delivery(frames=3000)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in made.files.items():
            info = zipfile.ZipInfo(made.folder + name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = (0o120777 if name == "bass.wav" else 0o100644) << 16
            archive.writestr(info, data)
    assert rules(verify_zip(path)) == {("path", "bass.wav")}


@given(position=st.integers(0, 2**31), value=st.integers(0, 255), tail=st.booleans())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_byte_is_detected(tmp_path: Path, position: int, value: int, tail: bool) -> None:  # noqa: FBT001
    """Any changed byte is a failure and never an exception.

    Except for what the directory says of versions and attributes, which change nothing of what is unpacked.
    """
    path = tmp_path / "small.zip"
    if not path.exists():
        delivery(frames=500).pack(path)
    data = bytearray(path.read_bytes())
    # Half of the tries fall into the manifest's end and the directory, where structure is dense.
    at = len(data) - 1 - position % 1000 if tail else position % len(data)
    if data[at] == value:
        return
    data[at] = value
    broken = tmp_path / "broken.zip"
    broken.write_bytes(data)
    if not verify_zip(broken).failures:
        with zipfile.ZipFile(path) as whole, zipfile.ZipFile(broken) as changed:
            assert [i.filename for i in changed.infolist()] == [i.filename for i in whole.infolist()]
            assert all(changed.read(i.filename) == whole.read(i) for i in whole.infolist())
            assert at > whole.start_dir or at in _versions_needed(whole)


def _versions_needed(archive: zipfile.ZipFile) -> set[int]:
    """Offsets of the required format version in the local headers."""
    return {info.header_offset + at for info in archive.infolist() for at in (4, 5)}


def test_zips_above_4_gib_are_read(tmp_path: Path) -> None:
    """Above 4 GiB the offsets of all files are read from their ZIP64 fields, which are valid there."""
    path = tmp_path / "big.zip"
    places = write_sparse_zip(path)
    with path.open("rb") as file:
        members, findings = read_layout(file, path.stat().st_size)
    assert findings == ()
    assert [member.offset for member in members] == [place.data_offset for place in places]
    assert [member.size for member in members] == [place.file.digest.size_bytes for place in places]
