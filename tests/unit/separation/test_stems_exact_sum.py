"""Exact and raw stems in integers."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from separation_service.stems.residual import ALL_INTO_OTHER, BIN_DEVIATION, LOCAL_ENERGY, ResidualRule
from servicekit.audio.pcm24 import FULL_SCALE, MAX_SAMPLE, MIN_SAMPLE, from_pcm24
from servicekit.errors import Internal
from tests.support.fitted_stems import fitted

RULES = [BIN_DEVIATION, LOCAL_ENERGY, ALL_INTO_OTHER]
LEVELS = st.sampled_from([0.0, 1e-8, 1e-3, 0.3, 1.0, 2.0, 50.0, 1e30])


def some_stems(seed: int, frames: int, levels: list[float]) -> NDArray[np.float32]:
    """Four stems of noise, each at its own level."""
    noise = np.random.default_rng(seed).standard_normal((4, 2, frames))
    return (noise * np.array(levels)[:, None, None]).astype(np.float32)


def assert_sums(stems: NDArray[np.int32], bounce: NDArray[np.int32]) -> None:
    """Check the promise of exact mode."""
    assert (stems.astype(np.int64).sum(axis=0) == bounce).all()
    assert stems.min() >= MIN_SAMPLE
    assert stems.max() <= MAX_SAMPLE


@given(
    bounce=hnp.arrays(
        np.int32,
        st.tuples(st.just(2), st.integers(1, 300)),
        elements=st.one_of(st.integers(MIN_SAMPLE, MAX_SAMPLE), st.sampled_from([MIN_SAMPLE, MAX_SAMPLE, 0, 1, -1])),
    ),
    seed=st.integers(0, 2**32 - 1),
    levels=st.lists(LEVELS, min_size=4, max_size=4),
    rule=st.sampled_from(RULES),
)
@settings(max_examples=200, deadline=None)
def test_any_stems_sum(bounce: NDArray[np.int32], seed: int, levels: list[float], rule: ResidualRule) -> None:
    """Silent, huge or at full scale: the integers sum to the bounce and stay within 24 bits."""
    stems, _ = fitted(bounce, some_stems(seed, bounce.shape[1], levels), rule=rule)
    assert_sums(stems, bounce)


@pytest.mark.parametrize("rule", RULES)
def test_blocks_do_not_change_the_result(rule: ResidualRule) -> None:
    """A take longer than a block is fitted as a whole: its later part does not depend on the blocks' positions."""
    frames = 100_000
    model = some_stems(1, frames, [0.1, 0.05, 0.08, 0.02])
    bounce = np.rint(some_stems(2, frames, [0.2, 0.0, 0.0, 0.0])[0] * FULL_SCALE).clip(MIN_SAMPLE, MAX_SAMPLE)
    whole, _ = fitted(bounce.astype(np.int32), model, rule=rule)
    assert_sums(whole, bounce.astype(np.int32))
    late, _ = fitted(bounce[:, 30_720:].astype(np.int32), model[:, :, 30_720:], rule=rule)
    assert np.abs(whole[:, :, 40_000:] - late[:, :, 9_280:]).max() <= 1


def test_stems_that_already_sum_do_not_change() -> None:
    """Integer stems that sum to the bounce are delivered unchanged, without a residual."""
    parts = np.random.default_rng(3).integers(-(2**20), 2**20, (4, 2, 5000), dtype=np.int32)
    model = np.stack([from_pcm24(part) for part in parts])
    stems, facts = fitted(parts.sum(axis=0, dtype=np.int32), model)
    assert (stems == parts).all()
    assert facts.residual_dbfs is None
    assert facts.excess_samples == 0


