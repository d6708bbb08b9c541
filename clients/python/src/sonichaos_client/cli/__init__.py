"""The ``sonichaos`` command."""

from sonichaos_client.cli.root import cli


def main() -> None:
    """Run the command and exit with its status."""
    cli(prog_name="sonichaos")


__all__ = ["cli", "main"]
