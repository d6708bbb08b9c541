"""A ZIP of more than 9 GiB whose huge files are holes: hashing them would take longer than every other test together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from servicekit.audio.digest import ContentDigest
from servicekit.delivery.zip_archive import TextContent
from servicekit.delivery.zip_headers import (
    PackedFile,
    PlacedFile,
    central_header,
    end_records,
    lay_out,
    local_header,
)

SIZES = {"bounce.wav": 3 << 29, "drums.wav": 3 << 29, "bass.wav": 1 << 32}


@dataclass(frozen=True)
class Hole:
    """Content of a huge size that is never read."""

    size_bytes: int

    def chunks(self) -> Iterator[bytes]:
        """Nothing: only its size matters."""
        yield from ()


def write_sparse_zip(path: Path) -> list[PlacedFile]:
    """Three huge files and a manifest under ``f/``, with the headers that the real writer makes; their places."""
    files = [PackedFile(name, Hole(size), ContentDigest(size, "0" * 64, 0)) for name, size in SIZES.items()]
    places = lay_out("f/", [*files, PackedFile.of("manifest.json", TextContent("{}"))])
    with path.open("wb") as file:
        for place in places:
            file.seek(place.offset)
            file.write(local_header(place))
            assert file.tell() == place.data_offset
        file.write(b"{}")
        central = b"".join(central_header(place) for place in places)
        offset = file.tell()
        file.write(central + end_records(len(places), len(central), offset))
    return places
