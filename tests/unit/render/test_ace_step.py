"""ACE-Step through diffusers: the real loading code on a random pipeline of a few hundred kilobytes.

True weights are not run here: these tests say that the pipeline's computation is diffusers' own, and what of a brief
reaches it; not how it sounds.
"""

from __future__ import annotations

import io
import json
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from diffusers import AceStepPipeline
from safetensors.torch import load_file, save_file

from render_service.api.requests import read_brief
from render_service.music.tempo_map import TempoMap
from render_service.personas.library import Clip, PersonaLibrary
from render_service.plan import Plan, plan_from_json
from render_service.renderers.ace_step.conditions import silence_token
from render_service.renderers.ace_step.folder import load_pipeline
from render_service.renderers.ace_step.stack import AceStep
from render_service.renderers.latent_diffusion.checkpoint import ModelUnusable, sha256_of
from render_service.renderers.latent_diffusion.flow import block_noise
from render_service.renderers.load import load_renderer
from render_service.renderers.renderer import InitLatents, Renderer, no_report
from render_service.usecases.create_render import RenderAdmission
from servicekit.audio.rate import convert_rate
from servicekit.clock import SystemClock
from servicekit.errors import FailedPrecondition
from servicekit.journal import Job, Journal
from servicekit.store.folder_store import FolderStore
from servicekit.store.url_signer import UrlSigner
from sonichaos.jobs.v1 import brief_pb2
from tests.support.tiny_ace_step import LATENT_CHANNELS, RATE_HZ, WIDTH, tiny_ace_step
from tests.support.tiny_checkpoint import plan as take_plan

EMBEDDING = (1.0,) + (0.0,) * (WIDTH - 1)
SECONDS = 10.0
FRAMES = 250


def _plan(**changes: object) -> Plan:
    plan = take_plan(seconds=SECONDS, embedding=EMBEDDING, bpm=100.0, prompt="warm piano", prefix="smoky singer")
    return replace(plan, guidance=1.0, **changes)  # type: ignore[arg-type]  # names and types are those of the tests


def _take(renderer: Renderer, plan: Plan) -> np.ndarray:
    return renderer.vocode(renderer.denoise(plan, no_report), plan, no_report)


@pytest.fixture(scope="module")
def pipeline_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A turbo pipeline with all its parts."""
    return tiny_ace_step(tmp_path_factory.mktemp("ace") / "tiny-turbo")


@pytest.fixture(scope="module")
def renderer(pipeline_folder: Path) -> AceStep:
    """Loaded as the service loads it, and warm."""
    loaded = load_renderer(str(pipeline_folder), device="cpu", threads=1)
    loaded.warm()
    assert isinstance(loaded, AceStep)
    return loaded


@pytest.fixture
def folder(pipeline_folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(pipeline_folder, tmp_path / "pipeline"))


def _without_persona(folder: Path, plan: Plan) -> Plan:
    """The plan with the model's silence token as its persona, so that only text conditions it."""
    silence = silence_token(load_pipeline(folder, device="cpu").pipeline)
    direction = (silence / silence.norm()).tolist()
    return replace(plan, persona_prefix="", persona_embedding=tuple(direction))


def _by_diffusers(folder: Path, plan: Plan, output: str) -> Any:
    pipeline = AceStepPipeline.from_pretrained(str(folder), local_files_only=True)
    return pipeline(
        prompt=plan.prompt,
        lyrics="[Instrumental]" if plan.instrumental else "",
        audio_duration=plan.seconds,
        num_inference_steps=plan.steps,
        guidance_scale=plan.guidance,
        latents=block_noise(plan.seed, channels=LATENT_CHANNELS, frames=FRAMES).T[None],
        bpm=100,
        keyscale="A minor",
        timesignature="4",
        output_type=output,
    ).audios[0]


@pytest.mark.parametrize("instrumental", [False, True])
def test_a_take_equals_that_of_diffusers_own_pipeline(
    pipeline_folder: Path, renderer: AceStep, *, instrumental: bool
) -> None:
    """Latents and audio equal AceStepPipeline's for the same noise, text, tempo, key and metre."""
    plan = _without_persona(pipeline_folder, _plan(steps=3, instrumental=instrumental))
    latents = renderer.denoise(plan, no_report)
    assert torch.allclose(torch.from_numpy(latents.values.T), _by_diffusers(pipeline_folder, plan, "latent"), atol=1e-4)
    expected = convert_rate(_by_diffusers(pipeline_folder, plan, "np"), from_hz=RATE_HZ, to_hz=44100)
    assert np.allclose(renderer.vocode(latents, plan, no_report), expected, atol=1e-4)


