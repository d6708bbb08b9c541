"""A local folder of demucs weights: the files of a model or bag, and their digests.

Two forms, both demucs' own: ``NAME.yaml`` naming the models of a bag (or no YAML for a single model), beside

- ``SIG.safetensors`` for each model, as demucs exports them for its hub, or
- ``SIG-CCCCCCCC.th`` (C: first 8 hex digits of the file's SHA-256), or ``SIG.th`` where SHA256SUMS has its digest.

A file ``SHA256SUMS`` in the folder (lines of ``<64 hex digits>  <file name>``) pins every file that it lists.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from separation_service.engine.separator import WeightsFile
from servicekit.errors import FailedPrecondition

STARTER = "starter"
STARTER_FOLDER = Path(__file__).parent.parent / "weights" / "starter"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_SUMS = "SHA256SUMS"
_PREFIXED = re.compile(r"-(?P<prefix>[0-9a-f]{8,64})$")


@dataclass(frozen=True, kw_only=True)
class WeightsFolder:
    """One model or bag on disk, digests checked. ``paths`` and ``files`` are in the bag's order."""

    name: str
    folder: Path
    paths: tuple[Path, ...]
    files: tuple[WeightsFile, ...]
    weights: list[list[float]] | None
    segment_s: float | None
    is_bag: bool
    licence: str

    @property
    def safetensors(self) -> bool:
        """True where the weights are safetensors, False where they are demucs' pickles."""
        return self.paths[0].suffix == ".safetensors"

    @property
    def weights_sha256(self) -> str:
        """SHA-256 over the files' digests, 64 hex digits and a line feed each."""
        return hashlib.sha256("".join(f"{file.sha256}\n" for file in self.files).encode()).hexdigest()


def unusable(name: str, folder: Path | None, detail: str) -> FailedPrecondition:
    """The error for missing or unusable weights; says what to do."""
    where = str(folder) if folder is not None else "DIR"
    advice = (
        "install this package again"
        if name == STARTER
        else f"run `sonichaos fetch-weights {name} --to {where}` and name that folder with --separator-repo"
    )
    return FailedPrecondition(
        f"separator {name!r} cannot be used: {detail}; {advice}",
        reason="MODEL_UNUSABLE",
        metadata={"model": name, "path": where if folder is not None else ""},
    )


def open_folder(name: str, repo: Path | None) -> WeightsFolder:
    """Find the files of ``name`` and check every digest that is known. Reads only this folder.

    ``starter`` always means the weights in this package; any other name needs ``repo``. Raises `FailedPrecondition`
    (MODEL_UNUSABLE) where a file is missing or does not match.
    """
    folder = STARTER_FOLDER if name == STARTER else repo
    if folder is None:
        raise unusable(name, None, "services never download, and no folder of weights was given")
    if not _NAME.fullmatch(name):
        raise unusable(name, folder, "the name must consist of letters, digits, '_', '-' and '.'")
    if not folder.is_dir():
        raise unusable(name, folder, f"there is no folder {folder}")
    bag = _read_bag(name, folder)
    signatures = bag.get("models", [name])
    paths = _find_files(name, folder, signatures)
    sums = _read_sums(name, folder)
    return WeightsFolder(
        name=name,
        folder=folder,
        paths=paths,
        files=tuple(_check_file(name, path, sums) for path in paths),
        weights=bag.get("weights"),
        segment_s=bag.get("segment"),
        is_bag="models" in bag,
        licence=str(bag.get("licence", "not stated by the weights' files")),
    )


def _read_bag(name: str, folder: Path) -> dict[str, Any]:
    path = folder / f"{name}.yaml"
    if not path.is_file():
        return {}
    try:
        bag = yaml.safe_load(path.read_bytes())
    except yaml.YAMLError as broken:
        raise unusable(name, folder, f"{path.name} is not YAML ({broken})") from broken
    signatures = bag.get("models") if isinstance(bag, dict) else None
    if not isinstance(signatures, list) or not signatures or not all(_is_name(sig) for sig in signatures):
        raise unusable(name, folder, f"{path.name} must have a list `models` of signatures")
    return dict(bag)


def _is_name(signature: object) -> bool:
    return isinstance(signature, str) and _NAME.fullmatch(signature) is not None


def _find_files(name: str, folder: Path, signatures: list[str]) -> tuple[Path, ...]:
    """The weights of each signature: safetensors if all have them, else demucs' pickles."""
    tensors = [folder / f"{signature}.safetensors" for signature in signatures]
    if all(path.is_file() for path in tensors):
        return tuple(tensors)
    pickles = []
    for signature in signatures:
        found = [path for path in sorted(folder.glob(f"{signature}*.th")) if _signature_of(path) == signature]
        if not found:
            raise unusable(
                name, folder, f"expected {signature}.safetensors or {signature}-*.th in {folder}, found neither"
            )
        if len(found) > 1:
            raise unusable(
                name, folder, f"{signature} is there {len(found)} times, keep one of {[p.name for p in found]}"
            )
        pickles.append(found[0])
    return tuple(pickles)


def _signature_of(path: Path) -> str:
    return path.stem.rsplit("-", 1)[0]


def _read_sums(name: str, folder: Path) -> dict[str, str] | None:
    path = folder / _SUMS
    if not path.is_file():
        return None
    sums = {}
    for line in path.read_text().splitlines():
        fields = line.split()
        if len(fields) != 2 or not re.fullmatch(r"[0-9a-f]{64}", fields[0]):
            raise unusable(name, folder, f"{_SUMS} must have lines `<sha256>  <file>`, got {line[:80]!r}")
        sums[fields[1].removeprefix("*")] = fields[0]
    return sums


def _check_file(name: str, path: Path, sums: dict[str, str] | None) -> WeightsFile:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    prefixed = _PREFIXED.search(path.stem) if path.suffix == ".th" else None
    expected = [prefixed["prefix"]] if prefixed else []
    if sums is not None:
        if path.name not in sums:
            raise unusable(name, path.parent, f"{path.name} is not listed in {_SUMS}")
        expected.append(sums[path.name])
    if path.suffix == ".th" and not expected:
        raise unusable(
            name,
            path.parent,
            f"{path.name} is a pickle, which can run code, and neither its name nor {_SUMS} has its digest; write it there "
            "if you trust the file",
        )
    for digest in expected:
        if found[: len(digest)] != digest:
            raise unusable(
                name,
                path.parent,
                f"{path.name} does not match its digest: expected SHA-256 {digest}, found {found}; delete it",
            )
    return WeightsFile(name=path.name, sha256=found)
