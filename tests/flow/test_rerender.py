"""One stem again: the next version beside the original, three stems and all the rest as they were."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos_client import RerenderStemRequest
from sonichaos_client.verify import verify_zip
from tests.flow.pair import LivePair
from tests.flow.takes import STEMS, Story, brief, check_numbers, pcm_of, take, told, unpacked


def test_a_vocal_again(live_pair: LivePair, tmp_path: Path) -> None:
    client = live_pair.client
    first = take(client, brief(live_pair.persona, stems=True, key="A minor"))
    response = client.rerender_stem(
        RerenderStemRequest(
            job_id=first.job.job_id, stem=brief_pb2.STEM_VOCALS, persona_id=live_pair.other_persona, accept_drift=True
        )
    )
    story = told(client, response.job)
    check_numbers(story.events)
    for e in story.events[-3:]:
        print(e)
    v = story.job.versions[1]
    print(v)
    path = client.download(first.job.job_id, tmp_path).path
    print(path, verify_zip(path).findings)
    print(json.loads(unpacked(path)["manifest.json"])["rerender"])
    print(client.replay(first.job.job_id, version=2))
    assert 0