def test_guidance_is_that_of_diffusers_own_pipeline(tmp_path: Path) -> None:
    """Base weights are guided away from the model's own null condition."""
    base = tiny_ace_step(tmp_path / "tiny-base", turbo=False)
    guided = replace(_without_persona(base, _plan(steps=3)), guidance=7.0)
    renderer = load_renderer(str(base), device="cpu")
    assert (renderer.info.default_steps, renderer.info.default_guidance) == (50, 7.0)
    latents = renderer.denoise(guided, no_report).values
    assert torch.allclose(torch.from_numpy(latents.T), _by_diffusers(base, guided, "latent"), atol=1e-3)
    assert not np.allclose(latents, renderer.denoise(replace(guided, guidance=1.0), no_report).values, atol=1e-2)


def test_turbo_weights_refuse_guidance(renderer: AceStep) -> None:
    """Guidance is distilled into them."""
    assert (renderer.info.default_steps, renderer.info.default_guidance) == (8, 1.0)
    with pytest.raises(ModelUnusable, match="must be 1, because it is distilled into the weights, got 7"):
        renderer.denoise(replace(_plan(), guidance=7.0), no_report)


@pytest.mark.parametrize("seconds", [10.0, 12.345, 21.0])
def test_a_take_has_the_requested_length_and_rate(renderer: AceStep, seconds: float) -> None:
    """Stereo float32 at 44100 Hz, exact to the frame, also for takes longer than one tile of the decoder."""
    wave = _take(renderer, replace(_plan(steps=1), seconds=seconds))
    assert wave.shape == (2, round(seconds * 44100))
    assert wave.dtype == np.float32
    assert 0.7 < np.abs(wave).max() < 1.1


def test_the_same_plan_gives_the_same_samples(renderer: AceStep) -> None:
    """Bit for bit, with another take in between. Another seed gives other samples."""
    first, other = _take(renderer, _plan()), _take(renderer, replace(_plan(), seed=2))
    assert np.array_equal(first, _take(renderer, _plan()))
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "cold harp"},
        {"prompt": "warm piano " * 180 + "x"},
        {"persona_prefix": ""},
        {"persona_prefix": "bright choir"},
        {"persona_embedding": (0.0, 1.0) + (0.0,) * (WIDTH - 2)},
        {"tempo_map": TempoMap.constant(101.0)},
        {"tempo_map": TempoMap.constant(100.0, beats_per_bar=3)},
        {"key": take_plan(seconds=2.0, embedding=EMBEDDING, key="A major").key},
        {"instrumental": True},
    ],
)
def test_every_condition_reaches_the_model(renderer: AceStep, change: dict[str, object]) -> None:
    """Prompt, prefix, persona, tempo, metre, key and voice each change the latents by themselves."""
    assert not np.array_equal(
        renderer.denoise(_plan(), no_report).values, renderer.denoise(_plan(**change), no_report).values
    )


def test_tempo_and_key_have_an_effect_after_the_longest_prompt(renderer: AceStep) -> None:
    """They come last in the text, which the pipeline would truncate to 256 tokens."""
    long = _plan(prompt="p" * 2000)
    faster = replace(long, tempo_map=TempoMap.constant(120.0))
    assert not np.array_equal(renderer.denoise(long, no_report).values, renderer.denoise(faster, no_report).values)


def test_progress_counts_every_step_and_can_stop_the_work(renderer: AceStep) -> None:
    """Reports count from 0 to the total; an exception in a report stops the work."""
    seen: list[tuple[int, int]] = []
    renderer.denoise(_plan(steps=2), lambda done, total: seen.append((done, total)))
    assert seen == [(0, 2), (1, 2), (2, 2)]

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        renderer.denoise(_plan(), stop)


