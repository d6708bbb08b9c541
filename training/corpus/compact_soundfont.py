"""A small copy of a soundfont: only the presets, keys and samples that the corpus plays, the samples as Ogg Vorbis.

FluidR3_GM (148 MB, MIT licence) becomes about 10 MB, for machines that have no Debian package of it and can be sent little.
:func:`compact` writes a ZIP with ``info``, ``pdta``, ``exponents`` and ``samples.ogg``; :func:`expand` makes an SF2 file of it. The
copyright and licence of the font stay in its INFO list.

Vorbis, because it keeps spectra better than FLAC of the same size: over 120 samples of FluidR3_GM nine in ten bands of 40, down
to 60 dB below a frame's loudest, change by less than 1 dB at quality 0.6 (12 MB for the corpus), by less than 5 dB in FLAC with
10 bits (21 MB) and by less than 0.9 dB in FLAC with 12 bits (28 MB).

Format: SoundFont Technical Specification 2.04, sections 5 to 7. Its records are tables whose final row only ends the one before.
"""

from __future__ import annotations

import io
import zipfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from training.corpus.persona import CHORD_PROGRAMS, KITS, LINE_PROGRAMS, BassSound

_PERCUSSION_BANK = 128
_BASS_KEYS = range(20, 64)
_CHORD_KEYS = range(34, 92)
_LINE_KEYS = range(46, 104)
_KIT_KEYS = frozenset({36, 37, 38, 39, 41, 42, 44, 45, 46, 48, 49, 50, 51, 54, 56, 57, 63, 64, 70, 75, 82})
_STROKE_SAMPLES = 6 * 44_100  # more than a stroke lasts, at any tuning of a kit
_AFTER_LOOP = 8  # samples after a loop and zeros after a sample that players may read: sections 6.1 and 7.10
_ZEROS_BETWEEN = 46
_KEY_RANGE, _INSTRUMENT, _SAMPLE, _MODES = 43, 41, 53, 54  # generators, section 8.1.2
_ADDRESS_OFFSETS = frozenset({0, 1, 2, 3, 4, 12, 45, 50})
_ONE_SHOT, _LOOPS_ALWAYS = 0, 1
_MONO = 1
_OGG_RATE_HZ = 44_100  # of all samples, whatever their own rate: it only labels them

_GENERATORS = np.dtype([("operator", "<u2"), ("amount", "<u2")])
_BAGS = np.dtype([("generator", "<u2"), ("modulator", "<u2")])
_RECORDS = {
    "phdr": np.dtype([("name", "V20"), ("preset", "<u2"), ("bank", "<u2"), ("bag", "<u2"), ("rest", "V12")]),
    "pbag": _BAGS,
    "pmod": np.dtype("V10"),
    "pgen": _GENERATORS,
    "inst": np.dtype([("name", "V20"), ("bag", "<u2")]),
    "ibag": _BAGS,
    "imod": np.dtype("V10"),
    "igen": _GENERATORS,
    "shdr": np.dtype(
        [
            ("name", "V20"),
            *((name, "<u4") for name in ("start", "end", "loop_start", "loop_end", "rate_hz")),
            ("pitch", "V2"),
            ("link", "<u2"),
            ("type", "<u2"),
        ]
    ),
}

Keys = Mapping[tuple[int, int], Collection[int]]
"""The keys to keep of each (bank, preset)."""
Table = NDArray[Any]


class SoundfontFormatError(ValueError):
    """The file is no SF2 file, or none that :func:`compact` wrote."""


def corpus_keys() -> Keys:
    """What the corpus' personas can play."""
    keys: dict[tuple[int, int], set[int]] = defaultdict(set)
    for programs, played in ((CHORD_PROGRAMS, _CHORD_KEYS), (LINE_PROGRAMS, _LINE_KEYS)):
        for program in {program for group in programs.values() for program in group}:
            keys[0, program] |= set(played)
    for sound in BassSound:
        if sound.value is not None:
            keys[0, sound.value] |= set(_BASS_KEYS)
    for kit in KITS:
        keys[_PERCUSSION_BANK, kit] |= _KIT_KEYS
    return keys


def compact(source: Path, target: Path, *, keys: Keys | None = None, quality: float = 0.6) -> None:
    """Write a small copy of the SF2 file ``source``: the presets in ``keys``, by default :func:`corpus_keys`.

    ``quality`` of Vorbis, 0 to 1. A key outside ``keys`` may be silent.
    """
    info, samples, tables = _read(source)
    tables, parts = _select(tables, keys if keys is not None else corpus_keys())
    exponents = bytes(int(np.abs(samples[part].astype(np.int32)).max(initial=0)).bit_length() for part in parts)
    ogg = io.BytesIO()
    # libsndfile fails on long writes of Vorbis, so samples are written one by one.
    with soundfile.SoundFile(
        ogg, "w", _OGG_RATE_HZ, channels=1, format="OGG", subtype="VORBIS", compression_level=1.0 - quality
    ) as file:
        for part, exponent in zip(parts, exponents, strict=True):
            file.write(np.pad(np.ldexp(samples[part].astype(np.float32), -exponent), (0, _ZEROS_BETWEEN)))
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("info", info)
        archive.writestr("pdta", _chunks(tables), zipfile.ZIP_DEFLATED)
        archive.writestr("exponents", exponents, zipfile.ZIP_DEFLATED)
        archive.writestr("samples.ogg", ogg.getvalue())


