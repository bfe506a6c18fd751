"""The wrappers around other people's methods: what comes back from them, and how readings are handed to them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from rcgnn.baselines import BASELINES
from rcgnn.baselines.lagged import TOO_FEW_ROWS, Lagged
from rcgnn.baselines.peers import LEAST_P, MISSING, OPEN_MARKS, _apart, _with_open_questions
from rcgnn.graph import LINK, NONE, UNDECIDED
from rcgnn.series import Series

NEEDS = {"pcmci+": "tigramite", "pcmci+robust": "tigramite", "varlingam": "lingam"}


@pytest.fixture(params=NEEDS)
def peer(request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip(NEEDS[request.param])
    return request.param


def chain(rows=800, seed=0):
    """a(t-2) -> b(t) -> c(t+1), and a(t) -> d(t); noise is uniform, so that lag 0 has a direction."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, size=(rows, 4))
    for t in range(2, rows):
        x[t, 0] += 0.4 * x[t - 1, 0]
        x[t, 1] += 0.6 * x[t - 2, 0]
        x[t, 2] += 0.6 * x[t - 1, 1]
        x[t, 3] += 0.6 * x[t, 0]
    return Series.of(x, names=["a", "b", "c", "d"])


def marked(mark, p, size, series=None):
    """The graph of three sensors, of which `still` in the middle does not vary."""
    if series is None:
        values = np.random.default_rng(0).normal(size=(30, 3))
        values[:, 1] = 4.0
        series = Series.of(values, names=["a", "still", "b"])
    return _with_open_questions(Lagged.of(series, 1), np.array(mark), np.array(p), np.array(size))


def blank():
    mark = np.full((2, 2, 2), "", dtype="<U3")
    return mark, np.ones((2, 2, 2)), np.zeros((2, 2, 2))


@pytest.mark.parametrize("sign", OPEN_MARKS)
def test_link_without_a_direction_is_undecided_both_ways_with_the_reason(sign):
    mark, p, size = blank()
    mark[0, 0, 1] = mark[0, 1, 0] = sign
    p[0, 0, 1] = p[0, 1, 0] = 1e-4
    graph = marked(mark, p, size)
    assert not graph.links()
    assert graph.undecided() == [(0, 0, 2), (0, 2, 0)]
    assert graph.reasons == dict.fromkeys([(0, 0, 2), (0, 2, 0)], OPEN_MARKS[sign])
    assert graph.score[0, 0, 2] == graph.score[0, 2, 0] == pytest.approx(4.0)
    assert set(graph.quarantined) == {"still"}


def test_direction_of_an_oriented_link_at_lag_0_decides_verdict_and_score():
    mark, p, size = blank()
    mark[0, 1, 0], mark[0, 0, 1] = "-->", "<--"
    p[0, 0, 1] = p[0, 1, 0] = 1e-4
    graph = marked(mark, p, size)
    assert graph.links() == [(0, 2, 0)]
    assert not graph.undecided()
    assert graph.score[0, 2, 0] == pytest.approx(4.0)
    assert graph.score[0, 0, 2] == 0


def test_p_values_that_underflow_are_ordered_by_size():
    mark, p, size = blank()
    mark[1, 0, 1] = mark[1, 1, 0] = "-->"
    p[1, 0, 1] = p[1, 1, 0] = 0.0
    size[1, 0, 1], size[1, 1, 0] = 0.7, 0.9
    graph = marked(mark, p, size)
    assert graph.links() == [(1, 2, 0), (1, 0, 2)]
    assert graph.score.min() >= 0
    assert graph.score[1, 0, 2] == pytest.approx(0.7 - np.log10(LEAST_P))


def test_pair_without_a_test_is_undecided():
    mark, p, size = blank()
    p[1, 0, 1] = size[1, 0, 1] = np.nan
    p[1, 0, 0] = np.nan
    graph = marked(mark, p, size)
    assert graph.undecided() == [(1, 0, 2)]
    assert graph.reasons == {(1, 0, 2): TOO_FEW_ROWS}
    assert graph.verdict[1, 2, 0] == NONE


def test_segments_are_kept_apart_and_missing_readings_flagged():
    series = Series(np.array([[0.0], [2.0], [np.nan], [4.0]]), np.ones((4, 1), bool), ("a",), recording=np.array([0, 0, 1, 1]))
    x = _apart(series, np.array([0]), 3)[:, 0]
    assert (x == MISSING).tolist() == [False, False, True, True, True, True, False]
    assert x[[0, 1, 6]] == pytest.approx(np.array([-2.0, 0.0, 2.0]) / np.sqrt(8 / 3))


def test_lags_and_directions_are_where_they_belong(peer):
    graph = BASELINES[peer](chain(), max_lag=3, alpha=0.001)
    assert {(2, 0, 1), (1, 1, 2)} <= set(graph.links())
    assert graph.verdict[2, 1, 0] != LINK
    assert graph.verdict[0, 0, 3] in (LINK, UNDECIDED)
    if peer == "varlingam":
        assert (0, 0, 3) in graph.links()
        assert graph.strength[2, 0, 1] > 0.3


def test_missing_fifth_keeps_the_chain(peer):
    series = chain(rows=1500)
    holed = series.with_values(series.values, np.random.default_rng(1).random(series.shape) > 0.2)
    assert {(2, 0, 1), (1, 1, 2)} <= set(BASELINES[peer](holed, max_lag=3, alpha=0.001).links())


def test_warnings_stay_inside(peer):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        BASELINES[peer](chain(rows=60), max_lag=2)
    assert not caught


def awkward():
    """A combination of others, two levels, a sine, a ramp."""
    x = chain(rows=150).values
    t = np.arange(150.0)
    return np.column_stack([x, x[:, 0] + x[:, 1], x[:, 1] > 0, np.sin(t / 4), t])


@pytest.mark.parametrize("columns", [slice(None), slice(4, 8), slice(5, 6), [0, 0, 0]], ids=["all", "odd", "one", "copies"])
def test_awkward_sensors_end_nothing(peer, columns):
    series = Series.of(awkward()[:, columns])
    graph = BASELINES[peer](series, max_lag=2)
    assert graph.names == series.names


def test_no_sensor_that_varies_ends_nothing(peer):
    graph = BASELINES[peer](Series.of(np.ones((50, 2))), max_lag=2)
    assert not graph.links()
    assert set(graph.quarantined) == {"x0", "x1"}
    assert "ndecidable" in graph.conclusion


def test_nearly_everything_missing_is_undecidable(peer):
    series = chain(rows=60)
    holed = series.with_values(series.values, np.random.default_rng(1).random(series.shape) > 0.93)
    graph = BASELINES[peer](holed, max_lag=3)
    assert np.isfinite(graph.score).all()
    if peer != "varlingam":
        assert not graph.links()
