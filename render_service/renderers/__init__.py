"""The Renderer protocol and its implementations."""
