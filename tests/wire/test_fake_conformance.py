"""The fake keeps the contract: the conformance suite that the real pair passes."""

from __future__ import annotations

from sonichaos_client.addresses import Addresses
from sonichaos_client.connection import Connections
from sonichaos_client.credentials import Credentials
from sonichaos_client.testing.conformance import Result, Runner, Wire, load_suite
from sonichaos_client.testing.fake import ANY_PORT, FakeOptions, parse_script, start_fake

FAST = parse_script({"render_seconds": 0.2, "stems_seconds": 0.2})


def test_every_case_of_the_suite_passes() -> None:
    """The fake answers as each case says. It takes 15 s, because cases wait for heartbeats and expiries in real time."""
    suite = load_suite()
    options = FakeOptions(render_listen=ANY_PORT, separation_listen=ANY_PORT, url_listen=ANY_PORT, script=FAST)
    with start_fake(options) as fake:
        wire = Wire(Connections(Addresses(fake.render_address, fake.separation_address), Credentials()))
        try:
            results = list(Runner(wire, suite, patience=4.0, destructive=True).run(suite.cases))
        finally:
            wire.close()
    assert [result for result in results if result.result is Result.FAILED] == []
    passed = [result for result in results if result.result is Result.PASSED]
    assert len(passed) >= 0.9 * len(suite.cases)
    told_to_fail = {case.id for case in suite.cases if "control" in case.needs or case.destructive}
    assert told_to_fail <= {result.case.id for result in passed}
