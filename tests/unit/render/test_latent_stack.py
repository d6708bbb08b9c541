"""The whole renderer on a tiny checkpoint: lengths, determinism, conditions, personas."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from render_service.composer.score import Note, Part, Score
from render_service.composer.style import Instrumentation
from render_service.renderers.latent_diffusion.checkpoint import ModelUnusable
from render_service.renderers.latent_diffusion.partial_shares import PartialShares, PartialSharesConfig
from render_service.renderers.latent_diffusion.stack import LatentDiffusion
from render_service.renderers.load import load_latent_diffusion
from render_service.renderers.renderer import InitLatents, Latents, Waveform, no_report
from servicekit.errors import FailedPrecondition
from tests.support.tiny_checkpoint import plan, tiny_checkpoint
from training.export import add_partials

EMBEDDING = (1.0,) + (0.0,) * 63
OTHER_EMBEDDING = (0.0, 1.0) + (0.0,) * 62


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> LatentDiffusion:
    """Loaded once, and warm."""
    loaded = load_latent_diffusion(str(tiny_checkpoint(tmp_path_factory.mktemp("tiny"))), device="cpu", threads=1)
    loaded.warm()
    return loaded


@pytest.mark.parametrize("seconds", [2.0, 7.77, 180.0])
def test_a_take_has_the_requested_length(renderer: LatentDiffusion, seconds: float) -> None:
    """Stereo float32 of round(seconds * 44100) frames, from the shortest to the longest take."""
    take_plan = plan(seconds=seconds, embedding=EMBEDDING, steps=1)
    wave = renderer.vocode(renderer.denoise(take_plan, no_report), take_plan, no_report)
    assert wave.shape == (2, round(seconds * 44100))
    assert wave.dtype == np.float32
    assert np.isfinite(wave).all()


def test_memory_grows_with_the_audio_of_a_take_only(renderer: LatentDiffusion) -> None:
    """Vocoding 100 s needs more memory than 20 s for the audio, its mid and side, and copies of them only.

    Spectra of the whole take would be some twenty times its sound.
    """

    def peak_bytes(seconds: float) -> int:
        take_plan = plan(seconds=seconds, embedding=EMBEDDING, steps=1)
        frames = renderer.config.front_end.latent_frames(round(seconds * 44100))
        values = np.zeros((64, frames), dtype=np.float32)
        latents = Latents(values=values, front_end_id=renderer.config.front_end_id, samples=round(seconds * 44100))
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = _memory_bytes("VmRSS")
        renderer.vocode(latents, take_plan, no_report)
        return _memory_bytes("VmHWM") - before

    peak_bytes(20.0)
    grown = peak_bytes(100.0) - peak_bytes(20.0)
    assert grown < 5 * (100 - 20) * 44100 * 2 * 4


def _memory_bytes(name: str) -> int:
    """A value of this process from /proc/self/status."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def test_the_same_plan_gives_the_same_samples(renderer: LatentDiffusion) -> None:
    """Bit for bit, with another take in between. Another seed gives other latents."""
    take_plan = plan(seconds=13.0, embedding=EMBEDDING)
    latents = renderer.denoise(take_plan, no_report)
    first = renderer.vocode(latents, take_plan, no_report)
    other = renderer.denoise(replace(take_plan, seed=2), no_report)
    again = renderer.denoise(take_plan, no_report)
    assert np.array_equal(latents.values, again.values)
    assert np.array_equal(first, renderer.vocode(again, take_plan, no_report))
    assert not np.array_equal(latents.values, other.values)


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_batched_windows_give_the_same_latents(renderer: LatentDiffusion, guidance: float) -> None:
    """A GPU computes the windows of a long take as one batch; batches of two leave a smaller last one."""
    take_plan = replace(plan(seconds=30.0, embedding=EMBEDDING), guidance=guidance)
    alone = renderer.denoise(take_plan, no_report).values
    for at_once in (2, 32):
        renderer.windows_per_batch = at_once
        together = renderer.denoise(take_plan, no_report).values
        assert np.allclose(alone, together, atol=1e-4)
        assert not np.array_equal(together[:, :256], together[:, 256:512])
    renderer.windows_per_batch = 1


