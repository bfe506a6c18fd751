"""The quality report on simulated systems with one known defect at a time. The simulators here are the tests' own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rcgnn.data.process_rules import autocovariance, common_mode, correlations, innovations, missing_pattern
from rcgnn.data.quality import QualityReport, inspect
from rcgnn.data.readers import read_table
from rcgnn.series import Series, concatenate

DATA = Path(__file__).parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="development data sets are not on this machine")
T, N, CASES = 1500, 8, 6


def system(rng: np.random.Generator, rows: int = T) -> np.ndarray:
    """A vector autoregression of 8 sensors, each driven by its own past and by one other sensor."""
    memory, driver = rng.uniform(0.4, 0.9, N), rng.permutation(N)
    x = np.zeros((rows + 100, N))
    for t in range(1, rows + 100):
        x[t] = memory * x[t - 1] + 0.3 * np.tanh(x[t - 1, driver]) + rng.normal(size=N)
    return x[100:] / x[100:].std(axis=0)


def spans(rng: np.random.Generator, shape: tuple[int, int], share: float, mean: int) -> np.ndarray:
    """True in stretches of about `mean` rows that make up `share` of each column."""
    hit = np.zeros(shape, bool)
    for column in hit.T:
        while column.mean() < share:
            start = int(rng.integers(0, len(column)))
            column[start : start + max(5, int(rng.geometric(1 / mean)))] = True
    return hit


def held(x: np.ndarray, hit: np.ndarray) -> np.ndarray:
    x = x.copy()
    for t in range(1, len(x)):
        x[t, hit[t]] = x[t - 1, hit[t]]
    return x


def where(x: np.ndarray, hit: np.ndarray, value: object) -> np.ndarray:
    return np.where(hit, value, x)


def self_masked(rng, x):
    chance = 1 / (1 + np.exp(-2 * x))
    return where(x, rng.random(x.shape) < 0.3 * chance / chance.mean(), np.nan)


DEFECTS = {
    "clean": lambda _rng, x: x,
    "stuck": lambda rng, x: held(x, spans(rng, x.shape, 0.1, 20)),
    "coarse and stuck": lambda rng, x: held(np.round(x, 1), spans(rng, x.shape, 0.2, 40)),
    "sentinel": lambda rng, x: where(x, rng.random(x.shape) < 0.02, -999.0),
    "spikes": lambda rng, x: x + where(np.zeros_like(x), rng.random(x.shape) < 0.006, 10 * rng.choice([-1, 1], x.shape)),
    "bursts": lambda rng, x: x + where(np.zeros_like(x), spans(rng, x.shape, 0.02, 5), 10.0 * rng.choice([-1, 1], x.shape)),
    "coarse": lambda _rng, x: np.round(x * 4) / 4,
    "scattered": lambda rng, x: where(x, rng.random(x.shape) < 0.2, np.nan),
    "outages": lambda rng, x: where(x, spans(rng, x.shape, 0.3, 40), np.nan),
    "self-masked": self_masked,
    "drift": lambda rng, x: x + (w := np.cumsum(rng.normal(size=x.shape), axis=0)) / w.std(axis=0),
    "noise": lambda rng, x: x + 0.6 * rng.normal(size=x.shape),
    "gain": lambda _rng, x: x * np.where(np.arange(len(x)) < len(x) // 2, 1.0, 2.5)[:, None],
    "common": lambda rng, x: x + 0.7 * rng.normal(size=(len(x), 1)),
    "walk": lambda rng, x: np.cumsum(rng.normal(size=x.shape), axis=0),
}

SIGNS = {
    "stuck": lambda q: q.stuck_share > 0.01,
    "sentinel": lambda q: q.sentinel is not None,
    "spikes": lambda q: q.outlier_share > 0.002,
    "bursts": lambda q: q.outlier_share > 0.002 and q.outlier_bursts > 0.15,
    "coarse": lambda q: q.quantised_step is not None,
    "scattered": lambda q: q.missing_pattern == "mcar",
    "outages": lambda q: q.missing_pattern == "blocks",
    "self-masked": lambda q: q.missing_pattern == "mnar",
    "drift": lambda q: q.drift,
    "noise": lambda q: q.noise_share > 0.12,
    "gain": lambda q: q.gain_change > 0.3,
    "walk": lambda q: q.unit_root,
}


@pytest.fixture(scope="module")
def reports() -> dict[str, list[QualityReport]]:
    def of(name: str) -> list[QualityReport]:
        rngs = [np.random.default_rng([case, 7]) for case in range(CASES)]
        return [inspect(Series.of(DEFECTS[name](rng, system(rng)))) for rng in rngs]

    return {name: of(name) for name in DEFECTS}


def rate(reports: list[QualityReport], sign: str) -> float:
    return float(np.mean([SIGNS[sign](q) for report in reports for q in report.sensors]))


@pytest.mark.parametrize(
    ("defect", "sign", "least"),
    [
        ("stuck", "stuck", 0.99),
        ("coarse and stuck", "stuck", 0.7),
        ("sentinel", "sentinel", 0.99),
        ("spikes", "spikes", 0.95),
        ("bursts", "bursts", 0.95),
        ("coarse", "coarse", 0.99),
        ("scattered", "scattered", 0.99),
        ("outages", "outages", 0.99),
        ("self-masked", "self-masked", 0.9),
        ("drift", "drift", 0.85),
        ("noise", "noise", 0.9),
        ("gain", "gain", 0.9),
        ("walk", "walk", 0.75),
    ],
)
def test_hits(reports, defect, sign, least):
    assert rate(reports[defect], sign) >= least


@pytest.mark.parametrize("sign", SIGNS)
def test_false_alarms_on_clean_systems(reports, sign):
    assert rate(reports["clean"], sign) <= 0.05


@pytest.mark.parametrize(
    ("defect", "sign"),
    [
        ("scattered", "self-masked"),
        ("scattered", "drift"),
        ("scattered", "stuck"),
        ("outages", "self-masked"),
        ("outages", "drift"),
        ("coarse", "stuck"),
        ("coarse", "spikes"),
        ("stuck", "sentinel"),
        ("spikes", "sentinel"),
        ("noise", "drift"),
        ("gain", "spikes"),
    ],
)
def test_one_defect_is_not_taken_for_another(reports, defect, sign):
    assert rate(reports[defect], sign) <= 0.06


def test_common_disturbance(reports):
    assert all(report.common_mode > 0.2 for report in reports["common"])
    assert all(report.common_mode < 0.1 for report in reports["clean"])
    assert any(f.evidence["kind"] == "common_mode" for f in reports["common"][0].findings)


def counts(rng: np.random.Generator) -> np.ndarray:
    """Bursty event counts: mostly zero, decaying bursts that spread from sensor to sensor."""
    x = np.zeros((T, N))
    for t in range(1, T):
        intensity = 0.05 + 0.6 * x[t - 1] + np.where(rng.random(N) < 0.01, 8, 0)
        intensity[1:] += 0.2 * x[t - 1, :-1]
        x[t] = rng.poisson(np.minimum(intensity, 40))
    return x


def test_bursty_counts_are_event_like_and_healthy():
    for case in range(3):
        report = inspect(Series.of(counts(np.random.default_rng(case))))
        assert all(q.event_like and q.stuck_share == 0 and q.sentinel is None and q.outlier_share == 0 for q in report.sensors)


def test_rarely_changing_sensor_is_not_stuck():
    rng = np.random.default_rng(0)
    level = np.repeat(rng.normal(size=400), rng.geometric(0.25, 400))
    q = inspect(Series.of(np.column_stack([level, rng.normal(size=len(level))]))).sensors[0]
    assert q.stuck_share == 0


def test_cold_days_and_coarse_steps_are_no_sentinels():
    rng = np.random.default_rng(0)
    degrees = np.maximum(np.round(12 + 5 * system(rng)[:, 0]), -1.0)
    degrees[rng.random(T) < 0.01] = -1.0
    coarse = np.round(system(rng)[:, 0] * 2) / 2
    report = inspect(Series.of(np.column_stack([degrees, coarse])))
    assert [q.sentinel for q in report.sensors] == [None, None]


def test_values_in_the_report():
    rng = np.random.default_rng(1)
    x = np.round(1000 + 50 * system(rng)[:, :2])
    x[rng.random(x.shape) < 0.05] = -200
    q = inspect(Series.of(x, names=["co", "no"])).sensor("no")
    assert (q.sentinel, q.quantised_step, q.low, q.observed) == (-200.0, 1.0, -200.0, T)


def test_noise_share_is_about_right():
    rng = np.random.default_rng(5)
    x = np.zeros(20_000)
    for t in range(1, len(x)):
        x[t] = 0.8 * x[t - 1] + rng.normal()
    x = x / x.std() + 0.5 * rng.normal(size=len(x))
    assert inspect(Series.of(x[:, None])).sensors[0].noise_share == pytest.approx(0.2, abs=0.04)


def test_quarantine_and_aliases():
    rng = np.random.default_rng(2)
    x = system(rng)[:, :6]
    x[:, 1] = 3 * x[:, 0] - 7
    x[::3, 1] = np.nan
    x[:, 2] = 1e9 + 4
    x[:, 3] = np.nan
    x[20:, 4] = np.nan
    report = inspect(Series.of(x, names=["a", "copy", "flat", "empty", "short", "b"]))
    assert report.aliases == {"copy": "a"}
    assert set(report.quarantined) == {"flat", "empty", "short"}
    assert "20 readings" in report.quarantined["short"]
    assert inspect(Series.of(x), min_observed=20).quarantined.keys() == {"x2", "x3"}
    kinds = {(f.sensor, f.evidence["kind"]) for f in report.findings}
    assert {("copy", "alias"), ("flat", "quarantined"), ("short", "quarantined")} <= kinds


def test_shared_sentinels_do_not_make_copies():
    rng = np.random.default_rng(3)
    x = system(rng)[:, :2]
    x[rng.random(T) < 0.1] = -200
    assert inspect(Series.of(x)).aliases == {}


def test_findings_name_sensor_number_and_remedy(reports):
    for name, several in reports.items():
        for finding in several[0].findings:
            assert finding.code == "INPUT"
            assert finding.evidence["kind"]
            assert finding.sensor is None or finding.sensor in finding.message, name
            assert finding.remedy or finding.evidence["kind"] == "table"
    json.dumps(reports["drift"][0].to_dict(), allow_nan=False)


@pytest.mark.parametrize("factor", [1e-6, 1e6, 1e300])
@pytest.mark.parametrize("defect", ["spikes", "sentinel", "drift", "stuck"])
def test_units_do_not_matter(defect, factor):
    rng = np.random.default_rng(4)
    x = DEFECTS[defect](rng, system(rng))
    plain, scaled = inspect(Series.of(x)), inspect(Series.of(x * factor))
    for a, b in zip(plain.sensors, scaled.sensors, strict=True):
        assert (a.drift, a.unit_root, a.event_like, a.missing_pattern) == (b.drift, b.unit_root, b.event_like, b.missing_pattern)
        assert (a.stuck_share, a.outlier_share) == (b.stuck_share, b.outlier_share)


@pytest.mark.parametrize("rows", [1, 2, 5, 20, 60])
def test_short_tables(rows):
    report = inspect(Series.of(np.random.default_rng(0).normal(size=(rows, 3))))
    assert len(report.sensors) == 3
    assert (len(report.quarantined) == 3) == (rows < 30)
    assert any(f.severity == "stop" for f in report.findings) == (rows < 30)


@pytest.mark.parametrize(
    "x",
    [
        np.full((50, 2), np.nan),
        np.full((50, 2), 1e308) * np.array([1, -1]),
        np.where(np.arange(100).reshape(50, 2) % 3 == 0, 1.7e308, -1.7e308),
        np.where(np.arange(100).reshape(50, 2) % 3 == 0, 5e-324, 0.0),
        np.random.default_rng(0).standard_cauchy((300, 3)) * 1e150,
        np.random.default_rng(0).integers(0, 2, (300, 3)).astype(float),
    ],
    ids=["empty", "constant", "limits", "denormal", "cauchy", "binary"],
)
def test_extremes(x):
    report = inspect(Series.of(x))
    json.dumps(report.to_dict(), allow_nan=False)


def test_recordings_are_judged_together_but_never_joined():
    rng = np.random.default_rng(6)
    parts = [Series.of(system(rng, 300) + 5 * k) for k in range(5)]
    report = inspect(concatenate(parts))
    assert all(q.outlier_share == 0 and q.stuck_share == 0 for q in report.sensors)


def test_missing_pattern_of_nothing():
    one = np.zeros(5, np.int64)
    assert missing_pattern(np.ones(5), one)[0] == "none"
    assert missing_pattern(np.full(5, np.nan), one)[0] == "blocks"


def test_correlations_against_numpy():
    rng = np.random.default_rng(8)
    x = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 3))
    assert np.allclose(correlations(x)[0], np.corrcoef(x.T))
    x[rng.random(x.shape) < 0.3] = np.nan
    both = np.isfinite(x[:, :2]).all(axis=1)
    estimate, joint = correlations(x)
    assert estimate[0, 1] == pytest.approx(np.corrcoef(x[both, 0], x[both, 1])[0, 1], abs=1e-9)
    assert joint[0, 1] == both.sum()


def test_common_mode_of_equal_correlation():
    rng = np.random.default_rng(9)
    x = np.sqrt(0.7) * rng.normal(size=(5000, 6)) + np.sqrt(0.3) * rng.normal(size=(5000, 1))
    assert common_mode(innovations(x, np.zeros(5000, np.int64)), np.ones(x.shape[1], bool)) == pytest.approx(0.3, abs=0.04)


@needs_data
def test_air_quality():
    s = read_table(DATA / "air_quality_uci" / "data.csv")
    report = inspect(s)
    assert not report.quarantined
    assert not report.aliases
    assert all(q.stuck_share == 0 for q in report.sensors)
    assert report.sensor("T").drift
    assert report.sensor("T").quantised_step == pytest.approx(0.1)
    assert report.sensor("NMHC_GT").missing_rate == pytest.approx(0.9, abs=0.01)
    raw = Series.of(np.where(s.mask, s.values, -200.0), names=s.names)
    assert [q.sentinel for q in inspect(raw).sensors] == [-200.0] * 13


def gaps_of(steps, recording=None):
    time = np.concatenate([[0.0], np.cumsum(steps)])
    x = np.random.default_rng(0).standard_normal((len(time), 2))
    number = np.array(recording or [0] * len(time))
    table = Series(x, np.ones(x.shape, bool), ("a", "b"), time=time, recording=number)
    report = inspect(table, min_observed=3)
    found = [finding for finding in report.findings if finding.evidence["kind"] == "time_gaps"]
    assert len(table.segments()) == 1 + sum(finding.evidence["gaps"] for finding in found) + (recording is not None)
    return found


def test_gaps_in_time_are_told():
    [told] = gaps_of([60.0] * 5 + [91.0] + [60.0] * 5 + [600.0] + [60.0] * 5)
    assert told.message == (
        "table: 2 gaps in time are longer than 1.5 steps of 60; the longest, 600, from row 12 (time 691) to row 13 (1291)."
    )
    assert told.evidence == {"kind": "time_gaps", "gaps": 2, "usual": 60.0, "longest": 600.0, "rows": [12, 13], "time": [691.0, 1291.0]}
    [one] = gaps_of([1.0] * 9 + [2.0])
    assert one.message == "table: one gap in time is longer than 1.5 steps of 1: 2, from row 10 (time 9) to row 11 (11)."


def test_steps_that_differ_little_and_steps_between_recordings_are_no_gaps():
    assert not gaps_of([60.0] * 5 + [90.0] + [60.0] * 5)
    assert not gaps_of([1.0] * 5 + [500.0] + [1.0] * 5, recording=[0] * 6 + [1] * 6)


@pytest.mark.parametrize("lost", [[], [3, 40]], ids=["complete", "gaps"])
@pytest.mark.parametrize("breaks", [[], [50]], ids=["one segment", "two"])
def test_autocovariances_are_those_of_observed_pairs_within_a_segment(lost, breaks):
    x = np.random.default_rng(0).standard_normal((120, 2))
    x[lost, 0] = np.nan
    segment = np.searchsorted(breaks, np.arange(120), side="right")
    gamma, pairs = autocovariance(x, segment, 3)
    for k in range(4):
        for j in range(2):
            products = [x[t, j] * x[t + k, j] for t in range(120 - k) if segment[t] == segment[t + k]]
            known = [one for one in products if np.isfinite(one)]
            assert pairs[k, j] == len(known)
            assert gamma[k, j] == pytest.approx(np.mean(known))


@pytest.mark.parametrize(
    "tiny",
    [
        [-1.30315723160436e-310, 9.053558666731e-311, 0.7],
        [-7.04e-311, -1.27e-310, -6.2e-311, 0.7, -2.3e-310, -0.7, -1.2e-310, 0.7],
        [1e-199, 1.0000000000000002e-199, 1e-199, -1e-199, 0.7, 1e-199, 1e-199, 0.7],
        [1e-49, 1.0000000000000002e-49, 1e-49, -1e-49, 0.7, 1e-49, 1e-49, 0.7],
    ],
)
def test_readings_whose_spread_is_too_small_to_divide_by_overflow_nothing(tiny):
    table = Series.of(np.column_stack([np.arange(len(tiny)) % 2.0, tiny]))
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        assert len(inspect(table).sensors) == 2
