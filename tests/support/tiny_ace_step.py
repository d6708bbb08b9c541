"""The smallest true ACE-Step 1.5 pipeline: every part there, its weights drawn at random."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AceStepPipeline, AutoencoderOobleck, FlowMatchEulerDiscreteScheduler
from diffusers.models.transformers.ace_step_transformer import AceStepTransformer1DModel
from diffusers.pipelines.ace_step.modeling_ace_step import AceStepConditionEncoder
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

LATENT_CHANNELS = 4
WIDTH = 32
RATE_HZ = 48000
LATENT_SAMPLES = 1920
_ATTENTION = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 16}


def tiny_ace_step(folder: Path, *, turbo: bool = True) -> Path:
    """Save one in ``folder``, in diffusers' own form."""
    torch.manual_seed(0)
    pipeline = AceStepPipeline(
        vae=AutoencoderOobleck(
            encoder_hidden_size=2 * LATENT_CHANNELS,  # mean and deviation of the latents
            downsampling_ratios=[4, 4, 10, 12],
            channel_multiples=[1, 1, 1, 1],
            decoder_channels=4,
            decoder_input_channels=LATENT_CHANNELS,
            sampling_rate=RATE_HZ,
        ),
        text_encoder=Qwen3Model(
            Qwen3Config(
                vocab_size=128,
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=1,
                num_attention_heads=2,
                num_key_value_heads=1,
                head_dim=8,
            )
        ),
        tokenizer=_tokenizer(),
        transformer=AceStepTransformer1DModel(
            hidden_size=WIDTH,
            intermediate_size=64,
            num_hidden_layers=2,
            in_channels=3 * LATENT_CHANNELS,
            audio_acoustic_hidden_dim=LATENT_CHANNELS,
            is_turbo=turbo,
            **_ATTENTION,
        ),
        condition_encoder=_condition_encoder(),
        scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0),
    )
    pipeline.save_pretrained(str(folder), safe_serialization=True)
    (folder / "README.md").write_text("---\nlicense: mit\n---\nDrawn at random.\n", encoding="utf-8")
    return folder


def _condition_encoder() -> AceStepConditionEncoder:
    encoder = AceStepConditionEncoder(
        hidden_size=WIDTH,
        intermediate_size=64,
        text_hidden_dim=16,
        timbre_hidden_dim=LATENT_CHANNELS,
        num_lyric_encoder_hidden_layers=1,
        num_timbre_encoder_hidden_layers=1,
        **_ATTENTION,
    )
    encoder.silence_latent.normal_(std=0.5)
    return encoder


def _tokenizer() -> PreTrainedTokenizerFast:
    """One token a printable ASCII character."""
    vocabulary = {chr(code): code for code in range(32, 127)} | {"\n": 10, "<|endoftext|>": 1, "<unk>": 0}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("[\\s\\S]"), behavior="isolated")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<|endoftext|>", unk_token="<unk>")
