"""How the journal's latencies grow with its history: the same calls on a small and on a big journal.

    python -m benchmarks.journal [--jobs 1000 1000000] [--events 30] [--calls 200] [--server postgresql://host/postgres]

A journal is filled with finished takes of ``--events`` events and two audit rows each, by SQL that copies a real take; a
thousandth of them failed. Then each call is timed ``--calls`` times, the journals in turn: the table has median and least, since
the least says more on a loaded machine, and the CPU time of this process. With ``--server`` the journals are databases on that
PostgreSQL server, else SQLite files. With ``--keep`` they stay and are used again by the next run.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import Connection, create_engine, make_url, text

from servicekit.clock import SystemClock, to_micros
from servicekit.delivery.names import StemMode
from servicekit.ids import new_job_id
from servicekit.journal import (
    AuditDraft,
    Checkpoint,
    EventDraft,
    EventKind,
    JobFilter,
    JobState,
    Journal,
    NewJob,
    OwningService,
    ProgressTrack,
    Request,
    Stage,
    schema,
)

_RENDER = OwningService.RENDER
_TENANT = "local"
_DATABASE = "journal_benchmark"
_CHUNK = 20_000
_COPIED = (schema.jobs, schema.versions, schema.events, schema.audit_rows)
# For the filling only, which starts anew after a crash.
_QUICK_WRITES = {
    "sqlite": ("PRAGMA cache_size=-500000", "PRAGMA synchronous=OFF"),
    "postgresql": ("SET synchronous_commit = off", "SET maintenance_work_mem = '256MB'"),
}


def take(journal: Journal, events: int) -> str:
    """A finished take with ``events`` events and two audit rows; returns its job id."""
    job_id = journal.accept(_new(), limit=10_000).job.job_id
    claim = journal.claim(_RENDER, lease_s=60)
    assert claim is not None
    step = EventDraft(kind=EventKind.PROGRESS, track=ProgressTrack.RENDER, stage=Stage.DENOISE, attempt=1)
    journal.append_events(claim, [step] * max(events - 3, 1))
    for kind in ("BOUNCE", "STEMS"):
        audit = AuditDraft(kind=kind, body={"seed": 7}, prompt="warm tape piano")
        journal.checkpoint(claim, Checkpoint(files={kind.lower(): {"key": f"jobs/{job_id}/{kind}"}}, audit=audit))
    journal.finish(claim)
    return job_id


def _new() -> NewJob:
    return NewJob(
        owner=_RENDER,
        request=Request(tenant=_TENANT, rpc="CreateRender", request_id=None, digest=""),
        brief={"prompt": "warm tape piano", "seed": 7, "seconds": 8.0},
        plan={"text": {"prompt": "warm tape piano"}, "chords": ["Am", "F", "C", "G"] * 8},
        stems_wanted=True,
        stem_mode=StemMode.EXACT,
        labels={"scene": "intro"},
        audio_seconds=8.0,
    )


def fill(connection: Connection, model_id: str, jobs: int) -> list[str]:
    """Copy the take ``model_id`` ``jobs`` times, each a second after the one before; returns the new job ids."""
    for setting in _QUICK_WRITES[connection.dialect.name]:
        connection.exec_driver_sql(setting)
    connection.commit()
    clock = SystemClock()
    start_us = to_micros(clock.now()) - jobs * 1_000_000
    ids = [new_job_id(clock.now()) for _ in range(jobs)]
    connection.execute(text("CREATE TEMPORARY TABLE copies (n BIGINT PRIMARY KEY, job_id TEXT, at_us BIGINT)"))
    copies = [{"n": n, "job_id": job_id, "at_us": start_us + n * 1_000_000} for n, job_id in enumerate(ids)]
    connection.execute(text("INSERT INTO copies VALUES (:n, :job_id, :at_us)"), copies)
    # Built at the end, in one pass each: a row at a time, the pages of large indexes are read and written again and again.
    indexes = [index for table in _COPIED for index in table.indexes]
    for index in indexes:
        index.drop(connection)
    first, last = _bounds(connection, "events", "position", model_id)
    row, last_row = _bounds(connection, "audit_rows", "sequence", model_id)
    placed = f"{last + 1 - first} + copies.n * {last + 1 - first} + model."
    changed = {
        "job_id": "copies.job_id",
        "position": f"{placed}position",
        "render_position": f"{placed}render_position",
        "sequence of audit_rows": f"{last_row + 1 - row} + copies.n * {last_row + 1 - row} + model.sequence",
        "state of versions": "CASE WHEN copies.n % 1000 = 0 THEN 'FAILED' ELSE 'DONE' END",
        **dict.fromkeys(("create_us", "queued_us", "start_us", "end_us", "time_us"), "copies.at_us"),
    }
    for start in range(0, jobs, _CHUNK):
        for table in _COPIED:
            names = [column.name for column in table.columns]
            values = [changed.get(f"{name} of {table.name}", changed.get(name, f"model.{name}")) for name in names]
            of_chunk = "model.job_id = :id AND n >= :start AND n < :end"
            copied = f"SELECT {', '.join(values)} FROM copies, {table.name} AS model WHERE {of_chunk} ORDER BY n"  # noqa: S608
            bounds = {"id": model_id, "start": start, "end": start + _CHUNK}
            connection.execute(text(f"INSERT INTO {table.name} ({', '.join(names)}) {copied}"), bounds)
        connection.commit()
    for index in indexes:
        index.create(connection)
    connection.commit()
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT setval('events_position_seq', (SELECT max(position) FROM events))"))
        connection.execute(text("ANALYZE"))
        connection.commit()
    return ids


def known_ids(connection: Connection, jobs: int) -> list[str]:
    """The ids of an earlier run's jobs; none where it did not fill the journal."""
    if connection.execute(text("SELECT count(*) FROM jobs")).scalar_one() < jobs:
        return []
    return list(
        connection.execute(text("SELECT job_id FROM jobs ORDER BY job_id LIMIT :jobs"), {"jobs": jobs}).scalars()
    )


