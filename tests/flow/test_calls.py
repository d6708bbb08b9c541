"""Calls of one class never wait for those of another."""

from __future__ import annotations

import threading

from sonichaos_client.errors import ResourceExhaustedError, SonichaosError
from tests.flow.conftest import FreshPair
from tests.support.pair import eventually, turn_held
from tests.support.takes import brief


def test_jobs_can_be_read_while_replays_wait_for_the_device(module_pair: FreshPair) -> None:
    """12 replays, of which none can begin: five wait, the others are refused with a retry time, and GetJob answers."""
    pair = module_pair()
    job = pair.client.wait(pair.client.create_render(brief("tone")))
    refused: list[SonichaosError] = []

    def replay() -> None:
        try:
            pair.client.replay(job.job_id)
        except SonichaosError as error:
            refused.append(error)

    replays = [threading.Thread(target=replay) for _ in range(12)]
    with turn_held(pair.data):
        for call in replays:
            call.start()
        eventually(lambda: len(refused) == 7, "seven replays are refused")
        # With one pool for all calls this one would wait for the device, which the test holds.
        assert pair.client.get_job(job.job_id).job_id == job.job_id
        assert [found.job_id for found in pair.client.list_jobs()] == [job.job_id]
        assert not pair.client.cancel(job.job_id).versions[0].HasField("error")
    for call in replays:
        call.join()
    assert len(refused) == 7
    assert all(isinstance(error, ResourceExhaustedError) and error.retry_after_s for error in refused)
