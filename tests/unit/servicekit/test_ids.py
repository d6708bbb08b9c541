"""Job ids."""

from __future__ import annotations

from datetime import UTC, datetime

from servicekit.ids import is_job_id, job_time, new_job_id

NOW = datetime(2026, 11, 28, 12, 0, 0, 123000, tzinfo=UTC)


def test_an_id_has_80_random_bits() -> None:
    """Each bit of them shows, so an id says nothing about another of its millisecond: nobody guesses those of other tenants."""
    asked: list[int] = []

    def entropy_with(bit: int) -> str:
        def entropy(size: int) -> bytes:
            asked.append(size)
            return (1 << bit).to_bytes(size, "big")

        return new_job_id(NOW, entropy)

    ids = {entropy_with(bit) for bit in range(80)}
    assert len(ids) == 80
    assert set(asked) == {10}
    assert all(is_job_id(job_id) and job_time(job_id) == NOW for job_id in ids)
    assert len({new_job_id(NOW) for _ in range(1000)}) == 1000
