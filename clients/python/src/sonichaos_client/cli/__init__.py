"""The ``sonichaos`` command."""

from sonichaos_client.cli.root import cli


def main() -> None:
    """Run the command; the process ends with its exit status."""
    cli(prog_name="sonichaos")


__all__ = ["cli", "main"]