def expand(source: Path, target: Path) -> None:
    """Write the SF2 file of a compact one. Raises :class:`SoundfontFormatError`."""
    names = ("info", "pdta", "exponents", "samples.ogg")
    try:
        with zipfile.ZipFile(source) as archive:
            info, pdta, exponents, ogg = (archive.read(name) for name in names)
    except (zipfile.BadZipFile, KeyError) as error:
        raise SoundfontFormatError(f"{source} must be a ZIP with {', '.join(names)}, got {error}") from error
    headers = _tables(np.frombuffer(pdta, dtype=np.uint8))["shdr"][:-1]
    pool = np.zeros(int(headers["end"].max(initial=0)) + _ZEROS_BETWEEN, dtype="<i2")
    with soundfile.SoundFile(io.BytesIO(ogg)) as file:
        for header, exponent in zip(headers, exponents, strict=True):
            start, end = int(header["start"]), int(header["end"])
            audio = np.ldexp(file.read(end - start + _ZEROS_BETWEEN, dtype="float32")[: end - start], exponent)
            pool[start:end] = np.clip(np.rint(audio), -(2**15), 2**15 - 1)
    sdta = _chunk(b"smpl", pool.tobytes())
    lists = [(b"INFO", info), (b"sdta", sdta), (b"pdta", pdta)]
    target.write_bytes(_chunk(b"RIFF", b"sfbk" + b"".join(_chunk(b"LIST", name + body) for name, body in lists)))


def _read(path: Path) -> tuple[bytes, NDArray[np.int16], dict[str, Table]]:
    """The INFO list's content, all samples, and the tables."""
    data = np.memmap(path, dtype=np.uint8, mode="r")
    if bytes(data[:4]) != b"RIFF" or bytes(data[8:12]) != b"sfbk":
        raise SoundfontFormatError(f"{path} must be an SF2 file, got {bytes(data[:12])!r}")
    lists = {bytes(body[:4]): body[4:] for _, body in _split(data[12:])}
    samples = dict(_split(lists[b"sdta"]))[b"smpl"].view("<i2")
    return lists[b"INFO"].tobytes(), samples, _tables(lists[b"pdta"])


def _tables(pdta: NDArray[np.uint8]) -> dict[str, Table]:
    rows = {name.decode(): body for name, body in _split(pdta)}
    return {name: np.frombuffer(rows[name].tobytes(), dtype) for name, dtype in _RECORDS.items()}


def _split(data: NDArray[np.uint8]) -> Iterator[tuple[bytes, NDArray[np.uint8]]]:
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8].tobytes(), "little")
        yield data[at : at + 4].tobytes(), data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + len(body).to_bytes(4, "little") + body + bytes(len(body) % 2)


def _chunks(tables: Mapping[str, Table]) -> bytes:
    return b"".join(_chunk(name.encode(), tables[name].tobytes()) for name in _RECORDS)


@dataclass(frozen=True, kw_only=True)
class _Zone:
    """A zone's row of the bag table, its generators by operator, and those of its preset or instrument as a whole."""

    row: int
    own: dict[int, int]
    common: dict[int, int]

    def get(self, operator: int, default: int) -> int:
        return self.own.get(operator, self.common.get(operator, default))

    def plays(self, keys: Collection[int]) -> set[int]:
        """Those of ``keys`` that are in the zone's range."""
        low_high = self.get(_KEY_RANGE, 127 << 8)
        return {key for key in keys if low_high & 255 <= key <= low_high >> 8}


def _zones(bags: Table, generators: Table, rows: range, ends_with: int) -> list[_Zone]:
    """The zones in ``rows``, first the one for the whole preset or instrument if there is one (without ``ends_with``)."""
    found: list[_Zone] = []
    common: dict[int, int] = {}
    for row in rows:
        span = generators[bags["generator"][row] : bags["generator"][row + 1]]
        own = dict(zip(span["operator"].tolist(), span["amount"].tolist(), strict=True))
        found.append(_Zone(row=row, own=own, common=common))
        if row == rows.start and ends_with not in own:
            common = own
    return found


