"""The repository stays small."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MAX_WEIGHTS_BYTES = 44_000_000
MAX_TREE_BYTES = 60 << 20


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [path for name in listed.decode().split("\0") if name and (path := ROOT / name).is_file()]


def test_weights_and_tree_are_small() -> None:
    """All weights together, and all tracked files, stay below their limits."""
    sizes = {path: path.stat().st_size for path in _tracked()}
    weights = [size for path, size in sizes.items() if path.suffix in {".safetensors", ".th"}]
    assert 0 < sum(weights) <= MAX_WEIGHTS_BYTES
    assert sum(sizes.values()) <= MAX_TREE_BYTES
