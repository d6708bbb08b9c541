"""The house renderer: words, persona and grid to latents, latents to mid/side log-mel, log-mel to sound.

Read in this order: front_end, controls, text_encoder, persona_encoder, autoencoder, denoiser, flow, vocoder,
phase, checkpoint, stack.
"""