def test_a_lower_strength_stays_closer_to_the_init_latents(renderer: AceStep) -> None:
    """The distance rises with strength; strength 1 is the same as without init latents."""
    base, other = renderer.denoise(_plan(steps=8), no_report), _plan(steps=8, seed=9)
    seen: list[int] = []
    distances = []
    for strength in (0.1, 0.5, 1.0):
        latents = renderer.denoise(
            other, lambda _, total: seen.append(total), InitLatents(latents=base, strength=strength)
        )
        distances.append(float(np.abs(latents.values - base.values).mean()))
    assert distances == sorted(distances)
    assert np.array_equal(latents.values, renderer.denoise(other, no_report).values)
    assert sorted(set(seen)) == [1, 2, 8]


def test_init_latents_of_another_length_or_renderer_are_refused(renderer: AceStep) -> None:
    """Latents carry their length in samples and the id of their front end."""
    base = renderer.denoise(_plan(steps=1), no_report)
    for foreign in (replace(base, samples=base.samples + 1), replace(base, front_end_id="other")):
        with pytest.raises(FailedPrecondition, match="must cover"):
            renderer.denoise(_plan(), no_report, InitLatents(latents=foreign, strength=0.7))


def test_a_recording_is_encoded_to_init_latents(renderer: AceStep) -> None:
    """As many latent frames as a take of that length has."""
    sound = (0.1 * np.random.default_rng(0).standard_normal((2, round(SECONDS * 44100)))).astype(np.float32)
    latents = renderer.encode(sound)
    assert latents.values.shape == renderer.denoise(_plan(steps=1), no_report).values.shape
    assert np.isfinite(renderer.denoise(_plan(), no_report, InitLatents(latents=latents, strength=0.5)).values).all()


def test_a_persona_embedding_depends_on_its_clips(renderer: AceStep) -> None:
    """A clip and the same clip repeated give almost the same embedding; other audio gives another."""
    rng = np.random.default_rng(3)
    dark = np.cumsum(0.01 * rng.standard_normal((2, 88_200)), axis=1).astype(np.float32)
    bright = (0.1 * rng.standard_normal((2, 88_200))).astype(np.float32)
    vectors = [renderer.embed_persona(clips) for clips in ([dark], [np.tile(dark, 2)], [bright], [dark, bright])]
    assert all(np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5) for vector in vectors)
    once, twice, other, both = vectors
    assert once @ twice > max(0.999, once @ other)
    assert once @ other < both @ once < once @ twice


def test_latents_of_another_renderer_are_refused(renderer: AceStep) -> None:
    """Their front end id includes the digest of the decoder's weights."""
    foreign = replace(renderer.denoise(_plan(steps=1), no_report), front_end_id="other")
    with pytest.raises(ModelUnusable, match="other"):
        renderer.vocode(foreign, _plan(), no_report)


def test_info_names_every_net_the_rate_conversion_and_the_licence(renderer: AceStep, pipeline_folder: Path) -> None:
    """All that manifest and audit row need."""
    info = renderer.info
    digests = {model.role: model.sha256 for model in info.models}
    assert digests.keys() == {"transformer", "vae", "text_encoder", "condition_encoder", "persona", "settings"}
    assert digests["transformer"] == sha256_of(pipeline_folder / "transformer" / "diffusion_pytorch_model.safetensors")
    assert (info.name, info.licence, info.embedding_size) == ("tiny-turbo", "mit", WIDTH)
    assert any("48000 Hz to 44100 Hz, once" in step for step in info.processing)
    assert {"torch", "diffusers", "precision", "threads"} <= info.fingerprint.keys()


def test_loading_uses_no_network(pipeline_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither connections nor name lookups."""

    def refuse(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert load_renderer(str(pipeline_folder), device="cpu").info.name == "tiny-turbo"


def _edit_index(folder: Path, **changes: object) -> None:
    path = folder / "model_index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"_class_name": "StableAudioPipeline"}, "StableAudioPipeline"),
        ({"vae": ["my_vae", "Vae"]}, "vae must come from one of .*, got 'my_vae'"),
    ],
)
def test_another_pipeline_or_custom_code_is_refused(folder: Path, changes: dict[str, object], problem: str) -> None:
    """Only ACE-Step's pipeline runs, with code from installed libraries."""
    _edit_index(folder, **changes)
    with pytest.raises(ModelUnusable, match=problem) as caught:
        load_pipeline(folder, device="cpu")
    assert caught.value.remedy


def test_a_missing_tensor_is_refused(folder: Path) -> None:
    """Diffusers would initialise it at random."""
    path = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(str(path))
    del tensors["norm_out.weight"]
    save_file(tensors, str(path))
    with pytest.raises(ModelUnusable, match=r"norm_out\.weight"):
        load_pipeline(folder, device="cpu")


def test_missing_weights_and_a_broken_file_are_named(folder: Path) -> None:
    """A pickle in place of safetensors is not opened."""
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelUnusable, match="cannot load it"):
        load_pipeline(folder, device="cpu")
    path.rename(path.with_suffix(".bin"))
    with pytest.raises(ModelUnusable, match="no safetensors weights"):
        load_pipeline(folder, device="cpu")