def test_a_lower_noise_scale_reduces_the_effect_of_the_seed(renderer: LatentDiffusion, tmp_path: Path) -> None:
    """At a tenth of the scale the latents of two seeds are closer; the fingerprint has the scale."""
    folder = tiny_checkpoint(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "noise_scale": 0.09}))
    calm = load_latent_diffusion(str(folder), device="cpu", threads=1)
    take_plan = plan(seconds=2.0, embedding=EMBEDDING)

    def apart(which: LatentDiffusion) -> float:
        one, other = (which.denoise(replace(take_plan, seed=seed), no_report).values for seed in (1, 2))
        return float(np.abs(one - other).mean())

    assert apart(calm) < 0.5 * apart(renderer)
    assert (calm.info.fingerprint["noise_scale"], renderer.info.fingerprint["noise_scale"]) == ("0.09", "0.9")


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "slow sad piano"},
        {"persona_prefix": "smoky lounge singer"},
        {"persona_embedding": OTHER_EMBEDDING},
        {"instrumental": True},
        {"guidance": 1.0},
    ],
)
def test_every_condition_reaches_the_net(renderer: LatentDiffusion, change: dict[str, object]) -> None:
    """Prompt, prefix, persona vector, the instrumental flag and guidance each change the latents by themselves."""
    take_plan = plan(seconds=2.0, embedding=EMBEDDING)
    changed = replace(take_plan, **change)  # type: ignore[arg-type]  # names and types are those of the cases above
    assert not np.array_equal(
        renderer.denoise(take_plan, no_report).values, renderer.denoise(changed, no_report).values
    )


