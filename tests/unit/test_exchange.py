"""A pair that one hidden signal explains has no direction, whatever the state space made of it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from rcgnn.config import Config
from rcgnn.graph import LINK, NONE, UNDECIDED
from rcgnn.pipeline import fit_series
from rcgnn.select.exchange import LAGS, REMEMBERED, asymmetry, exchangeable, memory
from rcgnn.series import Series
from rcgnn.verdict import DIRECTION


def slow(rng, rows, share=0.6):
    return lfilter([1.0], [1.0, -share], rng.standard_normal(rows + 100))[100:]


def read_twice(seed, rows=1000):
    rng = np.random.default_rng(seed)
    h = slow(rng, rows)
    return 0.9 * h + 0.6 * rng.standard_normal(rows), 0.9 * h + 0.6 * rng.standard_normal(rows)


def one_drives_the_other(seed, rows=1000):
    rng = np.random.default_rng(seed)
    x = slow(rng, rows, 0.5)
    return x, lfilter([1.0], [1.0, -0.5], 0.8 * x + rng.standard_normal(rows))


@pytest.mark.parametrize("rows", [200, 1000])
def test_of_one_signal_read_twice_one_table_in_twenty_looks_asymmetric(rows):
    found = [asymmetry(*read_twice(seed, rows)) < np.log(0.05) for seed in range(400)]
    assert 4 <= sum(found) <= 36


def test_a_cause_with_a_memory_of_its_own_is_asymmetric():
    assert all(asymmetry(*one_drives_the_other(seed)) < np.log(1e-4) for seed in range(20))


def test_a_weak_echo_one_row_later_is_asymmetric():
    x = np.random.default_rng(0).standard_normal(1000)
    assert asymmetry(x, np.roll(x, 1) + 3.0 * np.random.default_rng(1).standard_normal(1000)) < np.log(1e-4)


@pytest.mark.parametrize("pair", [read_twice(0), one_drives_the_other(0)], ids=["alike", "not alike"])
def test_units_signs_and_order_change_nothing(pair):
    x, y = pair
    for other in ((y, x), (x, -y), (3.0 + 1e6 * x, 1e-6 * y)):
        assert asymmetry(*other) == pytest.approx(asymmetry(x, y), rel=1e-6)


def test_slow_waves_do_not_count():
    x, y = read_twice(1)
    t = (np.arange(1000) + 0.5) / 1000
    assert asymmetry(x + 5 * np.cos(3 * np.pi * t), y + 5 * np.cos(4 * np.pi * t)) == pytest.approx(asymmetry(x, y), abs=1e-6)


def test_too_few_rows_and_sensors_at_rest_are_not_asymmetric():
    x, y = one_drives_the_other(0)
    assert asymmetry(x[: 8 * LAGS - 1], y[: 8 * LAGS - 1]) == 0.0
    assert asymmetry(x, np.zeros(1000)) == 0.0


def answered(x, y, *more):
    z = slow(np.random.default_rng(99), len(x))
    table = np.stack([x, y, z], axis=1)
    config = Config().override(["data.max_lag=3", "select.refine=off", *more])
    return fit_series(Series(table, np.isfinite(table), ("x", "y", "z")), config)


@pytest.mark.parametrize("seed", [3, 11])
def test_a_signal_read_twice_is_linked_both_ways_or_not_at_all(seed):
    done = answered(*read_twice(seed), "signal.smooth=on")
    pair = np.zeros((3, 3), bool)
    pair[0, 1] = pair[1, 0] = True
    assert (exchangeable(done.screened, done.prepared.scaled) == pair).all()
    assert not done.graph.links()
    assert done.graph.verdict[0, 0, 1] == done.graph.verdict[0, 1, 0] == UNDECIDED
    assert done.graph.reasons[0, 0, 1] == DIRECTION


def test_a_direction_that_the_readings_show_stays():
    done = answered(*one_drives_the_other(0), "signal.smooth=on")
    assert not exchangeable(done.screened, done.prepared.scaled).any()
    assert done.graph.verdict[0, 0, 1] == LINK
    assert done.graph.verdict[0, 1, 0] == NONE


def test_readings_without_noise_are_not_asked():
    """White sensors look alike both ways, and no noise is found in them; the shape of theirs tells the direction."""
    rng = np.random.default_rng(0)
    x = rng.laplace(size=800)
    done = answered(x, 0.8 * x + rng.laplace(size=800))
    assert not exchangeable(done.screened, done.prepared.scaled).any()
    assert done.graph.verdict[0, 0, 1] == LINK


def test_without_same_step_links_nobody_is_asked():
    rng = np.random.default_rng(0)
    done = answered(slow(rng, 400), slow(rng, 400))
    assert not done.screened.evidence.chosen[0].any()
    assert not exchangeable(done.screened, done.prepared.scaled).any()


# --- a difference of two readings of one signal is white -----------------------------------------------------------------------------

ONE = np.zeros(1000, np.int64)


def moves_of_their_own(seed, rows=1000):
    """Two sensors that share half of their shocks, and remember all of them; read with noise."""
    rng = np.random.default_rng(seed)
    shared, *own = rng.standard_normal((3, rows))
    return tuple(lfilter([1.0], [1.0, -0.7], shared + one) + 1.2 * rng.standard_normal(rows) for one in own)


@pytest.mark.parametrize("scale", [1.0, -50.0])
def test_the_difference_of_two_readings_of_one_signal_has_no_memory(scale):
    found = [memory(np.stack([x, scale * y], axis=1), ONE) for x, y in map(read_twice, range(200))]
    assert np.mean(np.array(found) > REMEMBERED) <= 0.03


def test_moves_of_their_own_are_remembered_whatever_the_gaps():
    for seed in range(10):
        pair = np.stack(moves_of_their_own(seed), axis=1)
        assert memory(pair, ONE) > 2 * REMEMBERED
        assert memory(np.where(np.random.default_rng(seed).random(pair.shape) < 0.2, np.nan, pair), ONE) > REMEMBERED


def test_rows_that_do_not_follow_each_other_and_sensors_without_memory_say_nothing():
    pair = np.stack(moves_of_their_own(0), axis=1)
    assert memory(pair, np.arange(1000)) == 0.0
    assert memory(np.random.default_rng(8).standard_normal((1000, 2)) * [1.0, -1.0], ONE) is None
    assert memory(np.stack([pair[:, 0], np.zeros(1000)], axis=1), ONE) is None


def test_a_pair_with_moves_of_its_own_is_not_one_signal():
    done = answered(*moves_of_their_own(0), "signal.smooth=on")
    assert done.screened.evidence.chosen[0, 0, 1] or done.screened.evidence.chosen[0, 1, 0]
    assert not exchangeable(done.screened, done.prepared.scaled).any()
