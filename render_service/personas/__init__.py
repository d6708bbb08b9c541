"""Personas: reference clips, one pooled embedding, a prompt prefix."""
