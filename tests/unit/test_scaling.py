"""Scaling: training rows only, robust, exact to invert, finite at the limits of float64."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcgnn.data.scaling import Scaler, ranges
from rcgnn.errors import InputError
from rcgnn.series import Series


@pytest.fixture
def noise(rng):
    return Series.of(rng.normal(size=(400, 3)) * [1, 1e-6, 1e6] + [0, 1e-3, 1e9])


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize("rule", [Scaler.fit, Scaler.standard])
def test_units_do_not_matter(noise, rule):
    z = rule(noise, np.ones(400, bool)).transform(noise).values
    plain = Series.of((noise.values - [0, 1e-3, 1e9]) / [1, 1e-6, 1e6])
    assert np.allclose(z, rule(plain, np.ones(400, bool)).transform(plain).values, atol=1e-6)
    assert np.abs(np.median(z, axis=0)).max() < 0.1
    assert np.abs(z.std(axis=0) - 1).max() < 0.15


def test_only_training_rows_are_used(noise):
    rows = np.arange(400) < 200
    later = noise.values.copy()
    later[200:] *= 100
    assert np.array_equal(Scaler.fit(noise, rows).scale, Scaler.fit(Series.of(later), rows).scale)
    assert not np.array_equal(Scaler.fit(noise, ~rows).scale, Scaler.fit(Series.of(later), ~rows).scale)


def test_missing_cells_do_not_count():
    x = np.array([[1.0], [2.0], [3.0], [np.nan], [np.nan]])
    z = Scaler.standard(Series.of(x), np.ones(5, bool))
    assert z.center.tolist() == [2.0]
    assert z.scale[0] == pytest.approx(np.std([1, 2, 3]))


def test_one_outlier_and_one_constant_break_nothing(rng):
    x = rng.normal(size=(500, 3))
    x[7, 0] = 1e12
    x[:, 1] = 4.0
    x[:, 2] = np.nan
    z = Scaler.fit(Series.of(x), np.ones(500, bool))
    assert z.scale[0] == pytest.approx(1, abs=0.15)
    assert (z.center[1], z.scale[1]) == (4.0, 1.0)
    assert (z.center[2], z.scale[2]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("x", "scale"),
    [
        ([0.0] * 60 + [1.0, 2.0, 3.0, 4.0] * 10, 0.7413 * 2.0),
        ([0.0] * 90 + [10.0] * 10, 3.0),
        ([1e9 + 1e-9 * k for k in range(50)], 1.0),
    ],
    ids=["iqr", "sd", "rounding"],
)
def test_fallbacks(x, scale):
    z = Scaler.fit(Series.of(np.array(x)[:, None]), np.ones(len(x), bool))
    assert z.scale[0] == pytest.approx(scale, rel=0.05)


def test_a_sensor_that_starts_late_is_scaled_by_what_it_has():
    x = np.full((50, 1), np.nan)
    x[40:, 0] = np.arange(1000, 1010)
    z = Scaler.fit(Series.of(x), np.arange(50) < 40)
    assert z.center[0] == 1004.5


@settings(max_examples=200, deadline=None)
@given(
    column=st.lists(st.floats(allow_nan=True, allow_infinity=False), min_size=1, max_size=20),
    rule=st.sampled_from([Scaler.fit, Scaler.standard]),
)
def test_any_numbers_stay_finite(column, rule):
    s = Series.of(np.array(column)[:, None])
    z = rule(s, np.ones(len(column), bool))
    assert np.isfinite(z.center).all()
    assert np.isfinite(z.scale).all()
    assert (z.scale > 0).all()
    out = z.transform(s)
    assert np.array_equal(out.mask, s.mask)


@settings(max_examples=100, deadline=None)
@given(column=st.lists(st.floats(-1e100, 1e100, allow_subnormal=False), min_size=2, max_size=20))
def test_inverse(column):
    s = Series.of(np.array(column)[:, None])
    z = Scaler.fit(s, np.ones(len(column), bool))
    assert np.allclose(z.inverse(z.transform(s).values), s.values, rtol=1e-9, atol=1e-9 * float(np.abs(column).max()))


def test_dict_round_trip(noise):
    z = Scaler.fit(noise, np.ones(400, bool))
    again = Scaler.from_dict(json.loads(json.dumps(z.to_dict())))
    assert again.names == z.names
    assert np.array_equal(again.center, z.center)
    assert np.array_equal(again.scale, z.scale)


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"names": ["a"], "center": [0], "scale": [0]},
        {"names": ["a"], "center": [float("nan")], "scale": [1]},
        {"names": ["a"], "center": [0, 1], "scale": [1, 1]},
        {"names": ["a"], "center": ["x"], "scale": [1]},
    ],
)
def test_bad_dicts(raw):
    with pytest.raises(InputError, match="scaler:"):
        Scaler.from_dict(raw)


def test_other_sensors_are_refused(noise):
    z = Scaler.fit(noise, np.ones(400, bool))
    with pytest.raises(InputError, match="scaler knows"):
        z.transform(noise.sensors([1, 0, 2]))
    with pytest.raises(InputError, match="give one per row"):
        Scaler.fit(noise, np.ones(3, bool))


def test_ranges():
    assert ranges(Series.of([[1.0, np.nan], [-2.0, 5.0]])) == [("x0", -2.0, 1.0), ("x1", 5.0, 5.0)]
    empty = ranges(Series.of([[1.0, np.nan]]))[1]
    assert np.isnan(empty[1])
    assert np.isnan(empty[2])
