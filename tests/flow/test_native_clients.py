"""The guides and READMEs of the clients in C++, Ruby, Go and Java, followed to their end: the examples run as written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sonichaos_client import Client
from tests.support.doc_blocks import blocks
from tests.support.example_flow import check_example, entry_sha256
from tests.support.native_clients import BUILD, LANGUAGES, ROOT, native_client
from tests.support.tiny_separator import audible_stems
from tests.support.walkthrough import Walkthrough, beside, followed, walkthrough

THIS = "tests/flow/test_native_clients.py"
PAGES = {
    page: language
    for language in LANGUAGES
    for page in (ROOT / "docs/clients" / f"{language}.md", ROOT / "clients" / language / "README.md")
    if followed(page, THIS)
}
(START,) = [block for block in blocks(ROOT / "docs/clients/cpp.md", "sh") if block.runs_until_interrupt]


@pytest.fixture(scope="module")
def services(models: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walkthrough]:
    """A reader of the first guide who has started the services, with tiny models. The others use them too."""
    settings = {**models, **audible_stems(tmp_path_factory.mktemp("models"))}
    with walkthrough(tmp_path_factory.mktemp("services"), [START], **settings) as walk:
        walk.run(START)
        yield walk


@pytest.mark.parametrize(("page", "language"), PAGES.items(), ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_the_whole_flow(page: Path, language: str, services: Walkthrough, tmp_path: Path) -> None:
    """One job of two calls, no event lost or repeated by a disconnect, the vocals alone, checked, before and after a re-render."""
    native_client(language)  # builds, or skips
    (wanted,) = followed(page, THIS)
    reader = beside(services, tmp_path, wanted, GOCACHE=str(BUILD / "go" / "cache"))
    source = Path("clients") / language
    if language in {"cpp", "java"}:  # built once, in this repository
        reader = replace(reader, folder=ROOT)
    elif page.name == "README.md":
        reader = replace(reader, folder=reader.folder / source)
    printed = "".join(reader.follow(wanted).values())
    sockets = services.home / ".local/share/sonichaos/run"
    with Client(f"unix:{sockets}/render.sock", f"unix:{sockets}/separation.sock") as client:
        example = check_example(printed, client)
        versions = client.get_job(example["jobId"]).versions
    (out,) = (folder / "out" for folder in (reader.folder, reader.folder / source) if (folder / "out").is_dir())
    for version in versions:
        assert f"v{version.number} is done: ZIP with SHA-256 {version.files.zip.sha256}\n" in printed
        path = out / f"{example['jobId']}-v{version.number}-vocals.wav"
        assert f"{path.relative_to(out.parent)}: SHA-256 {entry_sha256(version, 'vocals.wav')}, as stored\n" in printed
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry_sha256(version, "vocals.wav")
        path.unlink()
    assert list(out.glob(f"{example['jobId']}*")) == []
    assert "1 v1 EVENT_KIND_STATE JOB_STATE_QUEUED\n" in printed
    assert " v1 STAGE_STORE 100 %\n" in printed
