"""The pages that install the Python client: its guide and README, the assistant's tools, the conformance suite, the fake.

The guide makes an environment with the client alone, and the others install their extras there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sonichaos_client.verify import verify_zip
from tests.support.doc_blocks import ROOT, blocks
from tests.support.walkthrough import Walkthrough, beside, followed, walkthrough

THIS = "tests/flow/test_python_pages.py"
GUIDE = ROOT / "docs/clients/python.md"
(START,) = [block for block in blocks(GUIDE, "sh") if block.runs_until_interrupt]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walkthrough]:
    """A reader of the full install who has started the services."""
    with walkthrough(tmp_path_factory.mktemp("services"), [START], SONICHAOS_THREADS="2") as walk:
        walk.run(START)
        yield walk


@pytest.fixture(scope="module")
def guide(services: Walkthrough, tmp_path_factory: pytest.TempPathFactory) -> Walkthrough:
    """A reader who has followed the guide to its end."""
    (wanted,) = followed(GUIDE, THIS)
    walk = beside(services, tmp_path_factory.mktemp("guide"), wanted)
    walk.follow(wanted)
    return walk


def with_client(walk: Walkthrough, guide: Walkthrough) -> Walkthrough:
    """The reader uses the environment that the guide made."""
    shutil.rmtree(walk.folder / ".venv")  # links
    (walk.folder / ".venv").symlink_to(guide.folder / ".venv")
    return replace(walk, environment={**walk.environment, "PYTHONPATH": ""})


def test_the_guide_leads_to_checked_zips(guide: Walkthrough) -> None:
    """A take and its re-render, both valid, from an environment without the services."""
    saved = sorted((guide.folder / "out").glob("*.zip"))
    assert [path.name.rpartition("-")[2] for path in saved] == ["v1.zip", "v2.zip"]
    for path in saved:
        assert not verify_zip(path).failures
    listed = guide.network.run("python -m pip list", guide.folder, guide.environment)
    assert "torch" not in listed


def test_the_readme_renders_and_saves_takes(guide: Walkthrough, services: Walkthrough, tmp_path: Path) -> None:
    """Its program runs twice in one folder: each run makes and saves a take that verifies."""
    (wanted,) = followed(ROOT / "clients/python/README.md", THIS)
    walk = with_client(beside(services, tmp_path, wanted), guide)
    walk.folder = walk.folder / "clients/python"
    walk.follow([*wanted, wanted[-1]])
    first, second = (walk.folder / "out").iterdir()
    assert not verify_zip(first).failures
    assert not verify_zip(second).failures


@pytest.mark.parametrize(
    ("page", "command"), [("mcp", "sonichaos mcp --help"), ("conformance", "sonichaos conformance --help")]
)
def test_an_extra_is_installed(
    page: str, command: str, guide: Walkthrough, services: Walkthrough, tmp_path: Path
) -> None:
    """The command that the page is about is there afterwards. Other tests run it."""
    (wanted,) = followed(ROOT / "docs" / f"{page}.md", THIS)
    walk = with_client(beside(services, tmp_path, wanted), guide)
    walk.follow(wanted)
    assert "Usage: " in walk.network.run(command, walk.folder, walk.environment)


def test_the_fake_serves_at_the_default_addresses(guide: Walkthrough, tmp_path: Path) -> None:
    """Until Ctrl-C, with a client that knows no address."""
    (wanted,) = followed(ROOT / "docs/fake.md", THIS)
    with walkthrough(tmp_path, wanted) as walk:
        with_client(walk, guide).follow(wanted)
        assert "neon-drift" in walk.network.run("sonichaos personas", walk.folder, walk.environment)


def test_the_client_alone_is_small(services: Walkthrough, tmp_path: Path) -> None:
    """With everything that it depends on, below 60 MB."""
    (wanted,) = followed(ROOT / "docs/measurements.md", THIS)
    (block,) = wanted
    walk = beside(services, tmp_path, wanted)
    size_mb, _ = walk.run(block).splitlines()[-1].split()
    assert 20 < int(size_mb) < 60
