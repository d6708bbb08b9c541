"""ReplayTake: a version is rendered again and compared, or refused with the input that is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from render_service.plan import Plan
from render_service.renderers.latent_diffusion.partial_shares import PartialShares, PartialSharesConfig
from render_service.renderers.load import load_latent_diffusion
from render_service.renderers.renderer import Latents, Renderer, RendererInfo, StepReport, Waveform
from render_service.separation.client import SeparationClient
from render_service.usecases.erase_prompt import erase_prompt
from render_service.usecases.replay import Replayer, ReplayOutcome
from servicekit.errors import Cancelled, DataLoss, FailedPrecondition, NotFound
from servicekit.journal import Job
from tests.support.render_parts import FINGERPRINT, TENANT, RenderParts, run_to_end, uploaded_job
from tests.support.tiny_checkpoint import tiny_checkpoint
from training.export import add_partials


class Louder:
    """The tiny renderer with a gain behind it. Its info is the tiny renderer's, so a replay takes it for the same one."""

    def __init__(self, renderer: Renderer, gain: float) -> None:
        self._renderer = renderer
        self._gain = gain
        self.info: RendererInfo = renderer.info
        self.planner = renderer.planner
        self.warm = renderer.warm
        self.denoise = renderer.denoise
        self.encode = renderer.encode
        self.embed_persona = renderer.embed_persona

    def vocode(self, latents: Latents, plan: Plan, report: StepReport) -> Waveform:
        """What the tiny renderer gives, times the gain."""
        return np.asarray(self._renderer.vocode(latents, plan, report) * np.float32(self._gain))


@pytest.fixture(scope="module")
def rerendered(shared_parts: RenderParts, separation: SeparationClient, take: Job) -> Job:
    """The take with a second version, made from its latents."""
    shared_parts.rerender_stem(take.job_id, allow_drift=True, strength=0.9)
    return run_to_end(shared_parts, separation, take.job_id)


@pytest.fixture
def replayer(shared_parts: RenderParts, separation: SeparationClient) -> Replayer:
    """A replayer over the same parts."""
    return Replayer(
        journal=shared_parts.journal,
        store=shared_parts.store,
        renderer=shared_parts.renderer,
        gpu_lock=shared_parts.gpu_lock,
        fingerprint=FINGERPRINT,
        separation=separation,
    )


@contextmanager
def moved_away(parts: RenderParts, key: str) -> Iterator[None]:
    """During the block the store lacks the object."""
    path = parts.folder / "store" / key
    path.rename(parts.folder / "away")
    try:
        yield
    finally:
        (parts.folder / "away").rename(path)


def missing(replayer: Replayer, job_id: str, version: int = 1) -> str:
    """What a replay names as missing."""
    with pytest.raises(FailedPrecondition) as refused:
        replayer.replay(TENANT, job_id, version)
    assert refused.value.reason == "INPUT_MISSING"
    return refused.value.metadata["missing"]


@pytest.mark.parametrize("version", [1, 2])
def test_the_same_parts_give_the_same_samples(rerendered: Job, replayer: Replayer, version: int) -> None:
    """A take, and a re-render whose stem is replaced again. Nothing new is stored."""
    stored = rerendered.versions[version - 1].files["bounce"]
    before = sorted(replayer.store.keys(f"jobs/{rerendered.job_id}/"))
    replay = replayer.replay(TENANT, rerendered.job_id, version)
    assert (replay.outcome, replay.difference_dbfs, replay.fingerprint_differences) == (ReplayOutcome.EXACT, None, ())
    assert replay.stored_sha256 == replay.replayed_sha256 == stored["sha256"]
    assert sorted(replayer.store.keys(f"jobs/{rerendered.job_id}/")) == before


def test_version_0_is_the_newest(rerendered: Job, replayer: Replayer) -> None:
    """Of those that have an audit row."""
    newest = rerendered.versions[-1].files["bounce"]
    assert replayer.replay(TENANT, rerendered.job_id, 0).stored_sha256 == newest["sha256"]


