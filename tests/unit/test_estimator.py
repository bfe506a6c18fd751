"""The scikit-learn door: settings by name, every kind of table, no place for a true graph."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from rcgnn import RCGNN, Series
from rcgnn.config import Config
from rcgnn.errors import ConfigError, InputError, TableError, TruthRefusedError
from rcgnn.pipeline import fit_series

NAMES = ["pump", "flow", "level"]


def table(rows: int = 300, seed: int = 0) -> np.ndarray:
    """pump drives flow one step later."""
    x = np.random.default_rng(seed).standard_normal((rows, 3))
    x[1:, 1] += 1.5 * x[:-1, 0]
    return x


def model(**settings) -> RCGNN:
    return RCGNN(**{"max_lag": 2, "select__refine": "off", "select__halves": 4} | settings)


KINDS = {
    "array": lambda x: x,
    "pandas": lambda x: pd.DataFrame(x, columns=NAMES),
    "polars": lambda x: pl.DataFrame(x, schema=NAMES),
    "series": lambda x: Series.of(x, names=NAMES),
    "float32": lambda x: x.astype(np.float32),
    "rows as lists": np.ndarray.tolist,
    "masked array": np.ma.masked_invalid,
    "Fortran order": np.asfortranarray,
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.replace(" ", "-"))
def test_every_kind_of_table_gives_the_same_graph(kind):
    x = table()
    x[5, 1] = np.nan
    given = KINDS[kind](x)
    fitted = model().fit(given)
    assert fitted.graph_.links() == [(1, 0, 1)]
    np.testing.assert_allclose(fitted.scores_, model().fit(x).scores_, rtol=1e-4, atol=1e-6)
    if kind in ("pandas", "polars", "series"):
        assert fitted.feature_names_in_.tolist() == NAMES
        assert fitted.edges()[["cause", "effect", "lag"]].values.tolist() == [["pump", "flow", 1]]


@pytest.mark.parametrize("kind", ["array", "pandas", "polars", "series"])
def test_a_list_of_recordings_is_one_system(kind):
    parts = [KINDS[kind](table(150, seed)) for seed in range(2)]
    fitted = model().fit(parts)
    assert fitted.graph_.links() == [(1, 0, 1)]
    assert len(fitted.fit_.prepared.scaled.segments()) == 2


def test_the_users_table_is_left_alone():
    x = table()
    frame = pd.DataFrame(x.copy(), columns=NAMES)
    before = frame.copy()
    model().fit(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_fitted_attributes():
    x = table()
    fitted = model()
    assert fitted.fit(x) is fitted
    assert fitted.n_features_in_ == 3
    assert fitted.feature_names_in_.tolist() == ["x0", "x1", "x2"]
    np.testing.assert_array_equal(fitted.scores_, fitted.graph_.score)
    assert fitted.health_ == []
    assert fitted.config_.data.max_lag == 2
    assert fitted.findings_ == fitted.fit_.findings
    assert fitted.summary_ is fitted.fit_.summary


def test_the_estimator_and_the_pipeline_give_the_same_answer():
    x = table()
    done = fit_series(Series.of(x), Config().override(["data.max_lag=2", "select.refine=off", "select.halves=4"]))
    np.testing.assert_array_equal(model().fit(x).scores_, done.graph.score)


def test_settings_reach_the_config():
    fitted = RCGNN(max_lag=1, seed=5, device="cpu", select__refine="off", train__lr=1e-3).fit(table(100))
    config = fitted.config_
    assert (config.data.max_lag, config.seed, config.device, config.train.lr) == (1, 5, "cpu", 1e-3)
    assert fitted.graph_.max_lag == 1


def test_get_params_names_every_setting_and_the_shallow_ones_only_what_was_given():
    every = model(train__lr=1e-3).get_params()
    assert every["train__lr"] == 1e-3
    assert every["max_lag"] == 2
    assert every["screen__gamma"] == Config().screen.gamma
    assert set(model(train__lr=1e-3).get_params(deep=False)) == {
        "max_lag", "recipe", "seed", "device", "budget", "select__refine", "select__halves", "train__lr",
    }  # fmt: skip


def test_every_setting_can_be_given_back_through_set_params():
    every = RCGNN().get_params()
    again = RCGNN().set_params(**every)
    assert again.get_params() == every


def test_set_params_changes_what_the_next_fit_does():
    changed = model().set_params(max_lag=1, train__lr=0.5, seed=3)
    assert (changed.max_lag, changed.seed, changed.get_params()["train__lr"]) == (1, 3, 0.5)
    assert changed.fit(table(100)).graph_.max_lag == 1


def test_clone_takes_the_settings_and_not_the_answer():
    fitted = model(train__lr=1e-3).fit(table())
    copy = clone(fitted)
    assert copy is not fitted
    assert copy.get_params() == fitted.get_params()
    assert not hasattr(copy, "graph_")
    copy.set_params(train__lr=0.5)
    assert fitted.get_params()["train__lr"] == 1e-3
    np.testing.assert_array_equal(clone(fitted).fit(table()).scores_, fitted.scores_)


def test_repr_shows_what_differs_from_the_defaults():
    text = repr(RCGNN(max_lag=5, train__lr=1e-3))
    assert text == "RCGNN(max_lag=5, train__lr=0.001)"
    assert repr(RCGNN()) == "RCGNN()"


def test_two_names_of_one_setting_agree():
    both = RCGNN(data__max_lag=5)
    assert both.get_params()["max_lag"] == both.fit(table(100)).graph_.max_lag


WRONG = {
    "train__lrr": "unknown setting 'train.lrr'. Did you mean 'lr'",
    "trian__lr": "Did you mean 'train'",
    "max_lags": "write section__name",
    "lr": "write section__name",
    "train__lr__x": "unknown setting 'train.lr__x'",
}


@pytest.mark.parametrize("name", WRONG)
def test_unknown_settings_are_refused_at_once_with_the_nearest_known_one(name):
    for door in (lambda: RCGNN(**{name: 1}), lambda: RCGNN().set_params(**{name: 1})):
        with pytest.raises(ConfigError, match=r"(?s).*".join([WRONG[name].replace(".", r"\.").replace("(", r"\(")])):
            door()


@pytest.mark.parametrize(
    "settings", [{"train__lr": -1.0}, {"max_lag": 0}, {"recipe": "best"}, {"seed": -1}, {"select__alpha": "x"}], ids=str
)
def test_values_out_of_range_are_refused_before_anything_is_fitted(settings):
    with pytest.raises(ConfigError, match=next(iter(settings)).split("__")[-1]):
        model(**settings).fit(table())


def test_not_fitted():
    with pytest.raises(NotFittedError, match="call fit"):
        RCGNN().edges()
    assert not hasattr(RCGNN(), "graph_")


@pytest.mark.parametrize("truth", [np.zeros((3, 3)), np.zeros((3, 3, 3), bool), [("pump", "flow", 1)], 0], ids=lambda t: type(t).__name__)
def test_a_true_graph_is_refused(truth):
    fresh = model()
    with pytest.raises(TruthRefusedError, match=r"y must be None.*rcgnn\.evaluate"):
        fresh.fit(table(), truth)
    assert not hasattr(fresh, "graph_")


def test_fit_has_no_place_for_a_true_graph():
    assert list(inspect.signature(RCGNN.fit).parameters) == ["self", "X", "y", "progress", "on_record"]
    assert list(inspect.signature(fit_series).parameters) == ["series", "config", "progress", "on_record", "budget", "store", "spread"]
    with pytest.raises(TypeError):
        RCGNN().fit(table(), truth=np.zeros((3, 3)))


NO_TABLE = {
    "a number": 3.0,
    "a word": "data.csv",
    "nothing": None,
    "one dimension": np.zeros(5),
    "no rows": np.zeros((0, 3)),
    "words": np.array([["a", "b"], ["c", "d"]]),
    "no recordings": [],
    "recordings with other sensors": [pd.DataFrame({"a": [1.0, 2.0]}), pd.DataFrame({"b": [1.0, 2.0]})],
}


@pytest.mark.parametrize("case", NO_TABLE, ids=lambda c: c.replace(" ", "-"))
def test_what_is_no_table_is_refused_with_one_clear_error(case):
    with pytest.raises(TableError) as caught:
        model().fit(NO_TABLE[case])
    assert isinstance(caught.value, InputError)
    assert len(str(caught.value)) > 20


def test_fitting_again_forgets_the_first_table():
    fitted = model().fit(pd.DataFrame(table(), columns=NAMES)).fit(np.random.default_rng(0).standard_normal((200, 5)))
    assert fitted.n_features_in_ == 5
    assert fitted.feature_names_in_.tolist() == ["x0", "x1", "x2", "x3", "x4"]
    assert fitted.graph_.score.shape == (3, 5, 5)


def test_the_network_can_be_switched_on_and_reports_every_epoch():
    records = []
    fitted = model(select__refine="on", train__epochs=2).fit(table(), on_record=records.append)
    assert [r.epoch for r in fitted.health_] == [r.epoch for r in records] == [1, 2]
