"""``python -m sonichaos_client`` is the ``sonichaos`` command."""

from sonichaos_client.cli import main

main()