@pytest.mark.parametrize(
    ("gain", "outcome"),
    [(1.0 + 1e-4, ReplayOutcome.CLOSE), (0.5, ReplayOutcome.DIFFERENT), (0.0, ReplayOutcome.DIFFERENT)],
)
def test_other_samples_are_close_or_different(
    take: Job, replayer: Replayer, gain: float, outcome: ReplayOutcome
) -> None:
    """By the largest difference of a sample, -60 dBFS; what differs in the fingerprint is named."""
    other = replace(replayer, renderer=Louder(replayer.renderer, gain), fingerprint={**FINGERPRINT, "torch": "another"})
    replay = other.replay(TENANT, take.job_id, 1)
    assert replay.outcome is outcome
    assert replay.difference_dbfs is not None
    assert (replay.difference_dbfs <= -60.0) == (outcome is ReplayOutcome.CLOSE)
    assert replay.fingerprint_differences == ("torch",)


def test_a_phase_that_runs_differently_is_close_only_where_the_execution_differs(take: Job, replayer: Replayer) -> None:
    """With the opposite polarity every sample differs, and neither spectra nor loudness do."""
    inverted = replace(replayer, renderer=Louder(replayer.renderer, -1.0))
    same = inverted.replay(TENANT, take.job_id, 1)
    assert (same.outcome, same.fingerprint_differences) == (ReplayOutcome.DIFFERENT, ())
    moved = replace(inverted, fingerprint={**FINGERPRINT, "threads": "64"}).replay(TENANT, take.job_id, 1)
    assert (moved.outcome, moved.fingerprint_differences) == (ReplayOutcome.CLOSE, ("threads",))
    assert moved.difference_dbfs is not None
    assert moved.difference_dbfs > -60.0
    assert moved.spectral_db is not None
    assert moved.spectral_db < -60.0


def test_a_replay_whose_call_has_ended_stops(take: Job, replayer: Replayer) -> None:
    """Before it takes the device from others."""
    with pytest.raises(Cancelled):
        replayer.replay(TENANT, take.job_id, 1, stopped=lambda: True)


def test_other_weights_are_a_missing_input(take: Job, replayer: Replayer, tmp_path: Path) -> None:
    """The role of each changed file is named."""
    folder = tiny_checkpoint(tmp_path, seed=1)
    other = replace(replayer, renderer=load_latent_diffusion(str(folder), device="cpu", threads=1))
    named = missing(other, take.job_id)
    assert "denoiser" in named
    assert "text_encoder" not in named


def test_a_net_that_the_take_was_made_without_is_named(take: Job, replayer: Replayer, tmp_path: Path) -> None:
    """All other files are the same; it would give other samples."""
    folder = tiny_checkpoint(tmp_path)
    add_partials(folder, PartialShares(PartialSharesConfig(width=4)))
    other = replace(replayer, renderer=load_latent_diffusion(str(folder), device="cpu", threads=1))
    assert missing(other, take.job_id) == "the weights of 'tiny' for partials: others are loaded"


def test_each_missing_file_is_named(shared_parts: RenderParts, rerendered: Job, replayer: Replayer) -> None:
    """The latents and the base version's ZIP that a re-render was made from."""
    files = rerendered.versions[0].files
    for name in ("latents", "zip"):
        with moved_away(shared_parts, files[name]["key"]):
            assert missing(replayer, rerendered.job_id, 2) == files[name]["key"]


def test_a_changed_bounce_is_data_loss(shared_parts: RenderParts, take: Job, replayer: Replayer) -> None:
    """It is not compared with what nobody delivered."""
    path = shared_parts.folder / "store" / take.versions[0].files["bounce"]["key"]
    saved = Path(shutil.copy(path, shared_parts.folder / "saved"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    try:
        with pytest.raises(DataLoss):
            replayer.replay(TENANT, take.job_id, 1)
    finally:
        saved.rename(path)


def test_an_upload_an_erased_prompt_and_an_unknown_version_cannot_be_replayed(
    shared_parts: RenderParts, separation: SeparationClient, replayer: Replayer
) -> None:
    """An upload was never rendered."""
    job = shared_parts.create_render()
    run_to_end(shared_parts, separation, job.job_id)
    erase_prompt(shared_parts.journal, TENANT, job.job_id)
    assert "erased" in missing(replayer, job.job_id)
    assert "upload" in missing(replayer, uploaded_job(shared_parts, separation))
    with pytest.raises(NotFound):
        replayer.replay(TENANT, job.job_id, 7)
