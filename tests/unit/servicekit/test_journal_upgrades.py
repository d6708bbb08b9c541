"""Journals that earlier releases wrote."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

from google.protobuf import json_format

from servicekit.clock import SystemClock
from sonichaos.jobs.v1 import brief_pb2
from tests.support.journal_rows import new_job, open_journal


def test_a_tempo_map_of_schema_1_reads_as_the_message_of_today(tmp_path: Path) -> None:
    """The renamed fields keep their values, fields that were left out stay so, and a second opening changes nothing."""
    plain = new_job()
    plain = replace(plain, brief={**plain.brief, "labels": {"tempoMap": "none"}})
    points = [{"bpm": 92.0, "beatsPerBar": 4}, {"second": 4.5, "bpm": 120.0}]
    old = {**plain.brief, "tempoMap": {"points": points, "firstDownbeatSecond": 0.25, "swingRatio": 0.6}}
    with open_journal(tmp_path, SystemClock()) as journal:
        job_id = journal.accept(replace(plain, brief=old), limit=9).job.job_id
        other_id = journal.accept(plain, limit=9).job.job_id
    with sqlite3.connect(tmp_path / "journal.sqlite3") as raw:
        raw.execute("ALTER TABLE versions RENAME COLUMN checkpointed_stage TO kept_stage")
        raw.execute("UPDATE meta SET value = '1' WHERE name = 'schema_version'")
    for _ in range(2):
        with open_journal(tmp_path, SystemClock()) as journal:
            brief = dict(journal.job("local", job_id).versions[0].brief)
            assert journal.job("local", other_id).versions[0].brief == plain.brief
        tempo_map = json_format.ParseDict(brief, brief_pb2.ResolvedBrief()).tempo_map
        assert [(point.start_seconds, point.bpm) for point in tempo_map.points] == [(0.0, 92.0), (4.5, 120.0)]
        assert (tempo_map.points[0].beats_per_bar, tempo_map.first_downbeat_seconds) == (4, 0.25)
