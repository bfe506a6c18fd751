"""Signal draws: smoothing only where it is needed, faithful to readings, honest about what was not read."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcgnn.config import SignalConfig
from rcgnn.signal.draws import Signal, infer, number_of_draws, spread
from rcgnn.signal.statespace import Readings

SENSORS = 3


def system(rows: int = 400, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = np.zeros((rows, SENSORS))
    for t in range(1, rows):
        x[t] = 0.7 * x[t - 1] + rng.standard_normal(SENSORS)
        x[t, 1] += 0.5 * x[t - 1, 0]
    return x


def readings(x: np.ndarray, share: float, seed: int = 1) -> Readings:
    mask = np.random.default_rng(seed).random(x.shape) >= share
    return Readings(np.where(mask, x, np.nan), mask, [slice(0, len(x))])


def signal_of(data: Readings, noise: np.ndarray | float = 0.0, seed: int = 0, **settings) -> Signal:
    share = np.broadcast_to(np.asarray(noise, float), data.values.shape[1])
    return infer(data, share, config=SignalConfig(**settings), support=None, rng=np.random.default_rng(seed))


def test_complete_clean_readings_are_taken_as_they_are():
    x = system()
    found = signal_of(readings(x, 0.0))
    assert not found.smoothed
    np.testing.assert_allclose(found.draws, ((x - x.mean(axis=0)) / x.std(axis=0))[None], atol=1e-12)
    assert not found.variance.any()
    assert not found.gated.any()
    assert found.rows.tolist() == [400.0] * SENSORS


def test_few_missing_cells_are_interpolated():
    data = readings(system(), 0.01)
    found = signal_of(data)
    assert not found.smoothed
    assert np.isfinite(found.draws).all()
    np.testing.assert_array_equal(found.rows, data.mask.sum(axis=0))


@pytest.mark.parametrize(("share", "noise"), [(0.3, 0.0), (0.0, 0.3)], ids=["missing", "noisy"])
def test_the_state_space_runs_where_it_is_needed(share, noise):
    found = signal_of(readings(system(200), share), noise, iterations=2)
    assert found.smoothed
    assert found.draws.shape == (32, 200, SENSORS)
    np.testing.assert_allclose(found.draws.mean(axis=0), found.mean, atol=1e-9)


@pytest.mark.parametrize(
    ("rows", "sensors", "draws"), [(400, 13, 32), (1500, 13, 32), (2000, 40, 8), (5001, 13, 8), (9357, 13, 4), (10**6, 100, 4)]
)
def test_the_more_cells_the_fewer_draws_in_pairs(rows, sensors, draws):
    assert number_of_draws(rows, sensors) == draws


def test_a_setting_wins_over_the_size_of_the_table():
    assert len(signal_of(readings(system(200), 0.1), iterations=1, draws=3).draws) == 3


def test_switches_win_over_need():
    assert not signal_of(readings(system(100), 0.3), smooth="off").smoothed
    assert signal_of(readings(system(100), 0.0), smooth="on", iterations=1).smoothed


def test_noise_of_the_report_is_trusted_in_part_and_within_bounds():
    found = signal_of(readings(system(150), 0.1), np.array([0.05, 0.4, 1.0]), iterations=1)
    np.testing.assert_allclose(found.noise, [0.01, 0.7 * 0.4, 0.5])


def test_draws_agree_where_read_and_differ_where_not():
    x = system()
    mask = np.ones(x.shape, bool)
    mask[100:160, 1] = False
    data = Readings(np.where(mask, x, np.nan), mask, [slice(0, len(x))])
    found = signal_of(data, smooth="on", iterations=3, draws=16)
    seen = x[mask[:, 1], 1]
    z = (x[:, 1] - seen.mean()) / seen.std()
    across = found.draws.std(axis=0)[:, 1]
    assert np.abs(found.draws[:, mask[:, 1], 1] - z[mask[:, 1]]).max() < 0.6  # noise variance .01: five sd
    assert across[105:155].mean() > 3 * across[mask[:, 1]].mean()
    assert found.variance[105:155, 1].min() > 5 * found.variance[mask[:, 1], 1].max()
    # the draws are wrong by as much as the posterior says: calibrated, not only wide
    off = (z[105:155] - found.mean[105:155, 1]) / np.sqrt(found.variance[105:155, 1])
    assert 0.5 < np.sqrt((off**2).mean()) < 1.5


def test_same_generator_same_draws():
    data = readings(system(150), 0.2)
    first, again, other = (signal_of(data, seed=s, iterations=2).draws for s in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_unit_and_zero_point_do_not_matter():
    x = system(150)
    one = signal_of(readings(x, 0.2), iterations=2)
    two = signal_of(readings(1e6 * x + 1e9, 0.2), iterations=2)
    np.testing.assert_allclose(two.draws, one.draws, atol=1e-6)


def test_refused_readings_are_named_and_not_counted():
    x = system()
    x[200, 2] = 1e3 * np.abs(x).max()
    data = readings(x, 0.05)
    data.mask[200, 2] = True
    data.values[200, 2] = x[200, 2]
    found = signal_of(data, iterations=4)
    assert found.gated[200, 2]
    np.testing.assert_array_equal(found.rows, (data.mask & ~found.gated).sum(axis=0))


def test_many_sensors_use_fewer_lags_or_none():
    rng = np.random.default_rng(0)
    wide = readings(rng.standard_normal((60, 70)), 0.3)
    assert signal_of(wide, iterations=1, draws=1).smoothed  # 200 states: one lag
    wider = readings(rng.standard_normal((60, 101)), 0.3)
    found = signal_of(wider, iterations=1)
    assert not found.smoothed
    assert np.isfinite(found.draws).all()


def test_a_constant_sensor_does_no_harm():
    x = system(120)
    x[:, 0] = 7.0
    found = signal_of(readings(x, 0.2), iterations=2)
    assert np.isfinite(found.draws).all()


@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(5, 80), st.integers(2, 20))
def test_spread_gives_blocks_inside_segments_and_no_more_rows_than_asked(lengths, most, block):
    edges = np.cumsum([0, *lengths]).tolist()
    segments = [slice(a, b) for a, b in pairwise(edges)]
    chosen = spread(segments, most, block)
    rows = [r for part in chosen for r in range(part.start, part.stop)]
    assert rows == sorted(set(rows))
    for part in chosen:
        assert any(s.start <= part.start < part.stop <= s.stop for s in segments)
    if edges[-1] <= most:
        assert chosen == segments
    else:
        assert len(rows) <= max(most, block)


def test_spread_reaches_from_the_first_block_to_the_last():
    chosen = spread([slice(0, 10_000)], 2_000, 500)
    assert (chosen[0].start, chosen[-1].stop, len(chosen)) == (0, 10_000, 4)


@pytest.mark.parametrize("asked", [False, True])
def test_the_order_and_the_units_of_sensors_change_no_draw(asked):
    noise = np.random.default_rng(0)
    x = noise.standard_normal((300, 4))
    x[1:, 1] += x[:-1, 0]
    x[1:, 3] += 0.5 * x[:-1, 1]
    mask = noise.random(x.shape) > 0.2
    order = np.array([2, 0, 3, 1])
    unit = np.array([1e-3, 1.0, 1e6, 7.0])

    def forbidding(sensors: list[int]):
        """Nothing drives sensor 3, and sensor 0 drives all others, wherever they stand."""

        def support(moment: np.ndarray, observed: np.ndarray) -> np.ndarray:
            may = np.ones((4, 4), bool)
            may[sensors.index(3)] = False
            may[:, sensors.index(2)] = False
            return np.tile(may | np.eye(4, dtype=bool), (1, len(moment) // 4 - 1))

        return support if asked else None

    def infer_(columns: np.ndarray):
        columns = np.asarray(columns)
        readings = Readings(x[:, columns] * unit[columns], mask[:, columns], [slice(0, 300)])
        config = SignalConfig(iterations=2)
        rng = np.random.default_rng(5)
        return infer(readings, np.zeros(4), config=config, support=forbidding(columns.tolist()), rng=rng)

    straight, turned = infer_(np.arange(4)), infer_(order)
    assert straight.smoothed
    assert np.ptp(straight.draws, axis=0)[~mask].mean() > 0.1
    np.testing.assert_allclose(turned.draws, straight.draws[:, :, order], atol=1e-8)
    np.testing.assert_allclose(turned.variance, straight.variance[:, order], atol=1e-8)
    np.testing.assert_array_equal(turned.gated, straight.gated[:, order])
    np.testing.assert_array_equal(turned.rows, straight.rows[order])
