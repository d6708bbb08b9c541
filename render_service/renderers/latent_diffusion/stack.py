"""The latent diffusion renderer: implements :class:`render_service.renderers.renderer.Renderer`.

Letters: ``C`` channels (2), ``T`` samples, ``L`` latent frames, ``D`` latent channels, ``F`` mel frames, ``K`` bins.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from render_service.composer.habits import DEFAULT_HABITS, Habits
from render_service.composer.planner import Planner
from render_service.composer.rule_planner import RulePlanner
from render_service.composer.style_reader import StyleReader
from render_service.music.harmony import ChordQuality, ChordSpan
from render_service.music.key import Key, Mode
from render_service.music.tempo_map import TempoMap
from render_service.plan import Plan
from render_service.renderers.latent_diffusion.checkpoint import (
    PARTIALS,
    ROLES,
    CheckpointConfig,
    ModelUnusable,
    Nets,
    load,
    sha256_of,
)
from render_service.renderers.latent_diffusion.controls import ControlInputs, control_channels
from render_service.renderers.latent_diffusion.denoiser import Conditions
from render_service.renderers.latent_diffusion.flow import NOISE_BLOCK_FRAMES, Schedule, add_noise, block_noise, sample
from render_service.renderers.latent_diffusion.partial_shares import ScoredMagnitudes
from render_service.renderers.latent_diffusion.persona_encoder import embed_clips
from render_service.renderers.latent_diffusion.phase import recover_phase
from render_service.renderers.latent_diffusion.phase_propagation import Target, bass_frequencies
from render_service.renderers.latent_diffusion.score_partials import ScorePartials
from render_service.renderers.latent_diffusion.text_encoder import TextEncoder, packaged_folder
from render_service.renderers.latent_diffusion.vocoder import MagnitudeInverse, recover_magnitude
from render_service.renderers.renderer import (
    InitLatents,
    Latents,
    ModelDigest,
    RendererInfo,
    StepReport,
    Waveform,
    no_report,
)
from servicekit.errors import FailedPrecondition

MIN_SECONDS, MAX_SECONDS = 2.0, 180.0
_WINDOWS_PER_BATCH_CUDA = 32  # all windows of a take: 180 s have 20
_CONTEXT_FRAMES = 16  # frames around a block for the refiner, more than its receptive field


class LatentDiffusion:
    """Denoiser, autoencoder, vocoder, persona and text encoder of one checkpoint, on one device."""

    def __init__(self, folder: Path, *, device: str, text_encoder_folder: Path | None = None) -> None:
        config, nets = load(folder)
        self._config, self._nets, self._device = config, nets, torch.device(device)
        for role in (*ROLES, PARTIALS) if nets.partials is not None else ROLES:
            nets.of(role).to(self._device)
        self.windows_per_batch = _WINDOWS_PER_BATCH_CUDA if self._device.type == "cuda" else 1
        self._inverse = MagnitudeInverse(nets.front_end)
        self._scored = None if nets.partials is None else ScoredMagnitudes(nets.partials, nets.front_end, self._inverse)
        text_folder = text_encoder_folder or packaged_folder()
        self._text = TextEncoder(text_folder, device=device)
        digest = sha256_of(self._text.weights_path)
        if digest != config.text_encoder.sha256:
            expected = f"{config.text_encoder.name} with SHA-256 {config.text_encoder.sha256}"
            problem = f"its weights must be those of {expected}, got {digest}"
            raise ModelUnusable(str(text_folder), problem, "install the package that the checkpoint was trained with")
        self._info = _describe(config, self._text, digest, self._device)
        # On the CPU, so that plans do not wait for the GPU and are the same with every device.
        reading = self._text if self._device.type == "cpu" else TextEncoder(text_folder)
        self._planner = RulePlanner(
            StyleReader(reading.sentences, encoder_sha256=digest),
            nets.habits.habits if nets.habits else _default_habits,
        )

    @property
    def info(self) -> RendererInfo:
        """What is loaded, and what it can do."""
        return self._info

    @property
    def planner(self) -> Planner:
        """Composes by rules, with the text encoder and the habits of this checkpoint."""
        return self._planner

    @property
    def nets(self) -> Nets:
        """The nets, for training and evaluation."""
        return self._nets

    @property
    def config(self) -> CheckpointConfig:
        """The checkpoint's config.json."""
        return self._config

    def warm(self) -> None:
        """Read a prompt, and render the shortest take in one step."""
        self._planner.read_style("warm up")
        plan = _tiny_plan(self._info.embedding_size, self._config.default_guidance)
        self.vocode(self.denoise(plan, no_report), plan, no_report)

    def denoise(self, plan: Plan, report: StepReport, init_latents: InitLatents | None = None) -> Latents:
        """Denoise in ``plan.steps`` Euler steps; from init latents, in ``strength`` times as many. Deterministic."""
        samples = round(plan.seconds * self._config.front_end.sample_rate_hz)
        frames = self._config.front_end.latent_frames(samples)
        inputs = ControlInputs(
            tempo_map=plan.tempo_map,
            key=plan.key,
            chords=plan.chords,
            instrumental=plan.instrumental,
            score=plan.score,
        )
        controls = torch.from_numpy(control_channels(inputs, self._config.front_end, frames=frames))
        noise = block_noise(plan.seed, channels=self._config.denoiser.latent_channels, frames=frames)
        noisy = self._config.noise_scale * noise
        schedule = Schedule.for_strength(plan.steps, init_latents.strength if init_latents else 1.0)
        if init_latents is not None:
            self._check_init_latents(init_latents.latents, samples)
            noisy = add_noise(torch.from_numpy(init_latents.latents.values), noisy, schedule)
        with torch.inference_mode():
            latents = sample(
                self._nets.denoiser,
                noisy.to(self._device),
                controls.to(self._device),
                self._conditions(plan),
                schedule=schedule,
                guidance=plan.guidance,
                windows=self._config.windows,
                report=report,
                windows_per_batch=self.windows_per_batch,
            )
        return Latents(values=latents.cpu().numpy(), front_end_id=self._config.front_end_id, samples=samples)

    def encode(self, waveform: Waveform) -> Latents:
        """Encode a recording ``(2, T)``, padded with silence to a whole number of latent frames."""
        spec, samples = self._config.front_end, waveform.shape[1]
        padding = spec.latent_frames(samples) * spec.latent_samples - samples
        stereo = torch.from_numpy(np.pad(waveform, ((0, 0), (0, padding))))[None].to(self._device)
        with torch.inference_mode():
            bands = self._nets.front_end.standardise(self._nets.front_end.analyse(stereo))
            values = self._nets.autoencoder.encode(bands)[0]
        return Latents(values=values.cpu().numpy(), front_end_id=self._config.front_end_id, samples=samples)

    def vocode(self, latents: Latents, plan: Plan, report: StepReport) -> Waveform:
        """Decode latents to ``(2, samples)``. Deterministic in its arguments.

        The plan's seed draws the initial phases. The bass notes of its score decide the pitch of the lowest partials; from 0.7 to
        4.9 kHz the partials of all its notes decide where in the bands of the mel the energy lies.
        """
        if latents.front_end_id != self._config.front_end_id:
            problem = f"latents must be of the front end {self._config.front_end_id}, got {latents.front_end_id}"
            raise ModelUnusable(self._config.name, problem, "render the take again with this checkpoint")
        with torch.inference_mode():
            log_mel = self.log_mel(latents)
            frames = log_mel.shape[-1]
            bass_hz = None if plan.score is None else bass_frequencies(plan.score, self._config.front_end, frames)
            partials = None if plan.score is None else ScorePartials(plan.score, self._config.front_end)
            mid_side = recover_phase(
                self._nets.front_end,
                lambda first, stop: self._target(log_mel, partials, first, stop),
                frames,
                lambda first, stop: self._phases(plan.seed, first, stop),
                iterations=self._config.vocoder.iterations,
                report=report,
                bass_hz=bass_hz,
            )
        mid, side = mid_side[:, : latents.samples].cpu().numpy()
        stereo = np.empty((2, latents.samples), dtype=np.float32)
        np.add(mid, side, out=stereo[0])
        np.subtract(mid, side, out=stereo[1])
        return stereo

    def log_mel(self, latents: Latents) -> Tensor:
        """Decode latents to log-mel ``(1, C, M, F)``."""
        with torch.inference_mode():
            bands = self._nets.autoencoder.decode(torch.from_numpy(latents.values)[None].to(self._device))
            return self._nets.front_end.restore(bands)

    def embed_persona(self, clips: Sequence[Waveform]) -> NDArray[np.float32]:
        """Pool reference clips into one vector of length 1, ``(embedding_size,)``."""
        return embed_clips(self._nets.persona, self._nets.front_end, clips)

    def _check_init_latents(self, latents: Latents, samples: int) -> None:
        expected, got = (self._config.front_end_id, samples), (latents.front_end_id, latents.samples)
        if expected != got:
            raise FailedPrecondition(
                f"init latents of {self._config.name} must cover {samples} samples of the front end {expected[0]}, got "
                f"{got[1]} of {got[0]}; ask with from_noise, or load the checkpoint that made them",
                reason="MODEL_UNUSABLE",
                metadata={"model": self._config.name, "front_end": got[0]},
            )

    def _conditions(self, plan: Plan) -> Conditions:
        """Conditions of a plan, a batch of one. Prompt and prefix are encoded separately."""
        prompt, prefix = self._text.encode([plan.prompt]), self._text.encode([plan.persona_prefix])
        persona = torch.tensor([plan.persona_embedding], dtype=torch.float32, device=self._device)
        present = torch.ones(1, dtype=torch.bool, device=self._device)
        return Conditions(
            text=prompt.tokens,
            text_mask=prompt.mask,
            prefix=prefix.sentence,
            persona=persona,
            has_text=present,
            has_prefix=present & bool(plan.persona_prefix.strip()),
            has_persona=present,
        )

    def _target(self, log_mel: Tensor, partials: ScorePartials | None, first: int, stop: int) -> Target:
        """Magnitudes, and phases of the score's partials, of a span of frames, computed with context on both sides."""
        start, end = max(first - _CONTEXT_FRAMES, 0), min(stop + _CONTEXT_FRAMES, log_mel.shape[-1])
        with_context = log_mel[..., start:end]
        magnitude = recover_magnitude(self._nets.vocoder, self._inverse, self._nets.front_end, with_context)[0]
        target = Target(magnitudes=magnitude)
        if self._scored is not None and partials is not None:
            target = self._scored.target(magnitude, with_context[0], partials.spectra(start, end))
        return target[first - start : stop - start]

    def _phases(self, seed: int, first: int, stop: int) -> Tensor:
        """Initial phases in turns ``(C, K, F)``. They depend on the frame, not on the block that it is in."""
        bins = self._config.front_end.bins
        block = first // NOISE_BLOCK_FRAMES
        noise = block_noise(
            seed, channels=2 * bins, frames=stop - block * NOISE_BLOCK_FRAMES, first_block=block, purpose="phase"
        )
        turns = noise[:, first - block * NOISE_BLOCK_FRAMES :]
        return turns.reshape(2, bins, -1).to(self._device)


