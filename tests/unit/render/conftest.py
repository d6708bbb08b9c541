"""The tiny renderer and the parts around it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from render_service.renderers.load import load_renderer
from render_service.renderers.renderer import Renderer
from render_service.separation.client import SeparationClient
from separation_service.engine import Separator, load_separator
from servicekit.journal import Job
from tests.support.render_parts import RenderParts, render_parts, run_to_end, separation_in_thread
from tests.support.tiny_checkpoint import tiny_checkpoint
from tests.support.tiny_separator import NAME, tiny_separator


@pytest.fixture(scope="session")
def tiny_renderer(tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    """A latent diffusion renderer with untrained nets of a few thousand parameters."""
    return load_renderer(str(tiny_checkpoint(tmp_path_factory.mktemp("tiny"))), device="cpu", threads=1)


@pytest.fixture(scope="session")
def loud_separator(tmp_path_factory: pytest.TempPathFactory) -> Separator:
    """An untrained separator whose stems are loud enough to replace one another."""
    folder = tiny_separator(tmp_path_factory.mktemp("tiny") / "separator", gain=30.0)
    separator = load_separator(NAME, repo=folder, device="cpu", threads=1)
    separator.warm()
    return separator


@pytest.fixture
def parts(tmp_path: Path, tiny_renderer: Renderer) -> Iterator[RenderParts]:
    """Parts of a test's own."""
    with render_parts(tmp_path, tiny_renderer) as parts:
        yield parts


@pytest.fixture(scope="module")
def shared_parts(tmp_path_factory: pytest.TempPathFactory, tiny_renderer: Renderer) -> Iterator[RenderParts]:
    """Parts that the tests of a module share."""
    with render_parts(tmp_path_factory.mktemp("shared"), tiny_renderer) as parts:
        yield parts


@pytest.fixture(scope="module")
def separation(shared_parts: RenderParts, loud_separator: Separator) -> Iterator[SeparationClient]:
    """The client of a separation_service over the folder of the shared parts."""
    with separation_in_thread(shared_parts.folder, loud_separator) as client:
        yield client


@pytest.fixture(scope="module")
def take(shared_parts: RenderParts, separation: SeparationClient) -> Job:
    """A take of two seconds at 112.5 bpm, rendered and separated."""
    job = shared_parts.create_render(bpm=112.5, stems=True)
    return run_to_end(shared_parts, separation, job.job_id)
