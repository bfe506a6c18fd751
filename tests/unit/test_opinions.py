"""Further opinions where the state space ran: what they see, how they are averaged, and where they are asked."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import rankdata

from rcgnn import pipeline, stages
from rcgnn.config import Config, ScreenConfig
from rcgnn.data.rolling import TREND_WINDOW
from rcgnn.looks import Looks
from rcgnn.screen.dense import raised
from rcgnn.screen.features import Sample
from rcgnn.screen.opinions import MANY, PLAIN_WEIGHT, POSTERIOR_WEIGHT, Opinions, normal_scores, opinions
from rcgnn.series import Series
from rcgnn.synth import simulate


def linked(rows: int = 500) -> np.ndarray:
    x = np.random.default_rng(0).standard_normal((rows, 3))
    x[2:, 1] += 0.8 * x[:-2, 0]
    return x


def look(x: np.ndarray, segments: list[slice] | None = None, *, search: bool = True) -> Opinions:
    sample = Sample(x[None], np.ones(x.shape, bool), segments or [slice(0, len(x))], 2)
    return opinions(sample, Looks(sample), None, ScreenConfig(), search=search)


def dense(found: Opinions) -> np.ndarray:
    return found.dense[0][1]


def test_every_opinion_sees_a_link():
    found = look(linked())
    assert len(found.searches) == 2
    for one in (dense(found), *found.searches):
        others = one.copy()
        others[0, 1] = 0.0
        assert one[0, 1] > 100.0
        assert others.max() < 20.0
        assert not one.diagonal().any()


def test_without_a_search_the_dense_evidence_is_left_and_the_same():
    short = look(linked(), search=False)
    assert short.searches == ()
    np.testing.assert_array_equal(dense(short), dense(look(linked())))


def test_a_slow_drift_of_all_sensors_makes_no_link():
    drift = np.sin(np.arange(500.0) / TREND_WINDOW)[:, None]
    steady, drifting = (look(x) for x in (linked(), linked() + 5 * drift))
    off = ~np.eye(3, dtype=bool)
    off[0, 1] = False
    for before, after in zip((dense(steady), *steady.searches), (dense(drifting), *drifting.searches), strict=True):
        assert after[off].max() < before[off].max() + 15.0


def test_no_link_across_the_end_of_a_segment():
    x = np.random.default_rng(1).standard_normal((400, 2))
    x[200:202, 1] = 40.0
    x[198:200, 0] = 40.0
    whole, parted = look(x), look(x, [slice(0, 200), slice(200, 400)])
    assert min(dense(whole)[0, 1], whole.searches[0][0, 1]) > 100.0
    assert max(dense(parted)[0, 1], parted.searches[0][0, 1]) < 20.0


def test_the_opinion_on_ranks_does_not_mind_heavy_tails():
    heavy = np.sinh(3 * linked())
    level, ranks = look(heavy).searches
    assert ranks[0, 1] > 3 * level[0, 1]


def test_equal_values_share_their_rank():
    x = np.random.default_rng(0).integers(0, 6, size=(40, 3)).astype(float)
    np.testing.assert_allclose(normal_scores(x), ndtri((rankdata(x, axis=0) - 0.5) / 40))


def test_normal_scores_follow_the_order_alone():
    x = np.random.default_rng(2).standard_normal((60, 2))
    np.testing.assert_allclose(normal_scores(x), normal_scores(np.exp(3 * x) + 7))
    assert np.abs(normal_scores(x).mean(axis=0)).max() < 1e-12


def test_a_score_is_the_geometric_mean_of_the_opinions_and_keeps_the_proportions_of_its_lags():
    score = np.zeros((3, 2, 2))
    score[1, 0, 1], score[2, 0, 1], score[1, 1, 0] = 8.0, 2.0, 0.5
    other, third = np.array([[0.0, 27.0], [0.1, 0.0]]), np.array([[0.0, 1.0], [0.2, 0.0]])
    everybody = np.array([[0.0, np.e], [0.5, 0.0]])
    found = Opinions(((PLAIN_WEIGHT, everybody), (POSTERIOR_WEIGHT, everybody)), (other, third)).blended(score)
    assert found[1, 0, 1] == pytest.approx((8.0 * 27.0) ** (1 / 3) * np.exp((PLAIN_WEIGHT + POSTERIOR_WEIGHT) / 3))
    assert found[2, 0, 1] == pytest.approx(found[1, 0, 1] / 4)
    assert found[1, 1, 0] == pytest.approx(0.5)
    alone = Opinions(((PLAIN_WEIGHT, everybody),)).blended(score)
    np.testing.assert_allclose(alone, raised(score, everybody, PLAIN_WEIGHT))


def test_rows_that_were_not_read_count_where_many_cells_are_missing():
    x = linked()
    moment = np.cov(np.concatenate([x[2 - k : len(x) - k] for k in range(3)], axis=1).T)
    for share, many in ((MANY - 0.05, False), (MANY + 0.05, True)):
        keep = np.random.default_rng(0).random(x.shape) >= share
        sample = Sample(x[None], keep, [slice(0, len(x))], 2)
        found = opinions(sample, Looks(sample), moment, ScreenConfig())
        assert len(found.searches) == 2 + many
        assert [weight for weight, _ in found.dense] == [PLAIN_WEIGHT, POSTERIOR_WEIGHT][: 1 + many]
    assert found.searches[2][0, 1] > 1.2 * found.searches[0][0, 1]  # the third sees all rows
    assert found.dense[1][1][0, 1] == found.dense[1][1].max() > 100.0


@pytest.mark.parametrize(("rows", "searched"), [(300, True), (1600, False)])
def test_only_where_the_state_space_ran_and_without_a_search_on_a_table_of_pieces(monkeypatch, rows, searched):
    asked = []
    real = stages.opinions
    monkeypatch.setattr(stages, "opinions", lambda *given, search: asked.append(search) or real(*given, search=search))
    series = simulate("linear", seed=1, rows=rows, sensors=4).series
    config = Config().override(["select.refine=off", "data.max_lag=2", "signal.iterations=2"])
    whole = pipeline.fit_series(series, config)
    assert not whole.signal.smoothed
    assert asked == []
    gaps = np.where(np.random.default_rng(0).random(series.values.shape) < 0.2, np.nan, series.values)
    pipeline.fit_series(Series.of(gaps, names=series.names), config)
    assert asked == [searched]
    asked.clear()
    without = pipeline.fit_series(Series.of(gaps, names=series.names), config.override(["screen.opinions=false"]))
    assert asked == []
    np.testing.assert_array_equal(without.decision.score, without.screened.score if searched else without.decision.score)


def test_agreement_asks_every_search_and_nobody_where_there_is_none():
    one, two = np.array([[0.0, 9.0], [6.0, 0.0]]), np.array([[0.0, 7.0], [4.0, 0.0]])
    assert Opinions((), (one, two)).agreed.tolist() == [[False, True], [False, False]]
    assert Opinions(((1.0, one),)).agreed is None
