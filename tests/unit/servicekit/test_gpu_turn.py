"""The GPU's turn: one process at a time, in fair order, free again whoever dies."""

from __future__ import annotations

import fcntl
import itertools
import threading
from pathlib import Path

import pytest

from servicekit.errors import Cancelled
from servicekit.gpu_lock import DeviceLock, GpuLock, SharedGpuLock
from tests.support.journal_processes import started, take_and_hang, take_turns


def test_turns_of_two_processes_never_overlap(tmp_path: Path) -> None:
    """While both ask without a pause, each gets all its turns and no two turns share a moment."""
    path, turns = tmp_path / "gpu", 10
    with started(take_turns, path, turns) as one, started(take_turns, path, turns) as two:
        taken = sorted(one.hear_all() + two.hear_all())
    assert len(taken) == 2 * turns
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(taken))


def test_whoever_waits_comes_before_who_asks_again(tmp_path: Path) -> None:
    """A holder that ends its turn and asks again at once does not get past a neighbour that was waiting."""
    turn, neighbour = GpuLock(tmp_path / "gpu"), GpuLock(tmp_path / "gpu")
    order: list[str] = []

    def wait_and_take() -> None:
        with neighbour.held():
            order.append("neighbour")

    with turn.held():
        thread = threading.Thread(target=wait_and_take)
        thread.start()
        while not _is_locked(tmp_path / "gpu.next"):
            threading.Event().wait(0.001)
    with turn.held():
        order.append("asked again")
    thread.join()
    assert order == ["neighbour", "asked again"]


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def test_a_killed_process_lets_go(tmp_path: Path) -> None:
    """After kill -9 of its holder the turn is there for the next."""
    turn = GpuLock(tmp_path / "gpu")
    with started(take_and_hang, tmp_path / "gpu") as holder:
        assert holder.hear() == "taken"
        asked = threading.Event()

        def kill_when_waiting() -> None:
            if not asked.is_set():
                asked.set()
                holder.kill()

        with turn.held(check=kill_when_waiting):
            assert asked.is_set()


def test_whoever_waits_can_be_called_off(tmp_path: Path) -> None:
    """What the check raises ends the waiting, within a process and across files, and the turn stays with its holder."""
    turn, other = GpuLock(tmp_path / "gpu"), GpuLock(tmp_path / "gpu")

    def refuse() -> None:
        raise Cancelled("a cancel stopped it")

    with turn.held():
        for waiting in (turn, other):
            with pytest.raises(Cancelled), waiting.held(check=refuse):
                pytest.fail("the turn was given twice")
    with turn.held(), pytest.raises(Cancelled), other.held(check=refuse):
        pytest.fail("the turn was given twice")
    with other.held():
        pass


def test_threads_of_a_process_take_turns(tmp_path: Path) -> None:
    """Eight threads that share a turn are never inside together, and an error inside gives it back."""
    turn, inside, most = GpuLock(tmp_path / "gpu"), [], []

    def work() -> None:
        for _ in range(5):
            with turn.held():
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pytest.raises(ValueError, match="inside"), turn.held():
        raise ValueError("inside")
    with turn.held():
        assert (len(most), max(most)) == (40, 1)


def test_threads_that_share_let_a_neighbour_in(tmp_path: Path) -> None:
    """Who comes while the turn is held joins at once; once another process waits, nobody joins before it had its turn."""
    shared, neighbour = SharedGpuLock(GpuLock(tmp_path / "gpu")), GpuLock(tmp_path / "gpu")
    order: list[str] = []

    def take(turn: DeviceLock, name: str) -> threading.Thread:
        def enter() -> None:
            with turn.held():
                order.append(name)

        thread = threading.Thread(target=enter)
        thread.start()
        return thread

    with shared.held():
        take(shared, "joins").join()
        waiting = take(neighbour, "neighbour")
        while not _is_locked(tmp_path / "gpu.next"):
            threading.Event().wait(0.001)
        late = take(shared, "late")
        threading.Event().wait(0.05)
        order.append("ends")
    waiting.join()
    late.join()
    assert order == ["joins", "ends", "neighbour", "late"]


def test_whoever_gives_up_asking_leaves_the_turn_free(tmp_path: Path) -> None:
    """A thread whose check raises while it waits for a neighbour holds up nobody after it."""
    shared, neighbour = SharedGpuLock(GpuLock(tmp_path / "gpu")), GpuLock(tmp_path / "gpu")

    def give_up() -> None:
        raise Cancelled("enough")

    with neighbour.held(), pytest.raises(Cancelled), shared.held(check=give_up):
        pass
    with shared.held(), shared.held():
        assert not shared._turn.wanted
    with neighbour.held():
        pass