def test_a_pinned_file_that_was_changed_is_refused(folder: Path) -> None:
    """Each line of the folder's SHA256SUMS is checked."""
    name = "scheduler/scheduler_config.json"
    (folder / "SHA256SUMS").write_text(f"{sha256_of(folder / name)}  {name}\n")
    load_pipeline(folder, device="cpu")
    (folder / name).write_text((folder / name).read_text() + "\n")
    with pytest.raises(ModelUnusable, match=r"SHA-256 must be [0-9a-f]{64} \(SHA256SUMS\), got [0-9a-f]{64}"):
        load_pipeline(folder, device="cpu")
    (folder / name).unlink()
    with pytest.raises(ModelUnusable, match="missing"):
        load_pipeline(folder, device="cpu")


@pytest.fixture(scope="module")
def admission(renderer: AceStep, tmp_path_factory: pytest.TempPathFactory) -> RenderAdmission:
    """Admission with one persona that was added from clips."""
    clock, tmp_path = SystemClock(), tmp_path_factory.mktemp("admission")
    store = FolderStore(tmp_path / "store", UrlSigner(base_url="http://127.0.0.1:1", secret=b"s" * 32, now=clock.now))
    library = PersonaLibrary(renderer=renderer, built_in=tmp_path / "none", store=store, clock=clock)
    file = io.BytesIO()
    soundfile.write(file, 0.1 * np.random.default_rng(0).standard_normal((66150, 2)), 44100, format="WAV")
    library.add("tenant", "my-band", "a band in a garage", [Clip(data=file.getvalue())])
    return RenderAdmission(
        journal=Journal.open(f"sqlite:///{tmp_path}/journal.sqlite3", clock=clock),
        personas=library,
        renderer_info=renderer.info,
        planner=renderer.planner,
        queue_limit=10,
        steps=1,
    )


def _create(admission: RenderAdmission, brief: brief_pb2.Brief) -> Job:
    request, _ = admission.find_existing("tenant", "", "")
    return admission.create_render(request, read_brief(brief, now=SystemClock().now()))


def test_a_brief_is_planned_with_the_models_own_persona_embedding(
    admission: RenderAdmission, renderer: AceStep
) -> None:
    """A persona is embedded by the model's timbre encoder, and the planned take can be rendered."""
    brief = brief_pb2.Brief(prompt="sad piano", persona_id="my-band", seconds=SECONDS, bpm=90.0, key="C# minor")
    job = _create(admission, brief)
    version = admission.journal.job("tenant", job.job_id).version(1)
    assert version is not None
    plan = plan_from_json(version.plan)
    assert len(plan.persona_embedding) == WIDTH
    assert np.linalg.norm(plan.persona_embedding) == pytest.approx(1.0, abs=1e-5)
    assert np.isfinite(_take(renderer, plan)).all()


@pytest.mark.parametrize(
    ("field", "brief"),
    [
        ("brief.lyrics", {"lyrics": "la la"}),
        ("brief.tempo_map", {"bpm": 92.5}),
        ("brief.tempo_map", {"prompt": "piano at 92.5 bpm"}),
        ("brief.tempo_map", {"tempo_map": brief_pb2.TempoMap(points=[{"bpm": 90}, {"start_seconds": 4, "bpm": 99}])}),
    ],
)
def test_a_field_that_the_model_cannot_honour_is_refused(
    admission: RenderAdmission, field: str, brief: dict[str, Any]
) -> None:
    """Lyrics, and tempo maps that the model cannot follow, also where the prompt names the tempo."""
    message = brief_pb2.Brief(**{"prompt": "piano", "persona_id": "my-band", "seconds": SECONDS, **brief})
    with pytest.raises(FailedPrecondition) as caught:
        _create(admission, message)
    assert caught.value.reason == "UNSUPPORTED_BY_RENDERER"
    assert caught.value.metadata["field"] == field
