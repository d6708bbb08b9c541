"""What tests of an integration use: fake services and the conformance suite.

`sonichaos_client.testing.fake` and `sonichaos_client.testing.conformance` need ``sonichaos-client[testing]``.
"""
