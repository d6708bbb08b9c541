"""What the denoiser trains on, and its task, on songs of random numbers and one of the corpus."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from render_service.renderers.latent_diffusion.controls import CONTROL_WIDTHS, channel_slice
from render_service.renderers.latent_diffusion.denoiser import Conditions, Denoiser, DenoiserConfig
from training.cli import main
from training.denoiser import DenoiserTask, Dropout, crop_shapes
from training.latents import CONTROL_STEPS, LatentFolder, LatentSong, fill_latents, path_of, read_latents, write
from training.work_folder import WorkFolder

TINY = DenoiserConfig(width=16, blocks=2, heads=2)
CHANNELS = sum(CONTROL_WIDTHS.values())


def song(number: int, *, persona: str = "one", frames: int = 100) -> LatentSong:
    """A song of random latents whose persona vectors point along an axis of their own."""
    rng = np.random.default_rng(number)
    vectors = np.zeros((2, 64), dtype=np.float16)
    vectors[:, number % 64] = 1.0
    return LatentSong(
        number=number,
        persona=persona,
        latents=rng.standard_normal((64, frames)).astype(np.float16),
        controls=rng.integers(-64, 65, (CHANNELS, frames)).astype(np.int8),
        persona_vectors=vectors,
        text=rng.standard_normal((2, 5, 384)).astype(np.float16),
        text_lengths=np.array([5, 3], dtype=np.int32),
        prefix=np.zeros(0, dtype=np.float16),
    )


class _Recorder:
    """A target that records what the net is given, and asks for nothing."""

    def __init__(self) -> None:
        self.calls: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor, Conditions]] = []

    def __call__(
        self, noisy: torch.Tensor, time: torch.Tensor, controls: torch.Tensor, conditions: Conditions
    ) -> torch.Tensor:
        self.calls.append((noisy, time, controls, conditions))
        return torch.zeros_like(noisy)


def _task(songs: list[LatentSong], target: _Recorder | None = None, dropout: Dropout | None = None) -> DenoiserTask:
    torch.manual_seed(0)
    return DenoiserTask(
        Denoiser(TINY),
        songs,
        latent_deviation=torch.ones(64),
        crops=((4, 32),),
        dropout=dropout,
        device=torch.device("cpu"),
        target=target,
    )


def test_a_batch_is_a_pure_function_of_its_generator() -> None:
    """The same seed gives the same loss, another seed another."""
    task = _task([song(1), song(2)])
    losses = [task.loss(torch.Generator().manual_seed(seed), 0)[0].item() for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]


def test_persona_vectors_come_from_other_songs_of_the_persona() -> None:
    """A song's own vectors are used only if its persona has no other song."""
    pairs = (([song(1), song(2)], {1: 2, 2: 1}), ([song(1, persona="a"), song(2, persona="b")], {1: 1, 2: 2}))
    for songs, expected in pairs:
        marked = [replace(one, controls=np.full_like(one.controls, one.number)) for one in songs]
        target = _Recorder()
        task = _task(marked, target)
        for seed in range(5):
            task.loss(torch.Generator().manual_seed(seed), 0)
        found = set()
        for _, _, controls, conditions in target.calls:
            numbers = (controls.amax(dim=(1, 2)) * CONTROL_STEPS).round().int().tolist()
            found |= set(zip(numbers, conditions.persona.argmax(dim=1).tolist(), strict=True))
        assert found == set(expected.items())


def test_songs_that_are_added_later_are_trained_on(tmp_path: Path) -> None:
    """They are read at the next refresh, and from then on batches are those of a run that had all songs from the start."""
    write(song(5), tmp_path)
    folder, everything = LatentFolder(tmp_path), [song(3, persona="two"), song(5)]
    torch.manual_seed(0)
    task = DenoiserTask(
        Denoiser(TINY),
        folder.songs(),
        latent_deviation=torch.ones(64),
        new_songs=folder.new_songs,
        refresh_steps=10,
        crops=((4, 32),),
        device=torch.device("cpu"),
    )
    write(song(3, persona="two"), tmp_path)
    whole = _task(everything)

    def loss(task: DenoiserTask, step: int) -> tuple[float, float]:
        value, figures = task.loss(torch.Generator().manual_seed(step), step)
        return value.item(), float(figures["songs"])

    assert loss(task, 9)[1] == 1
    assert loss(whole, 9)[1] == 2
    assert [loss(task, step) for step in (10, 11, 20)] == [loss(whole, step) for step in (10, 11, 20)]