def _describe(config: CheckpointConfig, text: TextEncoder, text_digest: str, device: torch.device) -> RendererInfo:
    models = [
        ModelDigest(role=role, sha256=config.files[role].sha256, parameters=config.files[role].parameters)
        for role in config.roles
    ]
    models.append(ModelDigest(role="text_encoder", sha256=text_digest, parameters=text.parameters))
    return RendererInfo(
        name=config.name,
        licence=config.licence,
        models=tuple(models),
        min_seconds=MIN_SECONDS,
        max_seconds=MAX_SECONDS,
        default_steps=config.default_steps,
        default_guidance=config.default_guidance,
        embedding_size=config.persona_encoder.embedding_size,
        supports_lyrics=False,
        supports_init_latents=True,
        fingerprint={
            "device": torch.cuda.get_device_name(device)
            if device.type == "cuda"
            else platform.processor() or platform.machine(),
            "torch": torch.__version__,
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "precision": "float32",
            "threads": str(torch.get_num_threads()),
            "noise_scale": f"{config.noise_scale:g}",
            "windows": f"{config.windows.frames}/{config.windows.stride}",
            "front_end": config.front_end_id,
        },
    )


def _default_habits(embedding: Sequence[float]) -> Habits:
    """For a checkpoint that has learnt none."""
    del embedding
    return DEFAULT_HABITS


def _tiny_plan(embedding_size: int, guidance: float) -> Plan:
    direction = tuple(1.0 if i == 0 else 0.0 for i in range(embedding_size))
    return Plan(
        prompt="warm up",
        persona_id="warm",
        persona_prefix="warm",
        persona_embedding=direction,
        seed=0,
        seconds=MIN_SECONDS,
        tempo_map=TempoMap.constant(120.0),
        key=Key(tonic=0, mode=Mode.MAJOR),
        chords=(ChordSpan(start_s=0.0, end_s=MIN_SECONDS, root=0, quality=ChordQuality.MAJ, bass=0),),
        instrumental=False,
        steps=1,
        guidance=guidance,
    )