def test_progress_counts_every_step_and_can_stop_the_work(renderer: LatentDiffusion) -> None:
    """Reports count from 0 to the total; an exception in a report stops the work."""
    take_plan = plan(seconds=2.0, embedding=EMBEDDING, steps=3)
    seen: list[tuple[int, int]] = []
    latents = renderer.denoise(take_plan, lambda done, total: seen.append((done, total)))
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]

    def stop(done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        renderer.denoise(take_plan, stop)
    assert np.array_equal(latents.values, renderer.denoise(take_plan, no_report).values)


def test_a_persona_is_one_vector_of_length_one(renderer: LatentDiffusion) -> None:
    """It does not depend on the level, clips are not changed, and clips shorter than a window count."""
    rng = np.random.default_rng(0)
    clips = [(0.1 * rng.standard_normal((2, samples))).astype(np.float32) for samples in (30_000, 300_000)]
    copies = [clip.copy() for clip in clips]
    vector = renderer.embed_persona(clips)
    assert vector.shape == (renderer.info.embedding_size,)
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
    assert np.allclose(vector, renderer.embed_persona([0.1 * clip for clip in clips]), atol=1e-3)
    assert all(np.array_equal(clip, before) for clip, before in zip(clips, copies, strict=True))


def test_info_names_every_net_and_its_digest(renderer: LatentDiffusion) -> None:
    """All that an audit row needs."""
    info = renderer.info
    assert {model.role for model in info.models} >= {"autoencoder", "denoiser", "vocoder", "persona", "text_encoder"}
    assert all(len(model.sha256) == 64 for model in info.models)
    assert (info.min_seconds, info.max_seconds) == (2.0, 180.0)
    assert {"torch", "precision", "threads"} <= info.fingerprint.keys()


def test_the_bass_of_the_score_reaches_the_vocoder(renderer: LatentDiffusion) -> None:
    """The same latents sound different where the score has a bass note, and the same where only another part plays."""
    take_plan = plan(seconds=2.0, embedding=EMBEDDING, steps=1)
    latents = renderer.denoise(take_plan, no_report)

    def samples(part: Part) -> Waveform:
        note = Note(part=part, start_s=0.0, end_s=2.0, pitch=33, velocity=1.0)
        score = Score(instrumentation=(Instrumentation.PIANO,), sections=(), notes=(note,), sung=())
        return renderer.vocode(latents, replace(take_plan, score=score), no_report)

    silent = renderer.vocode(latents, replace(take_plan, score=None), no_report)
    assert np.array_equal(samples(Part.CHORDS), silent)
    assert not np.array_equal(samples(Part.BASS), silent)


def test_notes_of_the_score_reach_the_vocoder_of_a_checkpoint_with_partials(tmp_path: Path) -> None:
    """Every note changes the sound, the same on each call; without a score the sound is as without the net."""
    torch.manual_seed(0)
    folder = tiny_checkpoint(tmp_path)
    plain = load_latent_diffusion(str(folder), device="cpu", threads=1)
    add_partials(folder, PartialShares(PartialSharesConfig(width=4)))
    scored = load_latent_diffusion(str(folder), device="cpu", threads=1)
    assert {model.role for model in scored.info.models} - {model.role for model in plain.info.models} == {"partials"}
    take_plan = plan(seconds=2.0, embedding=EMBEDDING, steps=1)
    latents = plain.denoise(take_plan, no_report)
    note = Note(part=Part.CHORDS, start_s=0.5, end_s=1.5, pitch=57, velocity=1.0)
    played = replace(
        take_plan, score=Score(instrumentation=(Instrumentation.PIANO,), sections=(), notes=(note,), sung=())
    )
    first, again = (scored.vocode(latents, played, no_report) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, plain.vocode(latents, played, no_report))
    without = replace(take_plan, score=None)
    assert np.array_equal(scored.vocode(latents, without, no_report), plain.vocode(latents, without, no_report))


def test_latents_of_another_front_end_are_refused(renderer: LatentDiffusion) -> None:
    """Latents carry the id of their front end."""
    take_plan = plan(seconds=2.0, embedding=EMBEDDING, steps=1)
    foreign = replace(renderer.denoise(take_plan, no_report), front_end_id="other")
    with pytest.raises(ModelUnusable, match="other"):
        renderer.vocode(foreign, take_plan, no_report)


def test_a_folder_without_the_text_encoder_is_refused(tmp_path: Path) -> None:
    """The first missing file is named."""
    checkpoint = tiny_checkpoint(tmp_path / "tiny")
    with pytest.raises(ModelUnusable, match=r"config\.json is missing"):
        LatentDiffusion(checkpoint, device="cpu", text_encoder_folder=tmp_path)


def test_init_latents_at_strength_one_have_no_effect(renderer: LatentDiffusion) -> None:
    """The latents are those of the plan alone, bit for bit."""
    take_plan = plan(seconds=6.0, embedding=EMBEDDING)
    original = renderer.denoise(replace(take_plan, seed=9), no_report)
    plain = renderer.denoise(take_plan, no_report)
    noised = renderer.denoise(take_plan, no_report, InitLatents(latents=original, strength=1.0))
    assert np.array_equal(plain.values, noised.values)


def test_a_lower_strength_stays_closer_to_the_init_latents(renderer: LatentDiffusion) -> None:
    """The distance and the number of steps rise with strength, and the init latents are not changed."""
    take_plan = plan(seconds=6.0, embedding=EMBEDDING, steps=10)
    original = renderer.denoise(replace(take_plan, seed=9), no_report)
    before = original.values.copy()
    distances, steps = [], []
    for strength in (0.1, 0.4, 0.7, 1.0):
        totals: list[int] = []
        made = renderer.denoise(
            take_plan,
            lambda _, total: totals.append(total),  # noqa: B023
            InitLatents(latents=original, strength=strength),
        )
        distances.append(float(np.abs(made.values - original.values).mean()))
        steps.append(totals[-1])
    assert distances == sorted(distances)
    assert steps == [1, 4, 7, 10]
    assert np.array_equal(original.values, before)


def test_init_latents_of_another_front_end_or_length_are_refused(renderer: LatentDiffusion) -> None:
    """Before anything is rendered."""
    take_plan = plan(seconds=6.0, embedding=EMBEDDING)
    original = renderer.denoise(take_plan, no_report)
    for other in (replace(original, front_end_id="other"), replace(original, samples=original.samples + 1)):
        with pytest.raises(FailedPrecondition) as refused:
            renderer.denoise(take_plan, no_report, InitLatents(latents=other, strength=0.7))
        assert refused.value.reason == "MODEL_UNUSABLE"


def test_a_recording_is_encoded_to_init_latents(renderer: LatentDiffusion) -> None:
    """They cover the recording and depend on it."""
    take_plan = plan(seconds=2.5, embedding=EMBEDDING)
    wave = renderer.vocode(renderer.denoise(take_plan, no_report), take_plan, no_report)
    encoded, silence = renderer.encode(wave), renderer.encode(np.zeros_like(wave))
    assert encoded.samples == wave.shape[1]
    assert encoded.values.shape == renderer.denoise(take_plan, no_report).values.shape
    assert not np.allclose(encoded.values, silence.values)
    assert renderer.denoise(take_plan, no_report, InitLatents(latents=encoded, strength=0.5)).samples == wave.shape[1]
