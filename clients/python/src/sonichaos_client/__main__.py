"""``python -m sonichaos_client`` runs the ``sonichaos`` command."""

from sonichaos_client.cli import main

main()
