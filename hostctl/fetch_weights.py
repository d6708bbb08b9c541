"""``sonichaos fetch-weights``: download a model's weights once, verified, so that the services never need a network."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from hostctl.download import (
    AttemptLimits,
    Attempts,
    Progress,
    UnreachableError,
    check_file,
    download_file,
    require_https,
)
from hostctl.installation import data_folder
from hostctl.weight_sources import LICENCE, SOURCES, Form, Published
from sonichaos_client.cli.session import note

SUMS = "SHA256SUMS"
LIMITS = AttemptLimits()


@click.command("fetch-weights")
@click.argument("name")
@click.option(
    "--to",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Destination [default: weights/NAME in the data folder]",
)
@click.option(
    "--form",
    type=click.Choice(["safetensors", "pickles"]),
    default="safetensors",
    show_default=True,
    help="Pickles can run code when they are loaded; nothing loads them before their digest is verified.",
)
@click.option("--mirror", metavar="URL", help="Another folder with the same files. Use one that you trust.")
def fetch_weights(name: str, to: Path | None, form: Form, mirror: str | None) -> None:
    """Download the weights of a model and verify them.

    The first success records the digests in DIR/SHA256SUMS. From then on, this command and the services, which never download
    anything, reject any other content.
    """
    if name == "starter":
        click.echo("starter is part of the package; there is nothing to download")
        return
    if name not in SOURCES:
        raise click.UsageError(f"NAME must be one of starter, {', '.join(sorted(SOURCES))}; got {name!r}")
    source = SOURCES[name]
    folder = (to or data_folder(os.environ) / "weights" / name).absolute()
    published = source.forms[form]
    base_url = require_https((mirror or published.base_url).rstrip("/") + "/")
    with _locked(folder):
        recorded = _read_sums(folder)
        digests = _fetch_all(published, folder, base_url, recorded)
        _write(folder / f"{name}.yaml", source.bag_yaml)
        digests[f"{name}.yaml"] = check_file(folder / f"{name}.yaml", "")
        _write(folder / SUMS, "".join(f"{digest}  {file}\n" for file, digest in sorted((recorded | digests).items())))
    if not recorded.keys() >= digests.keys():
        _note_how_far_verified(published, folder / SUMS)
    note(f"Licence: {LICENCE}.")
    click.echo(f"{name} is in {folder}\nUse it: sonichaos up --separator {name} --separator-repo {folder}")


def _note_how_far_verified(published: Published, sums: Path) -> None:
    published_digits = min(len(file.sha256_prefix) for file in published.files)
    if published_digits == 64:
        note(f"Each file has its published SHA-256. {sums} records the digests.")
    else:
        note(
            f"Only the first {published_digits} hex digits of each SHA-256 are published, and they match. "
            f"{sums} records the full digests of this first download, which is trusted because it came over HTTPS."
        )


def _fetch_all(published: Published, folder: Path, base_url: str, recorded: dict[str, str]) -> dict[str, str]:
    """The full digest of each file by its name; files that are not there yet are downloaded."""
    digests = {}
    for file in published.files:
        path = folder / file.name
        expected = recorded.get(file.name, file.sha256_prefix)
        if not expected.startswith(file.sha256_prefix):
            raise click.ClickException(
                f"{folder / SUMS} must have a SHA-256 beginning with {file.sha256_prefix} for {file.name}, got {expected}; "
                "remove the line and the file"
            )
        if path.exists():
            digests[file.name] = check_file(path, expected)
            note(f"{file.name}: already there, verified")
            continue
        note(f"{file.name}: from {base_url}")
        attempts = Attempts(LIMITS, lambda failure, name=file.name: note(f"{name}: {failure}"))  # type: ignore[misc]
        try:
            digests[file.name] = download_file(
                base_url + file.name,
                path,
                sha256=expected,
                attempts=attempts,
                on_progress=_progress_notes(file.name),
            )
        except UnreachableError as error:
            raise _with_advice(error, path) from error
        note(f"{file.name}: verified, SHA-256 {digests[file.name]}")
    return digests


def _with_advice(error: UnreachableError, path: Path) -> UnreachableError:
    return UnreachableError(
        f"{error.message}. Check this machine's network; behind a proxy, set HTTPS_PROXY; a copy of the files elsewhere is "
        f"used with --mirror URL. Without a network, copy {path.name} to {path.parent} and run this again: it verifies "
        "files that are there."
    )


def _progress_notes(name: str) -> Progress:
    """A line for each further tenth of the file."""
    noted = -1

    def on_progress(received_bytes: int, size_bytes: int) -> None:
        nonlocal noted
        tenths = 10 * received_bytes // size_bytes if size_bytes else 0
        if tenths > noted:
            noted = tenths
            note(f"{name}: {received_bytes / 1e6:.1f} of {size_bytes / 1e6:.1f} MB")

    return on_progress


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Create the folder and keep a second fetch-weights out of it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".fetch.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise click.ClickException(f"another fetch-weights is running in {folder}; wait for it") from error
        yield


def _read_sums(folder: Path) -> dict[str, str]:
    """The recorded digests by file name."""
    path = folder / SUMS
    if not path.exists():
        return {}
    sums = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name:
            raise click.ClickException(
                f"each line of {path} must be a SHA-256, two spaces and a file name, got {line[:80]!r}"
            )
        sums[name] = digest
    return sums


def _write(path: Path, text: str) -> None:
    """Write a small file durably and atomically."""
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
