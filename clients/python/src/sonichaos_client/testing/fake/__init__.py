"""Both services in memory: the same contract without weights, with skipped time and scripted faults (docs/fake.md)."""

from sonichaos_client.testing.fake.handle import ANY_PORT, FakeSonichaos, start_fake
from sonichaos_client.testing.fake.script import Script, ScriptError, make_fault, parse_script, read_script
from sonichaos_client.testing.fake.services import FakeAddresses, FakeOptions, FakeServices

__all__ = [
    "ANY_PORT",
    "FakeAddresses",
    "FakeOptions",
    "FakeServices",
    "FakeSonichaos",
    "Script",
    "ScriptError",
    "make_fault",
    "parse_script",
    "read_script",
    "start_fake",
]
