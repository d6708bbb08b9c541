"""Encode the words and scenes of the style reader and store the vectors: ``.venv/bin/python scripts/style_anchors.py``."""

from __future__ import annotations

from render_service.composer.style_anchors import write_vectors
from render_service.composer.style_reader import StyleReader
from render_service.renderers.latent_diffusion.checkpoint import sha256_of
from render_service.renderers.latent_diffusion.text_encoder import TextEncoder, packaged_folder


def main() -> None:
    """Write the file."""
    encoder = TextEncoder(packaged_folder())
    texts = StyleReader(encoder.sentences).anchor_texts
    write_vectors(sha256_of(encoder.weights_path), texts, encoder.sentences(texts))


if __name__ == "__main__":
    main()
