"""What tests of an integration use: fake services (`sonichaos_client.testing.fake`). Needs ``sonichaos-client[testing]``."""
