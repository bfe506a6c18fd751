"""Uneven steps are told, never evened out in silence; bins on request, with gaps that stay gaps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcgnn import RCGNN
from rcgnn.config import Config
from rcgnn.data.resample import BRIDGED, regular, resample, uneven
from rcgnn.delay import seconds
from rcgnn.errors import ConfigError, TableError
from rcgnn.series import Series, concatenate


def table(time, values=None, **more) -> Series:
    cells = np.arange(len(time), dtype=float)[:, None] if values is None else np.array(values, float)
    return Series(cells, np.isfinite(cells), tuple(f"s{i}" for i in range(cells.shape[1])), time=np.array(time, float), **more)


def test_mean_of_the_readings_in_a_bin_sensor_by_sensor():
    s = table([0, 5, 9, 10, 31], [[1, 10], [3, np.nan], [8, 20], [5, np.nan], [7, 6]])
    found = resample(s, 10)
    assert found.time.tolist() == [0, 10, 20, 30]
    assert np.array_equal(found.values, [[4, 15], [5, np.nan], [np.nan, np.nan], [7, 6]], equal_nan=True)
    assert found.mask.tolist() == [[True, True], [True, False], [False, False], [True, True]]
    assert found.names == s.names


def test_bins_are_aligned_to_multiples_of_the_step():
    assert resample(table([7, 8, 12.5]), 5).time.tolist() == [5, 10]
    assert resample(table([-7, 3]), 5).time.tolist() == [-10, -5, 0]


def test_stamps_with_rounding_errors_stay_in_their_bin():
    time = np.arange(2000) * 0.1
    assert np.array_equal(resample(table(time), 0.1).values[:, 0], np.arange(2000))


@pytest.mark.parametrize(("empty", "rows", "segments"), [(1, 3, 1), (BRIDGED, BRIDGED + 2, 1), (BRIDGED + 1, 2, 2), (10**9, 2, 2)])
def test_short_runs_of_empty_bins_are_rows_and_long_ones_a_gap(empty, rows, segments):
    start = np.arange(3.0)
    s = resample(table([*start, start[-1] + empty + 1]), 1)
    assert s.shape[0] == rows + 2
    assert len(s.segments()) == segments
    assert s.mask.sum() == 4


def test_a_bin_never_mixes_recordings_and_takes_the_mode_of_its_first_row():
    s = table([0, 1, 2, 9], regime=np.array([0, 0, 1, 1]), regime_names=("a", "b"))
    found = resample(concatenate([s, s]), 2)
    one = [0, 1, 1, 1, 1]
    assert found.recording.tolist() == [0] * 5 + [1] * 5
    assert found.regime.tolist() == one + one
    assert found.time.tolist() == [0, 2, 4, 6, 8] * 2
    assert np.array_equal(found.values[:5], found.values[5:], equal_nan=True)


def test_a_recording_that_goes_on_where_the_last_one_ended_gets_a_bin_of_its_own():
    found = resample(concatenate([table([0, 8]), table([9, 10])]), 10)
    assert (found.values[:, 0].tolist(), found.recording.tolist()) == ([0.5, 0.0, 1.0], [0, 1, 1])


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(1, 30))
def test_no_reading_is_lost_or_made_up(steps, step):
    time = np.cumsum([0, *steps]).astype(float)
    values = np.random.default_rng(len(steps)).uniform(-5, 5, (len(time), 2))
    found = resample(table(time, values), step)
    number = np.floor(time / step)
    count = np.array([np.sum(number == b) for b in np.floor(found.time / step + 1e-6)])
    assert count.sum() == len(time)
    assert np.array_equal(found.mask[:, 0], count > 0)
    total = (np.where(found.mask, found.values, 0) * count[:, None]).sum(axis=0)
    assert np.allclose(total, values.sum(axis=0))


def test_huge_readings_have_a_finite_mean():
    assert resample(table([0, 1], [[1.7e308], [1.7e308]]), 10).values[0, 0] == pytest.approx(1.7e308)


@pytest.mark.parametrize(
    ("time", "told"),
    [
        (np.arange(100.0), False),
        (np.cumsum(np.random.default_rng(0).exponential(1.0, 100)), True),
        (np.arange(100.0) + np.random.default_rng(0).uniform(-0.05, 0.05, 100), False),
        ([*range(50), *range(500, 550)], False),
        (np.sort(np.concatenate([np.arange(50.0), np.arange(50.0) + 0.3])), True),
    ],
    ids=["even", "exponential", "jitter", "one gap", "pairs"],
)
def test_uneven_steps_are_told(time, told):
    series = table(time)
    after, findings = regular(series, None)
    assert after is series
    assert [f.evidence["kind"] for f in findings] == ["uneven_steps"] * told
    assert not told or "data.resample" in findings[0].remedy


def test_the_step_between_recordings_is_none():
    s = table([0.0, 1, 2])
    assert not uneven(concatenate([s] * 9))


def test_what_was_binned_is_told_and_many_empty_bins_are_warned_of():
    time = np.cumsum(np.random.default_rng(1).exponential(10.0, 300))
    for step, severity in (("60s", "info"), ("1s", "warn")):
        series, (told,) = regular(table(time), step)
        assert told.severity == severity
        assert told.evidence["rows"] == 300
        assert told.evidence["bins"] == series.shape[0]
        assert told.evidence["empty"] == pytest.approx(1 - series.mask.any(axis=1).mean())


def test_bins_need_a_time_and_a_length_that_can_be_counted():
    with pytest.raises(TableError, match=r"data\.resample=1h needs a time"):
        regular(Series.of(np.eye(3)), "1h")
    with pytest.raises(TableError, match="too short"):
        resample(table([0, 1.7e9]), 1e-9)


@pytest.mark.parametrize(
    ("text", "length"), [("10min", 600), ("1.5 h", 5400), ("s", 1), ("250ms", 0.25), (7, 7), (0.5, 0.5), ("2d", 172800)]
)
def test_lengths_of_time(text, length):
    assert seconds(text) == length
    assert Config().override([f"data.resample={text}"]).data.resample == text


@pytest.mark.parametrize("text", ["10 parsecs", "-5", "0", "0min", "1M", "true", "[1]", ".inf", "min10"])
def test_what_is_no_length_of_time_is_refused(text):
    with pytest.raises(ConfigError, match="expected a length of time such as 10min"):
        Config().override([f"data.resample={text}"])


def sampled(seed: int = 3) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(even, uneven) readings of a plant where x drives y two minutes later; the second one reads at random moments of every minute."""
    rng = np.random.default_rng(seed)
    x, y = np.zeros((2, 900))
    for t in range(2, 900):
        x[t] = 0.5 * x[t - 1] + rng.standard_normal()
        y[t] = 0.3 * y[t - 1] + 0.9 * x[t - 2] + rng.standard_normal()
    minute = pd.date_range("2024-01-01", periods=900, freq="min")
    even = pd.DataFrame({"x": x, "y": y}, index=minute)
    return even, even.set_axis(minute + pd.to_timedelta(rng.uniform(0, 59, 900), unit="s"), axis=0)


def test_fit_on_bins_finds_what_the_even_table_shows_and_forecasts_in_bins():
    even, uneven_table = sampled()
    settings = {"max_lag": 3, "select__refine": "off"}
    left = RCGNN(**settings).fit(even)
    right = RCGNN(**settings, data__resample="1min").fit(uneven_table)
    assert right.graph_.links() == left.graph_.links() == [(2, 0, 1)]
    assert next(f.evidence["kind"] for f in right.findings_ if f.code == "INPUT") == "resampled"
    assert right.predict(uneven_table).shape == (900, 2)
    assert np.allclose(right.predict(uneven_table), right.predict(even), equal_nan=True)
    half = RCGNN(**settings, data__resample="2min").fit(uneven_table)
    assert half.predict(uneven_table).shape == (450, 2)
    assert half.graph_.links() == [(1, 0, 1)]


def test_without_the_setting_an_uneven_table_is_taken_as_it_is_and_told():
    _, uneven_table = sampled()
    model = RCGNN(max_lag=3, select__refine="off").fit(uneven_table)
    assert "uneven_steps" in [f.evidence.get("kind") for f in model.findings_]
    assert model.fit_.quality.sensors
    assert model.predict(uneven_table).shape[0] == len(uneven_table)