@pytest.mark.parametrize("rule", [BIN_DEVIATION, LOCAL_ENERGY])
@pytest.mark.parametrize("levels", [[0.1, 0.05, 0.0, 0.02], [0.1, 0.0, 0.0, 0.0]])
def test_silent_stem_stays_silent(rule: ResidualRule, levels: list[float]) -> None:
    """A silent stem gets no share of the residual or of the rounding, even where only one stem has sound."""
    model = some_stems(4, 20_000, levels)
    bounce = np.rint(model.sum(axis=0) * 0.97 * FULL_SCALE).astype(np.int32)
    stems, _ = fitted(bounce, model, rule=rule)
    assert_sums(stems, bounce)
    assert not stems[np.array(levels) == 0.0].any()


def test_other_is_the_bounce_where_every_stem_is_silent() -> None:
    """The model gives no weights then, and `other` means the rest of the mix."""
    bounce = np.random.default_rng(5).integers(MIN_SAMPLE, MAX_SAMPLE, (2, 3000), dtype=np.int32)
    stems, _ = fitted(bounce, np.zeros((4, 2, 3000), dtype=np.float32))
    assert not stems[:3].any()
    assert (stems[3] == bounce).all()


def test_silence() -> None:
    """Silence gives silent stems and no residual."""
    stems, facts = fitted(np.zeros((2, 1000), dtype=np.int32), np.zeros((4, 2, 1000), dtype=np.float32))
    assert not stems.any()
    assert facts.residual_dbfs is None


def test_excess_goes_to_the_stem_with_the_most_headroom() -> None:
    """A stem beyond full scale is clipped, its excess is added to the stem with the most headroom, and the sample is counted."""
    bounce = np.zeros((2, 1), dtype=np.int32)
    model = np.zeros((4, 2, 1), dtype=np.float32)
    model[:, 0, 0] = [1.25, -0.5, -0.75, 0.0]
    stems, facts = fitted(bounce, model, rule=ALL_INTO_OTHER)
    quarter = FULL_SCALE // 4
    # 0.25 too much (and the one unit that 1.0 lacks) upwards: bass, at -0.5, has less room up than vocals, at -0.75.
    assert stems[:, 0, 0].tolist() == [MAX_SAMPLE, -2 * quarter, -2 * quarter + 1, 0]
    assert not stems[:, 1].any()
    assert facts.excess_samples == 1


def test_residual_level() -> None:
    """A model that misses a constant of 0.01 in both channels has a residual of -40 dBFS."""
    bounce = np.full((2, 4000), round(0.02 * FULL_SCALE), dtype=np.int32)
    model = np.zeros((4, 2, 4000), dtype=np.float32)
    model[0] = 0.01
    assert fitted(bounce, model)[1].residual_dbfs == -40.0
    assert fitted(bounce, model, mode="raw")[1].residual_dbfs == -40.0


def test_raw_is_rounded_and_saturated() -> None:
    """Raw mode rounds ties to even, clips to full scale, counts clipped samples, and changes nothing else."""
    model = np.zeros((4, 2, 4), dtype=np.float32)
    model[0, 0] = np.array([0.5, 1.5, 2.5, -0.5]) / FULL_SCALE
    model[1, 1] = [1.0, -1.0, 1.5, -1.5]
    stems, facts = fitted(np.zeros((2, 4), dtype=np.int32), model, mode="raw")
    assert stems[0, 0].tolist() == [0, 2, 2, 0]
    assert stems[1, 1].tolist() == [MAX_SAMPLE, MIN_SAMPLE, MAX_SAMPLE, MIN_SAMPLE]
    assert facts.excess_samples == 3
    assert facts.residual_rule is None


@pytest.mark.parametrize("broken", [np.nan, np.inf])
@pytest.mark.parametrize("mode", ["exact", "raw"])
def test_nan_and_infinity_fail(broken: float, mode: Literal["exact", "raw"]) -> None:
    """The error has the stage that made them."""
    model = np.zeros((4, 2, 70_000), dtype=np.float32)
    model[2, 1, 69_999] = broken
    with pytest.raises(Internal) as caught:
        fitted(np.zeros((2, 70_000), dtype=np.int32), model, mode=mode)
    assert (caught.value.reason, caught.value.metadata["stage"]) == ("NOT_FINITE", "SEPARATE")
