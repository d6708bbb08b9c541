"""``sonichaos fetch-weights``: download a model's weights once, verified, so that the services never need a network."""

from __future__ import annotations

import fcntl
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from hostctl.installation import data_folder
from hostctl.resumable import check, fetch, require_https
from hostctl.weight_sources import LICENCE, SOURCES, Form, Published
from sonichaos_client.cli.session import note
from sonichaos_client.retry import Backoff, RetryPolicy

SUMS = "SHA256SUMS"
FULL_DIGEST = 64
_RETRY = RetryPolicy(first_s=1.0, cap_s=30.0, patience_s=180.0)


@click.command("fetch-weights")
@click.argument("name")
@click.option(
    "--to",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="[default: weights/NAME in the data folder]",
)
@click.option(
    "--form",
    type=click.Choice(["safetensors", "pickles"]),
    default="safetensors",
    show_default=True,
    help="Pickles can run code when they are loaded; they are opened only once their digest is known.",
)
@click.option("--mirror", metavar="URL", help="Folder of the same files elsewhere; it must be one that you trust.")
def fetch_weights(name: str, to: Path | None, form: Form, mirror: str | None) -> None:
    """Download a model's weights once, pinned and verified.

    Digests are locked in DIR/SHA256SUMS at the first success; from then on any other content is refused, here and by the
    services, which never download anything.
    """
    if name == "starter":
        click.echo("starter comes with the package; there is nothing to fetch")
        return
    if name not in SOURCES:
        raise click.UsageError(f"no source is known for {name!r}; known: starter, {', '.join(sorted(SOURCES))}")
    source = SOURCES[name]
    folder = (to or data_folder(os.environ) / "weights" / name).absolute()
    published = source.forms[form]
    base_url = require_https((mirror or published.base_url).rstrip("/") + "/")
    with _held(folder):
        locked = _read_sums(folder)
        digests = _fetch_all(published, folder, base_url, locked)
        _write(folder / f"{name}.yaml", source.bag_yaml)
        digests[f"{name}.yaml"] = check(folder / f"{name}.yaml", "")
        _write(folder / SUMS, "".join(f"{digest}  {file}\n" for file, digest in sorted((locked | digests).items())))
    if not locked.keys() >= digests.keys():
        _say_what_was_trusted(published, folder / SUMS)
    note(f"Licence: {LICENCE}.")
    click.echo(f"{name} is in {folder}\nuse it: sonichaos up --separator {name} --separator-repo {folder}")


def _say_what_was_trusted(published: Published, sums: Path) -> None:
    known = min(len(file.sha256_prefix) for file in published.files)
    if known == FULL_DIGEST:
        note(f"Each file has the full SHA-256 that is known of it. The digests are locked in {sums}.")
    else:
        note(
            f"The first {known} hex digits of each SHA-256 are published, and they match; beyond them this first download was "
            f"trusted as it came over HTTPS. The full digests are locked in {sums} from now on."
        )


def _fetch_all(published: Published, folder: Path, base_url: str, locked: dict[str, str]) -> dict[str, str]:
    """The full digest of each file, fetched where it is not there yet."""
    digests = {}
    for file in published.files:
        path = folder / file.name
        wanted = locked.get(file.name, file.sha256_prefix)
        if not wanted.startswith(file.sha256_prefix):
            raise click.ClickException(
                f"{folder / SUMS} has {wanted} for {file.name}, {file.sha256_prefix} is published; remove the line and the file"
            )
        if path.exists():
            digests[file.name] = check(path, wanted)
            note(f"{file.name}: there already, verified")
            continue
        backoff = Backoff(_RETRY, random.Random())  # noqa: S311 - spreads retries, hides nothing
        digests[file.name] = fetch(
            base_url + file.name, path, sha256=wanted, backoff=backoff, shown=_shown_as(file.name)
        )
        note(f"{file.name}: verified, SHA-256 {digests[file.name]}")
    return digests


def _shown_as(name: str) -> Callable[[int, int], None]:
    """A line at each further tenth."""
    told = -1

    def show(done_bytes: int, size_bytes: int) -> None:
        nonlocal told
        tenths = 10 * done_bytes // size_bytes if size_bytes else 0
        if tenths > told:
            told = tenths
            note(f"{name}: {done_bytes / 1e6:.1f} of {size_bytes / 1e6:.1f} MB")

    return show


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """The folder, made and held against a second fetch at the same time."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".fetch.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise click.ClickException(f"another fetch-weights is at work in {folder}") from error
        yield


def _read_sums(folder: Path) -> dict[str, str]:
    """The locked digests by file name."""
    path = folder / SUMS
    if not path.exists():
        return {}
    sums = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name:
            raise click.ClickException(
                f"{path} wants lines of a SHA-256, two spaces and a file name, got {line[:80]!r}"
            )
        sums[name] = digest
    return sums


def _write(path: Path, text: str) -> None:
    """Write a small file durably: whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
