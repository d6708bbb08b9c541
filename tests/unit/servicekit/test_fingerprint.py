"""The execution fingerprint names what chooses a library's kernels."""

from __future__ import annotations

import pytest

from servicekit.fingerprint import host_fingerprint


@pytest.mark.parametrize(("variable", "value"), [("ONEDNN_MAX_CPU_ISA", "SSE41"), ("MKL_CBWR", "SSE4_2")])
def test_another_dispatch_is_another_fingerprint(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    """Each changes samples, so a replay that differs must be able to name it; nothing else of the fingerprint changes."""
    monkeypatch.delenv(variable, raising=False)
    before = host_fingerprint(device="cpu", threads=1)
    monkeypatch.setenv(variable, value)
    after = host_fingerprint(device="cpu", threads=1)
    assert {name for name in before if before[name] != after[name]} == {f"dispatch.{variable}"}
    assert before["cpu.instructions"]


def test_other_threads_are_another_fingerprint() -> None:
    """The number is part of it."""
    one, two = host_fingerprint(device="cpu", threads=1), host_fingerprint(device="cpu", threads=2)
    assert {name for name in one if one[name] != two[name]} == {"threads"}
