"""Cases of the kill matrix as data, the installations they run on, and what has to be true after each."""

from __future__ import annotations

import hashlib
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text

from jobs_service.journal_json import VersionFiles
from servicekit.clock import SystemClock
from servicekit.delivery.files import StoredFile
from servicekit.journal import Journal, named_keys
from servicekit.store.object_store import ObjectStore
from sonichaos.jobs.v1 import job_pb2
from sonichaos_client import Client, Job, JobHandle, Stem
from sonichaos_client.verify import verify_zip
from tests.support.databases import raw_engine
from tests.support.lost_commits import LostCommits
from tests.support.pair import RENDER, SEPARATION, Pair, eventually, loan_maps, open_files
from tests.support.stage_gate import (
    BOUNCE_COMMITTED,
    BOUNCE_STORED,
    MIDDLE,
    STEMS_COMMITTED,
    STEMS_STORED,
    ZIP_STORED,
    StageGate,
)
from tests.support.takes import STEMS, brief, check_numbers, collect_events, pcm_of, unpacked

LEASE_S = 3.0
SILENT_S = 2 * LEASE_S
KILL, PAUSE, CUT = "kill", "pause", "cut"
_MAX_BYTES = 1 << 26
_POOLED = {SEPARATION: 2, RENDER: 3}
"""Mappings and descriptors of a region that both services keep for the next job of its length."""
_RENDERING = ("PLAN", "DENOISE", "VOCODE", "BOUNCE")
_SEPARATING = ("RECEIVE", "SEPARATE", "PACKAGE", "STORE", ZIP_STORED)
_END = (STEMS_STORED, STEMS_COMMITTED)
LONG_TAKE = "long-take"
_LONG_S = 10.0
"""Seconds of a take whose waveform is made in two blocks."""


def _points(service: str, *points: str) -> list[tuple[str, str]]:
    return [(service, point) for point in points]


_STEMS = [*_points(RENDER, "HANDOFF"), *_points(SEPARATION, *_SEPARATING), *_points(RENDER, *_END)]
POINTS: Mapping[str, list[tuple[str, str]]] = {
    "take": [
        *_points(RENDER, *_RENDERING, "DENOISE" + MIDDLE, BOUNCE_STORED, BOUNCE_COMMITTED),
        *_STEMS,
        *_points(SEPARATION, "SEPARATE" + MIDDLE),
    ],
    "upload": _points(
        SEPARATION, "RECEIVE", BOUNCE_STORED, BOUNCE_COMMITTED, *_SEPARATING[1:], "SEPARATE" + MIDDLE, *_END
    ),
    "re-render": [
        *_points(RENDER, *_RENDERING, "DENOISE" + MIDDLE, "HANDOFF"),
        *_points(SEPARATION, "RECEIVE", "SEPARATE", "SEPARATE" + MIDDLE, "ALIGN", "PACKAGE", "STORE", ZIP_STORED),
        *_points(RENDER, *_END),
    ],
    "stems-later": _STEMS,
    LONG_TAKE: _points(RENDER, "VOCODE" + MIDDLE),
}
"""For each kind of job the points that it passes, each with the service that works there."""


@dataclass(frozen=True)
class Case:
    """While work of ``kind`` is held at a point of a service, ``victim`` is killed, paused, or cut off from the database."""

    kind: str
    service: str
    point: str
    fault: str
    victim: str

    def __str__(self) -> str:
        return f"{self.kind}-{self.point}-{self.fault}-{self.victim}"

    @property
    def owner(self) -> str:
        """The service that holds the claim."""
        return SEPARATION if self.kind == "upload" else RENDER


def cases(*faults: str) -> list[Case]:
    """Every kind, point and service; those whose victim works at the point first, long takes last.

    Who is cut off is the owner of the job: only it writes to the journal. In the middle of a stage only who works there is a
    victim.
    """
    found = [
        case
        for fault in faults
        for kind, points in POINTS.items()
        for service, point in points
        for victim in (RENDER, SEPARATION)
        if (case := Case(kind, service, point, fault, victim)).owner == victim or fault != CUT
        if case.victim == case.service or not point.endswith(MIDDLE)
    ]
    return sorted(found, key=lambda case: (case.kind == LONG_TAKE, case.victim != case.service))


