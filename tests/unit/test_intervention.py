"""Held sensors: against the solution of a small linear system, intervals, notes, refusals."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from rcgnn import RCGNN
from rcgnn.errors import InputError
from rcgnn.mechanism.intervention import Run, checked, intervene, reach

SPEC = importlib.util.spec_from_file_location("rcgnn_forecast_tests", Path(__file__).with_name("test_forecast.py"))
SHARED = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(SHARED)
NAMES, OFFSET, UNIT, mechanism, table = (getattr(SHARED, name) for name in ("NAMES", "OFFSET", "UNIT", "mechanism", "table"))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_analytic_solution():
    """pump held at z = v: flow(h) = .8 v (1 - .2^h) / .8 + .2^h flow(0), level(h) = 1 + .7 flow(h - 2)."""
    v, steps = 1.5, np.arange(1, 9)
    found = intervene(mechanism(), {"pump": 10.0 + 2.0 * v}, 8, rng=rng())
    flow = v * (1 - 0.2**steps) + 0.2**steps * 0.5
    level = 1 + 0.7 * np.concatenate([[0.0, 0.5], flow[:-2]])
    np.testing.assert_allclose(found.path, OFFSET + UNIT * np.column_stack([np.full(8, v), flow, level]))
    pump = 2.0 * 0.5**steps
    free = [0.5]
    for one in pump:
        free.append(0.8 * one + 0.2 * free[-1])
    base = np.column_stack([pump, free[1:], 1 + 0.7 * np.array([0.0, *free])[:8]])
    np.testing.assert_allclose(found.base, OFFSET + UNIT * base)
    np.testing.assert_allclose(found.difference, found.path - found.base, atol=1e-12)


def test_the_level_of_a_drifting_sensor_stays():
    own = mechanism()
    level = np.array([100.0, 0.0, 7.0])
    lifted = replace(own, sensors=replace(own.sensors, level=level, drifts=level > 0))
    found, plain = intervene(lifted, {"pump": 113.0}, 4, rng=rng()), intervene(own, {"pump": 13.0}, 4, rng=rng())
    np.testing.assert_allclose(found.path, plain.path + level)
    np.testing.assert_allclose(found.path_high, plain.path_high + level)
    np.testing.assert_allclose(found.difference, plain.difference)


def test_the_held_sensor_is_cut_off_from_its_causes():
    found = intervene(mechanism(), {"flow": -5.0, "level": 2.0}, 4, rng=rng())
    assert (found.path[:, 1:] == [-5.0, 2.0]).all()
    np.testing.assert_array_equal(found.difference[:, 0], 0.0)
    assert found.held == {"flow": -5.0, "level": 2.0}


def test_without_uncertainty_the_intervals_are_the_paths():
    found = intervene(mechanism(), {"pump": 12.0}, 5, rng=rng())
    np.testing.assert_allclose(found.path_low, found.path)
    np.testing.assert_allclose(found.difference_high, found.difference, atol=1e-12)


def test_shocks_widen_the_path_but_not_the_difference():
    shaken = mechanism(residual=np.random.default_rng(1).standard_normal((500, 3)), resampled=np.tile(mechanism().coefficient, (400, 1)))
    shaken = replace(shaken, resampled_intercept=np.tile(shaken.intercept, (400, 1)))
    found = intervene(shaken, {"pump": 12.0}, 6, rng=rng())
    half = (found.path_high - found.path_low)[-1, 1] / 2 / UNIT[1]
    assert half == pytest.approx(1.96 / np.sqrt(1 - 0.2**2), rel=0.2)
    assert (found.path_low[:, 0] == 12.0).all()
    np.testing.assert_allclose(found.difference_high, found.difference, atol=1e-12)


def test_coefficients_widen_the_difference():
    b = np.tile(mechanism().coefficient, (400, 1))
    b[:, 3] += 0.1 * np.random.default_rng(1).standard_normal(400)
    unsure = mechanism(resampled=b, resampled_intercept=np.tile([0.0, 0.0, 1.0], (400, 1)))
    found = intervene(unsure, {"pump": 14.0}, 1, rng=rng())
    expected = (2.0 - 1.0) * 0.1 * 1.96 * UNIT[1]
    assert (found.difference_high - found.difference_low)[0, 1] / 2 == pytest.approx(expected, rel=0.15)


def test_a_start_of_ones_own():
    z = np.array([[0.0, 0.0, 0.0], [9.0, 9.0, 9.0], [0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])
    found = intervene(mechanism(), {"pump": 10.0}, 2, start=table(z), rng=rng())
    np.testing.assert_allclose(found.path[:, 2], [1.7, 0.3])
    short = intervene(mechanism(), {"pump": 10.0}, 2, start=table(z[2:3]), rng=rng())
    np.testing.assert_allclose(short.path[:, 2], [1.7, 1.7])


def test_notes():
    def notes(hold: dict[str, float], **more) -> str:
        own = replace(mechanism(), **{k: v for k, v in more.items() if k != "sensors"})
        return " ".join(intervene(replace(own, sensors=replace(own.sensors, **more.get("sensors", {}))), hold, 30, rng=rng()).notes)

    assert notes({"pump": 12.0}) == ""
    outside = notes({"pump": 30.0})
    assert "pump = 30 lies outside its readings, 4 to 16: what follows is extrapolation." in outside
    assert "leaves the range of the readings of flow, level" in outside
    assert "No decided link leaves level" in notes({"level": 1.0})
    assert "pump may or may not drive 2 more sensors" in notes({"pump": 12.0}, sensors={"undecided": np.array([2, 0, 0])})
    assert "The response of level is curved" in notes({"pump": 12.0}, sensors={"curved": np.array([True, False, True])})
    assert "does not settle" in notes({"pump": 12.0}, coefficient=np.array([0.5, 0.0, 1.2, 0.8, 0.0, 0.7]))


def test_reach_follows_chains():
    assert reach(mechanism(), [0]) == [1, 2]
    assert reach(mechanism(), [1]) == [2]
    assert reach(mechanism(), [2]) == []


@pytest.mark.parametrize(
    ("hold", "horizon", "words"),
    [
        ({"pumpe": 1.0}, 5, "no sensor 'pumpe'. Did you mean 'pump'"),
        ({"dead": 1.0}, 5, "'dead' took no part in the fit .constant."),
        ({"pump": float("nan")}, 5, "finite number"),
        ({"pump": float("inf")}, 5, "finite number"),
        ({"pump": "high"}, 5, "finite number in its own unit, got 'high'"),
        ({"pump": None}, 5, "finite number"),
        ({}, 5, "at least one sensor"),
        ("pump", 5, "at least one sensor"),
        ({"pump": 1.0}, 0, "horizon must be a whole number"),
        ({"pump": 1.0}, 2.5, "horizon must be a whole number"),
        ({"pump": 1.0}, 10**9, "horizon must be a whole number"),
        ({"pump": 1.0}, True, "horizon must be a whole number"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(hold, horizon, words):
    with pytest.raises(InputError, match=words):
        intervene(mechanism(), hold, horizon, rng=rng())


def test_every_resample_follows_its_own_coefficients():
    b = np.tile(mechanism().coefficient, (3, 1))
    b[1:, 3] = [0.0, 2.0]
    c = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 5.0]])
    shocks = np.random.default_rng(0).standard_normal((3, 6, 3))
    together = Run(mechanism(), b, c).path(shocks, {0: 1.0})
    for r in range(3):
        alone = Run(replace(mechanism(), coefficient=b[r], intercept=c[r]), b[r : r + 1], c[r : r + 1]).path(shocks[r : r + 1], {0: 1.0})
        np.testing.assert_allclose(together[r], alone[0])
    quiet = Run(mechanism(), b, c).path(np.zeros((3, 40, 3)), {0: 1.0})
    np.testing.assert_allclose(quiet[:, -1, 1], [1.0, 1 / 0.8, 2 / 0.8])


def test_many_sensors_look_less_far():
    with pytest.raises(InputError, match="from 1 to 200,"):
        checked(SimpleNamespace(size=500), {"pump": 1.0}, 201)


def test_an_explosive_system_stays_finite():
    wild = replace(
        mechanism(), coefficient=np.array([3.0, 0.0, 2.0, 0.8, 0.0, 0.7]), resampled=np.tile([3.0, 0.0, 2.0, 0.8, 0.0, 0.7], (5, 1))
    )
    found = intervene(wild, {"level": 1.0}, 1000, rng=rng())
    assert np.isfinite(found.frame().drop(columns="sensor").to_numpy()).all()


def test_the_estimator_finds_what_the_plant_would_do_and_gives_the_same_answer_twice():
    noise = np.random.default_rng(0).standard_normal((1500, 3))
    pump, flow = 900 + 110 * noise[:, 0], 42 + 3.0 * noise[:, 1]
    flow[1:] += 0.025 * pump[:-1]
    model = RCGNN(max_lag=2, select__refine="off").fit(pd.DataFrame({"pump": pump, "flow": flow, "other": noise[:, 2]}))
    high, low = (model.intervene({"pump": value}, horizon=3) for value in (1000.0, 900.0))
    np.testing.assert_allclose((high.path - low.path)[1:, 1], 0.025 * 100, rtol=0.05)
    assert high.path[2, 1] == pytest.approx(42 + 0.025 * 1000, abs=0.5)
    inside = (pump > 995) & (pump < 1005)
    real = flow[1:][inside[:-1]]
    assert ((real > high.path_low[2, 1]) & (real < high.path_high[2, 1])).mean() > 0.85
    assert high.difference_low[2, 1] < high.difference[2, 1] < high.difference_high[2, 1]
    assert high.frame().equals(model.intervene({"pump": 1000.0}, horizon=3).frame())
