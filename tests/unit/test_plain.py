"""The second look without the state space: what it sees, and that it can only raise."""

from __future__ import annotations

import numpy as np
import pytest

from rcgnn import pipeline
from rcgnn.config import Config
from rcgnn.screen.dense import raised
from rcgnn.screen.plain import TREND_ROWS, plain_evidence
from rcgnn.series import Series
from rcgnn.synth import simulate


def linked(rows: int = 500) -> np.ndarray:
    x = np.random.default_rng(0).standard_normal((rows, 3))
    x[2:, 1] += 0.8 * x[:-2, 0]
    return x


def test_a_link_stands_out():
    found = plain_evidence(linked(), [slice(0, 500)], 2)
    assert found[0, 1] > 100.0
    found[0, 1] = 0.0
    assert found.max() < 20.0
    assert not found.diagonal().any()


def test_a_slow_drift_of_all_sensors_makes_no_link():
    drift = np.sin(np.arange(500.0) / TREND_ROWS)[:, None]
    steady, drifting = (plain_evidence(x, [slice(0, 500)], 2) for x in (linked(), linked() + 5 * drift))
    off = ~np.eye(3, dtype=bool)
    off[0, 1] = False
    assert drifting[off].max() < steady[off].max() + 15.0


def test_no_link_across_the_end_of_a_segment():
    x = np.random.default_rng(1).standard_normal((400, 2))
    x[200:202, 1] = 40.0
    x[198:200, 0] = 40.0
    found = [plain_evidence(x, parts, 2)[0, 1] for parts in ([slice(0, 400)], [slice(0, 200), slice(200, 400)])]
    assert found[0] > 100.0
    assert found[1] < 20.0


def test_evidence_raises_a_score_and_keeps_the_proportions_of_its_lags():
    score = np.zeros((3, 2, 2))
    score[1, 0, 1], score[2, 0, 1], score[1, 1, 0] = 8.0, 2.0, 0.5
    found = raised(score, np.array([[0.0, np.e], [np.e**2, 0.0]]), 0.5)
    assert found[1, 0, 1] == pytest.approx(8.0 * np.exp(0.5))
    assert found[2, 0, 1] == pytest.approx(2.0 * np.exp(0.5))
    assert found[1, 1, 0] == pytest.approx(np.e)
    np.testing.assert_allclose(raised(score, np.full((2, 2), 0.3), 0.5), score)


def test_only_where_the_state_space_ran(monkeypatch):
    asked = []
    real = pipeline.plain_evidence
    monkeypatch.setattr(pipeline, "plain_evidence", lambda *given: asked.append(1) or real(*given))
    series = simulate("linear", seed=1, rows=300, sensors=4).series
    config = Config().override(["select.refine=off", "data.max_lag=2", "signal.iterations=2"])
    whole = pipeline.fit_series(series, config)
    assert not whole.signal.smoothed
    assert asked == []
    gaps = np.where(np.random.default_rng(0).random(series.values.shape) < 0.2, np.nan, series.values)
    pipeline.fit_series(Series.of(gaps, names=series.names), config)
    assert asked == [1]
