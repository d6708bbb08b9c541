"""The GPU lock: one process at a time, in fair order, released however its holder dies."""

from __future__ import annotations

import fcntl
import itertools
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from servicekit.errors import Cancelled
from servicekit.gpu_lock import DeviceLock, GpuLock, SharedGpuLock
from tests.support.journal_processes import lock_and_hang, lock_repeatedly, started

TIMEOUT_S = 30.0


def test_two_processes_never_hold_the_lock_together(tmp_path: Path) -> None:
    """Two processes that ask all the time each get it ten times, and no two of these times overlap."""
    path, times = tmp_path / "gpu", 10
    with started(lock_repeatedly, path, times) as one, started(lock_repeatedly, path, times) as two:
        held = sorted(one.receive_all() + two.receive_all())
    assert len(held) == 2 * times
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(held))


def test_a_waiting_process_comes_before_one_that_asks_again(tmp_path: Path) -> None:
    """A holder that releases the lock and asks again at once does not overtake a waiting neighbour."""
    gpu_lock, neighbour = GpuLock(tmp_path / "gpu"), GpuLock(tmp_path / "gpu")
    order: list[str] = []

    with gpu_lock.held():
        waiting = _hold_in_thread(neighbour, order, "neighbour")
        _until_locked(tmp_path / "gpu.next")
    with gpu_lock.held():
        order.append("asked again")
    waiting.join()
    assert order == ["neighbour", "asked again"]


def test_a_killed_process_releases_the_lock(tmp_path: Path) -> None:
    """After kill -9 of its holder the next one gets it."""
    gpu_lock = GpuLock(tmp_path / "gpu")
    with started(lock_and_hang, tmp_path / "gpu") as holder:
        assert holder.receive() == "held"
        waiting = threading.Event()

        def kill_when_waiting() -> None:
            if not waiting.is_set():
                waiting.set()
                holder.kill()

        with gpu_lock.held(check=kill_when_waiting):
            assert waiting.is_set()


def test_a_wait_ends_when_its_check_raises(tmp_path: Path) -> None:
    """Within a process and between processes; the holder keeps the lock."""
    gpu_lock, other = GpuLock(tmp_path / "gpu"), GpuLock(tmp_path / "gpu")

    def refuse() -> None:
        raise Cancelled("cancelled by the caller")

    with gpu_lock.held():
        for waiting in (gpu_lock, other):
            with pytest.raises(Cancelled), waiting.held(check=refuse):
                pytest.fail("two holders")
    with gpu_lock.held(), pytest.raises(Cancelled), other.held(check=refuse):
        pytest.fail("two holders")
    with other.held():
        pass


def test_threads_of_a_process_hold_it_one_at_a_time(tmp_path: Path) -> None:
    """Of eight threads only one holds it at a time, and an error in the block releases it."""
    gpu_lock, inside, counts = GpuLock(tmp_path / "gpu"), [], []

    def work() -> None:
        for _ in range(5):
            with gpu_lock.held():
                inside.append(1)
                counts.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pytest.raises(ValueError, match="inside"), gpu_lock.held():
        raise ValueError("inside")
    with gpu_lock.held():
        assert (len(counts), max(counts)) == (40, 1)


def test_threads_that_share_the_lock_let_another_process_in(tmp_path: Path) -> None:
    """A thread joins the holders at once; while another process waits, it does so after that process."""
    shared, neighbour = SharedGpuLock(GpuLock(tmp_path / "gpu")), GpuLock(tmp_path / "gpu")
    order: list[str] = []
    waits = threading.Event()

    def note_second_call(calls: itertools.count[int]) -> Callable[[], None]:
        return lambda: waits.set() if next(calls) else None  # the second call comes after the lock was refused once

    with shared.held():
        _hold_in_thread(shared, order, "joins").join()
        waiting = _hold_in_thread(neighbour, order, "neighbour")
        _until_locked(tmp_path / "gpu.next")
        late = _hold_in_thread(shared, order, "late", note_second_call(itertools.count()))
        assert waits.wait(TIMEOUT_S)
        order.append("ends")
    waiting.join()
    late.join()
    assert order == ["joins", "ends", "neighbour", "late"]


def test_a_thread_that_stops_waiting_blocks_nobody(tmp_path: Path) -> None:
    """A thread whose check raises while it waits for another process leaves the lock usable."""
    gpu_lock, neighbour = GpuLock(tmp_path / "gpu"), GpuLock(tmp_path / "gpu")
    shared = SharedGpuLock(gpu_lock)

    def give_up() -> None:
        raise Cancelled("enough")

    with neighbour.held(), pytest.raises(Cancelled), shared.held(check=give_up):
        pass
    with shared.held(), shared.held():
        assert not gpu_lock.has_waiter
    with neighbour.held():
        pass


def _hold_in_thread(
    lock: DeviceLock, order: list[str], name: str, check: Callable[[], None] | None = None
) -> threading.Thread:
    """A started thread that notes ``name`` once it holds the lock."""

    def hold() -> None:
        with lock.held(check):
            order.append(name)

    thread = threading.Thread(target=hold)
    thread.start()
    return thread


def _until_locked(path: Path) -> None:
    """Return once a process has locked the file."""
    while not _is_locked(path):
        threading.Event().wait(0.001)


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
