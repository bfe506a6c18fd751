"""The second opinions without the state space: what they see, how they are averaged, and where they are asked."""

from __future__ import annotations

import numpy as np
import pytest

from rcgnn import pipeline
from rcgnn.config import Config, ScreenConfig
from rcgnn.screen.dense import raised
from rcgnn.screen.features import Sample
from rcgnn.screen.plain import PLAIN_WEIGHT, TREND_ROWS, Plain, normal_scores, plainly
from rcgnn.series import Series
from rcgnn.synth import simulate


def linked(rows: int = 500) -> np.ndarray:
    x = np.random.default_rng(0).standard_normal((rows, 3))
    x[2:, 1] += 0.8 * x[:-2, 0]
    return x


def look(x: np.ndarray, segments: list[slice] | None = None, *, search: bool = True) -> Plain:
    return plainly(Sample(x[None], np.ones(x.shape, bool), segments or [slice(0, len(x))], 2), ScreenConfig(), search=search)


def test_every_opinion_sees_a_link():
    found = look(linked())
    assert len(found.scores) == 2
    for one in (found.dense, *found.scores):
        one = one.copy()
        assert one[0, 1] > 100.0
        one[0, 1] = 0.0
        assert one.max() < 20.0
        assert not one.diagonal().any()


def test_without_a_search_the_dense_evidence_is_left_and_the_same():
    short = look(linked(), search=False)
    assert short.scores == ()
    np.testing.assert_array_equal(short.dense, look(linked()).dense)


def test_a_slow_drift_of_all_sensors_makes_no_link():
    drift = np.sin(np.arange(500.0) / TREND_ROWS)[:, None]
    steady, drifting = (look(x) for x in (linked(), linked() + 5 * drift))
    off = ~np.eye(3, dtype=bool)
    off[0, 1] = False
    for before, after in zip((steady.dense, *steady.scores), (drifting.dense, *drifting.scores), strict=True):
        assert after[off].max() < before[off].max() + 15.0


def test_no_link_across_the_end_of_a_segment():
    x = np.random.default_rng(1).standard_normal((400, 2))
    x[200:202, 1] = 40.0
    x[198:200, 0] = 40.0
    whole, parted = look(x), look(x, [slice(0, 200), slice(200, 400)])
    assert whole.dense[0, 1] > 100.0 > 20.0 > parted.dense[0, 1]
    assert whole.scores[0][0, 1] > 100.0 > 20.0 > parted.scores[0][0, 1]


def test_the_opinion_on_ranks_does_not_mind_heavy_tails():
    heavy = np.sinh(3 * linked())
    level, ranks = look(heavy).scores
    assert ranks[0, 1] > 3 * level[0, 1]


def test_normal_scores_follow_the_order_alone():
    x = np.random.default_rng(2).standard_normal((60, 2))
    np.testing.assert_allclose(normal_scores(x), normal_scores(np.exp(3 * x) + 7))
    assert np.abs(normal_scores(x).mean(axis=0)).max() < 1e-12


def test_a_score_is_the_geometric_mean_of_the_opinions_and_keeps_the_proportions_of_its_lags():
    score = np.zeros((3, 2, 2))
    score[1, 0, 1], score[2, 0, 1], score[1, 1, 0] = 8.0, 2.0, 0.5
    other, third = np.array([[0.0, 27.0], [0.1, 0.0]]), np.array([[0.0, 1.0], [0.2, 0.0]])
    dense = np.array([[0.0, np.e], [0.5, 0.0]])
    found = Plain(dense, (other, third)).blended(score)
    assert found[1, 0, 1] == pytest.approx((8.0 * 27.0) ** (1 / 3) * np.exp(PLAIN_WEIGHT / 3))
    assert found[2, 0, 1] == pytest.approx(found[1, 0, 1] / 4)
    assert found[1, 1, 0] == pytest.approx(0.5)
    alone = Plain(dense).blended(score)
    np.testing.assert_allclose(alone, raised(score, dense, PLAIN_WEIGHT))


@pytest.mark.parametrize(("rows", "searched"), [(300, True), (1600, False)])
def test_only_where_the_state_space_ran_and_without_a_search_on_a_table_of_pieces(monkeypatch, rows, searched):
    asked = []
    real = pipeline.plainly
    monkeypatch.setattr(pipeline, "plainly", lambda *given, search: asked.append(search) or real(*given, search=search))
    series = simulate("linear", seed=1, rows=rows, sensors=4).series
    config = Config().override(["select.refine=off", "data.max_lag=2", "signal.iterations=2"])
    whole = pipeline.fit_series(series, config)
    assert not whole.signal.smoothed
    assert asked == []
    gaps = np.where(np.random.default_rng(0).random(series.values.shape) < 0.2, np.nan, series.values)
    pipeline.fit_series(Series.of(gaps, names=series.names), config)
    assert asked == [searched]