@dataclass
class Installation:
    """Pairs that share a journal and a store. With several, each reaches its database through a proxy of its own."""

    pairs: list[Pair]
    gate: StageGate
    journal_url: str
    store: ObjectStore
    clip: Path
    proxies: list[LostCommits] = field(default_factory=list)
    base_id: str = ""
    samples: dict[str, dict[str, bytes]] = field(default_factory=dict)
    lengths: int = 1
    """Of takes that were handed over so far."""
    jobs: set[str] = field(default_factory=set)

    @property
    def client(self) -> Client:
        """A client of the first pair."""
        return self.pairs[0].client

    def run_undisturbed(self, folder: Path) -> None:
        """One job of each kind but the long take."""
        for kind in ("take", "stems-later", "upload", "re-render"):
            self.run_one(kind, folder)
        assert self.samples["stems-later"] == self.samples["take"]

    def run_one(self, kind: str, folder: Path) -> None:
        """One job of a kind, whose samples count."""
        job_id, version = start(self, kind, prepare(self, kind))
        self.client.wait(job_id, version=version)
        if kind == "take":
            self.base_id = job_id
        self.samples[kind] = check_files(self, job_id, version, folder)

    def pair_of(self, pid: int) -> Pair:
        """The pair of a process."""
        return next(pair for pair in self.pairs if pid in pair.pids.values())

    def restore(self) -> None:
        """Whatever a case left: open the gate, wake what is paused, start what is dead."""
        self.gate.open()
        for pair in self.pairs:
            for service in (SEPARATION, RENDER):
                if pair.is_alive(service):
                    pair.signal(service, signal.SIGCONT)
                else:
                    pair.start(service)


def prepare(installation: Installation, kind: str) -> str:
    """What a job of a kind needs first: the id of a take, or nothing."""
    if kind == "re-render":
        return installation.base_id
    if kind == "stems-later":
        return installation.client.wait(installation.client.create_render(brief())).job_id
    return ""


def start(installation: Installation, kind: str, prepared: str) -> tuple[str, int]:
    """An accepted job of a kind; its id and the version."""
    client = installation.client
    job: Job | JobHandle
    if kind == "take":
        job = client.create_render(brief(stems=True))
    elif kind == LONG_TAKE:
        job = client.create_render(brief(stems=True, seconds=_LONG_S))
    elif kind == "upload":
        job = client.separate_file(installation.clip)
    elif kind == "stems-later":
        job = client.add_stems(prepared)
    else:
        made = client.rerender_stem(prepared, Stem.OTHER, persona_id="hiss", base_version=1, seed=5, allow_drift=True)
        installation.jobs.add(prepared)
        return prepared, made.version
    installation.jobs.add(job.job_id)
    return job.job_id, 1


def run(installation: Installation, case: Case, folder: Path) -> None:
    """Run a case and check everything."""
    if case.kind == LONG_TAKE and LONG_TAKE not in installation.samples:
        installation.run_one(LONG_TAKE, folder)
        installation.lengths = 2
    prepared = prepare(installation, case.kind)
    installation.gate.close(case.service, case.point)
    job_id, version = start(installation, case.kind, prepared)
    pair = installation.pair_of(installation.gate.held())
    with faulty(installation, pair, case):
        installation.gate.open()
        if case.fault != KILL:
            _outlast_lease(installation, case, job_id, version)
    check_job(installation, case, job_id, version)
    assert check_files(installation, job_id, version, folder) == installation.samples[case.kind]
    check_nothing_left(installation, job_id, version)


@contextmanager
def faulty(installation: Installation, pair: Pair, case: Case) -> Iterator[None]:
    """During the block the victim is dead, paused or cut off; afterwards it works again."""
    with ExitStack() as stack:
        if case.fault == KILL:
            pair.kill(case.victim)
            stack.callback(pair.start, case.victim)
        elif case.fault == PAUSE:
            pair.signal(case.victim, signal.SIGSTOP)
            stack.callback(pair.signal, case.victim, signal.SIGCONT)
        else:
            stack.enter_context(installation.proxies[installation.pairs.index(pair)].cut())
        yield


def _outlast_lease(installation: Installation, case: Case, job_id: str, version: int) -> None:
    """Longer than the lease; and where another pair takes over from the owner, until it has done the work."""
    time.sleep(SILENT_S)
    takes_over = len(installation.pairs) > 1 and case.victim == case.owner
    with _journal(installation) if takes_over else nullcontext() as journal:
        if journal is not None:
            eventually(lambda: _state(journal, job_id, version) == "DONE", "the other pair has done it")


@contextmanager
def _journal(installation: Installation) -> Iterator[Journal]:
    with Journal.open(installation.journal_url, clock=SystemClock()) as journal:
        yield journal


def _state(journal: Journal, job_id: str, version: int) -> str:
    return str(journal.job("local", job_id).versions[version - 1].state)


