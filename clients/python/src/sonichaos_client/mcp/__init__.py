"""The services as tools of the Model Context Protocol: ``sonichaos mcp``. Requires ``sonichaos-client[mcp]``."""
