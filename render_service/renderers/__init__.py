"""The Renderer protocol and the renderers that implement it: latent_diffusion (this project's own) and ace_step."""
