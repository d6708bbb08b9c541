"""The ACE-Step renderer: implements :class:`render_service.renderers.renderer.Renderer`.

Letters: ``C`` channels (2), ``T`` samples, ``L`` latent frames, ``D`` latent channels.
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from render_service.music.key import Key, Mode
from render_service.music.tempo_map import TempoMap
from render_service.plan import Plan
from render_service.renderers.ace_step.conditions import condition_tokens, embed_clips
from render_service.renderers.ace_step.folder import LoadedPipeline, load_pipeline
from render_service.renderers.latent_diffusion.checkpoint import ModelUnusable
from render_service.renderers.latent_diffusion.flow import block_noise
from render_service.renderers.renderer import InitLatents, Latents, RendererInfo, StepReport, Waveform, no_report
from render_service.renderers.tempo_limits import TempoLimits
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from servicekit.audio.rate import conversion_text, convert_rate
from servicekit.errors import FailedPrecondition

# The model starts at 10 s; briefs end at 180 s.
MIN_SECONDS, MAX_SECONDS = 10.0, 180.0
# The model knows 6/8 too, but its training data does not say which beat its tempo counts there.
METRES = ((2, 4), (3, 4), (4, 4))
_MAX_PEAK = 10.0 ** (-1.0 / 20.0)
_MIN_PEAK = 1e-6  # below it, audio is silence and is not amplified
# The shift of the time schedule, steps and guidance are the defaults of diffusers' AceStepPipeline. Turbo weights have
# guidance distilled into them.
_SHIFT = 3.0
_TURBO_STEPS, _TURBO_GUIDANCE = 8, 1.0
_BASE_STEPS, _BASE_GUIDANCE = 50, 7.0
# Adaptive projected guidance (Sadat et al. 2024, arXiv:2410.02416), with ACE-Step's own numbers.
_MOMENTUM, _NORM_LIMIT = -0.75, 2.5


class AceStep:
    """One ACE-Step 1.5 pipeline on one device, in float32."""

    def __init__(self, folder: Path, *, device: str) -> None:
        self._loaded = load_pipeline(folder, device=device)
        self._pipeline, self._device = self._loaded.pipeline, torch.device(device)
        vae = self._pipeline.vae
        self._rate_hz, self._latent_samples = int(vae.config.sampling_rate), int(vae.hop_length)
        self._latent_channels = int(vae.config.decoder_input_channels)
        digest = next(model.sha256 for model in self._loaded.models if model.role == "vae")
        self._front_end_id = f"oobleck{self._latent_channels}-x{self._latent_samples}-{self._rate_hz}-{digest[:16]}"
        self._info = self._describe(self._loaded)

    @property
    def info(self) -> RendererInfo:
        """What is loaded, and what it can do."""
        return self._info

    @property
    def planner(self) -> None:
        """The model plays no score: it composes by itself."""
        return

    def warm(self) -> None:
        """Render the shortest take in one step."""
        plan = Plan(
            prompt="warm up",
            persona_id="warm",
            persona_prefix="",
            persona_embedding=(1.0,) + (0.0,) * (self._info.embedding_size - 1),
            seed=0,
            seconds=MIN_SECONDS,
            tempo_map=TempoMap.constant(120.0),
            key=Key(tonic=0, mode=Mode.MAJOR),
            chords=(),
            instrumental=True,
            steps=1,
            guidance=self._info.default_guidance,
        )
        self.vocode(self.denoise(plan, no_report), plan, no_report)

    def denoise(self, plan: Plan, report: StepReport, init_latents: InitLatents | None = None) -> Latents:
        """Denoise in ``plan.steps`` Euler steps; from init latents, in the steps below their strength.

        Deterministic in its arguments. The plan's chords have no effect.
        """
        samples = round(plan.seconds * SAMPLE_RATE_HZ)
        frames = -(-round(plan.seconds * self._rate_hz) // self._latent_samples)
        noise = block_noise(plan.seed, channels=self._latent_channels, frames=frames)
        times = _times(plan.steps, init_latents.strength if init_latents else 1.0)
        if init_latents is not None:
            self._check_init_latents(init_latents.latents, samples)
            noise = torch.from_numpy(init_latents.latents.values) * (1.0 - times[0]) + noise * times[0]
        with torch.inference_mode():
            tokens = condition_tokens(self._pipeline, plan)
            latents = self._flow(noise.T[None].to(self._device), tokens, plan, times, report)
        values = latents[0].T.cpu().numpy()
        return Latents(values=np.ascontiguousarray(values), front_end_id=self._front_end_id, samples=samples)

    def encode(self, waveform: Waveform) -> Latents:
        """Encode a recording ``(2, T)`` at 44100 Hz, padded with silence to a whole number of latent frames."""
        converted = convert_rate(waveform, from_hz=SAMPLE_RATE_HZ, to_hz=self._rate_hz)
        frames = -(-round(waveform.shape[1] / SAMPLE_RATE_HZ * self._rate_hz) // self._latent_samples)
        padded = np.zeros((2, frames * self._latent_samples), dtype=np.float32)
        padded[:, : converted.shape[1]] = converted[:, : padded.shape[1]]
        with torch.inference_mode():
            latents = self._pipeline.vae.encode(torch.from_numpy(padded)[None].to(self._device)).latent_dist.mode()[0]
        return Latents(values=latents.cpu().numpy(), front_end_id=self._front_end_id, samples=waveform.shape[1])

    def vocode(self, latents: Latents, plan: Plan, report: StepReport) -> Waveform:  # noqa: ARG002  the protocol's
        """Decode latents to ``(2, samples)`` at 44100 Hz with a peak of -1 dBFS. Deterministic in its arguments."""
        if latents.front_end_id != self._front_end_id:
            problem = f"latents must be of the front end {self._front_end_id}, got {latents.front_end_id}"
            raise ModelUnusable(self._info.name, problem, "render the take again with this pipeline")
        report(0, 1)
        with torch.inference_mode():
            audio = self._pipeline.vae.decode(torch.from_numpy(latents.values)[None].to(self._device)).sample[0]
            audio = audio * (_MAX_PEAK / audio.abs().amax().clamp(min=_MIN_PEAK))
        converted = convert_rate(audio.cpu().numpy(), from_hz=self._rate_hz, to_hz=SAMPLE_RATE_HZ)
        report(1, 1)
        return np.ascontiguousarray(converted[:, : latents.samples])

    def embed_persona(self, clips: Sequence[Waveform]) -> NDArray[np.float32]:
        """Pool reference clips into one vector of length 1, ``(embedding_size,)``."""
        with torch.inference_mode():
            return embed_clips(self._pipeline, clips)

    def _check_init_latents(self, latents: Latents, samples: int) -> None:
        expected, got = (self._front_end_id, samples), (latents.front_end_id, latents.samples)
        if expected != got:
            raise FailedPrecondition(
                f"init latents of {self._info.name} must cover {samples} samples of the front end {expected[0]}, got "
                f"{got[1]} of {got[0]}; ask with from_noise, or load the pipeline that made them",
                reason="MODEL_UNUSABLE",
                metadata={"model": self._info.name, "front_end": got[0]},
            )

    def _flow(self, noise: Tensor, tokens: Tensor, plan: Plan, times: list[float], report: StepReport) -> Tensor:
        """Euler steps over ``times`` from noise ``(1, L, D)`` at time 1 to latents at time 0, as in diffusers' pipeline."""
        from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer, normalized_guidance

        guided = plan.guidance > 1.0
        if guided and self._pipeline.is_turbo:
            problem = f"guidance must be 1, because it is distilled into the weights, got {plan.guidance:g}"
            raise ModelUnusable(self._info.name, problem, "plan the take with this pipeline's default guidance")
        source, _ = self._pipeline.prepare_src_latents(
            device=self._device, dtype=noise.dtype, latent_length=noise.shape[1]
        )
        context = torch.cat([source, torch.ones_like(source)], dim=-1)
        if guided:
            null_tokens = self._pipeline.condition_encoder.null_condition_emb.expand_as(tokens)
            tokens, context = torch.cat([tokens, null_tokens]), context.repeat(2, 1, 1)
        momentum = MomentumBuffer(momentum=_MOMENTUM)
        steps = len(times) - 1
        latents = noise
        for step in range(steps):
            report(step, steps)
            time = torch.full((len(tokens),), times[step], device=self._device)
            (velocity,) = self._pipeline.transformer(
                hidden_states=latents.expand(len(tokens), -1, -1),
                timestep=time,
                timestep_r=time,
                encoder_hidden_states=tokens,
                context_latents=context,
                return_dict=False,
            )
            if guided:
                velocity = normalized_guidance(
                    pred_cond=velocity[:1],
                    pred_uncond=velocity[1:],
                    guidance_scale=plan.guidance - 1.0,
                    momentum_buffer=momentum,
                    eta=0.0,
                    norm_threshold=_NORM_LIMIT,
                    use_original_formulation=True,
                    norm_dim=(1,),
                )
            latents = latents + (times[step + 1] - times[step]) * velocity
        report(steps, steps)
        return latents

    def _describe(self, loaded: LoadedPipeline) -> RendererInfo:
        turbo = loaded.pipeline.is_turbo
        cuda = self._device.type == "cuda"
        same_rate = self._rate_hz == SAMPLE_RATE_HZ
        conversion = () if same_rate else (conversion_text(from_hz=self._rate_hz, to_hz=SAMPLE_RATE_HZ),)
        return RendererInfo(
            name=loaded.name,
            licence=loaded.licence,
            models=loaded.models,
            min_seconds=MIN_SECONDS,
            max_seconds=MAX_SECONDS,
            default_steps=_TURBO_STEPS if turbo else _BASE_STEPS,
            default_guidance=_TURBO_GUIDANCE if turbo else _BASE_GUIDANCE,
            embedding_size=int(loaded.pipeline.condition_encoder.config.hidden_size),
            supports_lyrics=False,
            supports_init_latents=True,
            tempo_limits=TempoLimits(metres=METRES),
            processing=("peak to -1 dBFS by one gain, as ACE-Step's own pipeline does", *conversion),
            fingerprint={
                "device": torch.cuda.get_device_name(self._device)
                if cuda
                else platform.processor() or platform.machine(),
                "torch": torch.__version__,
                "diffusers": importlib.metadata.version("diffusers"),
                "cpu_capability": torch.backends.cpu.get_cpu_capability(),
                "precision": "float32",
                "threads": str(torch.get_num_threads()),
                "shift": f"{_SHIFT:g}",
                "front_end": self._front_end_id,
            },
        )


def _times(steps: int, strength: float) -> list[float]:
    """``strength``, then those of ``steps + 1`` shifted times from 1 to 0 that are below it."""
    even = torch.linspace(1.0, 0.0, steps + 1)
    shifted = [float(time) for time in _SHIFT * even / (1.0 + (_SHIFT - 1.0) * even)]
    return [strength, *(time for time in shifted if time < strength - 1e-6)]
