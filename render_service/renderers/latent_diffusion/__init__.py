"""This project's own renderer: text, persona and grid to latents, latents to mid/side log-mel, log-mel to audio.

Read in this order: front_end, controls, text_encoder, persona_encoder, autoencoder, denoiser, flow, vocoder,
phase, checkpoint, stack.
"""
