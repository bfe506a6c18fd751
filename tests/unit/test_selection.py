"""Readings that vanish by their own value: exact moments, an honest pseudo-reading, a threshold that is found, less bias."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from rcgnn.config import Config, SignalConfig
from rcgnn.data.cleaning import clean
from rcgnn.data.quality import inspect
from rcgnn.pipeline import fit_series
from rcgnn.series import Series
from rcgnn.signal.draws import Signal, infer
from rcgnn.signal.em import fit
from rcgnn.signal.selection import LONGEST_GAP, begin, completed, doubtful, probit, pseudo_reading, renewed, tilted
from rcgnn.signal.statespace import LinearModel, Readings, Selection, smooth
from rcgnn.signal.vanishing import suspects, told
from rcgnn.synth import corrupt, simulate

THRESHOLD, WIDTH = 0.8, 0.5


def table(rows: int = 800, seed: int = 0, *, low: bool = False) -> tuple[np.ndarray, Readings]:
    """(signal, readings) of three AR(1) sensors of unit variance, two of which lose their high (or low) values."""
    rng = np.random.default_rng(seed)
    x = np.zeros((rows + 100, 3))
    for t in range(1, len(x)):
        x[t] = 0.7 * x[t - 1] + rng.standard_normal(3)
        x[t, 1] += 0.6 * x[t - 1, 0]
        x[t, 2] += 0.6 * x[t - 1, 1]
    x = x[100:]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    lost = rng.random(x.shape) < norm.cdf((x - THRESHOLD) / WIDTH)
    lost[:, 0] = False
    side = -1.0 if low else 1.0
    return side * x, Readings(np.where(lost, np.nan, side * x), ~lost, [slice(0, rows)], lost)


def inferred(readings: Readings, seed: int = 0, **settings) -> Signal:
    return infer(readings, np.zeros(3), config=SignalConfig(**settings), support=None, rng=np.random.default_rng(seed))


def in_units(readings: Readings, x: np.ndarray) -> np.ndarray:
    """x as the signal has it: mean 0 and sd 1 over the readings."""
    seen = np.where(readings.mask, readings.values, np.nan)
    return (x - np.nanmean(seen, axis=0)) / np.nanstd(seen, axis=0)


def readings_in_units(readings: Readings) -> Readings:
    return replace(readings, values=in_units(readings, readings.values))


@pytest.mark.parametrize(("mean", "variance", "slope", "offset"), [(0.3, 1.2, 2.0, 1.0), (-1.0, 0.4, -1.5, 0.2), (2.5, 0.1, 5.0, -1.0)])
def test_tilted_moments_are_those_of_numerical_integration(mean, variance, slope, offset):
    def part(power: int) -> float:
        return quad(
            lambda x: x**power * norm.pdf(x, mean, variance**0.5) * norm.cdf(slope * x - offset), -12, 12, epsabs=1e-12, points=[mean]
        )[0]

    centre = part(1) / part(0)
    spread = part(2) / part(0) - centre**2
    g, w = tilted(*(np.array([v]) for v in (mean, variance, slope, offset)))
    assert mean + variance * g[0] == pytest.approx(centre, abs=1e-7)
    assert variance - variance**2 * w[0] == pytest.approx(spread, abs=1e-7)


def test_moments_far_on_either_side_of_the_threshold_stay_finite():
    mean = np.array([-1e6, -60.0, -5.0, 5.0, 60.0, 1e6])
    one = np.ones(6)
    for slope in (5.0, -5.0):
        g, w = tilted(mean, one, slope * one, 0 * one)
        assert np.isfinite(g).all()
        assert ((w >= 0) & (w < 1)).all()
        for each in pseudo_reading(mean, one, slope * one, 0 * one):
            assert np.isfinite(each).all()


def test_a_pseudo_reading_updates_to_the_tilted_moments():
    mean, variance = np.array([0.4, -0.7, 1.5]), np.array([1.0, 0.3, 2.0])
    slope, offset = np.array([2.0, -1.0, 4.0]), np.array([1.0, 0.5, 2.0])
    g, w = tilted(mean, variance, slope, offset)
    precision, shift = pseudo_reading(mean, variance, slope, offset)
    noise, reading = 1 / precision, shift / precision
    gain = variance / (variance + noise)
    np.testing.assert_allclose(mean + gain * (reading - mean), mean + variance * g, rtol=1e-10)
    np.testing.assert_allclose((1 - gain) * variance, variance - variance**2 * w, rtol=1e-10)


def test_one_hidden_cell_gets_its_exact_moments_through_the_smoother():
    """x ~ N(0, 1) before the first row: settled pseudo-readings must give the moments of N(0, 1) given that it vanished."""
    model = LinearModel(np.zeros((1, 1)), np.eye(1), np.array([0.01]))
    lost = np.array([[True], [False]])
    readings = Readings(np.array([[np.nan], [0.2]]), ~lost, [slice(0, 2)], lost)
    hidden = begin(readings, Selection(np.array([2.0]), np.array([1.0]), np.zeros(1)))
    for _ in range(3):
        hidden = renewed(readings, hidden, smooth(model, completed(readings, hidden)), learn=False)
    found = smooth(model, completed(readings, hidden))
    g, w = tilted(np.zeros(1), np.ones(1), np.array([2.0]), np.array([1.0]))
    assert found.mean[0, 0] == pytest.approx(g[0], abs=1e-9)
    assert found.variance[0, 0] == pytest.approx(1 - w[0], abs=1e-9)


def test_probit_finds_slope_and_offset_and_stays_sane_where_the_cut_is_sharp():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(20000)
    side = np.where(rng.random(x.size) < norm.cdf((x - THRESHOLD) / WIDTH), 1.0, -1.0)
    slope, offset, z = probit(x, side, np.ones(x.size), (0.0, 0.0))
    assert slope == pytest.approx(1 / WIDTH, rel=0.05)
    assert offset == pytest.approx(THRESHOLD / WIDTH, rel=0.05)
    assert z > 20
    slope, offset, _ = probit(x, np.where(x > 1, 1.0, -1.0), np.ones(x.size), (0.0, 0.0))
    assert 4 < slope <= 5 + 1e-9
    assert offset / slope == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("low", [False, True])
def test_threshold_width_and_level_are_found_on_either_side(low):
    x, readings = table(rows=1500, low=low)
    found = inferred(readings, lags=1)
    assert found.selection is not None
    assert found.selection.used.tolist() == [False, True, True]
    for j in (1, 2):
        seen = readings.values[readings.mask[:, j], j]
        slope, offset = found.selection.slope[j], found.selection.offset[j]
        assert np.sign(slope) == (-1 if low else 1)
        assert (offset / slope * seen.std() + seen.mean()) * (-1 if low else 1) == pytest.approx(THRESHOLD, abs=0.15)
        assert seen.std() / abs(slope) == pytest.approx(WIDTH, abs=0.2)
        assert found.selection.level[j] * seen.std() + seen.mean() == pytest.approx(x[:, j].mean(), abs=0.1)


def test_hidden_cells_are_no_longer_underestimated_and_the_posterior_is_honest():
    x, readings = table()
    truth, lost = in_units(readings, x), ~readings.mask
    blind, knowing = (inferred(r, lags=1) for r in (replace(readings, suspects=None), readings))
    error = [(s.mean - truth)[lost] for s in (blind, knowing)]
    assert error[0].mean() < -0.35
    assert abs(error[1].mean()) < 0.15
    assert (error[1] ** 2).mean() < 0.5 * (error[0] ** 2).mean()
    off = error[1] / np.sqrt(knowing.variance[lost])
    assert 0.8 < np.sqrt((off**2).mean()) < 1.2
    drawn = (knowing.draws - knowing.mean)[:, lost]
    assert (drawn**2).mean() == pytest.approx(knowing.variance[lost].mean(), rel=0.15)


def test_low_values_that_vanish_mirror_high_ones():
    high, low = (inferred(table(rows=300, low=side)[1], iterations=3, draws=1) for side in (False, True))
    np.testing.assert_allclose(low.mean, -high.mean, atol=1e-9)
    np.testing.assert_allclose(low.variance, high.variance, atol=1e-9)
    np.testing.assert_allclose(low.selection.slope, -high.selection.slope, atol=1e-9)
    np.testing.assert_allclose(low.selection.level, -high.selection.level, atol=1e-9)


def test_random_gaps_under_suspicion_are_found_innocent():
    x, _ = table()
    lost = np.random.default_rng(5).random(x.shape) < 0.3
    readings = Readings(np.where(lost, np.nan, x), ~lost, [slice(0, len(x))], lost)
    found, blind = inferred(readings, lags=1), inferred(replace(readings, suspects=None), lags=1)
    assert not found.selection.used.any()
    np.testing.assert_array_equal(found.draws, blind.draws)


def test_a_threshold_that_no_reading_comes_near_is_not_believed():
    readings = Readings(np.array([[0.0, 0.0], [2.0, 2.0]]), np.ones((2, 2), bool), [slice(0, 2)])
    for threshold, doubted in ((-0.2, False), (-0.3, True), (2.2, False), (2.3, True)):
        for slope in (2.0, -2.0):
            selection = Selection(np.array([slope, 0.0]), np.array([slope * threshold, 9.0]), np.zeros(2))
            assert doubtful(selection, readings).tolist() == [doubted, False]


def test_gaps_that_a_weak_cause_makes_are_left_to_the_plain_model():
    """The chance of a gap rises slowly with the value and never reaches a half: no threshold, and the same draws as without."""
    x, _ = table(rows=1500)
    lost = np.random.default_rng(3).random(x.shape) < norm.cdf(0.35 * x - 1.5)
    lost[:, 0] = False
    readings = Readings(np.where(lost, np.nan, x), ~lost, [slice(0, len(x))], lost)
    found, blind = (inferred(r, lags=1, iterations=4) for r in (readings, replace(readings, suspects=None)))
    assert fit(readings_in_units(readings), np.full(3, 0.01), lags=1, iterations=4).model.selection.used.any()  # it was tried
    assert found.selection is None or not found.selection.used.any()
    np.testing.assert_array_equal(found.draws, blind.draws)


@pytest.mark.parametrize("left", [(), (2,), (1, 2)], ids=["no suspects", "one left", "both left"])
def test_rounds_before_missing_cells_say_anything_are_not_gone_through_again(left):
    """Another look at the same readings with fewer suspects is, to the bit, the look that begins at the beginning."""
    readings = readings_in_units(table()[1])
    fewer = np.zeros_like(readings.suspects)
    fewer[:, list(left)] = readings.suspects[:, list(left)]
    fewer = replace(readings, suspects=fewer if left else None)
    rounds, blind = [], fit(readings, np.full(3, 0.01), lags=1, iterations=3).blind
    again = fit(fewer, np.full(3, 0.01), lags=1, iterations=5, blind=blind, progress=lambda _, info: rounds.append(info["done"]))
    anew = fit(fewer, np.full(3, 0.01), lags=1, iterations=5)
    assert rounds == [3, 4, 5]
    np.testing.assert_array_equal(again.model.A, anew.model.A)
    np.testing.assert_array_equal(again.model.Q, anew.model.Q)
    np.testing.assert_array_equal(again.moment, anew.moment)
    assert (again.model.selection is None) == (not left)
    if left:
        np.testing.assert_array_equal(again.model.selection.slope, anew.model.selection.slope)


def test_one_round_is_too_few_to_begin_from():
    assert fit(readings_in_units(table()[1]), np.full(3, 0.01), lags=1, iterations=1).blind is None


def test_long_gaps_are_no_evidence():
    mask = np.ones((100, 1), bool)
    mask[5:8], mask[20 : 21 + LONGEST_GAP], mask[60 : 60 + LONGEST_GAP] = False, False, False
    hidden = begin(Readings(np.where(mask, 1.0, np.nan), mask, [slice(0, 50), slice(50, 100)], ~mask))
    assert np.flatnonzero(hidden.cells).tolist() == [5, 6, 7, *range(60, 60 + LONGEST_GAP)]


def test_the_order_of_the_sensors_changes_nothing():
    _, readings = table(rows=300)
    order = np.array([2, 0, 1])
    turned = Readings(readings.values[:, order], readings.mask[:, order], readings.segments, readings.suspects[:, order])
    one, two = inferred(readings, iterations=3), inferred(turned, iterations=3)
    np.testing.assert_allclose(two.draws, one.draws[:, :, order], atol=1e-8)
    np.testing.assert_allclose(two.selection.slope, one.selection.slope[order], atol=1e-8)


def damaged(spec: dict[str, float], rows: int = 500) -> Series:
    return corrupt(simulate("linear", seed=3, rows=rows, sensors=5).series, spec, seed=3)


def test_suspects_are_missing_cells_of_flagged_sensors_and_never_those_that_cleaning_took():
    series = damaged({"mnar": 0.3, "outliers": 0.01}, rows=1500)
    report = inspect(series)
    cleaned = clean(series, report)
    assert (cleaned.removed == 3).any()
    every = np.arange(5)
    np.testing.assert_array_equal(suspects(report, cleaned, every, "auto"), ~series.mask)
    assert suspects(report, cleaned, every, "off") is None
    one = corrupt(simulate("linear", seed=3, rows=1500, sensors=5).series, {"mnar@x1": 0.3, "missing": 0.2}, seed=3)
    report = inspect(one)
    flagged = np.array([q.missing_pattern == "mnar" for q in report.sensors])
    assert 0 < flagged.sum() < 3
    found = [suspects(report, clean(one, report), every, switch) for switch in ("auto", "on")]
    np.testing.assert_array_equal(found[0].any(axis=0), flagged)
    assert found[1].any(axis=0).all()


def test_random_gaps_give_the_same_numbers_with_the_setting_on_auto_and_off():
    series = damaged({"missing": 0.4})
    fits = [fit_series(series, Config().override(["select.refine=off", "select.halves=0", f"signal.mnar={s}"])) for s in ("auto", "off")]
    np.testing.assert_array_equal(fits[0].signal.draws, fits[1].signal.draws)
    np.testing.assert_array_equal(fits[0].graph.score, fits[1].graph.score)
    assert fits[0].signal.selection is None


def test_the_finding_names_threshold_side_and_assumption_in_sensor_units():
    clean_series = simulate("linear", seed=3, rows=1500, sensors=5).series
    series = corrupt(clean_series, {"mnar": 0.3}, seed=3)
    fit = fit_series(series, Config().override(["select.refine=off", "select.halves=0"]))
    found = {f.sensor: f for f in fit.findings if f.evidence.get("kind") == "missing_mnar"}
    assert set(found) == set(series.names)
    for j, name in enumerate(series.names):
        column, gone = clean_series.values[:, j], ~series.mask[:, j]
        evidence = found[name].evidence
        level = np.linspace(*np.quantile(column, [0.05, 0.95]), 91)
        near = [gone[np.argsort(np.abs(column - v))[:150]].mean() for v in level]
        half = level[int(np.argmin(np.abs(np.array(near) - 0.5)))]
        assert abs(evidence["threshold"] - half) < 0.3 * column.std()
        assert evidence["side"] == "high"
        assert found[name].applied
        assert "because of its own value" in found[name].remedy
        assert f"{evidence['threshold']:.4g}" in found[name].message
    first_info = next(i for i, f in enumerate(fit.findings) if f.severity == "info")
    assert [f.evidence["kind"] for f in fit.findings[first_info - 5 : first_info]] == ["missing_mnar"] * 5


def test_without_a_selection_model_the_findings_stay_as_they_are():
    report = inspect(damaged({"mnar": 0.3}))
    none = Selection(np.zeros(5), np.zeros(5), np.zeros(5))
    one = np.ones(5)
    for selection in (None, none):
        assert told(report.findings, report, [q.name for q in report.sensors], selection, one, one) == list(report.findings)