def test_a_batch_has_about_as_many_frames_as_asked() -> None:
    """Crops of every length, none with an empty batch."""
    for frames_per_step in (72, 1024, 16384):
        shapes = crop_shapes(frames_per_step)
        assert sorted(frames for _, frames in shapes) == [72, 128, 176, 256]
        assert all(batch == max(1, round(frames_per_step / frames)) for batch, frames in shapes)


def test_conditions_and_the_score_are_dropped_as_often_as_asked() -> None:
    """Never at 0, always at 1."""
    for share, expected in ((0.0, True), (1.0, False)):
        target = _Recorder()
        dropout = Dropout(text=share, prefix=0.0, persona=share, everything=0.0, playing=share, score=share)
        task = _task([song(1), song(2)], target, dropout)
        task.loss(torch.Generator().manual_seed(0), 0)
        _, _, controls, conditions = target.calls[0]
        assert conditions.has_text.tolist() == [expected] * 4
        assert conditions.has_persona.tolist() == [expected] * 4
        for name in ("playing", "score_kit", "score_known"):
            assert bool(controls[:, channel_slice(name)].any()) is expected


def test_songs_that_are_too_short_for_a_crop_are_left_out() -> None:
    """Among short and long songs only the long ones are cut; if all are short, the crop is shortened."""
    target = _Recorder()
    task = _task([song(1, frames=16), song(2, frames=64)], target)
    task.loss(torch.Generator().manual_seed(0), 0)
    assert target.calls[0][0].shape == (4, 64, 32)
    target = _Recorder()
    task = _task([song(1, frames=16)], target)
    task.loss(torch.Generator().manual_seed(0), 0)
    assert target.calls[0][0].shape == (4, 64, 16)


def test_songs_survive_a_round_trip(tmp_path: Path) -> None:
    """Every array is read as written, in the order of the numbers."""
    for number in (7, 3):
        write(song(number), tmp_path)
    loaded = read_latents(tmp_path)
    assert [one.number for one in loaded] == [3, 7]
    for one in loaded:
        for name in ("latents", "controls", "persona_vectors", "text", "text_lengths", "prefix"):
            assert np.array_equal(getattr(one, name), getattr(song(one.number), name)), name
    assert len(read_latents(tmp_path, limit=1)) == 1
    folder = LatentFolder(tmp_path, limit=2)
    assert [one.number for one in folder.songs()] == [3, 7]
    write(song(8), tmp_path)
    assert list(folder.new_songs()) == []
    with pytest.raises(FileNotFoundError, match="sonichaos-train latents"):
        read_latents(tmp_path / "none")


def test_songs_are_composed_once_and_have_their_score(tmp_path: Path) -> None:
    """`latents` needs trained nets; what it wrote is kept, and the denoiser trains on it from the starter's weights."""
    work = tmp_path / "work"
    refused = CliRunner().invoke(main, ["latents", "--work", str(work)])
    assert refused.exit_code == 2
    assert "sonichaos-train init" in refused.output
    assert CliRunner().invoke(main, ["init", "--work", str(work)]).exit_code == 0
    work_folder = WorkFolder(path=work)
    assert list(fill_latents(work_folder, [40])) == [40]
    path = path_of(work_folder.latents, 40)
    written = path.stat().st_mtime_ns
    assert list(fill_latents(work_folder, [40])) == []
    assert path.stat().st_mtime_ns == written
    (made,) = read_latents(work_folder.latents)
    assert made.controls.shape == (CHANNELS, made.frames)
    assert (made.controls[channel_slice("score_known")] == CONTROL_STEPS).all()
    assert made.controls[channel_slice("score_kit")].any()
    command = ["denoiser", "--work", str(work), "--budget-s", "1000", "--steps", "2", "--threads", "1"]
    ended = CliRunner().invoke(main, command)
    assert ended.exit_code == 0, ended.output
    assert "denoiser: 2 steps" in ended.output
