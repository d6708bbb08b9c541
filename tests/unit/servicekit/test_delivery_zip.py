"""The ZIP of a version."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from servicekit.delivery.zip_archive import ZipFacts, write_zip, zip_folder
from servicekit.delivery.zip_headers import PackedFile
from servicekit.errors import Internal
from tests.support.sparse_zip import write_sparse_zip

NAMES = ("bounce.wav", "drums.wav", "bass.wav", "vocals.wav", "other.wav", "manifest.json")


class Unseekable:
    """A sink that only takes bytes, as an upload to an object store does."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Keep a copy."""
        self.parts.append(bytes(data))
        return len(data)


@dataclass(frozen=True)
class Chunked:
    """Content in small parts."""

    data: bytes

    @property
    def size_bytes(self) -> int:
        """Length."""
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        """Seven bytes at a time."""
        for at in range(0, len(self.data), 7):
            yield self.data[at : at + 7]


def six_files() -> list[PackedFile]:
    """Six small files, one of them empty."""
    return [PackedFile.of(name, Chunked(name.encode() * index)) for index, name in enumerate(NAMES)]


def zipped(files: list[PackedFile], folder: str = "sonichaos-j-1/") -> tuple[bytes, ZipFacts]:
    """The archive's bytes and facts."""
    sink = Unseekable()
    facts = write_zip(sink, folder, files)
    return b"".join(sink.parts), facts


def test_the_standard_library_reads_it() -> None:
    """A foreign reader finds the six files, stored, in their order, in one folder, at the fixed time, with sound checksums."""
    data, _ = zipped(six_files())
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = archive.infolist()
        assert [info.filename for info in infos] == [f"sonichaos-j-1/{name}" for name in NAMES]
        assert {info.compress_type for info in infos} == {zipfile.ZIP_STORED}
        assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.flag_bits for info in infos} == {0}
        assert {info.external_attr >> 16 for info in infos} == {0o100644}
        assert archive.testzip() is None
        assert all(
            archive.read(info) == name.encode() * i for i, (info, name) in enumerate(zip(infos, NAMES, strict=True))
        )


def test_unzip_finds_nothing_to_say(tmp_path: Path) -> None:
    """Info-ZIP tests and unpacks it without a word of warning."""
    if shutil.which("unzip") is None:
        pytest.skip("needs Debian package unzip")
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(six_files())[0])
    done = subprocess.run(["unzip", "-tq", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_entries_are_ranges() -> None:
    """Offset and size of each entry are a range of the archive that is the file, with its digest."""
    data, facts = zipped(six_files())
    assert [entry.name for entry in facts.entries] == list(NAMES)
    for index, entry in enumerate(facts.entries):
        part = data[entry.offset_bytes : entry.offset_bytes + entry.size_bytes]
        assert part == entry.name.encode() * index
        assert hashlib.sha256(part).hexdigest() == entry.sha256
    assert (facts.size_bytes, facts.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_same_files_are_the_same_archive() -> None:
    """The archive is a pure function of its files."""
    assert zipped(six_files()) == zipped(six_files())


def test_later_versions_have_their_own_folder() -> None:
    """Unpacking v2 never covers v1."""
    assert zip_folder("j-1", 1) == "sonichaos-j-1/"
    assert zip_folder("j-1", 2) == "sonichaos-j-1-v2/"


def test_small_archives_have_no_zip64() -> None:
    """ZIP64 only where it is needed."""
    data, _ = zipped(six_files())
    assert b"PK\6\6" not in data
    assert b"PK\6\7" not in data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {info.extra for info in archive.infolist()} == {b""}


def test_changed_content_is_noticed() -> None:
    """Content that comes out differently than when it was digested fails the archive."""
    file = PackedFile.of("drums.wav", Chunked(b"first"))
    with pytest.raises(Internal, match=r"drums\.wav"):
        zipped([replace(file, content=Chunked(b"other"))])


def test_beyond_four_gibibytes(tmp_path: Path) -> None:
    """Past 4 GiB the ZIP64 form is used exactly where it must be, and a foreign reader finds the files behind the huge ones."""
    path = tmp_path / "big.zip"
    places = write_sparse_zip(path)
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        assert [info.file_size for info in infos] == [place.file.digest.size_bytes for place in places]
        assert [info.header_offset for info in infos] == [place.offset for place in places]
        # Nothing for what fits; both sizes for the huge one; the offset for what lies behind it.
        assert [len(info.extra) for info in infos] == [0, 0, 20, 12]
        assert archive.read("f/manifest.json") == b"{}"