def _bounds(connection: Connection, table: str, column: str, job_id: str) -> tuple[int, int]:
    query = f"SELECT min({column}), max({column}) FROM {table} WHERE job_id = :job_id"  # noqa: S608  names of this file
    first, last = connection.execute(text(query), {"job_id": job_id}).one()
    return first, last


def calls(journal: Journal, ids: list[str]) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    some = itertools.cycle(ids[:: max(len(ids) // 97, 1)])
    owned = JobFilter(owner=_RENDER)
    failed = JobFilter(owner=_RENDER, states=frozenset({JobState.FAILED}))
    unknown = JobFilter(owner=_RENDER, labels={"scene": "none"})
    head = journal.feed_head()

    def work() -> None:
        claim = journal.claim(_RENDER, lease_s=60)
        assert claim is not None
        journal.finish(claim)

    def accept() -> None:
        journal.accept(_new(), limit=10_000)

    return {
        "GetJob": lambda: journal.job(_TENANT, next(some)),
        "ListJobs, 50 newest": lambda: journal.jobs(_TENANT, owned),
        "ListJobs, 5 newest that failed": lambda: journal.jobs(_TENANT, failed, page_size=5),
        "ListJobs, a label that no job has": lambda: journal.jobs(_TENANT, unknown),
        "watch: events of a job": lambda: journal.events_after(next(some), 0, 100),
        "watch: feed": lambda: journal.feed_after(_RENDER, None, head - 50, 100),
        "claim, nothing queued": lambda: journal.claim(_RENDER, lease_s=60),
        "CreateRender": accept,
        "claim and finish": work,
    }


def measure(journals: list[tuple[Journal, list[str]]], times: int) -> list[dict[str, tuple[float, float, float]]]:
    """Median and least time of each call, and its median CPU time, in milliseconds, for each journal.

    The journals take turns, so that the machine's load is the same.
    """
    spent: list[dict[str, list[tuple[float, float]]]] = [defaultdict(list) for _ in journals]
    timed = [calls(journal, ids) for journal, ids in journals]
    for _ in range(times):
        for name in timed[0]:
            for functions, found in zip(timed, spent, strict=True):
                started_s, started_cpu_s = time.perf_counter(), time.thread_time()
                functions[name]()
                taken_s, cpu_s = time.perf_counter() - started_s, time.thread_time() - started_cpu_s
                found[name].append((taken_s * 1e3, cpu_s * 1e3))
    return [{name: _summary(values) for name, values in found.items()} for found in spent]


def _summary(values: list[tuple[float, float]]) -> tuple[float, float, float]:
    taken = [value for value, _ in values]
    return statistics.median(taken), min(taken), statistics.median(cpu for _, cpu in values)


@contextmanager
def database(server: str | None, folder: Path, name: str, *, keep: bool) -> Iterator[str]:
    """The URL of a database, new and dropped at the end unless it is to be kept."""
    if server is None:
        yield f"sqlite:///{folder / name}.sqlite3"
        return
    admin_url = make_url(server.replace("postgresql:", "postgresql+psycopg:"))
    admin = create_engine(admin_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        if not keep:
            connection.execute(text(f"DROP DATABASE IF EXISTS {_DATABASE}_{name}"))
        known = connection.execute(text("SELECT datname FROM pg_database")).scalars().all()
        if f"{_DATABASE}_{name}" not in known:
            connection.execute(text(f"CREATE DATABASE {_DATABASE}_{name}"))
        yield make_url(server).set(database=f"{_DATABASE}_{name}").render_as_string(hide_password=False)
        if not keep:
            connection.execute(text(f"DROP DATABASE {_DATABASE}_{name} WITH (FORCE)"))
    admin.dispose()


def main() -> None:
    """Fill the journals, time the calls, print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--jobs", type=int, nargs="+", default=[1000, 1_000_000])
    parser.add_argument("--events", type=int, default=30, help="events of each job")
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument(
        "--server", help="URL of a PostgreSQL server's database 'postgres'; without it SQLite is measured"
    )
    parser.add_argument(
        "--keep", type=Path, help="a folder for SQLite's files, which stay there; a temporary one by default"
    )
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        journals = []
        for jobs in options.jobs:
            url = stack.enter_context(database(options.server, folder, str(jobs), keep=options.keep is not None))
            journal = stack.enter_context(Journal.open(url, clock=SystemClock()))
            engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
            started_s = time.perf_counter()
            with engine.connect() as connection:
                ids = known_ids(connection, jobs) or fill(connection, take(journal, options.events), jobs)
            journals.append((journal, ids))
            engine.dispose()
            print(f"{jobs} jobs, {jobs * options.events} events ready in {time.perf_counter() - started_s:.0f} s")
        found = measure(journals, options.calls)
    print("| ms: median (least, CPU) |", " | ".join(f"{jobs} jobs" for jobs in options.jobs), "| ratio |")
    print("| --- |", " --- |" * (len(options.jobs) + 1))
    for name in found[0]:
        values = [result[name] for result in found]
        shown = " | ".join(f"{median:.2f} ({least:.2f}, {cpu:.2f})" for median, least, cpu in values)
        ratios = [big / small for big, small in zip(values[-1], values[0], strict=True)]
        print(f"| {name} | {shown} | {' '.join(f'{ratio:.1f}' for ratio in ratios)} |")


if __name__ == "__main__":
    main()