def check_job(installation: Installation, case: Case, job_id: str, version: int) -> None:
    """DONE, events numbered without a gap, each result announced and recorded once, no crash counted for a pause."""
    client = installation.client
    story = collect_events(client, client.get_job(job_id))
    check_numbers(story.events)
    mine = [event for event in story.events if event.version == version]
    found = story.job.versions[version - 1]
    assert found.state == job_pb2.JOB_STATE_DONE, found
    assert mine[-1].state == job_pb2.JOB_STATE_DONE
    kinds = Counter(event.kind for event in mine)
    assert kinds[job_pb2.EVENT_KIND_BOUNCE_READY] == 1
    assert kinds[job_pb2.EVENT_KIND_STEMS_READY] == 1
    rows = [row.kind for row in client.list_audit_rows(job_id) if row.version == version]
    assert len(set(rows)) == len(rows) == (1 if case.kind == "re-render" else 2), rows
    if case.fault != KILL:
        eventually(lambda: crashes(installation, job_id, version) == 0, "the pause does not count as a crash")


def crashes(installation: Installation, job_id: str, version: int) -> int:
    """How many crashes the journal has counted for a version."""
    engine = raw_engine(installation.journal_url)
    query = text("SELECT crashes FROM versions WHERE job_id = :job AND number = :number")
    with engine.connect() as connection:
        found = int(connection.execute(query, {"job": job_id, "number": version}).scalar_one())
    engine.dispose()
    return found


def check_files(installation: Installation, job_id: str, version: int, folder: Path) -> dict[str, bytes]:
    """Every file that the row names has its digest, and its ZIP keeps the contract; the samples in it."""
    with _journal(installation) as journal:
        files = VersionFiles.read(journal.job("local", job_id).versions[version - 1].files)
    check_digests(installation.store, files)
    assert files.zip is not None
    path = folder / f"{job_id}-{version}.zip"
    path.write_bytes(installation.store.read(files.zip.key, max_bytes=_MAX_BYTES))
    assert verify_zip(path).failures == ()
    unzipped = unpacked(path)
    path.unlink()
    return {name: pcm_of(unzipped[f"{name}.wav"]).tobytes() for name in (*STEMS, "bounce")}


def check_digests(store: ObjectStore, files: VersionFiles) -> None:
    """Every file is stored with the bytes that the row names."""
    for file in vars(files).values():
        if isinstance(file, StoredFile):
            assert hashlib.sha256(store.read(file.key, max_bytes=_MAX_BYTES)).hexdigest() == file.sha256, file


def check_nothing_left(installation: Installation, job_id: str, version: int) -> None:
    """No file that no row names, no lent memory, no spool, no pending upload, no part of a file."""
    with _journal(installation) as journal:
        eventually(
            lambda: not leftovers(installation, journal, job_id, version),
            lambda: f"nothing is left: {leftovers(installation, journal, job_id, version)}",
        )


def unnamed_files(installation: Installation, journal: Journal, job_id: str) -> list[str]:
    """Files of a job that none of its versions names."""
    versions = journal.job("local", job_id).versions
    named = frozenset[str]().union(*(named_keys(version.files) for version in versions))
    return [key for key in installation.store.keys(f"jobs/{job_id}") if key not in named]


def leftovers(installation: Installation, journal: Journal, job_id: str, version: int) -> list[str]:
    """What should not be there after a case; files of other versions belong to other cases."""
    own = (f"/v{version}.", f"/v{version}-", "/bounce.wav")
    found = [key for key in unnamed_files(installation, journal, job_id) if any(name in key for name in own)]
    for pair in installation.pairs:
        for folder in ("spool", "pending-uploads", "store/.partial"):
            found += [str(path) for path in (pair.data / folder).glob("*")]
        sockets = {path.name for path in (pair.data / "run").iterdir() if path.is_socket()}
        found += [f"sockets {sockets}"] if sockets - {"handoff.sock", "render.sock", "separation.sock"} else []
        for service in (SEPARATION, RENDER):
            regions = [*loan_maps(pair.pids[service])]
            regions += [name for name in open_files(pair.pids[service]) if "memfd:sonichaos" in name]
            found += [f"{service} has {regions}"] if len(regions) > _POOLED[service] * installation.lengths else []
    return found


def check_everything(installation: Installation) -> None:
    """At the end: every file of every job has its digest, no file is left over, and the audit chain is intact."""
    with _journal(installation) as journal:
        for job_id in installation.jobs:
            for version in journal.job("local", job_id).versions:
                check_digests(installation.store, VersionFiles.read(version.files))
            assert unnamed_files(installation, journal, job_id) == []
    stored = {key.split("/")[1] for key in installation.store.keys("jobs")}
    assert stored <= {job.job_id for job in installation.client.list_jobs()}
    assert installation.client.verify_audit_chain().intact
