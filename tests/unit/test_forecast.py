"""One step ahead against the equations written out; gaps, segments, drift, scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rcgnn import RCGNN
from rcgnn.errors import InputError, TruthRefusedError
from rcgnn.mechanism.equations import Mechanism, Sensors
from rcgnn.mechanism.forecast import Forecast, forecast, states, trailing_mean
from rcgnn.series import Series
from rcgnn.synth import simulate

NAMES = ("pump", "flow", "level")
OFFSET, UNIT = np.array([10.0, -5.0, 0.0]), np.array([2.0, 0.1, 1.0])


def mechanism(**more) -> Mechanism:
    """z: pump .5 own; flow = .8 pump now + .2 own; level = .7 flow two steps before + 1."""
    terms = np.array([(1, 0, 0), (2, 0, 0), (1, 1, 1), (0, 0, 1), (1, 2, 2), (2, 1, 2)])
    b = np.array([0.5, 0.0, 0.2, 0.8, 0.0, 0.7])
    none = np.zeros(3)
    sensors = Sensors(
        NAMES,
        OFFSET,
        UNIT,
        none,
        none > 0,
        OFFSET - 3 * UNIT,
        OFFSET + 3 * UNIT,
        none + 1,
        none > 0,
        np.zeros(3, int),
        {"dead": "constant"},
    )
    parts = {
        "resampled": np.tile(b, (5, 1)),
        "resampled_intercept": np.tile([0.0, 0.0, 1.0], (5, 1)),
        "rows": np.full(3, 100),
        "degrees": np.full(3, 9),
        "residual": np.zeros((10, 3)),
        "error": np.array([[-1.0, -2.0, -3.0], [1.5, 2.5, 3.5]]),
        "state": np.array([[1.0, 0.0, 0.0], [2.0, 0.5, -1.0]]),
    }
    return Mechanism(sensors, terms, b, np.array([0.0, 0.0, 1.0]), **parts | more)


def table(z: np.ndarray, **more) -> Series:
    return replace(Series.of(OFFSET + UNIT * z, names=NAMES), **more)


def by_hand(z: np.ndarray) -> np.ndarray:
    pump = 0.5 * z[1:-1, 0]
    flow = 0.8 * pump + 0.2 * z[1:-1, 1]
    return OFFSET + UNIT * np.column_stack([pump, flow, 0.7 * z[:-2, 1] + 1.0])


def test_the_equations_written_out():
    z = np.random.default_rng(0).standard_normal((30, 3))
    done = forecast(mechanism(), table(z))
    assert np.isnan(done.value[:2]).all()
    np.testing.assert_allclose(done.value[2:], by_hand(z))
    np.testing.assert_allclose(done.low[2:], done.value[2:] + UNIT * [-1, -2, -3])
    np.testing.assert_allclose(done.high[2:], done.value[2:] + UNIT * [1.5, 2.5, 3.5])


def test_columns_are_found_by_name_and_others_passed_over():
    z = np.random.default_rng(0).standard_normal((30, 3))
    turned = table(z).sensors([2, 0, 1])
    wider = Series.of(np.column_stack([turned.values, np.ones(30)]), names=(*turned.names, "more"))
    np.testing.assert_array_equal(forecast(mechanism(), wider).value, forecast(mechanism(), table(z)).value)


def test_a_missing_reading_is_stood_in_for_by_its_forecast():
    z = np.random.default_rng(0).standard_normal((30, 3))
    gappy = z.copy()
    gappy[10, 0] = np.nan
    filled = z.copy()
    filled[10, 0] = 0.5 * z[9, 0]
    np.testing.assert_allclose(forecast(mechanism(), table(gappy)).value[2:], by_hand(filled))
    first = z.copy()
    first[0, 2] = np.nan
    first[1, 1] = np.nan
    found, _ = states(mechanism(), table(first))
    assert (found[0, 2], found[1, 1]) == (0.0, pytest.approx(z[0, 1]))


@pytest.mark.parametrize("drifts", [False, True])
def test_the_reading_itself_is_never_used(drifts):
    own = mechanism()
    own = replace(own, sensors=replace(own.sensors, drifts=np.full(3, drifts)))
    z = np.random.default_rng(0).standard_normal((30, 3))
    other = z.copy()
    other[-1] = 99.0
    np.testing.assert_array_equal(forecast(own, table(z)).value, forecast(own, table(other)).value)


def test_nothing_reaches_across_recordings():
    z = np.random.default_rng(0).standard_normal((30, 3))
    done = forecast(mechanism(), table(z, recording=np.repeat([0, 1], 15)))
    assert np.flatnonzero(np.isnan(done.value[:, 0])).tolist() == [0, 1, 15, 16]
    np.testing.assert_allclose(done.value[17:], by_hand(z[15:]))


def test_a_drifting_sensor_is_judged_from_its_own_recent_mean():
    own = mechanism()
    sensors = replace(own.sensors, drifts=np.array([True, False, False]))
    z = 0.1 * np.random.default_rng(0).standard_normal((400, 3))
    z[:, 0] += 50.0 + np.linspace(0, 5, 400)
    missed = {}
    for name, one in {"drifts": replace(own, sensors=sensors), "does not": own}.items():
        done = forecast(one, table(z))
        missed[name] = np.abs(done.observed - done.value)[150:, 0] / UNIT[0]
    assert missed["drifts"].max() < 1.0
    assert missed["does not"].min() > 20
    z[200, 0] = np.nan
    mean = trailing_mean(z, table(z))
    assert mean[200, 0] == pytest.approx(np.nanmean(z[100:201, 0]))
    assert mean[5, 2] == pytest.approx(z[:6, 2].mean())
    away = replace(own, sensors=replace(sensors, level=np.array([1e6, 0.0, 0.0])))
    lifted = replace(table(z), values=np.add(table(z).values, [1e6, 0.0, 0.0]))
    np.testing.assert_allclose(
        forecast(away, lifted).value[:, 0] - 1e6, forecast(replace(own, sensors=sensors), table(z)).value[:, 0], atol=1e-6
    )


def test_suspect_cells_are_set_aside_only_when_asked():
    z = np.random.default_rng(0).standard_normal((300, 3))
    z[100, 0] = 60.0
    assert forecast(mechanism(), table(z)).set_aside.tolist() == [0, 0, 0]
    done = forecast(mechanism(), table(z), set_aside=True)
    assert done.set_aside.tolist() == [1, 0, 0]
    assert np.isnan(done.observed[100, 0])
    assert done.value[101, 0] == pytest.approx(OFFSET[0] + UNIT[0] * 0.25 * z[99, 0])


def test_scores():
    x = np.array([[1.0, 5.0, np.nan], [2.0, 5.0, np.nan], [4.0, 5.0, 1.0], [3.0, 5.0, np.nan]])
    guess = np.array([[np.nan] * 3, [3.0, 5.0, 1.0], [4.0, 5.0, 1.0], [3.0, 5.0, 1.0]])
    done = Forecast(NAMES, x, guess, guess - 0.5, guess + 0.5, np.zeros(3, int))
    pump, flow, level = done.scores()
    assert (pump.rows, pump.r2, pump.inside) == (3, pytest.approx(1 - 1 / 2), pytest.approx(2 / 3))
    assert pump.persistence == pytest.approx(1 - (1 + 4 + 1) / 2)
    assert (flow.r2, flow.inside) == (None, 1.0)
    assert (level.rows, level.r2, level.persistence, level.inside) == (1, None, None, 1.0)


def test_long_holds_only_what_has_a_forecast():
    frame = forecast(mechanism(), table(np.zeros((4, 3)))).long()
    assert frame.columns.tolist() == ["row", "sensor", "observed", "predicted", "low", "high"]
    assert frame["row"].tolist() == [2, 2, 2, 3, 3, 3]
    assert frame["sensor"].tolist() == [*NAMES, *NAMES]


@pytest.mark.parametrize(
    ("series", "words"),
    [
        (Series.of(np.zeros((9, 3)), names=("pump", "flow", "levle")), "no column 'level'.*Did you mean 'levle'"),
        (table(np.zeros((2, 3))), "needs 2 rows in a row"),
    ],
)
def test_what_cannot_be_forecast_is_one_sentence(series, words):
    with pytest.raises(InputError, match=words):
        forecast(mechanism(), series)


def test_held_out_rows_of_a_fit():
    series = simulate("linear", seed=2, rows=900, sensors=5).series
    model = RCGNN(max_lag=3, select__refine="off").fit(series.rows(slice(0, 600)))
    rest = series.rows(slice(600, 900))
    scores = model.score(rest)
    assert list(scores) == list(series.names)
    assert np.mean(list(scores.values())) > 0.4
    done = model.predict(rest, interval=True)
    inside = ((done["observed"] >= done["low"]) & (done["observed"] <= done["high"])).mean()
    assert 0.90 < inside < 0.99
    assert model.predict(rest).shape == (300, 5)
    with pytest.raises(TruthRefusedError):
        model.score(rest, y=1)


def test_a_fit_without_equations_says_so():
    model = RCGNN(select__refine="off").fit(np.column_stack([np.random.default_rng(0).standard_normal(100), np.ones(100)]))
    with pytest.raises(InputError, match="no equations"):
        model.predict(np.zeros((10, 2)))
