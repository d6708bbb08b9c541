"""Injected faults: reproducible by their seed, off by default, and refused where they would affect others."""

from __future__ import annotations

from pathlib import Path

import pytest

from servicekit.clock import SystemClock
from servicekit.errors import ServiceError
from servicekit.faults import NO_FAULTS, FaultPoint, Faults
from servicekit.gpu_lock import GpuLock
from servicekit.host_settings import HostSettings
from servicekit.injected import FaultyDeviceLock, FaultyStore
from servicekit.installation import inject_faults, open_faults
from servicekit.journal import JobState, Journal
from servicekit.settings import SettingsError
from servicekit.store.folder_store import FolderStore
from servicekit.store.url_signer import UrlSigner
from tests.support.journal_rows import audited, claimed, new_job, open_journal

ALWAYS = "seed=1,rate=1,points="
SETTING = "seed=7,rate=0.3"
EVERY_INTERFACE = "0.0.0.0:50071"
ROOT = Path(__file__).resolve().parents[3]


def begun(text: str) -> Faults:
    """Faults that are injected."""
    faults = Faults.parse(text)
    faults.begin()
    return faults


def sequence(text: str) -> list[bool]:
    """What happens at fifty passes of a point, with another point in between."""
    faults = begun(text)
    found = []
    for _ in range(50):
        found.append(faults.occurs(FaultPoint.STORE_READ))
        faults.occurs(FaultPoint.STORE_WRITE)
    return found


def test_the_seed_decides() -> None:
    """The same seed gives the same faults at a point, whatever happens at others; another seed gives others."""
    assert sequence(SETTING) == sequence(SETTING)
    assert sequence(SETTING) != sequence("seed=8,rate=0.3")
    assert 5 < sum(sequence(SETTING)) < 25
    assert not any(sequence("seed=7,rate=0.3,points=log.write"))
    assert not any(sequence(""))


def test_nothing_is_injected_before_the_service_begins() -> None:
    """Nor by default."""
    assert not Faults.parse("rate=1").occurs(FaultPoint.STORE_READ)
    NO_FAULTS.begin()
    assert not NO_FAULTS.occurs(FaultPoint.STORE_READ)


@pytest.mark.parametrize("text", ["7", "seed=7", "rate=2", "rate=x", "rate=0.1,points=disk", "rate=0.1,sped=3"])
def test_an_invalid_setting_is_refused(text: str) -> None:
    """The message names the setting and shows an example or the range."""
    with pytest.raises(SettingsError, match="SONICHAOS_FAULTS"):
        open_faults(HostSettings(faults=text))


def test_faults_for_callers_on_other_machines_must_be_forced() -> None:
    """Refused with an address that they can reach, unless ``force`` says that it is meant."""
    with pytest.raises(SettingsError, match="force"):
        open_faults(HostSettings(faults=SETTING, insecure=True), EVERY_INTERFACE)
    assert open_faults(HostSettings(faults=f"{SETTING},force", insecure=True), EVERY_INTERFACE)
    assert open_faults(HostSettings(faults=SETTING), "127.0.0.1:50071", "unix:/run/x.sock")
    assert not open_faults(HostSettings(), EVERY_INTERFACE)


def folder_store(folder: Path) -> FolderStore:
    """A store in a folder."""
    return FolderStore(folder, UrlSigner(base_url="http://x", secret=b"s" * 32, now=SystemClock().now))


def test_a_faulty_store_leaves_nothing_of_a_refused_write(tmp_path: Path) -> None:
    """It refuses as a store that is down does, after everything was written, and stores nothing."""
    store = folder_store(tmp_path)
    faulty = FaultyStore(store, begun(f"{ALWAYS}store.write"))
    with pytest.raises(ServiceError) as refused, faulty.writer("jobs/x", content_type="audio/wav") as writer:
        writer.write(b"data")
    assert refused.value.reason == "STORE_UNAVAILABLE"
    assert faulty.stat("jobs/x") is None
    store.put_bytes("jobs/x", b"data", content_type="audio/wav")
    assert faulty.read("jobs/x", max_bytes=4) == b"data"
    unreadable = FaultyStore(store, begun(f"{ALWAYS}store.read"))
    with pytest.raises(ServiceError), unreadable.open("jobs/x"):
        pass


def test_a_faulty_journal_refuses_statements_and_stays_whole(tmp_path: Path) -> None:
    """Each refused transaction is rolled back; with a statement in twenty refused, five jobs are accepted after some tries."""
    with open_journal(tmp_path) as journal:
        inject_faults(begun("seed=3,rate=0.05,points=journal.statement"), journal, folder_store(tmp_path / "store"))
        accepted, reasons = 0, set()
        while accepted < 5:
            try:
                journal.accept(new_job(), limit=100)
                accepted += 1
            except ServiceError as error:
                reasons.add(error.reason)
        assert reasons == {"STORE_UNAVAILABLE"}
    with open_journal(tmp_path) as journal:
        assert journal.accept(new_job(), limit=6).created
        with pytest.raises(ServiceError, match="6"):
            journal.accept(new_job(), limit=6)


def test_every_commit_of_postgresql_without_an_answer_counts_once(postgresql_database: str) -> None:
    """With no commit answered, a job is accepted, claimed and done as usual."""
    with Journal.open(postgresql_database, clock=SystemClock()) as journal:
        journal.inject(begun(f"{ALWAYS}journal.commit_answer"))
        job_id = journal.accept(new_job(), limit=1).job.job_id
        claim = claimed(journal)
        audited(journal, claim, "bounce", {})
        assert journal.finish(claim) is JobState.DONE
        version = journal.job("local", job_id).versions[0]
        assert (version.state, version.attempt, len(version.audit_digests)) == (JobState.DONE, 1, 1)


def test_a_faulty_device_has_no_memory_and_is_released(tmp_path: Path) -> None:
    """The next holder gets the device."""
    lock = GpuLock(tmp_path / "cpu.lock")
    with pytest.raises(MemoryError), FaultyDeviceLock(lock, begun(f"{ALWAYS}device.memory")).held():
        pass
    with FaultyDeviceLock(lock, NO_FAULTS).held():
        assert not lock.has_waiter


def test_every_point_is_in_the_docs() -> None:
    """docs/robustness.md has a row for each."""
    page = (ROOT / "docs" / "robustness.md").read_text(encoding="utf-8")
    assert [point for point in FaultPoint if f"| `{point}` |" not in page] == []