def _select(tables: dict[str, Table], keys: Keys) -> tuple[dict[str, Table], list[slice]]:
    """The tables of the presets in ``keys``, and the parts of the samples that they play, in their new order."""
    presets = [
        row for row, header in enumerate(tables["phdr"][:-1]) if (int(header["bank"]), int(header["preset"])) in keys
    ]
    preset_zones: list[list[_Zone]] = []
    keys_of: dict[int, set[int]] = defaultdict(set)  # of each instrument
    strokes_only: dict[int, bool] = defaultdict(lambda: True)  # instruments that only kits play
    for row in presets:
        header = tables["phdr"][row]
        wanted = keys[int(header["bank"]), int(header["preset"])]
        rows = range(int(header["bag"]), int(tables["phdr"][row + 1]["bag"]))
        zones = _zones(tables["pbag"], tables["pgen"], rows, _INSTRUMENT)
        preset_zones.append([zone for zone in zones if _INSTRUMENT not in zone.own or zone.plays(wanted)])
        for zone in preset_zones[-1]:
            if _INSTRUMENT in zone.own:
                keys_of[zone.own[_INSTRUMENT]] |= zone.plays(wanted)
                strokes_only[zone.own[_INSTRUMENT]] &= int(header["bank"]) == _PERCUSSION_BANK
    instruments = sorted(keys_of)
    instrument_zones: list[list[_Zone]] = []
    users: dict[int, list[tuple[_Zone, bool]]] = defaultdict(list)  # of each sample
    for instrument in instruments:
        rows = range(int(tables["inst"]["bag"][instrument]), int(tables["inst"]["bag"][instrument + 1]))
        zones = _zones(tables["ibag"], tables["igen"], rows, _SAMPLE)
        instrument_zones.append([z for z in zones if _SAMPLE not in z.own or z.plays(keys_of[instrument])])
        for zone in instrument_zones[-1]:
            if _SAMPLE in zone.own:
                users[zone.own[_SAMPLE]].append((zone, strokes_only[instrument]))
    samples = sorted(users)
    headers, parts = _sample_headers(tables["shdr"], users)
    kept = dict(tables, shdr=headers)
    kept["phdr"], kept["pbag"], kept["pgen"], kept["pmod"] = _rebuilt(
        tables, "p", tables["phdr"], presets, preset_zones, (_INSTRUMENT, instruments)
    )
    kept["inst"], kept["ibag"], kept["igen"], kept["imod"] = _rebuilt(
        tables, "i", tables["inst"], instruments, instrument_zones, (_SAMPLE, samples)
    )
    return kept, parts


def _rebuilt(  # noqa: PLR0917 - the tables of one level
    tables: Mapping[str, Table],
    prefix: str,
    headers: Table,
    rows: list[int],
    zones: list[list[_Zone]],
    renumbered: tuple[int, list[int]],
) -> tuple[Table, Table, Table, Table]:
    """Headers, bags, generators and modulators of the kept rows; ``renumbered``: an operator, and the old numbers it may have."""
    bags, generators, modulators = (tables[prefix + name] for name in ("bag", "gen", "mod"))
    operator, old = renumbered
    new_headers = headers[[*rows, len(headers) - 1]].copy()
    new_bags: list[tuple[int, int]] = []
    new_generators: list[Table] = []
    new_modulators: list[Table] = []
    generator, modulator = 0, 0
    for i, kept in enumerate(zones):
        new_headers["bag"][i] = len(new_bags)
        for zone in kept:
            new_bags.append((generator, modulator))
            span = generators[bags["generator"][zone.row] : bags["generator"][zone.row + 1]].copy()
            refers = span["operator"] == operator
            span["amount"][refers] = [old.index(int(number)) for number in span["amount"][refers]]
            moved = modulators[bags["modulator"][zone.row] : bags["modulator"][zone.row + 1]]
            new_generators.append(span)
            new_modulators.append(moved)
            generator, modulator = generator + len(span), modulator + len(moved)
    new_headers["bag"][len(zones)] = len(new_bags)
    new_bags.append((generator, modulator))
    return (
        new_headers,
        np.array(new_bags, dtype=_BAGS),
        np.concatenate([*new_generators, generators[-1:]]),
        np.concatenate([*new_modulators, modulators[-1:]]),
    )


def _sample_headers(headers: Table, users: Mapping[int, list[tuple[_Zone, bool]]]) -> tuple[Table, list[slice]]:
    """The headers of the used samples with their new positions, and the part to keep of each."""
    rows = sorted(users)
    kept = headers[[*rows, len(headers) - 1]].copy()
    parts: list[slice] = []
    at = 0
    for i, row in enumerate(rows):
        start, end = int(headers["start"][row]), _end_of(headers[row], users[row])
        for name in ("loop_start", "loop_end"):
            kept[name][i] = at + min(max(int(headers[name][row]), start), end) - start
        kept["start"][i], kept["end"][i] = at, at + end - start
        other = int(headers["link"][row])
        if other in users:
            kept["link"][i] = rows.index(other)
        else:
            kept["link"][i], kept["type"][i] = 0, _MONO
        parts.append(slice(start, end))
        at += end - start + _ZEROS_BETWEEN
    return kept, parts


def _end_of(header: Table, users: list[tuple[_Zone, bool]]) -> int:
    """Where a sample may end: after the loop if it never leaves it, after the longest stroke if only kits play it."""
    end = int(header["end"])
    if any(_ADDRESS_OFFSETS & (zone.own.keys() | zone.common.keys()) for zone, _ in users):
        return end
    modes = {zone.get(_MODES, 0) & 3 for zone, _ in users}
    if modes == {_LOOPS_ALWAYS}:
        return min(end, int(header["loop_end"]) + _AFTER_LOOP)
    if modes == {_ONE_SHOT} and all(stroke for _, stroke in users):
        return min(end, int(header["start"]) + _STROKE_SAMPLES)
    return end
